//! Whose a resource is that has a name of ours (law 3).

use std::fmt;

use crate::resource::{AnyLive, CLOUDFORMATION_TAG, NODE_TAG, Profile, STACK_TAG, Scope, Tags};

/// To whom a resource belongs, by its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It carries this stack's and this node's tags, or its kind has none and it is inside
    /// something that does.
    Ours,
    /// One of AWS's services made it by itself, because it missed it. Ours to take, unless something
    /// else of our names is somebody's: then it may have been made for them.
    Aws,
    /// Somebody else.
    Somebody,
}

/// Tells it from the tags, and AWS's own making from where its name stands.
pub(super) fn owner(live: &AnyLive, scope: &Scope, profile: &Profile) -> Owner {
    let tags = live
        .spec
        .get("tags")
        .map(|tags| serde_json::from_value::<Tags>(tags.clone()));
    match tags {
        Some(Ok(tags)) if tags.0.is_empty() && is_named_by_aws(live, profile) => Owner::Aws,
        Some(Ok(tags)) if !tags.belong_to(scope) => Owner::Somebody,
        _ => Owner::Ours,
    }
}

fn is_named_by_aws(live: &AnyLive, profile: &Profile) -> bool {
    let name = live.spec.get("name").and_then(serde_json::Value::as_str);
    let beginning = profile.made_by_aws_under;
    name.zip(beginning)
        .is_some_and(|(name, beginning)| name.starts_with(beginning))
}

/// The keys under which tools write that they manage a resource, in lower case and without marks.
const MANAGER_KEYS: [&str; 3] = ["managedby", "managed", "manager"];

/// Whose a resource of somebody else seems to be, by its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This stack's, under the name of another node.
    Node(String),
    /// Another stack of this program.
    Stack(String),
    /// A stack of CloudFormation.
    CloudFormation(String),
    /// The tool that a `ManagedBy` tag names.
    Manager(String),
    /// Its tags do not tell.
    Unknown,
}

impl Whose {
    /// Reads it from the tags.
    pub(super) fn of(live: &AnyLive, scope: &Scope) -> Self {
        let tags = live.spec.get("tags").cloned().unwrap_or_default();
        let Tags(tags) = serde_json::from_value(tags).unwrap_or_default();
        if let Some(stack) = tags.get(STACK_TAG) {
            return match tags.get(NODE_TAG) {
                Some(node) if *stack == scope.stack => Self::Node(node.clone()),
                None if *stack == scope.stack => Self::Unknown,
                _ => Self::Stack(stack.clone()),
            };
        }
        if let Some(stack) = tags.get(CLOUDFORMATION_TAG) {
            return Self::CloudFormation(stack.clone());
        }
        let is_manager = |key: &str| {
            let letters = key.chars().filter(|c| c.is_alphanumeric());
            MANAGER_KEYS.contains(&letters.collect::<String>().to_lowercase().as_str())
        };
        let manager = tags.iter().find(|(key, _)| is_manager(key));
        manager.map_or(Self::Unknown, |(_, tool)| Self::Manager(tool.clone()))
    }

    /// Says whether it may be taken over when the user asks for it: what another stack of this
    /// program holds never.
    pub fn may_lose_it(&self) -> bool {
        !matches!(self, Self::Stack(_))
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "this stack's, as node `{node}`"),
            Self::Stack(stack) => write!(f, "of the orderctl stack `{stack}`"),
            Self::CloudFormation(stack) => write!(f, "of the CloudFormation stack `{stack}`"),
            Self::Manager(tool) => write!(f, "managed by {tool}"),
            Self::Unknown => f.write_str("its tags do not say whose"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::Condition;

    fn whose(tags: serde_json::Value) -> String {
        let live = AnyLive {
            outputs: json!({}),
            spec: json!({ "tags": tags }),
            condition: Condition::Ready,
        };
        let scope = Scope {
            stack: "dev".into(),
            node: "vpc".into(),
            ..Scope::default()
        };
        Whose::of(&live, &scope).to_string()
    }

    #[test]
    fn the_tags_tell_whose_it_is() {
        for (tags, expected) in [
            (json!({}), "its tags do not say whose"),
            (json!(null), "its tags do not say whose"),
            (json!({ "ManagedBy": "pulumi" }), "managed by pulumi"),
            (json!({ "managed-by": "terraform" }), "managed by terraform"),
            (
                json!({ STACK_TAG: "prod", NODE_TAG: "vpc" }),
                "of the orderctl stack `prod`",
            ),
            (
                json!({ STACK_TAG: "dev", NODE_TAG: "old" }),
                "this stack's, as node `old`",
            ),
            (
                json!({ CLOUDFORMATION_TAG: "network", "ManagedBy": "us" }),
                "of the CloudFormation stack `network`",
            ),
        ] {
            assert_eq!(whose(tags.clone()), expected, "{tags}");
        }
    }
}
