//! Finds everything of a stack: what the state knows, what today's declaration names, and beside
//! both what only the cloud still knows (law 8): what an earlier configuration made, older
//! instances, and doubles that lost answers left.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tokio::task::JoinSet;

use super::Context;
use super::catch_up::observe_caught_up;
use super::graph::{Declaration, Node};
use super::observe::Observations;
use super::plan::PlanError;
use super::whose::{Owner, owner};
use crate::resource::{Address, AnyLive, Error, NODE_TAG, STACK_TAG, Tags, without_foreign_tags};
use crate::state::{Record, Retired, State};

/// Everything of a stack, recorded or not.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// The nodes to delete, by address, with what was read of them. Further instances of a node
    /// stand in its record as retired.
    pub nodes: BTreeMap<Address, (Record, Option<AnyLive>)>,
    /// Those of them whose deletion loses data.
    pub holding_data: BTreeSet<Address>,
    /// What has our names and is not ours: never deleted, at most reported (law 3).
    pub strangers: BTreeMap<Address, AnyLive>,
}

/// Finds everything of the stack: what the state knows, and what is in the cloud under its tags or
/// names although neither the state nor the declaration may know it.
pub async fn find_all(
    context: &Context,
    declaration: &Declaration,
    state: &State,
) -> Result<Whole, PlanError> {
    find(context, declaration, state, &Whole::default()).await
}

/// The same. What was `known` is ours whatever its tags say by now.
pub(super) async fn find(
    context: &Context,
    declaration: &Declaration,
    state: &State,
    known: &Whole,
) -> Result<Whole, PlanError> {
    let caught_up = observe_caught_up(context, declaration, state).await?;
    let (state, found) = (&*caught_up.state, caught_up.observations);
    let swept = sweep(context, declaration, state, &found).await?;
    let is_known = |address: &Address| {
        known.nodes.contains_key(address) || state.records.contains_key(address)
    };
    let strangers = strangers(context, declaration, &found, &is_known);
    let mut whole = Whole::default();
    for (address, record) in &state.records {
        let live = found.live.get(address).cloned().flatten();
        whole.nodes.insert(address.clone(), (record.clone(), live));
    }
    let mut unrecorded = Vec::new();
    for node in &declaration.nodes {
        let Some(Some(live)) = found.live.get(&node.address) else {
            continue;
        };
        let is_shared = context.profile(node.kind).is_some_and(|kind| kind.shared);
        let is_ours = !strangers.contains(&node.address);
        if !is_shared && is_ours && !whole.nodes.contains_key(&node.address) {
            let entry = (as_record(node, live), Some(live.clone()));
            whole.nodes.insert(node.address.clone(), entry);
            unrecorded.push((node.address.clone(), live.spec.clone()));
        }
    }
    for (kind, live) in swept {
        if belongs(&live, &context.scope.stack, !strangers.is_empty())
            && !holds(&whole, kind, &live)
        {
            let node = place_of(kind, &live, declaration, &found);
            let address = enter(&mut whole, declaration, kind, &live, node);
            unrecorded.push((address, live.spec));
        }
    }
    add_dependencies(&mut whole, &unrecorded);
    let live = |address: &Address| found.live.get(address).cloned().flatten();
    whole.strangers = strangers
        .iter()
        .filter_map(|address| Some((address.clone(), live(address)?)))
        .collect();
    let holds_data = |kind: &str| context.profile(kind).is_some_and(|kind| kind.holds_data);
    whole.holding_data = whole
        .nodes
        .iter()
        .filter(|(_, (record, _))| holds_data(&record.kind))
        .map(|(address, _)| address.clone())
        .collect();
    Ok(whole)
}

