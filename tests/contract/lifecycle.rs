//! The life of every node of one stack: absent, made by the engine, seen unchanged with and without
//! its record, made again without a second one, deleted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orderctl::aws::Aws;
use orderctl::engine::{
    Action, ApplyOptions, Context, Declaration, Events, Node, PlanOptions, Stop, apply, find_all,
    plan, settle,
};
use orderctl::kinds::registry;
use orderctl::resource::{
    Address, AnyKind, AnyLive, Class, Condition, Identity, LastJson, Scope, Verb, diff, resolve,
    without_foreign_tags,
};
use orderctl::sandbox::ACCOUNT_ID;
use orderctl::state::{Journal, LocalStore, Record, State};
use serde_json::Value;

use crate::stacks::{self, Variant};

/// Kinds whose create call makes another one every time: AWS gives them no name of their own, and
/// takes no token or one that only the first create's intent holds. The engine never sends their
/// create without looking first, which the plan without a state shows here.
const MAKES_ANOTHER: &[&str] = &[
    "acm/imported_certificate",
    "ec2/elastic_ip",
    "ec2/internet_gateway",
    "ec2/nat_gateway",
    "ec2/vpc",
    "ec2/vpc_endpoint",
    "ecs/task_definition",
];

/// Kinds whose create call makes one per client token, and whose next one nothing else hinders.
const ONE_PER_TOKEN: &[&str] = &["acm/certificate", "ec2/route_table"];

/// Kinds that AWS deletes together with what they are inside of, so that no sweep need find them.
const GOES_ALONG: &[&str] = &[
    "acm/certificate_validation",
    "applicationautoscaling/scaling_policy",
    "ec2/route",
    "ec2/route_table_association",
    "elbv2/listener",
    "elbv2/listener_rule",
    "logs/metric_filter",
    "sns/subscription",
    "wafv2/web_acl_association",
];

/// A record has no tags that say whose it is, so that the engine must not take it over after a
/// refused create: it stays an error.
const RECORD: &str = "route53/record";
const RECORD_IS_THERE: &str = "InvalidChangeBatch";

const REGION: &str = "us-east-1";
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks the stack and gives what broke the contract, one line each.
pub(crate) async fn violations(aws: &Arc<Aws>, variant: &Variant, state: &Path) -> Vec<String> {
    let (_sender, stop) = Stop::pair();
    let mut stack = Stack {
        context: Context {
            kinds: Arc::new(registry(aws)),
            scope: Scope {
                stack: variant.suffix.to_owned(),
                account: ACCOUNT_ID.to_owned(),
                region: REGION.to_owned(),
                ..Scope::default()
            },
            events: Events::nowhere(),
            lag: Duration::ZERO,
        },
        declaration: variant.declaration(),
        records: BTreeMap::new(),
        stop: stop.clone(),
        broken: Vec::new(),
    };
    stack.is_absent().await;
    tokio::join!(stack.is_made(state), image(aws, variant, &stop));
    stack.is_as_declared().await;
    stack.is_found_without_state().await;
    let now = stacks::reconfigured(variant).declaration();
    stack.is_swept(&now).await;
    stack.is_made_once().await;
    stack.is_deleted().await;
    stack.leaves_nothing().await;
    stack.broken
}

/// Puts the image that a variant runs into its repository, as soon as that is there.
async fn image(aws: &Aws, variant: &Variant, stop: &Stop) {
    if !variant.has_image {
        return;
    }
    let begun = Instant::now();
    loop {
        let put = aws
            .ecr
            .put_image()
            .repository_name(format!("order-api-{}", variant.suffix))
            .image_tag(&variant.config.service.image_tag)
            .image_manifest(r#"{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}"#);
        if put.send().await.is_ok() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "there is no repository");
        settle(Duration::from_millis(100), stop).await;
    }
}

struct Stack {
    context: Context,
    declaration: Declaration,
    records: BTreeMap<Address, Record>,
    stop: Stop,
    broken: Vec<String>,
}

impl Stack {
    fn kind(&self, node: &Node) -> Arc<dyn AnyKind> {
        Arc::clone(&self.context.kinds[node.kind])
    }

    fn scope(&self, node: &Node) -> Scope {
        Scope {
            node: node.address.to_string(),
            ..self.context.scope.clone()
        }
    }

    fn nodes(&self) -> Vec<Node> {
        self.declaration.nodes.clone()
    }

    /// The node's specification with the outputs of all others.
    fn want(&self, node: &Node) -> Value {
        let resolution = resolve(&node.spec, &|reference| {
            let outputs = self.records.get(&reference.address)?.outputs.as_ref()?;
            outputs.get(&reference.field).cloned()
        });
        assert!(!resolution.incomplete, "{}: {}", node.address, node.spec);
        resolution.spec
    }

