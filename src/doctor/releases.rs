//! Area `releases`: whether the last release got through, and if not, why.

use std::time::{Duration, SystemTime};

use aws_sdk_ecs::types::{
    CreatedAt, DeploymentLifecycleHookStatus, ServiceDeployment, ServiceDeploymentBrief,
    ServiceDeploymentLifecycleStage as Stage, ServiceDeploymentStatus as Status,
};
use aws_smithy_types::DateTime;

use super::{Chart, Subject, reads};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

pub(super) const AREA: &str = "releases";

/// Deployments older than this are history, in seconds.
const LOOKED_BACK: u64 = 7 * 24 * 60 * 60;
/// After so many seconds a deployment that cannot fill its new colour is not just slow.
const STUCK: i64 = 30 * 60;

pub(super) async fn look(aws: &Aws, subject: &Subject, chart: &mut Chart) -> Result<()> {
    let Some(last) = newest(aws, subject).await? else {
        chart.fine("no release within the last week");
        return Ok(());
    };
    let Some(arn) = last.service_deployment_arn() else {
        return Ok(());
    };
    let answer = aws
        .ecs
        .describe_service_deployments()
        .service_deployment_arns(arn)
        .send()
        .await
        .of("ecs:DescribeServiceDeployments")?;
    if let Some(deployment) = answer.service_deployments().first() {
        judge(deployment, chart);
    }
    Ok(())
}

async fn newest(aws: &Aws, subject: &Subject) -> Result<Option<ServiceDeploymentBrief>> {
    let since = SystemTime::now() - Duration::from_secs(LOOKED_BACK);
    let created = CreatedAt::builder().after(DateTime::from(since)).build();
    let mut newest: Option<ServiceDeploymentBrief> = None;
    let mut token = None;
    loop {
        let page = aws
            .ecs
            .list_service_deployments()
            .cluster(&subject.cluster)
            .service(&subject.service)
            .created_at(created.clone())
            .set_next_token(token)
            .send()
            .await
            .of("ecs:ListServiceDeployments")
            .gone_is_none(&["ClusterNotFoundException", "ServiceNotFoundException"])?;
        let Some(page) = page else {
            return Ok(None);
        };
        token = page.next_token;
        let deployments = page.service_deployments.unwrap_or_default().into_iter();
        let at = |it: &ServiceDeploymentBrief| it.created_at().map_or(0, DateTime::secs);
        newest = deployments.chain(newest).max_by_key(at);
        if token.is_none() {
            return Ok(newest);
        }
    }
}

fn judge(deployment: &ServiceDeployment, chart: &mut Chart) {
    let Some(status) = deployment.status() else {
        return;
    };
    let evidence = evidence(deployment);
    match status {
        Status::Successful => {
            chart
                .fine("the last release went through")
                .shown_by(evidence);
        }
        Status::RollbackSuccessful => {
            chart
                .warning("the last release was rolled back")
                .shown_by(evidence)
                .mended_by(
                    "`orderctl logs` shows what it said; then `orderctl deploy` a mended one",
                );
        }
        Status::RollbackFailed => {
            chart
                .problem("the last release failed, and its rollback too")
                .shown_by(evidence)
                .mended_by("`orderctl deploy` a revision that is known to work");
        }
        Status::Stopped => {
            chart
                .warning("the last release was stopped")
                .shown_by(evidence)
                .mended_by("orderctl deploy");
        }
        Status::RollbackInProgress | Status::RollbackRequested | Status::StopRequested => {
            chart
                .warning("a release is being rolled back")
                .shown_by(evidence)
                .mended_by("orderctl status --watch");
        }
        _ => in_progress(deployment, evidence, chart),
    }
}

fn in_progress(deployment: &ServiceDeployment, evidence: Vec<String>, chart: &mut Chart) {
    let waits = deployment
        .lifecycle_hook_details()
        .iter()
        .any(|hook| hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction));
    let age = reads::seconds_since(deployment.started_at().or_else(|| deployment.created_at()));
    // Without a circuit breaker, a colour that never gets healthy stays so for up to a day.
    let fills = matches!(
        deployment.lifecycle_stage(),
        None | Some(Stage::ReconcileService | Stage::PreScaleUp | Stage::ScaleUp)
    );
    if waits {
        chart
            .warning("a release waits for somebody to let it go on")
            .shown_by(evidence)
            .mended_by("`orderctl deploy` that began it, or `orderctl rollback`");
    } else if fills && age.is_some_and(|age| age > STUCK) {
        chart
            .problem("a release is stuck: its new tasks do not get healthy")
            .shown_by(evidence)
            .mended_by("`orderctl rollback`, then see why its tasks stop");
    } else {
        chart.fine("a release is on its way").shown_by(evidence);
    }
}

fn evidence(deployment: &ServiceDeployment) -> Vec<String> {
    let begun = reads::moment(deployment.started_at().or_else(|| deployment.created_at()));
    let id = reads::last_part(deployment.service_deployment_arn().unwrap_or_default());
    let mut lines = vec![format!("deployment {id}, begun {begun}")];
    if let Some(stage) = deployment.lifecycle_stage() {
        lines.push(format!("stage {}", stage.as_str()));
    }
    lines.extend(deployment.status_reason().map(reads::short));
    let rollback = deployment.rollback().and_then(|rollback| rollback.reason());
    lines.extend(rollback.map(|reason| format!("rolled back: {}", reads::short(reason))));
    let rang = deployment
        .alarms()
        .map(|alarms| alarms.triggered_alarm_names());
    let rang = rang.unwrap_or_default();
    if !rang.is_empty() {
        lines.push(format!("alarms that rang: {}", rang.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
    use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsOutput;
    use aws_sdk_ecs::types::{Rollback, ServiceDeploymentAlarms};
    use aws_smithy_mocks::{Rule, mock};

    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::super::{Finding, Severity};
    use super::*;
    use crate::aws::testing::mocked;

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
    async fn a_stack_without_releases_is_fine() {
        let none = mock!(Client::list_service_deployments)
            .then_output(|| ListServiceDeploymentsOutput::builder().build());
        let aws = mocked(&[&none]);
        is_fine(&found(async |chart: &mut Chart| look(&aws, &subject(), chart).await).await);
    }
}