/// Asks every kind for what it finds by the stack's tag.
async fn sweep(
    context: &Context,
    declaration: &Declaration,
    state: &State,
    found: &Observations,
) -> Result<Vec<(&'static str, AnyLive)>, PlanError> {
    let mut known: HashMap<&str, Vec<(Address, Value)>> = HashMap::new();
    for node in &declaration.nodes {
        if let Some(want) = found.wanted.get(&node.address) {
            let of_kind = known.entry(node.kind).or_default();
            of_kind.push((node.address.clone(), want.clone()));
        }
    }
    for (address, record) in &state.records {
        if let (Some(spec), None) = (record.known_spec(), found.wanted.get(address)) {
            let of_kind = known.entry(&record.kind).or_default();
            of_kind.push((address.clone(), spec.clone()));
        }
    }
    let mut tasks = JoinSet::new();
    for (&name, kind) in context
        .kinds
        .iter()
        .filter(|(_, kind)| !kind.profile().shared)
    {
        let (kind, scope) = (std::sync::Arc::clone(kind), context.scope.clone());
        let (addresses, specs): (Vec<_>, Vec<_>) =
            known.remove(name).unwrap_or_default().into_iter().unzip();
        tasks.spawn(async move { (name, addresses, kind.sweep(&scope, &specs).await) });
    }
    let mut swept = Vec::new();
    let mut errors: BTreeMap<Address, Error> = BTreeMap::new();
    while let Some(joined) = tasks.join_next().await {
        // A task can only fail to join by panicking, which the code does not do on input.
        let Ok((kind, addresses, answer)) = joined else {
            continue;
        };
        match answer {
            Ok(found) => swept.extend(found.into_iter().map(|live| (kind, live))),
            Err(error) => {
                let address = addresses.into_iter().next();
                errors.insert(address.unwrap_or_else(|| slug(kind)), error);
            }
        }
    }
    if !errors.is_empty() {
        return Err(PlanError { errors });
    }
    swept.sort_by_cached_key(|(kind, live)| (*kind, live.outputs.to_string()));
    Ok(swept)
}

/// Says whether what a sweep found is the stack's. What carries no tags although it could is of
/// AWS's own making, for us unless somebody else has taken a name of ours (law 3).
fn belongs(live: &AnyLive, stack: &str, is_disputed: bool) -> bool {
    match tags_of(live) {
        None => true,
        Some(tags) if tags.0.is_empty() => !is_disputed,
        Some(tags) => tags.0.get(STACK_TAG).map(String::as_str) == Some(stack),
    }
}

fn tags_of(live: &AnyLive) -> Option<Tags> {
    let tags = live.spec.get("tags").filter(|tags| !tags.is_null())?;
    serde_json::from_value(tags.clone()).ok()
}

fn holds(whole: &Whole, kind: &str, live: &AnyLive) -> bool {
    let of_kind = whole
        .nodes
        .values()
        .filter(|(record, _)| record.kind == kind);
    of_kind
        .flat_map(|(record, seen)| instances(record).chain(seen.iter().map(|seen| &seen.outputs)))
        .any(|outputs| is_same(outputs, &live.outputs))
}

/// The outputs of everything a record stands for.
fn instances(record: &Record) -> impl Iterator<Item = &Value> {
    let retired = record.retired.iter().map(|old| &old.outputs);
    record.outputs.iter().chain(retired)
}

/// The outputs by which AWS, and the settings of other nodes, tell one resource from another.
const IDS: [&str; 4] = ["id", "arn", "allocation_id", "identifier"];

fn is_same(one: &Value, other: &Value) -> bool {
    let by_id = IDS.iter().find_map(|name| {
        let (one, other) = (one[*name].as_str()?, other[*name].as_str()?);
        Some(one == other)
    });
    by_id.unwrap_or(one == other)
}

/// What AWS knows the instances of a record by, for messages.
pub fn ids(record: &Record) -> Vec<String> {
    let name = |outputs: &Value| {
        let fields = IDS.iter().chain(&["name", "resource_id"]);
        let id = fields.filter_map(|name| outputs[name].as_str()).next();
        id.map(str::to_owned)
    };
    instances(record).filter_map(name).collect()
}

/// The node a find is of: what its tag names, or for AWS's own making what was found under a
/// declared name.
fn place_of(
    kind: &str,
    live: &AnyLive,
    declaration: &Declaration,
    found: &Observations,
) -> Option<Address> {
    if let Some(node) = tags_of(live).and_then(|tags| tags.0.get(NODE_TAG).cloned()) {
        return Address::new(node).ok();
    }
    let is_it = |node: &&Node| {
        let seen = found.live.get(&node.address).and_then(Option::as_ref);
        node.kind == kind && seen.is_some_and(|seen| is_same(&seen.outputs, &live.outputs))
    };
    let node = declaration.nodes.iter().find(is_it);
    node.map(|node| node.address.clone())
}

