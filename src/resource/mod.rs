//! The contract every kind of AWS resource fulfils, and the types a declaration is written in.
//!
//! Nothing here knows AWS or the engine. A kind answers four questions (observe, create, update,
//! delete) with single API calls; waiting, retrying, diffing and saving are the engine's and are
//! written once.

mod change;
mod error;
mod input;
mod kind;
mod profile;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use change::{Changes, FieldChange, diff, without_foreign_tags};
pub use error::{Class, Error, Result};
pub use input::{
    Address, Declared, Document, Handle, Input, Reference, Resolution, Resolved, Stage, UNKNOWN,
    Wait, find_references, join, resolve,
};
pub use kind::{AnyKind, AnyLive, Bound, BoxFuture, LastJson};
pub use profile::{Identity, Operations, Profile, Refusal, Replacement, Times, Verb};

pub(crate) use input::outputs;

/// Marks plain data that can stand in a specification, in outputs and in the state file.
pub trait Data:
    Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static
{
}
impl<T> Data for T where
    T: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static
{
}

/// Describes one kind of AWS resource: its settings, what AWS gives back, and the calls.
///
/// Laws of the four calls:
/// - no call blocks until something is ready; `observe` reports the [`Condition`] instead;
/// - no call retries; a documented "not yet" is listed in [`Resource::REFUSALS`];
/// - `observe` maps every field of the specification back from AWS, and returns `None` for
///   resources that are gone, tombstones included;
/// - `delete` of something already gone is a success;
/// - `create` carries the tags (and the token, where AWS takes one) in the create request.
pub trait Resource: Sized + Send + Sync + 'static {
    /// Names the kind in state files and output, as `service/thing`: `ec2/subnet`.
    const KIND: &'static str;
    /// Says how an instance is found again when its id is not known.
    const IDENTITY: Identity;
    /// Lists the fields AWS cannot change in place.
    const REPLACE_ON: &'static [&'static str] = &[];
    /// Lists the fields the running system owns: shown, never changed (law 6).
    const RUNTIME_OWNED: &'static [&'static str] = &[];
    /// Says whether a replacement is made before or after the old one goes.
    const REPLACEMENT: Replacement = Replacement::DeleteFirst;
    /// Says whether AWS refuses to delete what this refers to while this exists. Kinds that merely
    /// mention others (a dashboard, an alarm, a policy text) say `false`.
    const HOLDS_INPUTS: bool = true;
    /// Says whether deleting it loses data; its replacement then needs `--allow-replace`.
    const HOLDS_DATA: bool = false;
    /// Says whether it is account-wide (a service-linked role): ensured, never owned nor deleted.
    const SHARED: bool = false;
    /// Says whether a delete call that succeeded is the end of it, for things whose absence cannot
    /// be seen (an unconfirmed e-mail subscription, a validation that is only waited for).
    const DELETE_IS_FINAL: bool = false;
    /// Says whether an update gives new outputs (a task definition's next revision), so that a plan
    /// shows them as not known yet.
    const OUTPUTS_CHANGE_ON_UPDATE: bool = false;
    /// Says whether one that failed for good is to be replaced without being asked: it never
    /// worked, so nothing is lost (a failed NAT gateway).
    const REPLACE_WHEN_FAILED: bool = false;
    /// Gives the beginning of the names under which AWS makes such a thing by itself, without tags,
    /// when one of its services misses it. One of a name of ours is then ours to take over and to
    /// delete.
    const MADE_BY_AWS_UNDER: Option<&'static str> = None;
    /// Lists the permissions its calls need. Every kind that calls AWS has some: `orderctl policy` is
    /// made of them.
    const OPERATIONS: Operations = Operations::NONE;
    /// Gives typical durations, for forecasts, critical-path order and "usually takes" texts.
    const TIMES: Times = Times::QUICK;
    /// Lists the answers of AWS that mean "not yet" for each call.
    const REFUSALS: &'static [Refusal] = &[];

    /// The clients the calls need; `aws::Aws` for all real kinds.
    type Api: Send + Sync + 'static;
    /// What is wanted. Every field is either compared with AWS or documented as not comparable.
    type Spec<S: Stage>: Data;
    /// What AWS gave back, kept in state and referred to by dependents.
    type Outputs: Data;

    /// Reads the resource: by `last.outputs` if it is known, else by its identity.
    fn observe(
        api: &Self::Api,
        scope: &Scope,
        want: &Self::Spec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> impl Future<Output = Result<Option<Live<Self>>>> + Send;

    /// Sends the create request, tags included, and returns at once.
    fn create(
        api: &Self::Api,
        scope: &Scope,
        want: &Self::Spec<Resolved>,
    ) -> impl Future<Output = Result<Self::Outputs>> + Send;

    /// Sends only the calls for the `changes`. Also called right after a create for settings that
    /// AWS takes only then. The default refuses, for kinds that are never updated.
    fn update(
        _api: &Self::Api,
        _scope: &Scope,
        _live: &Live<Self>,
        _want: &Self::Spec<Resolved>,
        changes: &Changes,
    ) -> impl Future<Output = Result<()>> + Send {
        let error = Error::cannot_update(Self::KIND, changes);
        async move { Err(error) }
    }

    /// Sends the delete request and returns at once.
    fn delete(
        api: &Self::Api,
        scope: &Scope,
        live: &Live<Self>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Finds what the stack has of this kind, whatever state and configuration say: by the stack's
    /// tag, or inside something that carries it. Of one node there may be several: an older
    /// instance, one that an earlier configuration declared, the double that a lost answer left.
    ///
    /// `known` is what the nodes of this kind were last looked for with, for kinds that are listed
    /// beside them. Without tags counts only what AWS itself made under a name of ours. What is
    /// gone is left out, as in [`Resource::observe`].
    ///
    /// The default finds nothing: for kinds whose name every configuration declares, so that
    /// `observe` finds them, and for those that go together with what they are inside of.
    fn sweep(
        _api: &Self::Api,
        _scope: &Scope,
        _known: &[Self::Spec<Resolved>],
    ) -> impl Future<Output = Result<Vec<Live<Self>>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Called from time to time while AWS refuses to delete it because something uses it. Takes
    /// away what a service of ours has left there, and names everything else that does, one text
    /// each, with its owner as far as AWS tells. The default knows nothing.
    fn make_way(
        _api: &Self::Api,
        _scope: &Scope,
        _live: &Live<Self>,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        async { Ok(Vec::new()) }
    }
}

/// What a kind read from AWS.
pub struct Live<K: Resource> {
    /// What AWS gave the resource: ids, ARNs, addresses.
    pub outputs: K::Outputs,
    /// The settings as they are now, in the terms of the specification.
    pub spec: K::Spec<Resolved>,
    /// Whether it can be used.
    pub condition: Condition,
}

/// What this program last applied, from the state file.
pub struct Last<K: Resource> {
    /// What AWS gave back then.
    pub outputs: K::Outputs,
    /// The settings that were applied.
    pub spec: K::Spec<Resolved>,
}

/// Whether a resource that exists can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Ready,
    /// It is on its way; the text is AWS's own state name.
    Pending(String),
    /// It will never work; the text says why. The engine deletes and creates it again only when
    /// asked to; it reports the reason.
    Failed(String),
    /// It is going away; dependents and re-creation wait until it is gone.
    Deleting,
}

