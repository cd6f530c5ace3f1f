//! Makes the records of a stack from what the cloud shows: for a state that was lost (law 1), and
//! for a stack that another tool made, whose records say what is the stack's. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Context;
use super::graph::{Declaration, Kept, Node};
use super::observe::unknown_kind;
use super::plan::{PlanError, compare};
use super::sweep::{Whole, as_record, find_all};
use super::whose::{Owner, owner};
use crate::resource::{
    Address, AnyLive, Condition, KEPT_TAG, Profile, Reference, find_references, resolve,
    without_foreign_tags,
};
use crate::state::{Record, State};

/// What records of others say of a node: that it is the stack's, whatever its tags say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// What is known of the node's outputs.
    pub outputs: Map<String, Value>,
    /// Whether those are all, so that it is looked up by them. Otherwise it is looked up by its name
    /// or inside its parent, and must show these outputs.
    pub is_complete: bool,
}

/// The claimed nodes.
pub type Claims = BTreeMap<Address, Claim>;

/// One resource of the stack that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The node.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// What AWS calls it.
    pub outputs: Value,
    /// Whether it works.
    pub condition: Condition,
    /// The fields that differ from the declaration.
    pub differs_in: Vec<String>,
    /// Whether it is part of the declaration.
    pub is_declared: bool,
    /// Whether one of AWS's services made it by itself, under a name of ours.
    pub is_made_by_aws: bool,
}

/// The records of a stack, made from the cloud.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rebuilt {
    /// The records, as an `up` would have left them.
    pub records: BTreeMap<Address, Record>,
    /// What was found: the declared ones in the order of their declaration, then the others.
    pub found: Vec<Found>,
    /// What has our names and is not ours, by its kind. It is not recorded (law 3).
    pub strangers: Vec<(Address, String)>,
    /// The declared nodes that were not found, by their kinds.
    pub missing: Vec<(Address, String)>,
    /// The settings that are kept as they are, because AWS cannot change them.
    pub kept: Kept,
}

impl Rebuilt {
    /// Says whether anything was found that a run of ours has made. AWS's own making alone is what a
    /// stack that is long gone may have left.
    pub fn shows_a_stack(&self) -> bool {
        self.found.iter().any(|found| !found.is_made_by_aws)
    }

    /// Says whether reads may have missed something that was made moments ago: whoever made it may
    /// have been killed. A look after [`Context::lag`] misses nothing.
    pub fn may_have_missed(&self) -> bool {
        let works = |found: &Found| found.condition == Condition::Ready;
        !self.missing.is_empty() || !self.found.iter().all(works)
    }
}

/// Finds everything of the stack and makes its records. What carries our tags is ours, and what is
/// claimed; so is what carries none and is made on nothing but that.
pub async fn rebuild(
    context: &Context,
    declaration: &Declaration,
    claims: &Claims,
) -> Result<Rebuilt, PlanError> {
    let whole = find_all(context, declaration, &assumed(context, declaration, claims)).await?;
    let mut rebuilt = Rebuilt::default();
    let mut ours: BTreeMap<&Address, AnyLive> = BTreeMap::new();
    let mut strangers = BTreeSet::new();
    for node in &declaration.nodes {
        if profile(context, node)?.shared {
            continue;
        }
        let (address, kind) = (&node.address, node.kind.to_owned());
        if let Some(live) = find(node, &whole, claims, &strangers) {
            ours.insert(address, live);
        } else if whole.strangers.contains_key(address) {
            strangers.insert(address.clone());
            rebuilt.strangers.push((address.clone(), kind));
        } else {
            rebuilt.missing.push((address.clone(), kind));
        }
    }
    for node in &declaration.nodes {
        if let Some(live) = ours.get(&node.address) {
            let is_claimed = claims.contains_key(&node.address);
            let fields = kept(node, &profile(context, node)?, live, is_claimed, &ours);
            if !fields.is_empty() {
                rebuilt.kept.insert(node.address.clone(), fields);
            }
        }
    }
    let declaration = declaration.clone().keeping(&rebuilt.kept);
    let is_made_by_aws = |address: &Address, kind: &str, live: &AnyLive| {
        let profile = context.profile(kind);
        profile.is_some_and(|kind| owner(live, &context.scope_of(address), &kind) == Owner::Aws)
    };
    for node in &declaration.nodes {
        let Some(live) = ours.get(&node.address) else {
            continue;
        };
        let want = wanted(node, &ours);
        let (changes, _) = compare(&want, live, None, &profile(context, node)?);
        let found = whole.nodes.get(&node.address);
        let record = Record {
            // What differs is a change to be made, whoever made the difference.
            spec: Some(match changes.is_empty() {
                true => want,
                false => without_foreign_tags(&live.spec, &want, None),
            }),
            retired: found.map_or_else(Vec::new, |(record, _)| record.retired.clone()),
            // It may have been made a moment ago, and the next look miss it.
            created_at: Some(Timestamp::now()),
            ready_at: (live.condition == Condition::Ready).then(Timestamp::now),
            ..as_record(node, live)
        };
        rebuilt.records.insert(node.address.clone(), record);
        rebuilt.found.push(Found {
            address: node.address.clone(),
            kind: node.kind.to_owned(),
            outputs: live.outputs.clone(),
            condition: live.condition.clone(),
            differs_in: changes.names(),
            is_declared: true,
            is_made_by_aws: is_made_by_aws(&node.address, node.kind, live),
        });
    }
    let declared: BTreeSet<&Address> = declaration.nodes.iter().map(|n| &n.address).collect();
    for (address, (record, live)) in whole.nodes {
        if declared.contains(&address) {
            continue;
        }
        let by_aws = live.as_ref();
        let by_aws = by_aws.is_some_and(|live| is_made_by_aws(&address, &record.kind, live));
        rebuilt.found.push(Found {
            address: address.clone(),
            kind: record.kind.clone(),
            outputs: record.outputs.clone().unwrap_or_default(),
            condition: live.map_or(Condition::Ready, |live| live.condition),
            differs_in: Vec::new(),
            is_declared: false,
            is_made_by_aws: by_aws,
        });
        rebuilt.records.insert(address, record);
    }
    Ok(rebuilt)
}

