//! RDS: the Aurora MySQL cluster and what it needs.
