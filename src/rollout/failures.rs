//! Why the tasks of a new version do not come up: what they failed of, counted, and what the load
//! balancer finds of those that run.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;

use crate::aws::Aws;
use crate::resource::Result;
use crate::service::targets;
use crate::service::tasks::FailedTask;

/// Reasons with how often each was given, the most frequent first. Ids of tasks in them do not count.
pub fn grouped(failed: &[FailedTask]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for task in failed {
        *counts
            .entry(task.reason.replace(&task.id, "…"))
            .or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// How the load balancer finds the tasks of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How many take requests.
    pub healthy: usize,
    /// Why others do not, with how many.
    pub others: BTreeMap<String, usize>,
}

/// Reads the health of a target group.
///
/// # Errors
/// Those of [`targets::health`].
pub async fn health(aws: &Aws, target_group: &str) -> Result<Health> {
    let mut found = Health::default();
    for target in targets::health(aws, target_group)
        .await?
        .unwrap_or_default()
    {
        let Some(health) = target.target_health() else {
            continue;
        };
        match health.state() {
            Some(TargetHealthStateEnum::Healthy) => found.healthy += 1,
            // On its way out: a task that was stopped.
            Some(TargetHealthStateEnum::Draining) => {}
            state => {
                let state = state.map_or("unknown", |state| state.as_str());
                let why = health.description().unwrap_or_default();
                let text = format!("{state} {why}").trim_end().to_owned();
                *found.others.entry(text).or_default() += 1;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_reasons_are_counted_whichever_task_they_name() {
        let failed = |id: &str| FailedTask {
            id: id.into(),
            reason: format!("task {id} exited"),
            has_run: true,
        };
        let groups = grouped(&[failed("0123"), failed("0456")]);
        assert_eq!(groups, [("task … exited".to_owned(), 2)]);
    }
}
