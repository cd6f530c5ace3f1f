//! Whose a resource seems to be that has a name of ours and does not carry our tags (law 3).

use std::fmt;

use crate::resource::{AnyLive, CLOUDFORMATION_TAG, NODE_TAG, STACK_TAG, Scope, Tags};

/// The keys under which tools write that they manage a resource, in lower case and without marks.
const MANAGER_KEYS: [&str; 3] = ["managedby", "managed", "manager"];

/// Whose a resource seems to be, by its tags.
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
