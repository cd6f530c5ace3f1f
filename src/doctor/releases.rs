//! Area `releases`: whether the last release got through, and if not, why.

use jiff::{SignedDuration, Timestamp};

use super::{Chart, Subject, reads};
use crate::aws::Aws;
use crate::resource::Result;
use crate::service::deployments::{Deployment, latest};

pub(super) const AREA: &str = "releases";

/// Deployments older than this are history.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// After so long a deployment that cannot fill its new colour is not just slow.
const STUCK: SignedDuration = SignedDuration::from_mins(30);

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let newest = latest(aws, &subject.service_name(), 1).await?.pop();
    let is_recent = |deployment: &Deployment| {
        let age = deployment
            .created
            .map(|at| Timestamp::now().duration_since(at));
        age.is_none_or(|age| age <= LOOKED_BACK)
    };
    match newest.filter(is_recent) {
        Some(deployment) => judge(&deployment, chart),
        None => {
            chart.fine("no release within the last week");
        }
    }
    Ok(())
}

fn judge(deployment: &Deployment, chart: &mut Chart) {
    let evidence = evidence(deployment);
    match deployment.status.as_str() {
        "SUCCESSFUL" => {
            chart
                .fine("the last release went through")
                .shown_by(evidence);
        }
        "ROLLBACK_SUCCESSFUL" => {
            chart
                .warning("the last release was rolled back")
                .shown_by(evidence)
                .mended_by(
                    "`orderctl logs` shows what it said; then `orderctl deploy` a mended one",
                );
        }
        "ROLLBACK_FAILED" => {
            chart
                .problem("the last release failed, and its rollback too")
                .shown_by(evidence)
                .mended_by("`orderctl deploy` a revision that is known to work");
        }
        "STOPPED" => {
            chart
                .warning("the last release was stopped")
                .shown_by(evidence)
                .mended_by("orderctl deploy");
        }
        _ if deployment.is_rolling_back() => {
            chart
                .warning("a release is being rolled back")
                .shown_by(evidence)
                .mended_by("orderctl status --watch");
        }
        _ => in_progress(deployment, evidence, chart),
    }
}

fn in_progress(deployment: &Deployment, evidence: Vec<String>, chart: &mut Chart) {
    let age = deployment
        .began()
        .map(|at| Timestamp::now().duration_since(at));
    if !deployment.waiting.is_empty() {
        chart
            .warning("a release waits for somebody to let it go on")
            .shown_by(evidence)
            .mended_by("`orderctl deploy` that began it, or `orderctl rollback`");
    } else if deployment.is_coming_up() && age.is_some_and(|age| age > STUCK) {
        // Without a circuit breaker, a colour that never gets healthy stays so for up to a day.
        chart
            .problem("a release is stuck: its new tasks do not get healthy")
            .shown_by(evidence)
            .mended_by("`orderctl rollback`, then see why its tasks stop");
    } else {
        chart.fine("a release is on its way").shown_by(evidence);
    }
}