    fn outputs(&self, node: &Node) -> Option<Value> {
        self.records.get(&node.address)?.outputs.clone()
    }

    fn breaks(&mut self, node: &Node, what: impl std::fmt::Display) {
        let line = format!("{} `{}`: {what}", node.kind, node.address);
        self.broken.push(line);
    }

    /// Looks a node up, by its record's outputs where `outputs` are given, else by its identity.
    async fn observe(&mut self, node: &Node, outputs: Option<&Value>) -> Option<AnyLive> {
        let want = self.want(node);
        let last = outputs.map(|outputs| LastJson {
            outputs,
            spec: &want,
        });
        let (kind, scope) = (self.kind(node), self.scope(node));
        match kind.observe(&scope, &want, last).await {
            Ok(live) => live,
            Err(error) if error.class() == Class::NotFound => None,
            Err(error) => {
                self.breaks(node, format!("observe: {error}"));
                None
            }
        }
    }

    async fn is_absent(&mut self) {
        for node in self.nodes() {
            let kind = self.kind(&node);
            let profile = kind.profile();
            if profile.shared || profile.identity == Identity::Parent {
                continue;
            }
            // Nothing it refers to is known at this time.
            let want = resolve(&node.spec, &|_| None).spec;
            match kind.observe(&self.scope(&node), &want, None).await {
                Ok(None) => {}
                Ok(Some(live)) => self.breaks(&node, format!("there before its time: {live:?}")),
                Err(error) => self.breaks(&node, format!("observe before create: {error}")),
            }
        }
    }

    async fn is_made(&mut self, directory: &Path) {
        let state = State::new(&self.context.scope.stack, REGION);
        let store = Arc::new(LocalStore::new(directory.to_owned()));
        let planned = plan(
            &self.context,
            &self.declaration,
            &state,
            PlanOptions::default(),
        );
        let planned = planned.await.unwrap();
        let journal = Arc::new(Journal::new(store, state));
        let options = ApplyOptions {
            parallelism: 16,
            adopt: false,
            final_snapshot: None,
            stop: self.stop.clone(),
        };
        let report = apply(
            &self.context,
            &self.declaration,
            &planned,
            &journal,
            options,
        )
        .await;
        assert!(
            report.is_complete(),
            "failed: {:?}, skipped: {:?}",
            report.failed,
            report.skipped
        );
        self.records = journal.read(|state| state.records.clone());
    }

    /// Says what is wrong with a node that should be there as it was made.
    fn difference(&self, node: &Node, live: Option<&AnyLive>) -> Option<String> {
        let Some(live) = live else {
            return Some("not found".to_owned());
        };
        if live.condition != Condition::Ready {
            return Some(format!("not ready: {:?}", live.condition));
        }
        let recorded = self.outputs(node);
        if recorded
            .as_ref()
            .is_some_and(|outputs| *outputs != live.outputs)
        {
            return Some(format!("outputs {} are now {}", recorded?, live.outputs));
        }
        let want = self.want(node);
        let changes = diff(&want, &without_foreign_tags(&live.spec, &want, None), None);
        (!changes.is_empty()).then(|| format!("differs: {changes:?}"))
    }

    async fn is_as_declared(&mut self) {
        for node in self.nodes() {
            let outputs = self.outputs(&node);
            let shared = self.kind(&node).profile().shared;
            if outputs.is_none() && !shared {
                self.breaks(&node, "not recorded");
            }
            let live = self.observe(&node, outputs.as_ref()).await;
            if let Some(what) = self.difference(&node, live.as_ref()) {
                self.breaks(&node, format!("by its record: {what}"));
            }
        }
    }

    async fn is_found_without_state(&mut self) {
        for node in self.nodes() {
            let live = self.observe(&node, None).await;
            if let Some(what) = self.difference(&node, live.as_ref()) {
                self.breaks(&node, format!("without its record: {what}"));
            }
        }
        let lost = State::new(&self.context.scope.stack, REGION);
        let planned = plan(
            &self.context,
            &self.declaration,
            &lost,
            PlanOptions::default(),
        );
        let planned = planned.await.unwrap();
        assert!(planned.foreign.is_empty(), "{:?}", planned.foreign);
        for found in planned.nodes {
            let expected = match found.profile.shared {
                true => Action::NoChange,
                false => Action::Adopt,
            };
            if found.action != expected || !found.changes.is_empty() {
                let (kind, address) = (found.kind, found.address);
                let what = format!("{:?} {:?}", found.action, found.changes);
                self.broken
                    .push(format!("{kind} `{address}`: plan without a state: {what}"));
            }
        }
    }

