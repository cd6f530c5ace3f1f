//! SNS: where alarms are sent.
