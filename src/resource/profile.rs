//! What the engine must know of a kind beyond its calls: identity, replacement, refusals, times.

use std::time::Duration;

use super::{Class, Error, Resource};

/// How an instance is found again when its id is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By the natural name in the specification; other fields may still be unknown.
    Name,
    /// By our stack and node tags; no field of the specification needs to be known.
    Tags,
    /// Inside a parent whose id must be known first (a route, a rule, an association).
    Parent,
}

/// In which order a replacement happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// Two cannot exist side by side (fixed names): the old one goes first.
    DeleteFirst,
    /// The new one is made, dependents move over, then the old one goes.
    CreateFirst,
}

/// Typical durations on real AWS, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the create call until it is usable.
    pub create: u32,
    /// From the delete call until it is gone.
    pub delete: u32,
    /// How long a create may take before the engine gives up waiting.
    pub limit: u32,
}

impl Times {
    /// For resources that are there when the call returns.
    pub const QUICK: Self = Self::typical(1, 1);

    /// Sets the two typical durations; the limit is ten times the create time, at least 10 minutes.
    pub const fn typical(create: u32, delete: u32) -> Self {
        let tenfold = create * 10;
        Self {
            create,
            delete,
            limit: if tenfold > 600 { tenfold } else { 600 },
        }
    }

    /// The longest wait for a delete: that of a create, but at least 20 minutes, because network
    /// interfaces of AWS's own services hold security groups and subnets that long (field guide,
    /// section 2).
    pub const fn delete_limit(self) -> u32 {
        if self.limit > 1200 { self.limit } else { 1200 }
    }
}

/// The permissions that the calls of a kind need, as IAM names them: `ec2:CreateVpc`. Most are named as
/// the operations are; some operations need more than one (tags, roles that are passed on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations {
    /// For `observe` and `sweep`.
    pub read: &'static [&'static str],
    /// For `create`.
    pub create: &'static [&'static str],
    /// For `update`, which also completes a create.
    pub update: &'static [&'static str],
    /// For `delete` and `make_way`.
    pub delete: &'static [&'static str],
}

impl Operations {
    /// Those of a kind that calls nobody.
    pub const NONE: Self = Self {
        read: &[],
        create: &[],
        update: &[],
        delete: &[],
    };
}

/// Which of the calls an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The create call.
    Create,
    /// The update calls.
    Update,
    /// The delete call.
    Delete,
}

/// One documented answer of AWS that means "not yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The call it answers.
    pub verb: Verb,
    /// The error code, in wire form.
    pub code: &'static str,
    /// A part of the message that must be in it, without apostrophes; empty for any message.
    pub fragment: &'static str,
    /// How long AWS may go on answering so, in seconds.
    pub within: u32,
}

impl Refusal {
    /// A "not yet" of the create call, for up to `within` seconds.
    pub const fn create(code: &'static str, within: u32) -> Self {
        Self {
            verb: Verb::Create,
            code,
            fragment: "",
            within,
        }
    }

    /// A "not yet" of the update calls, for up to `within` seconds.
    pub const fn update(code: &'static str, within: u32) -> Self {
        Self {
            verb: Verb::Update,
            code,
            fragment: "",
            within,
        }
    }

    /// A "not yet" of the delete call, for up to `within` seconds.
    pub const fn delete(code: &'static str, within: u32) -> Self {
        Self {
            verb: Verb::Delete,
            code,
            fragment: "",
            within,
        }
    }

    /// Narrows it to messages that contain `fragment`.
    #[must_use]
    pub const fn saying(mut self, fragment: &'static str) -> Self {
        self.fragment = fragment;
        self
    }

    fn covers(&self, verb: Verb, error: &Error) -> bool {
        self.verb == verb && error.says(self.code, self.fragment)
    }
}

/// The constants of a [`super::Resource`], for the engine.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// See [`super::Resource::KIND`].
    pub kind: &'static str,
    /// See [`super::Resource::IDENTITY`].
    pub identity: Identity,
    /// See [`super::Resource::REPLACE_ON`].
    pub replace_on: &'static [&'static str],
    /// See [`super::Resource::RUNTIME_OWNED`].
    pub runtime_owned: &'static [&'static str],
    /// See [`super::Resource::REPLACEMENT`].
    pub replacement: Replacement,
    /// See [`super::Resource::HOLDS_INPUTS`].
    pub holds_inputs: bool,
    /// See [`super::Resource::HOLDS_DATA`].
    pub holds_data: bool,
    /// See [`super::Resource::SHARED`].
    pub shared: bool,
    /// See [`super::Resource::DELETE_IS_FINAL`].
    pub delete_is_final: bool,
    /// See [`super::Resource::OUTPUTS_CHANGE_ON_UPDATE`].
    pub outputs_change_on_update: bool,
    /// See [`super::Resource::REPLACE_WHEN_FAILED`].
    pub replace_when_failed: bool,
    /// See [`super::Resource::MADE_BY_AWS_UNDER`].
    pub made_by_aws_under: Option<&'static str>,
    /// See [`super::Resource::OPERATIONS`].
    pub operations: Operations,
    /// See [`super::Resource::TIMES`].
    pub times: Times,
    /// See [`super::Resource::REFUSALS`].
    pub refusals: &'static [Refusal],
    /// How much of AWS's time a second of the cloud's takes: 1 for AWS, less for a sandbox whose
    /// time runs faster.
    pub pace: f64,
}

/// The least patience with a refusal, however fast the cloud's time runs: ours does not.
const LEAST_PATIENCE: Duration = Duration::from_secs(60);

impl Profile {
    /// The constants of a kind.
    pub const fn of<K: Resource>() -> Self {
        Self {
            kind: K::KIND,
            identity: K::IDENTITY,
            replace_on: K::REPLACE_ON,
            runtime_owned: K::RUNTIME_OWNED,
            replacement: K::REPLACEMENT,
            holds_inputs: K::HOLDS_INPUTS,
            holds_data: K::HOLDS_DATA,
            shared: K::SHARED,
            delete_is_final: K::DELETE_IS_FINAL,
            outputs_change_on_update: K::OUTPUTS_CHANGE_ON_UPDATE,
            replace_when_failed: K::REPLACE_WHEN_FAILED,
            made_by_aws_under: K::MADE_BY_AWS_UNDER,
            operations: K::OPERATIONS,
            times: K::TIMES,
            refusals: K::REFUSALS,
            pace: 1.0,
        }
    }

    /// How long to go on trying after this answer, or `None` if it is final. Throttling is always
    /// worth another try; an unclear answer is too, because the engine looks before it repeats.
    pub fn patience(&self, verb: Verb, error: &Error) -> Option<Duration> {
        let listed = self
            .refusals
            .iter()
            .filter(|r| r.covers(verb, error))
            .map(|r| r.within)
            .max();
        let seconds = match (listed, error.class()) {
            (Some(within), _) => within,
            (None, Class::Throttled) => 600,
            (None, Class::Unclear) => 120,
            _ => return None,
        };
        let patience = Duration::from_secs(seconds.into());
        let scaled = patience.mul_f64(self.pace).max(LEAST_PATIENCE);
        Some(patience.min(scaled))
    }

    /// Says whether the answer is one of the documented refusals of this call.
    pub fn refuses(&self, verb: Verb, error: &Error) -> bool {
        self.refusals
            .iter()
            .any(|refusal| refusal.covers(verb, error))
    }

    /// The same for a cloud whose time runs at `pace`.
    pub fn at_pace(self, pace: f64) -> Self {
        Self { pace, ..self }
    }
}