    /// Without a state, and declared otherwise by now, everything is found all the same. Records in
    /// somebody's hosted zone carry nothing that tells whose they are.
    async fn is_swept(&mut self, now: &Declaration) {
        let lost = State::new(&self.context.scope.stack, REGION);
        let whole = find_all(&self.context, now, &lost).await.unwrap();
        for node in self.nodes() {
            if self.kind(&node).profile().shared || node.kind == RECORD {
                continue;
            }
            let outputs = self.outputs(&node);
            let mut found = whole.nodes.values().filter(|(record, _)| {
                record.kind == node.kind && record.outputs == outputs && record.retired.is_empty()
            });
            if found.next().is_none() && !GOES_ALONG.contains(&node.kind) {
                self.breaks(&node, "not found by a sweep");
            }
        }
        let recorded: Vec<_> = self.records.values().map(|r| r.outputs.clone()).collect();
        for (address, (record, _)) in &whole.nodes {
            if !recorded.contains(&record.outputs) {
                let (kind, outputs) = (&record.kind, &record.outputs);
                let line = format!("{kind} `{address}`: the sweep takes for ours {outputs:?}");
                self.broken.push(line);
            }
        }
    }

    async fn is_made_once(&mut self) {
        for node in self.nodes() {
            let (kind, want) = (self.kind(&node), self.want(&node));
            if MAKES_ANOTHER.contains(&node.kind) {
                continue;
            }
            let scope = Scope {
                token: Some(format!("{}-{}", self.context.scope.stack, node.address)),
                ..self.scope(&node)
            };
            let outputs = self.outputs(&node);
            match kind.create(&scope, &want).await {
                Err(error) if error.class() == Class::AlreadyExists => {}
                Err(error) if node.kind == RECORD && error.says(RECORD_IS_THERE, "exists") => {}
                Err(error) => self.breaks(&node, format!("create again: {error}")),
                Ok(second) if ONE_PER_TOKEN.contains(&node.kind) => {
                    let third = kind.create(&scope, &want).await;
                    if third.as_ref() != Ok(&second) {
                        self.breaks(&node, format!("same token: {second} and {third:?}"));
                    }
                    match self.observe(&node, Some(&second)).await {
                        Some(live) => self.delete(&node, &live).await,
                        None => self.breaks(&node, "the one made again is not found"),
                    }
                }
                Ok(second) => {
                    if outputs.as_ref().is_some_and(|first| *first != second) {
                        self.breaks(&node, format!("made another one: {second}"));
                    }
                }
            }
            let live = self.observe(&node, outputs.as_ref()).await;
            if let Some(what) = self.difference(&node, live.as_ref()) {
                self.breaks(&node, format!("after create again: {what}"));
            }
        }
    }

    /// Deletes a node, as long as AWS says "not yet".
    async fn delete(&mut self, node: &Node, live: &AnyLive) {
        let (kind, scope) = (self.kind(node), self.scope(node));
        let begun = Instant::now();
        while let Err(error) = kind.delete(&scope, live).await {
            let patience = kind.profile().patience(Verb::Delete, &error);
            if patience.is_none() || begun.elapsed() > PATIENCE {
                self.breaks(node, format!("delete: {error}"));
                return;
            }
            settle(Duration::from_millis(50), &self.stop).await;
        }
    }

    async fn is_gone(&mut self, node: &Node) -> bool {
        let outputs = self.outputs(node);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.observe(node, outputs.as_ref()).await.is_none() {
                return true;
            }
            settle(Duration::from_millis(50), &self.stop).await;
        }
        false
    }

    async fn is_deleted(&mut self) {
        for node in self.nodes().into_iter().rev() {
            let profile = self.kind(&node).profile();
            let outputs = self.outputs(&node);
            let Some(live) = self.observe(&node, outputs.as_ref()).await else {
                self.breaks(&node, "gone before it was deleted");
                continue;
            };
            self.delete(&node, &live).await;
            if profile.shared {
                if self.observe(&node, None).await.is_none() {
                    self.breaks(&node, "belongs to the account and was deleted");
                }
            } else if !profile.delete_is_final && !self.is_gone(&node).await {
                self.breaks(&node, "still there after delete");
            }
            let again = self.kind(&node);
            if let Err(error) = again.delete(&self.scope(&node), &live).await {
                self.breaks(&node, format!("delete again: {error}"));
            }
        }
    }

    async fn leaves_nothing(&mut self) {
        let empty = State::new(&self.context.scope.stack, REGION);
        let left = find_all(&self.context, &self.declaration, &empty).await;
        let left: BTreeSet<_> = left.unwrap().nodes.into_keys().collect();
        for address in left {
            self.broken.push(format!("`{address}` is left over"));
        }
    }
}
