//! Fake kinds, one for each way in which real ones differ; all have the same settings.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cloud::Cloud;
use super::objects::Behaviour;
use crate::engine::{Graph, Kinds};
use crate::resource::{
    AnyKind, Bound, Changes, Declared, Handle, Identity, Input, Last, Live, Refusal, Replacement,
    Resolved, Resource, Result, Scope, Stage, Tags, Times,
};

/// The settings of every fake kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Settings<S: Stage> {
    /// Its natural name, for kinds that have one.
    pub(super) name: String,
    /// What it is inside of.
    pub(super) parent: Option<S::In<String>>,
    /// What it is made on and cannot be moved from.
    pub(super) base: Vec<S::In<String>>,
    /// What it uses and can be moved from.
    pub(super) uses: Vec<S::In<String>>,
    /// Cannot be changed.
    pub(super) shape: u32,
    /// Can be changed.
    pub(super) size: u32,
    /// Set by an update alone.
    pub(super) late: u32,
    /// Owned by the running system.
    pub(super) desired: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<Tags>,
}

pub(super) const REPLACE_ON: &[&str] = &["name", "parent", "base", "shape"];

impl Settings<Resolved> {
    pub(super) fn references(&self) -> impl Iterator<Item = &String> {
        self.parent.iter().chain(&self.base).chain(&self.uses)
    }

    /// Takes over the changed fields.
    pub(super) fn take(&mut self, want: &Self, changes: &Changes) {
        for name in changes.names() {
            match name.as_str() {
                "uses" => self.uses.clone_from(&want.uses),
                "size" => self.size = want.size,
                "late" => self.late = want.late,
                "tags" => self.tags.clone_from(&want.tags),
                _ => {}
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outputs {
    pub(super) arn: String,
}

/// What makes one fake kind different from the others.
pub(super) trait Traits: Send + Sync + 'static {
    const KIND: &'static str;
    const IDENTITY: Identity = Identity::Tags;
    const REPLACEMENT: Replacement = Replacement::DeleteFirst;
    const HOLDS_INPUTS: bool = true;
    const HOLDS_DATA: bool = false;
    const SHARED: bool = false;
    const FINAL: bool = false;
    const REVISIONS: bool = false;
    const REPLACE_WHEN_FAILED: bool = false;
    const NEEDS_READY: bool = false;
    const MADE_BY_THE_CLOUD: bool = false;
    /// Seconds from the create call until it works, and from the delete call until it is gone.
    const READY: u32 = 0;
    const GONE: u32 = 0;

    fn behaviour() -> Behaviour {
        Behaviour {
            kind: Self::KIND,
            holds: Self::HOLDS_INPUTS,
            named: Self::IDENTITY == Identity::Name,
            has_parent: Self::IDENTITY == Identity::Parent,
            made_by_the_cloud: Self::MADE_BY_THE_CLOUD,
            shaped: Self::REPLACEMENT == Replacement::CreateFirst || Self::FINAL,
            shared: Self::SHARED,
            ghost: Self::FINAL,
            revisions: Self::REVISIONS,
            needs_ready: Self::NEEDS_READY,
            ready_after: Duration::from_secs(Self::READY.into()),
            gone_after: Duration::from_secs(Self::GONE.into()),
        }
    }
}

pub(super) struct Fake<T>(PhantomData<fn() -> T>);

impl<T: Traits> Resource for Fake<T> {
    const KIND: &'static str = T::KIND;
    const IDENTITY: Identity = T::IDENTITY;
    const REPLACE_ON: &'static [&'static str] = REPLACE_ON;
    const RUNTIME_OWNED: &'static [&'static str] = &["desired"];
    const REPLACEMENT: Replacement = T::REPLACEMENT;
    const HOLDS_INPUTS: bool = T::HOLDS_INPUTS;
    const HOLDS_DATA: bool = T::HOLDS_DATA;
    const SHARED: bool = T::SHARED;
    const DELETE_IS_FINAL: bool = T::FINAL;
    const OUTPUTS_CHANGE_ON_UPDATE: bool = T::REVISIONS;
    const REPLACE_WHEN_FAILED: bool = T::REPLACE_WHEN_FAILED;
    const MADE_BY_AWS_UNDER: Option<&'static str> = match T::MADE_BY_THE_CLOUD {
        true => Some(""),
        false => None,
    };
    const TIMES: Times = Times::typical(T::READY + 1, T::GONE + 1);
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("NotFoundYet", 300),
        Refusal::create("NotReadyYet", 900),
        Refusal::update("NotFoundYet", 300),
        Refusal::update("NotReadyYet", 900),
        Refusal::delete("DependencyViolation", 1200),
    ];
    type Api = Cloud;
    type Spec<S: Stage> = Settings<S>;
    type Outputs = Outputs;

    async fn observe(
        cloud: &Cloud,
        scope: &Scope,
        want: &Settings<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let last = last.map(|last| last.outputs.arn.as_str());
        let found = cloud.read(T::behaviour(), scope, want, last).await?;
        Ok(found.map(|(outputs, spec, condition)| Live {
            outputs,
            spec,
            condition,
        }))
    }

    async fn create(cloud: &Cloud, scope: &Scope, want: &Settings<Resolved>) -> Result<Outputs> {
        cloud.create(T::behaviour(), scope, want).await
    }

    async fn update(
        cloud: &Cloud,
        scope: &Scope,
        live: &Live<Self>,
        want: &Settings<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        cloud
            .update(T::behaviour(), scope, &live.outputs, want, changes)
            .await
    }

    async fn delete(cloud: &Cloud, scope: &Scope, live: &Live<Self>) -> Result<()> {
        cloud.delete(scope, &live.outputs).await
    }

    async fn sweep(
        cloud: &Cloud,
        scope: &Scope,
        _known: &[Settings<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        let found = cloud.sweep(T::behaviour(), scope).await?;
        let live = |(outputs, spec, condition)| Live {
            outputs,
            spec,
            condition,
        };
        Ok(found.into_iter().map(live).collect())
    }

    async fn make_way(cloud: &Cloud, _scope: &Scope, live: &Live<Self>) -> Result<Vec<String>> {
        Ok(cloud.make_way(&live.outputs))
    }
}

