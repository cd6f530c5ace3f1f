//! A snapshot as a whole. Its parts are tested where they are read.

use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::error::ErrorMetadata;

use super::testing::subject;
use super::*;
use crate::aws::testing::mocked;
use crate::resource::Class;

/// Answers that nothing of the stack is there, whatever is asked.
fn nothing() -> Vec<Rule> {
    use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
    use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
    use aws_sdk_ecs::operation::describe_services::DescribeServicesError;
    use aws_sdk_ecs::operation::list_service_deployments::ListServiceDeploymentsError;
    use aws_sdk_ecs::operation::list_tasks::ListTasksError;
    use aws_sdk_elasticloadbalancingv2::operation::describe_target_groups::DescribeTargetGroupsError;
    use aws_sdk_rds::operation::describe_db_clusters::DescribeDBClustersError;
    use aws_sdk_rds::operation::describe_db_instances::DescribeDbInstancesOutput;
    use aws_sdk_wafv2::operation::list_web_acls::ListWebAcLsOutput;

    let code = |code: &str| ErrorMetadata::builder().code(code).build();
    let no_cluster = "ClusterNotFoundException";
    vec![
        mock!(aws_sdk_ecs::Client::describe_services)
            .then_error(move || DescribeServicesError::generic(code(no_cluster))),
        mock!(aws_sdk_ecs::Client::list_tasks)
            .then_error(move || ListTasksError::generic(code(no_cluster))),
        mock!(aws_sdk_ecs::Client::list_service_deployments)
            .then_error(move || ListServiceDeploymentsError::generic(code(no_cluster))),
        mock!(aws_sdk_elasticloadbalancingv2::Client::describe_target_groups)
            .then_error(move || DescribeTargetGroupsError::generic(code("TargetGroupNotFound"))),
        mock!(aws_sdk_rds::Client::describe_db_clusters)
            .then_error(move || DescribeDBClustersError::generic(code("DBClusterNotFoundFault"))),
        mock!(aws_sdk_rds::Client::describe_db_instances)
            .then_output(|| DescribeDbInstancesOutput::builder().build()),
        mock!(aws_sdk_cloudwatch::Client::describe_alarms)
            .then_output(|| DescribeAlarmsOutput::builder().build()),
        mock!(aws_sdk_cloudwatch::Client::get_metric_data)
            .then_output(|| GetMetricDataOutput::builder().build()),
        mock!(aws_sdk_wafv2::Client::list_web_acls)
            .then_output(|| ListWebAcLsOutput::builder().build()),
    ]
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_empty_and_costs_few_calls() {
    let rules = nothing();
    let aws = mocked(&rules.iter().collect::<Vec<_>>());
    let snapshot = Snapshot::read(&aws, &subject()).await;
    assert!(snapshot.is_empty(), "{snapshot:?}");
    assert_eq!(aws.calls().writes(), 0);
    // One per operation; the target groups are asked for together, then one by one.
    assert_eq!(aws.calls().reads(), 11);
}

#[tokio::test]
async fn a_part_that_is_denied_hides_no_other_and_is_named_with_its_reason() {
    use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsError;
    let denied = mock!(aws_sdk_cloudwatch::Client::describe_alarms).then_error(|| {
        let code = ErrorMetadata::builder().code("AccessDenied");
        DescribeAlarmsError::generic(code.message("not you").build())
    });
    let rest = nothing();
    let rules: Vec<&Rule> = std::iter::once(&denied).chain(&rest).collect();
    let snapshot = Snapshot::read(&mocked(&rules), &subject()).await;
    let (absent, unreadable) = snapshot.gaps();
    assert_eq!(absent.len(), PARTS - 1);
    assert_eq!((unreadable.len(), unreadable[0].0), (1, "alarms"));
    assert_eq!(unreadable[0].1.class(), Class::Denied);
    assert!(!snapshot.is_empty() && !snapshot.is_unreadable());
}

#[test]
fn snapshots_differ_by_what_they_tell_and_not_by_when_or_by_request_ids() {
    let failed = |id: &str| {
        let error = Error::new("ecs:ListTasks", Class::Denied, "not you");
        Part::<Tasks>::Unreadable(error.with_request_id(Some(id.to_owned())))
    };
    assert_eq!(failed("one"), failed("two"));
    assert_ne!(failed("one"), Part::Absent);
    assert_ne!(Part::Read(Tasks::default()), failed("one"));
}
