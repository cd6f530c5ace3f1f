//! The permissions that each command needs: what the kinds and commands declare, each with the
//! resources it is for, as a policy document of IAM.
//!
//! ```text
//! commands.rs    what commands call beside the kinds
//! targets.rs     action → resources and conditions, after AWS's service authorization reference
//! document.rs    grants grouped into statements, statements into documents of IAM's size
//! ```

mod commands;
mod document;
mod targets;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds::profiles;

pub use document::{LIMIT, documents, size};

/// What somebody wants to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Verb {
    /// Look at what `up` would do
    Plan,
    /// Make and change the stack
    Up,
    /// Delete the stack
    Down,
    /// Release an image, and roll back
    Deploy,
    /// Push an image
    Push,
    /// See what runs
    Status,
    /// Read what the containers write
    Logs,
    /// Find out what is wrong
    Doctor,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Plan,
        Self::Up,
        Self::Down,
        Self::Deploy,
        Self::Push,
        Self::Status,
        Self::Logs,
        Self::Doctor,
    ];
}

/// Whose permissions: one stack in one place.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The stack's suffix.
    pub suffix: String,
    /// The AWS account; `*` if it is not known.
    pub account: String,
    /// The AWS region.
    pub region: String,
    /// The bucket and prefix of the states, where they are in S3.
    pub states: Option<(String, String)>,
    /// The hosted zone of `edge.domain`.
    pub zone: Option<String>,
    /// The kinds that are declared; others are only read and deleted.
    pub kinds: BTreeSet<String>,
}

/// One permission on some resources.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The action, as IAM names it: `ec2:CreateVpc`.
    pub action: String,
    /// ARNs with wildcards, or `*` alone where AWS knows no resources for the action.
    pub resources: Vec<String>,
    /// The `Condition` of a statement.
    pub condition: Option<Value>,
}

/// The permissions that a command needs, without doubles, by action.
pub fn grants(verbs: &[Verb], subject: &Subject) -> Vec<Grant> {
    let mut grants = Vec::new();
    for action in needed(verbs, subject) {
        for target in targets::of(action, subject) {
            grants.push(Grant {
                action: action.to_owned(),
                resources: target.resources,
                condition: target.condition,
            });
        }
    }
    grants
}

/// The permissions that a command needs as pairs of an action and a resource, for a simulation
/// (`iam:SimulatePrincipalPolicy`). One action may have several resources.
pub fn actions(verb: Verb, subject: &Subject) -> Vec<(String, String)> {
    let grants = grants(&[verb], subject).into_iter();
    let pairs = grants.flat_map(|grant| {
        let action = grant.action;
        grant
            .resources
            .into_iter()
            .map(move |resource| (action.clone(), resource))
    });
    // What a condition tells apart is the same pair here.
    let pairs: BTreeSet<_> = pairs.collect();
    pairs.into_iter().collect()
}

fn needed(verbs: &[Verb], subject: &Subject) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::new();
    for verb in verbs {
        needed.extend(commands::of(*verb));
        for profile in profiles() {
            let operations = profile.operations;
            let is_declared = subject.kinds.contains(profile.kind);
            // What is not declared (any more) is still looked for, and deleted.
            let (reads, makes, deletes) = match verb {
                Verb::Plan | Verb::Doctor => (true, false, false),
                Verb::Up => (true, is_declared, true),
                Verb::Down => (true, false, true),
                Verb::Deploy | Verb::Push | Verb::Status | Verb::Logs => (false, false, false),
            };
            let parts = [
                (reads, operations.read),
                (makes, operations.create),
                (makes, operations.update),
                (deletes, operations.delete),
            ];
            needed.extend(
                parts
                    .into_iter()
                    .filter(|(is_needed, _)| *is_needed)
                    .flat_map(|(_, part)| part),
            );
        }
        if subject.states.is_some() {
            needed.extend(commands::STATES);
        }
        if *verb == Verb::Up && subject.has_managed_password() {
            needed.extend(commands::MANAGED_PASSWORD);
        }
    }
    needed
}

impl Subject {
    /// Says whether RDS makes the database's password, in a secret of its own.
    fn has_managed_password(&self) -> bool {
        self.kinds.contains("rds/db_cluster") && !self.kinds.contains("secretsmanager/secret")
    }
}

#[cfg(test)]
mod tests;
