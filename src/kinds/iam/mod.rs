//! IAM: the roles of the stack. Global, found by name.