/// Refers to the one output of a fake kind.
pub(super) trait Arn {
    fn arn(&self) -> Input<String>;
}

impl<T: Traits> Arn for Handle<Fake<T>> {
    fn arn(&self) -> Input<String> {
        self.output("arn")
    }
}

macro_rules! fake_kinds {
    ($($(#[$meta:meta])* $name:ident = $kind:literal { $($item:item)* })*) => {
        $(
            $(#[$meta])*
            pub(super) struct $name;
            impl Traits for $name {
                const KIND: &'static str = $kind;
                $($item)*
            }
        )*

        /// All fake kinds, bound to the cloud.
        pub(super) fn all(cloud: &Arc<Cloud>) -> Kinds {
            [$({
                let bound = Bound::<Fake<$name>>::new(Arc::clone(cloud));
                ($kind, Arc::new(bound) as Arc<dyn AnyKind>)
            }),*]
            .into()
        }

        /// Declares a node of a kind known by its name.
        pub(super) fn declare(
            graph: &mut Graph,
            kind: &str,
            address: &str,
            mut spec: Settings<Declared>,
        ) {
            match kind {
                $($kind => {
                    if $name::IDENTITY == Identity::Parent {
                        spec.tags = None;
                    }
                    graph.add::<Fake<$name>>(address, spec);
                })*
                other => panic!("{other} is no fake kind"),
            }
        }
    };
}

fake_kinds! {
    /// Found by its tags, like most things of EC2.
    Network = "fake/network" {}
    /// Found by its name; takes a while to come and to go.
    Store = "fake/store" {
        const IDENTITY: Identity = Identity::Name;
        const READY: u32 = 20;
        const GONE: u32 = 15;
    }
    /// Like [`Store`], and its deletion loses data.
    Database = "fake/database" {
        const IDENTITY: Identity = Identity::Name;
        const HOLDS_DATA: bool = true;
        const READY: u32 = 90;
        const GONE: u32 = 60;
    }
    /// Found inside its parent; carries no tags.
    Rule = "fake/rule" {
        const IDENTITY: Identity = Identity::Parent;
    }
    /// Two of different shapes can stand side by side.
    Certificate = "fake/certificate" {
        const REPLACEMENT: Replacement = Replacement::CreateFirst;
        const READY: u32 = 5;
    }
    /// Merely mentions others.
    Alarm = "fake/alarm" {
        const IDENTITY: Identity = Identity::Name;
        const HOLDS_INPUTS: bool = false;
    }
    /// The cloud makes it again when something misses it.
    Log = "fake/log" {
        const IDENTITY: Identity = Identity::Name;
        const MADE_BY_THE_CLOUD: bool = true;
        const HOLDS_INPUTS: bool = false;
    }
    /// Every update is a new revision with an ARN of its own.
    Definition = "fake/definition" {
        const IDENTITY: Identity = Identity::Name;
        const HOLDS_INPUTS: bool = false;
        const REVISIONS: bool = true;
    }
    /// Its absence cannot be seen.
    Subscription = "fake/subscription" {
        const IDENTITY: Identity = Identity::Parent;
        const FINAL: bool = true;
    }
    /// Cannot be made before what it refers to works.
    Service = "fake/service" {
        const IDENTITY: Identity = Identity::Name;
        const NEEDS_READY: bool = true;
        const READY: u32 = 30;
        const GONE: u32 = 10;
    }
    /// Made anew when it failed.
    Gateway = "fake/gateway" {
        const REPLACE_WHEN_FAILED: bool = true;
        const READY: u32 = 100;
        const GONE: u32 = 40;
    }
    /// One for the whole account.
    Role = "fake/role" {
        const IDENTITY: Identity = Identity::Name;
        const SHARED: bool = true;
    }
}
