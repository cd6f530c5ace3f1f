//! CloudWatch Logs: log groups and the filters that make metrics of them.
