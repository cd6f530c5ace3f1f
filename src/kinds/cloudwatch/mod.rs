//! CloudWatch: alarms and the dashboard.
