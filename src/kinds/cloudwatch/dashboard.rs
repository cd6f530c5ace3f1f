//! `cloudwatch/dashboard`: the graphs of the stack on one page.

use serde::{Deserialize, Serialize};

use super::{GONE, REFUSALS, change_tags, read_tags, tags_on_create};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{
    Changes, Condition, Document, Identity, Last, Live, Operations, Refusal, Resource, Result,
    Scope, Stage, Tags, outputs,
};

/// An `AWS::CloudWatch::Dashboard`. It belongs to the account, not to a region (field guide,
/// section 7).
pub struct Dashboard;

/// The settings of a dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardSpec {
    /// Its name, unique in the account.
    pub name: String,
    /// Its widgets, in CloudWatch's dashboard JSON.
    pub body: Document,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Dashboard =>
    /// What AWS gives a dashboard.
    DashboardOutputs {
        /// The dashboard's name.
        name: String,
        /// The dashboard's ARN.
        arn: String,
    }
}

impl Resource for Dashboard {
    const KIND: &'static str = "cloudwatch/dashboard";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource"],
        create: &["cloudwatch:PutDashboard", "cloudwatch:TagResource"],
        update: &[
            "cloudwatch:PutDashboard",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ],
        delete: &["cloudwatch:DeleteDashboards"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const HOLDS_INPUTS: bool = false;
    const REFUSALS: &'static [Refusal] = REFUSALS;
    type Api = Aws;
    type Spec<S: Stage> = DashboardSpec;
    type Outputs = DashboardOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &DashboardSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let answer = aws
            .cloudwatch
            .get_dashboard()
            .dashboard_name(name)
            .send()
            .await
            .of("cloudwatch:GetDashboard");
        let Some(answer) = answer.gone_is_none(GONE)? else {
            return Ok(None);
        };
        let arn = answer.dashboard_arn.unwrap_or_else(|| arn(scope, name));
        let tags = aws
            .tags(scope, &arn, &want.tags, read_tags(aws, &arn))
            .await?;
        Ok(Some(Live {
            outputs: DashboardOutputs {
                name: name.clone(),
                arn,
            },
            spec: DashboardSpec {
                name: name.clone(),
                body: Document::parse(&answer.dashboard_body.unwrap_or_default()),
                tags,
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(aws: &Aws, scope: &Scope, want: &DashboardSpec) -> Result<DashboardOutputs> {
        let answer = aws
            .cloudwatch
            .put_dashboard()
            .dashboard_name(&want.name)
            .dashboard_body(want.body.to_string())
            .set_tags(Some(tags_on_create(&want.tags)))
            .send()
            .await
            .of("cloudwatch:PutDashboard")?;
        log_remarks(&want.name, answer.dashboard_validation_messages());
        Ok(DashboardOutputs {
            name: want.name.clone(),
            arn: arn(scope, &want.name),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &DashboardSpec,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("body") {
            let answer = aws
                .cloudwatch
                .put_dashboard()
                .dashboard_name(&want.name)
                .dashboard_body(want.body.to_string())
                .send()
                .await
                .of("cloudwatch:PutDashboard")?;
            log_remarks(&want.name, answer.dashboard_validation_messages());
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.cloudwatch
            .delete_dashboards()
            .dashboard_names(&live.outputs.name)
            .send()
            .await
            .of("cloudwatch:DeleteDashboards")
            .gone_is_fine(GONE)
    }
}

fn arn(scope: &Scope, name: &str) -> String {
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", scope.account)
}

/// Logs what CloudWatch finds odd about a body that it took all the same.
fn log_remarks(name: &str, remarks: &[aws_sdk_cloudwatch::types::DashboardValidationMessage]) {
    for remark in remarks {
        tracing::warn!(
            dashboard = name,
            at = remark.data_path().unwrap_or_default(),
            "{}",
            remark.message().unwrap_or_default()
        );
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::operation::delete_dashboards::DeleteDashboardsError;
    use aws_sdk_cloudwatch::operation::get_dashboard::{GetDashboardError, GetDashboardOutput};
    use aws_sdk_cloudwatch::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardOutput;
    use aws_sdk_cloudwatch::operation::untag_resource::UntagResourceOutput;
    use aws_sdk_cloudwatch::types::Tag;
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    const ARN: &str = "arn:aws:cloudwatch::123456789012:dashboard/order-api-dev";

    fn want() -> DashboardSpec {
        DashboardSpec {
            name: "order-api-dev".into(),
            body: Document(json!({"widgets": [{"type": "metric", "width": 12, "x": 0}]})),
            tags: Tags::from_pairs([(NODE_TAG, "dashboard")]),
        }
    }

    fn live() -> Live<Dashboard> {
        Live {
            outputs: DashboardOutputs {
                name: "order-api-dev".into(),
                arn: ARN.into(),
            },
            spec: want(),
            condition: Condition::Ready,
        }
    }

    fn not_found() -> ErrorMetadata {
        ErrorMetadata::builder().code("ResourceNotFound").build()
    }

    async fn update(aws: &Aws, live: &Live<Dashboard>) {
        let changes = diff(&json!(want()), &json!(live.spec), None);
        Dashboard::update(aws, &scope("dashboard"), live, &want(), &changes)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_compares_the_body_as_json() {
        let get = mock!(Client::get_dashboard)
            .match_requests(|r| r.dashboard_name() == Some("order-api-dev"))
            .then_output(|| {
                GetDashboardOutput::builder()
                    .dashboard_name("order-api-dev")
                    .dashboard_arn(ARN)
                    .dashboard_body(r#"{ "widgets": [{"x": 0, "width": 12, "type": "metric"}] }"#)
                    .build()
            });
        let tags = mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN))
            .then_output(|| {
                let tag = Tag::builder().key(NODE_TAG).value("dashboard").build();
                ListTagsForResourceOutput::builder().tags(tag).build()
            });
        let found = Dashboard::observe(&mocked(&[&get, &tags]), &scope("dashboard"), &want(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.spec, want());
        assert_eq!(found.outputs, live().outputs);
        assert_eq!(found.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn gone_is_none_and_deleting_it_is_fine() {
        let get =
            mock!(Client::get_dashboard).then_error(|| GetDashboardError::generic(not_found()));
        let delete = mock!(Client::delete_dashboards)
            .match_requests(|r| r.dashboard_names() == ["order-api-dev"])
            .then_error(|| DeleteDashboardsError::generic(not_found()));
        let aws = mocked(&[&get, &delete]);
        let found = Dashboard::observe(&aws, &scope("dashboard"), &want(), None).await;
        assert!(found.unwrap().is_none());
        Dashboard::delete(&aws, &scope("dashboard"), &live())
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }

    #[tokio::test]
    async fn create_carries_the_tags_that_tell_whose_it_is() {
        let put = mock!(Client::put_dashboard)
            .match_requests(|r| r.tags().len() == 1 && r.tags()[0].key() == Some(NODE_TAG))
            .then_output(|| PutDashboardOutput::builder().build());
        let outputs = Dashboard::create(&mocked(&[&put]), &scope("dashboard"), &want()).await;
        assert_eq!(outputs.unwrap(), live().outputs);
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let put = mock!(Client::put_dashboard)
            .match_requests(|r| {
                let body: Option<serde_json::Value> = r
                    .dashboard_body()
                    .and_then(|text| serde_json::from_str(text).ok());
                body == Some(want().body.0) && r.tags().is_empty()
            })
            .then_output(|| PutDashboardOutput::builder().build());
        let untag = mock!(Client::untag_resource)
            .match_requests(|r| r.resource_arn() == Some(ARN) && r.tag_keys() == ["old"])
            .then_output(|| UntagResourceOutput::builder().build());
        let aws = mocked(&[&put, &untag]);

        let mut edited = live();
        edited.spec.body = Document(json!({"widgets": []}));
        update(&aws, &edited).await;
        assert_eq!((put.num_calls(), untag.num_calls()), (1, 0));

        let mut tagged = live();
        tagged.spec.tags.0.insert("old".into(), "x".into());
        update(&aws, &tagged).await;
        assert_eq!((put.num_calls(), untag.num_calls()), (1, 1));
    }
}
