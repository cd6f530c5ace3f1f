//! IAM: the roles of the stack. Global, found by name.

id_types! {
    /// ARN of an IAM role
    RoleArn,
}