fn profile(context: &Context, node: &Node) -> Result<Profile, PlanError> {
    context.profile(node.kind).ok_or_else(|| PlanError {
        errors: [(node.address.clone(), unknown_kind(node.kind))].into(),
    })
}

/// The state of which the claims would be true.
fn assumed(context: &Context, declaration: &Declaration, claims: &Claims) -> State {
    let mut state = State::new(&context.scope.stack, &context.scope.region);
    let known = |reference: &Reference| {
        let claim = claims.get(&reference.address)?;
        claim.outputs.get(&reference.field).cloned()
    };
    for node in &declaration.nodes {
        let claim = claims.get(&node.address);
        if let Some(claim) = claim.filter(|claim| claim.is_complete) {
            let record = Record {
                outputs: Some(Value::Object(claim.outputs.clone())),
                spec: Some(resolve(&node.spec, &known).spec),
                ..Record::new(node.kind)
            };
            state.records.insert(node.address.clone(), record);
        }
    }
    state
}

/// The node's resource, if it is ours.
fn find(
    node: &Node,
    whole: &Whole,
    claims: &Claims,
    strangers: &BTreeSet<Address>,
) -> Option<AnyLive> {
    if let Some((_, live)) = whole.nodes.get(&node.address) {
        return live.clone();
    }
    let live = whole.strangers.get(&node.address)?;
    let is_ours = match claims.get(&node.address) {
        Some(claim) => {
            let mut known = claim.outputs.iter();
            known.all(|(field, value)| live.outputs.get(field) == Some(value))
        }
        None => {
            let has_tags = live.spec.get("tags").is_some_and(|tags| !tags.is_null());
            !has_tags && node.dependencies().is_disjoint(strangers)
        }
    };
    is_ours.then(|| live.clone())
}

fn wanted(node: &Node, ours: &BTreeMap<&Address, AnyLive>) -> Value {
    let known = |reference: &Reference| {
        let live = ours.get(&reference.address)?;
        live.outputs.get(&reference.field).cloned()
    };
    resolve(&node.spec, &known).spec
}

/// The settings to keep as they are: those that its tag names, and of what is taken over those that
/// would force a replacement. What refers to other nodes follows them, unless data would go.
fn kept(
    node: &Node,
    profile: &Profile,
    live: &AnyLive,
    is_claimed: bool,
    ours: &BTreeMap<&Address, AnyLive>,
) -> BTreeMap<String, Value> {
    let Some(tags) = live.spec.get("tags").filter(|tags| !tags.is_null()) else {
        return BTreeMap::new();
    };
    let tag = tags.get(KEPT_TAG).and_then(Value::as_str);
    let mut fields: BTreeSet<String> = tag
        .unwrap_or_default()
        .split_whitespace()
        .filter(|field| profile.replace_on.contains(field))
        .map(str::to_owned)
        .collect();
    if is_claimed {
        let (changes, _) = compare(&wanted(node, ours), live, None, profile);
        let follows = |field: &str| {
            let declared = node.spec.get(field).unwrap_or(&Value::Null);
            !find_references(declared).is_empty()
        };
        let forced = changes.names().into_iter().filter(|field| {
            profile.replace_on.contains(&field.as_str()) && (profile.holds_data || !follows(field))
        });
        fields.extend(forced);
    }
    let value = |field: String| Some((field.clone(), live.spec.get(&field)?.clone()));
    fields.into_iter().filter_map(value).collect()
}
