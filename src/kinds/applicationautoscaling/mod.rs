//! Application Auto Scaling: how many tasks the service runs.
