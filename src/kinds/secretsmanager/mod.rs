//! Secrets Manager: the credentials of the database.
