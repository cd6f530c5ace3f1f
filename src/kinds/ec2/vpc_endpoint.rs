//! `ec2/vpc_endpoint`: a gateway endpoint, which leads the traffic for one AWS service past the
//! NAT gateways. It is free.

use aws_sdk_ec2::types::{
    Filter, ResourceType, State, Tag, UnsuccessfulItem, VpcEndpoint as AwsVpcEndpoint,
    VpcEndpointType,
};
use serde::{Deserialize, Serialize};

use super::{
    Described, Life, RouteTableId, VpcEndpointId, VpcId, all_pages, change_tags, find, in_order_of,
    swept, tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, Scope, Stage, Tags, Times, outputs,
};

/// An `AWS::EC2::VPCEndpoint` of type Gateway.
pub struct VpcEndpoint;

/// The settings of a gateway endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct VpcEndpointSpec<S: Stage> {
    /// The VPC it is for.
    pub vpc: S::In<VpcId>,
    /// The service, `com.amazonaws.us-east-1.s3`.
    pub service_name: String,
    /// The tables that get a route to it, in any order.
    pub route_tables: Vec<S::In<RouteTableId>>,
    /// Its tags.
    pub tags: Tags,
}

outputs! { VpcEndpoint =>
    /// What AWS gives an endpoint.
    VpcEndpointOutputs {
        /// The endpoint's id.
        id: VpcEndpointId,
    }
}

const GONE: &[&str] = &[
    "InvalidVpcEndpointId.NotFound",
    "InvalidVpcEndpoint.NotFound",
];

impl Resource for VpcEndpoint {
    const KIND: &'static str = "ec2/vpc_endpoint";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeVpcEndpoints"],
        create: &["ec2:CreateVpcEndpoint", "ec2:CreateTags"],
        update: &["ec2:ModifyVpcEndpoint", "ec2:CreateTags", "ec2:DeleteTags"],
        delete: &["ec2:DeleteVpcEndpoints"],
    };
    const REPLACE_ON: &'static [&'static str] = &["vpc", "service_name"];
    const TIMES: Times = Times::typical(5, 30);
    // AWS writes these codes both ways, by operation.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidVpcID.NotFound", 300),
        Refusal::create("InvalidVpcId.NotFound", 300),
        Refusal::create("InvalidRouteTableID.NotFound", 300),
        Refusal::create("InvalidRouteTableId.NotFound", 300),
        Refusal::update("InvalidVpcEndpointId.NotFound", 300),
        Refusal::update("InvalidRouteTableID.NotFound", 300),
        Refusal::update("InvalidRouteTableId.NotFound", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = VpcEndpointSpec<S>;
    type Outputs = VpcEndpointOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &VpcEndpointSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let found = find::<AwsVpcEndpoint>(aws, scope, known).await?;
        let endpoint = found.map(|endpoint| live(endpoint, &want.route_tables));
        endpoint.transpose()
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &VpcEndpointSpec<Resolved>,
    ) -> Result<VpcEndpointOutputs> {
        let answer = aws
            .ec2
            .create_vpc_endpoint()
            .set_client_token(scope.token.clone())
            .vpc_endpoint_type(VpcEndpointType::Gateway)
            .vpc_id(&*want.vpc)
            .service_name(&want.service_name)
            .set_route_table_ids(Some(ids(want.route_tables.iter())))
            .tag_specifications(tag_on_create(ResourceType::VpcEndpoint, &want.tags))
            .send()
            .await
            .of("ec2:CreateVpcEndpoint")?;
        let id = answer
            .vpc_endpoint()
            .and_then(AwsVpcEndpoint::vpc_endpoint_id);
        let id = id.ok_or_else(missing("ec2:CreateVpcEndpoint", "VpcEndpointId"))?;
        Ok(VpcEndpointOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &VpcEndpointSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let id = &live.outputs.id;
        if changes.touch("route_tables") {
            let (present, wanted) = (&live.spec.route_tables, &want.route_tables);
            let added = wanted.iter().filter(|table| !present.contains(table));
            let removed = present.iter().filter(|table| !wanted.contains(table));
            aws.ec2
                .modify_vpc_endpoint()
                .vpc_endpoint_id(&**id)
                .set_add_route_table_ids(some(ids(added)))
                .set_remove_route_table_ids(some(ids(removed)))
                .send()
                .await
                .of("ec2:ModifyVpcEndpoint")?;
        }
        if changes.touch("tags") {
            change_tags(aws, id, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        const OPERATION: &str = "ec2:DeleteVpcEndpoints";
        let answer = aws
            .ec2
            .delete_vpc_endpoints()
            .vpc_endpoint_ids(&*live.outputs.id)
            .send()
            .await
            .of(OPERATION);
        // The call succeeds even if the endpoint was not deleted; the answer tells.
        answer
            .and_then(|answer| match answer.unsuccessful().first() {
                None => Ok(()),
                Some(refused) => Err(refusal(OPERATION, refused)),
            })
            .gone_is_fine(GONE)
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[VpcEndpointSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, |endpoint| live(endpoint, &[])).await
    }
}

impl Described for AwsVpcEndpoint {
    const OPERATION: &'static str = "ec2:DescribeVpcEndpoints";
    const ID_FILTER: &'static str = "vpc-endpoint-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.vpc_endpoint_id(), self.tags())
    }

    fn life(&self) -> Life {
        match state_of(self).as_str() {
            "deleted" => Life::Gone,
            "deleting" | "failed" | "rejected" | "expired" => Life::Dying,
            _ => Life::Alive,
        }
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_vpc_endpoints().set_filters(filters))
    }
}

