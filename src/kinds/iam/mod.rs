//! IAM: the roles of the stack. Global, found by name.

mod policy_document;
mod role;
mod service_linked_role;

pub use role::{Role, RoleOutputs, RoleSpec};
pub use service_linked_role::{ServiceLinkedRole, ServiceLinkedRoleOutputs, ServiceLinkedRoleSpec};

id_types! {
    /// `arn:aws:iam::…:role/…`
    RoleArn,
}
