//! What the tests of the areas have in common.

use super::chart::{Chart, charted};
use super::{Finding, Severity, Subject};
use crate::resource::Result;

/// The stack `dev` with default settings.
pub(super) fn subject() -> Subject {
    let name = |base: &str| format!("{base}-dev");
    Subject {
        stack: "dev".into(),
        cluster: name("order-api"),
        service: name("order-api"),
        container: "order-api".into(),
        app_port: 8080,
        db_port: 3306,
        repository: name("order-api"),
        log_group: "/ecs/order-api-dev".into(),
        execution_role: name("ecs-task-exec"),
        task_role: name("ecs-task"),
        load_balancer_role: name("ecs-lb"),
        load_balancer: name("order-api"),
        target_groups: [name("order-blue"), name("order-green")],
        web_acl: name("order-api-waf"),
        db_cluster: name("order-api"),
        high_errors_alarm: name("order-api-high-errors"),
        db_failures_alarm: name("order-api-db-failures"),
        network: "10.0.0.0/16".parse().unwrap(),
        has_nat: true,
        has_tls: true,
        connections_per_task: 100,
        max_acu: None,
    }
}

/// What an area finds.
pub(super) async fn found(look: impl AsyncFnOnce(&mut Chart) -> Result<()>) -> Vec<Finding> {
    charted("area", look).await
}

/// The titles of all findings of a severity.
pub(super) fn titles(found: &[Finding], severity: Severity) -> Vec<&str> {
    let of_it = found.iter().filter(|finding| finding.severity == severity);
    of_it.map(|finding| finding.title.as_str()).collect()
}

/// Asserts that nothing but good was found, and something was.
#[track_caller]
pub(super) fn is_fine(found: &[Finding]) {
    assert!(!found.is_empty());
    let all = found.len();
    assert_eq!(titles(found, Severity::Fine).len(), all, "{found:#?}");
}

/// Asserts that exactly one thing is found bad, and gives it.
#[track_caller]
pub(super) fn only_bad(found: &[Finding]) -> &Finding {
    let bad = |finding: &&Finding| finding.severity != Severity::Fine;
    let bad: Vec<&Finding> = found.iter().filter(bad).collect();
    assert_eq!(bad.len(), 1, "{found:#?}");
    bad[0]
}