/// The state in lower case: its documentation and its answers differ in that.
fn state_of(endpoint: &AwsVpcEndpoint) -> String {
    endpoint.state().map_or("", State::as_str).to_lowercase()
}

fn live(endpoint: AwsVpcEndpoint, want: &[RouteTableId]) -> Result<Live<VpcEndpoint>> {
    let field = |name| missing(AwsVpcEndpoint::OPERATION, name);
    let id = endpoint.vpc_endpoint_id();
    let service_name = endpoint.service_name();
    let tables = endpoint.route_table_ids();
    let tables = tables.iter().map(|id| RouteTableId::from(&**id)).collect();
    Ok(Live {
        outputs: VpcEndpointOutputs {
            id: id.ok_or_else(field("VpcEndpointId"))?.into(),
        },
        spec: VpcEndpointSpec {
            vpc: endpoint.vpc_id().ok_or_else(field("VpcId"))?.into(),
            service_name: service_name.ok_or_else(field("ServiceName"))?.to_owned(),
            route_tables: in_order_of(want, tables),
            tags: tags_of(endpoint.tags()),
        },
        condition: match state_of(&endpoint).as_str() {
            "deleting" => Condition::Deleting,
            state @ ("failed" | "rejected" | "expired") => {
                let error = endpoint.last_error().and_then(|error| error.message());
                let reason = endpoint.failure_reason().or(error);
                Condition::Failed(format!(
                    "{state}: {}",
                    reason.unwrap_or("AWS gave no reason")
                ))
            }
            state => Condition::from_status(state, &["available"]),
        },
    })
}

fn ids<'a>(tables: impl Iterator<Item = &'a RouteTableId>) -> Vec<String> {
    tables.map(|id| id.0.clone()).collect()
}

fn some(ids: Vec<String>) -> Option<Vec<String>> {
    (!ids.is_empty()).then_some(ids)
}