fn evidence(deployment: &Deployment) -> Vec<String> {
    let begun = reads::told(deployment.began());
    let mut lines = vec![format!("deployment {}, begun {begun}", deployment.id())];
    if let Some(stage) = &deployment.stage {
        lines.push(format!("stage {stage}"));
    }
    lines.extend(deployment.reason.as_deref().map(reads::short));
    let turned_back = deployment.turned_back.as_deref();
    lines.extend(turned_back.map(|reason| format!("rolled back: {}", reads::short(reason))));
    if !deployment.triggered_alarms.is_empty() {
        let rang = deployment.triggered_alarms.join(", ");
        lines.push(format!("alarms that rang: {rang}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
    use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsOutput;
    use aws_sdk_ecs::types::{
        Rollback, ServiceDeployment, ServiceDeploymentAlarms, ServiceDeploymentBrief,
        ServiceDeploymentLifecycleStage as Stage, ServiceDeploymentStatus as Status,
    };
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::DateTime;

    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::super::{Finding, Severity};
    use super::*;
    use crate::aws::testing::mocked;
    use crate::service::testing::{deployed, described, listed as all_listed};

    fn brief(arn: &str, at: i64) -> ServiceDeploymentBrief {
        ServiceDeploymentBrief::builder()
            .service_deployment_arn(arn)
            .created_at(DateTime::from_secs(at))
            .build()
    }

    /// Two pages of deployments, the newest of which is on the second.
    fn listed() -> Rule {
        mock!(Client::list_service_deployments)
            .sequence()
            .output(|| {
                ListServiceDeploymentsOutput::builder()
                    .service_deployments(brief("arn/old", 100))
                    .next_token("more")
                    .build()
            })
            .output(|| {
                ListServiceDeploymentsOutput::builder()
                    .service_deployments(brief("arn/new", 200))
                    .build()
            })
            .build()
    }

    fn deployment(status: Status, stage: Stage, age: u64) -> Rule {
        let begun = DateTime::from(SystemTime::now() - Duration::from_secs(age));
        mock!(Client::describe_service_deployments)
            .match_requests(|r| r.service_deployment_arns() == ["arn/new"])
            .then_output(move || {
                let alarms = ServiceDeploymentAlarms::builder().triggered_alarm_names("errors");
                let rollback = Rollback::builder().reason("alarm went off");
                let deployment = ServiceDeployment::builder()
                    .service_deployment_arn("arn/new")
                    .status(status.clone())
                    .lifecycle_stage(stage.clone())
                    .started_at(begun)
                    .alarms(alarms.build())
                    .rollback(rollback.build());
                DescribeServiceDeploymentsOutput::builder()
                    .service_deployments(deployment.build())
                    .build()
            })
    }

    async fn examined(status: Status, stage: Stage, age: u64) -> Vec<Finding> {
        let aws = mocked(&[&listed(), &deployment(status, stage, age)]);
        found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await
    }

    #[tokio::test]
    async fn what_became_of_the_last_release_is_told_with_its_reason() {
        is_fine(&examined(Status::Successful, Stage::CleanUp, 600).await);
        is_fine(&examined(Status::InProgress, Stage::BakeTime, 6000).await);
        is_fine(&examined(Status::InProgress, Stage::ScaleUp, 60).await);
        for (status, stage, age, severity, title) in [
            (
                Status::RollbackSuccessful,
                Stage::CleanUp,
                60,
                Severity::Warning,
                "the last release was rolled back",
            ),
            (
                Status::RollbackFailed,
                Stage::CleanUp,
                60,
                Severity::Problem,
                "the last release failed, and its rollback too",
            ),
            (
                Status::InProgress,
                Stage::ScaleUp,
                3600,
                Severity::Problem,
                "a release is stuck: its new tasks do not get healthy",
            ),
        ] {
            let all = examined(status, stage, age).await;
            let finding = only_bad(&all);
            assert_eq!(
                (finding.severity, finding.title.as_str()),
                (severity, title)
            );
            let evidence = finding.evidence.join("\n");
            assert!(
                evidence.contains("rolled back: alarm went off"),
                "{evidence}"
            );
            assert!(evidence.contains("alarms that rang: errors"), "{evidence}");
            assert!(finding.fix.is_some());
        }
    }

    #[tokio::test]
    async fn a_release_that_failed_long_ago_is_history() {
        for (days, is_history) in [(6, false), (8, true)] {
            let at = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
            let failed = deployed(DateTime::from(at).secs(), 1, Status::RollbackFailed).build();
            let failed = [failed];
            let aws = mocked(&[&all_listed(&failed), &described(&failed)]);
            let all = found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await;
            match is_history {
                true => is_fine(&all),
                false => assert_eq!(only_bad(&all).severity, Severity::Problem),
            }
        }
    }

    #[tokio::test]
    async fn a_stack_without_releases_is_fine() {
        let none = mock!(Client::list_service_deployments)
            .then_output(|| ListServiceDeploymentsOutput::builder().build());
        let aws = mocked(&[&none]);
        is_fine(&found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await);
    }
}