/// Enters a find: at its node, beside another instance if there is one.
fn enter(
    whole: &mut Whole,
    declaration: &Declaration,
    kind: &str,
    live: &AnyLive,
    node: Option<Address>,
) -> Address {
    if let Some(address) = &node
        && let Some((record, _)) = whole.nodes.get_mut(address)
        && record.kind == kind
    {
        record.retired.push(Retired {
            outputs: live.outputs.clone(),
            spec: live.spec.clone(),
        });
        return address.clone();
    }
    let is_free = |address: &Address| !whole.nodes.contains_key(address);
    let address = node
        .filter(is_free)
        .unwrap_or_else(|| invented(kind, live, &is_free));
    let declared = declaration.nodes.iter();
    let declared = declared.filter(|node| node.address == address && node.kind == kind);
    let record = Record {
        outputs: Some(live.outputs.clone()),
        spec: Some(live.spec.clone()),
        dependencies: declared.flat_map(Node::dependencies).collect(),
        ..Record::new(kind)
    };
    whole
        .nodes
        .insert(address.clone(), (record, Some(live.clone())));
    address
}

/// An address for what carries no node's tag, or that of a node that is something else.
fn invented(kind: &str, live: &AnyLive, is_free: &impl Fn(&Address) -> bool) -> Address {
    let thing = kind.rsplit('/').next().unwrap_or(kind);
    let mut texts = Vec::new();
    collect_texts(&live.outputs, &mut texts);
    let name = format!("{thing} {}", texts.join(" "));
    let numbered = (2..).map(|number| slug(&format!("{name} {number}")));
    let mut candidates = std::iter::once(slug(&name)).chain(numbered);
    candidates
        .find(is_free)
        .unwrap_or_else(Address::placeholder)
}

/// Makes an address of any text.
fn slug(text: &str) -> Address {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    Address::new(words.join("-")).unwrap_or_else(|_| Address::placeholder())
}

/// The settings that say what a node is called, and refer to nothing although others may be called
/// alike.
const OWN: [&str; 4] = ["tags", "name", "identifier", "family"];

/// Adds what the nodes, as they are, refer to: that is what must outlive them, whatever the
/// declaration says of them by now.
fn add_dependencies(whole: &mut Whole, nodes: &[(Address, Value)]) {
    let mut by_id: HashMap<String, BTreeSet<Address>> = HashMap::new();
    for (address, (record, _)) in &whole.nodes {
        for outputs in instances(record) {
            let ids = IDS.iter().filter_map(|name| outputs[*name].as_str());
            for id in ids {
                by_id
                    .entry(id.to_owned())
                    .or_default()
                    .insert(address.clone());
            }
        }
    }
    for (address, spec) in nodes {
        let mut texts = Vec::new();
        let settings = spec.as_object().into_iter().flatten();
        for (_, value) in settings.filter(|(field, _)| !OWN.contains(&field.as_str())) {
            collect_texts(value, &mut texts);
        }
        if let Some((record, _)) = whole.nodes.get_mut(address) {
            let referred = texts.into_iter().filter_map(|text| by_id.get(text));
            let others = referred.flatten().filter(|other| *other != address);
            record.dependencies.extend(others.cloned());
        }
    }
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => fields.values().for_each(|item| collect_texts(item, texts)),
        _ => {}
    }
}

/// What was found under our names and is not ours (law 3): it carries other tags; it has none and is
/// made on something that is not ours; or AWS made it, and once a name of ours is somebody's, maybe
/// for them. What is known is ours whatever its tags say.
fn strangers(
    context: &Context,
    declaration: &Declaration,
    found: &Observations,
    is_known: &impl Fn(&Address) -> bool,
) -> BTreeSet<Address> {
    let mut strangers = BTreeSet::new();
    let mut made_by_aws = BTreeSet::new();
    for node in &declaration.nodes {
        let (Some(Some(live)), Some(profile)) =
            (found.live.get(&node.address), context.profile(node.kind))
        else {
            continue;
        };
        if is_known(&node.address) {
            continue;
        }
        let tagged = live.spec.get("tags").is_some_and(|tags| !tags.is_null());
        let is_stranger = match owner(live, &context.scope_of(&node.address), &profile) {
            Owner::Somebody => true,
            Owner::Ours => !tagged && !node.dependencies().is_disjoint(&strangers),
            Owner::Aws => {
                made_by_aws.insert(node.address.clone());
                false
            }
        };
        if is_stranger {
            strangers.insert(node.address.clone());
        }
    }
    if !strangers.is_empty() {
        strangers.append(&mut made_by_aws);
    }
    strangers
}

/// The record of what was found; without the tags of others, which are not ours to take away.
pub(super) fn as_record(node: &Node, live: &AnyLive) -> Record {
    Record {
        outputs: Some(live.outputs.clone()),
        spec: Some(without_foreign_tags(&live.spec, &node.spec, None)),
        dependencies: node.dependencies(),
        ..Record::new(node.kind)
    }
}
