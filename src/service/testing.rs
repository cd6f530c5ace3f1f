//! Deployments as AWS lists and describes them.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::operation::describe_service_deployments::DescribeServiceDeploymentsOutput;
use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsOutput;
use aws_sdk_ecs::types::builders::ServiceDeploymentBuilder;
use aws_sdk_ecs::types::{
    ServiceDeployment, ServiceDeploymentBrief, ServiceDeploymentStatus, ServiceRevisionSummary,
};
use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::DateTime;

/// The deployment that began at this second and brings out this service revision.
pub(crate) fn deployed(
    second: i64,
    revision: u32,
    status: ServiceDeploymentStatus,
) -> ServiceDeploymentBuilder {
    let target = ServiceRevisionSummary::builder().arn(format!("arn:revision/{revision}"));
    ServiceDeployment::builder()
        .service_deployment_arn(format!("arn:deployment/{second}"))
        .created_at(DateTime::from_secs(second))
        .started_at(DateTime::from_secs(second))
        .status(status)
        .target_service_revision(target.build())
}

pub(crate) fn brief(deployment: &ServiceDeployment) -> ServiceDeploymentBrief {
    ServiceDeploymentBrief::builder()
        .set_service_deployment_arn(deployment.service_deployment_arn.clone())
        .set_created_at(deployment.created_at)
        .set_status(deployment.status.clone())
        .build()
}

/// All on one page.
pub(crate) fn listed(deployments: &[ServiceDeployment]) -> Rule {
    let briefs: Vec<_> = deployments.iter().map(brief).collect();
    mock!(Client::list_service_deployments).then_output(move || {
        ListServiceDeploymentsOutput::builder()
            .set_service_deployments(Some(briefs.clone()))
            .build()
    })
}

/// Those that are asked for, the last first.
pub(crate) fn described(deployments: &[ServiceDeployment]) -> Rule {
    let all = deployments.to_vec();
    mock!(Client::describe_service_deployments).then_compute_output(move |request| {
        let asked = request.service_deployment_arns();
        let is_asked = |deployment: &&ServiceDeployment| {
            let arn = deployment.service_deployment_arn().unwrap_or_default();
            asked.iter().any(|asked| asked == arn)
        };
        let found = all.iter().rev().filter(is_asked).cloned().collect();
        DescribeServiceDeploymentsOutput::builder()
            .set_service_deployments(Some(found))
            .build()
    })
}