impl Condition {
    /// Reads a status word: `Ready` if it is one of `ready`, else pending under that word.
    pub fn from_status(status: &str, ready: &[&str]) -> Self {
        if ready.contains(&status) {
            Self::Ready
        } else {
            Self::Pending(status.to_owned())
        }
    }
}

/// Who is asking, and what one call needs beside the specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The stack's suffix.
    pub stack: String,
    /// The address of the node in the declaration.
    pub node: String,
    /// The AWS account's id.
    pub account: String,
    /// The AWS region.
    pub region: String,
    /// The client token saved with the intent; the same for every retry of one create.
    pub token: Option<String>,
    /// The final snapshot's identifier, if `down` was asked to keep the data.
    pub final_snapshot: Option<String>,
    /// What was found out before anything was declared, by names that the kinds concerned give. Facts are
    /// no settings: they are neither compared nor recorded.
    pub facts: BTreeMap<&'static str, String>,
}

/// Tags of one resource, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

/// The tag that says which stack a resource belongs to.
pub const STACK_TAG: &str = "orderctl:stack";
/// The tag that says which node of the declaration a resource is.
pub const NODE_TAG: &str = "orderctl:node";
/// The tag that lists, with spaces between them, the settings that are kept as they were found when
/// the resource was taken over: AWS cannot change them, and the declaration has others.
pub const KEPT_TAG: &str = "orderctl:kept";
/// The tag by which AWS says which CloudFormation stack made a resource: the only one of AWS's own
/// that [`Tags::from_pairs`] keeps.
pub const CLOUDFORMATION_TAG: &str = "aws:cloudformation:stack-name";

impl Tags {
    /// Collects tags as AWS returned them, leaving out AWS's own (`aws:…`), which are never drift, but
    /// for [`CLOUDFORMATION_TAG`], which says whose a resource is.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .filter(|(key, _)| !key.starts_with("aws:") || key == CLOUDFORMATION_TAG)
                .collect(),
        )
    }

    /// Says whether they name this stack and this node.
    pub fn belong_to(&self, scope: &Scope) -> bool {
        self.0.get(STACK_TAG) == Some(&scope.stack) && self.0.get(NODE_TAG) == Some(&scope.node)
    }

    /// Iterates over keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// Gives the tags of `self` that `live` lacks or holds with another value.
    pub fn missing_from(&self, live: &Tags) -> Vec<(String, String)> {
        self.iter()
            .filter(|(key, value)| live.0.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Gives the keys of `live` that `self` does not want. The engine has already dropped keys that
    /// neither we nor our last run set, so what is left here is ours to remove.
    pub fn surplus_in(&self, live: &Tags) -> Vec<String> {
        live.0
            .keys()
            .filter(|key| !self.0.contains_key(*key))
            .cloned()
            .collect()
    }
}