fn refusal(operation: &'static str, item: &UnsuccessfulItem) -> Error {
    let error = item.error();
    let message = error.and_then(|error| error.message());
    let translated = Error::new(
        operation,
        Class::Refused,
        message.unwrap_or("AWS gave no message"),
    );
    match error.and_then(|error| error.code()) {
        Some(code) => translated.with_code(code),
        None => translated,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::create_vpc_endpoint::CreateVpcEndpointOutput;
    use aws_sdk_ec2::operation::delete_vpc_endpoints::DeleteVpcEndpointsOutput;
    use aws_sdk_ec2::operation::describe_vpc_endpoints::DescribeVpcEndpointsOutput;
    use aws_sdk_ec2::operation::modify_vpc_endpoint::ModifyVpcEndpointOutput;
    use aws_sdk_ec2::types::UnsuccessfulItemError;
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};
    use crate::resource::diff;

    const NODE: &str = "s3-endpoint";

    fn want() -> VpcEndpointSpec<Resolved> {
        VpcEndpointSpec {
            vpc: "vpc-1".into(),
            service_name: "com.amazonaws.us-east-1.s3".into(),
            route_tables: vec!["rtb-3".into(), "rtb-1".into(), "rtb-2".into()],
            tags: tags(NODE),
        }
    }

    fn in_aws(state: &str, tables: &[&str]) -> AwsVpcEndpoint {
        AwsVpcEndpoint::builder()
            .vpc_endpoint_id("vpce-1")
            .vpc_endpoint_type(VpcEndpointType::Gateway)
            .vpc_id("vpc-1")
            .service_name("com.amazonaws.us-east-1.s3")
            .state(State::from(state))
            .set_route_table_ids(Some(tables.iter().map(|id| id.to_string()).collect()))
            .policy_document(r#"{"Version":"2008-10-17","Statement":[]}"#)
            .private_dns_enabled(false)
            .set_tags(aws_tags(NODE))
            .build()
    }

    async fn observe(state: &'static str) -> Option<Live<VpcEndpoint>> {
        let rule = mock!(Client::describe_vpc_endpoints).then_output(move || {
            DescribeVpcEndpointsOutput::builder()
                .vpc_endpoints(in_aws(state, &["rtb-1", "rtb-2", "rtb-3"]))
                .build()
        });
        VpcEndpoint::observe(&mocked(&[&rule]), &scope(NODE), &want(), None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_whatever_the_order_of_the_tables() {
        for state in ["available", "Available"] {
            let live = observe(state).await.unwrap();
            assert_eq!(live.spec, want());
            assert_eq!(&*live.outputs.id, "vpce-1");
            assert_eq!(live.condition, Condition::Ready);
        }
    }

    #[tokio::test]
    async fn a_tombstone_is_none_and_the_other_ends_are_told_apart() {
        assert!(observe("deleted").await.is_none());
        let condition = async |state| observe(state).await.unwrap().condition;
        assert_eq!(condition("deleting").await, Condition::Deleting);
        assert!(matches!(condition("failed").await, Condition::Failed(_)));
        assert!(matches!(condition("pending").await, Condition::Pending(_)));
    }

    #[tokio::test]
    async fn create_carries_token_tags_and_tables() {
        let rule = mock!(Client::create_vpc_endpoint)
            .match_requests(|r| {
                r.client_token() == Some("token-1")
                    && r.vpc_endpoint_type() == Some(&VpcEndpointType::Gateway)
                    && r.route_table_ids().len() == 3
                    && tags_of(r.tag_specifications()[0].tags()) == tags(NODE)
            })
            .then_output(|| {
                CreateVpcEndpointOutput::builder()
                    .vpc_endpoint(in_aws("pending", &[]))
                    .build()
            });
        let mut scope = scope(NODE);
        scope.token = Some("token-1".into());
        let outputs = VpcEndpoint::create(&mocked(&[&rule]), &scope, &want()).await;
        assert_eq!(&*outputs.unwrap().id, "vpce-1");
    }

    #[tokio::test]
    async fn update_adds_and_removes_only_the_tables_that_differ() {
        let rule = mock!(Client::modify_vpc_endpoint)
            .match_requests(|r| {
                r.add_route_table_ids() == ["rtb-2"] && r.remove_route_table_ids() == ["rtb-9"]
            })
            .then_output(|| ModifyVpcEndpointOutput::builder().build());
        let aws = mocked(&[&rule]);
        let live = live(
            in_aws("available", &["rtb-1", "rtb-9", "rtb-3"]),
            &want().route_tables,
        )
        .unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        VpcEndpoint::update(&aws, &scope(NODE), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn a_refusal_inside_a_successful_answer_is_an_error_unless_it_is_gone() {
        for (code, fine) in [
            ("InvalidVpcEndpoint.NotFound", true),
            ("InvalidParameter", false),
        ] {
            let rule = mock!(Client::delete_vpc_endpoints).then_output(move || {
                let error = UnsuccessfulItemError::builder().code(code).message("no");
                let item = UnsuccessfulItem::builder().error(error.build());
                DeleteVpcEndpointsOutput::builder()
                    .unsuccessful(item.build())
                    .build()
            });
            let live = live(in_aws("available", &[]), &want().route_tables).unwrap();
            let done = VpcEndpoint::delete(&mocked(&[&rule]), &scope(NODE), &live).await;
            assert_eq!(
                done.err().map(|e| e.code().map(str::to_owned)),
                (!fine).then(|| Some(code.to_owned()))
            );
        }
    }
}
