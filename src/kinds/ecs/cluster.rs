//! `ecs/cluster`: the cluster, with its capacity providers and Container Insights.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::{Cluster as AwsCluster, ClusterField, ClusterSetting, ClusterSettingName};
use serde::{Deserialize, Serialize};

use super::capacity::{self, CapacityProviderStrategyItem};
use super::{ClusterArn, change_tags, tag_on_create, tags_of};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resource, Result, Scope, Stage,
    Tags, Times, outputs,
};
use crate::service::only_missing;

/// An `AWS::ECS::Cluster`.
pub struct Cluster;

/// The settings of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Its name, one per account and region.
    pub name: String,
    /// What CloudWatch Container Insights records about it.
    pub container_insights: ContainerInsights,
    /// The capacity providers its services may use.
    pub capacity_providers: BTreeSet<String>,
    /// How tasks are shared out when a service does not say.
    pub default_strategy: BTreeSet<CapacityProviderStrategyItem>,
    /// Its tags.
    pub tags: Tags,
}

/// The values of the cluster setting `containerInsights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerInsights {
    /// Metrics of cluster, services and tasks.
    Enabled,
    /// Nothing.
    Disabled,
    /// Metrics down to the container.
    Enhanced,
}

impl ContainerInsights {
    fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Enhanced => "enhanced",
        }
    }

    fn setting(self) -> ClusterSetting {
        ClusterSetting::builder()
            .name(ClusterSettingName::ContainerInsights)
            .value(self.as_str())
            .build()
    }
}

outputs! { Cluster =>
    /// What AWS gives a cluster.
    ClusterOutputs {
        /// The cluster's ARN.
        arn: ClusterArn,
        /// The cluster's name.
        name: String,
    }
}

impl Resource for Cluster {
    const KIND: &'static str = "ecs/cluster";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["ecs:DescribeClusters"],
        create: &["ecs:CreateCluster", "ecs:TagResource"],
        update: &[
            "ecs:UpdateCluster",
            "ecs:PutClusterCapacityProviders",
            "ecs:TagResource",
            "ecs:UntagResource",
        ],
        delete: &["ecs:DeleteCluster"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const TIMES: Times = Times::typical(5, 5);
    // Field guide, section 4, "Cluster" and "Capacity providers".
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidParameterException", 120)
            .saying("Unable to assume the service linked role"),
        // One of this name is still going.
        Refusal::create("ClientException", 600).saying("Cluster was not ACTIVE"),
        Refusal::update("ResourceInUseException", 600),
        Refusal::update("UpdateInProgressException", 600),
        Refusal::update("ClientException", 600).saying("Cluster was not ACTIVE"),
        Refusal::delete("ClusterContainsServicesException", 600),
        Refusal::delete("ClusterContainsTasksException", 600),
        Refusal::delete("ClusterContainsContainerInstancesException", 600),
        Refusal::delete("UpdateInProgressException", 600),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ClusterSpec;
    type Outputs = ClusterOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &ClusterSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let key = format!("ecs:DescribeClusters {name}");
        let found = aws.read_once(&key, describe(aws, name)).await?;
        (*found).as_ref().and_then(live).transpose()
    }

    async fn create(aws: &Aws, _scope: &Scope, want: &ClusterSpec) -> Result<ClusterOutputs> {
        // The capacity providers go into this call; a second one would find the cluster busy.
        let strategy = capacity::to_aws("ecs:CreateCluster", &want.default_strategy)?;
        let answer = aws
            .ecs
            .create_cluster()
            .cluster_name(&want.name)
            .settings(want.container_insights.setting())
            .set_capacity_providers(Some(want.capacity_providers.iter().cloned().collect()))
            .set_default_capacity_provider_strategy(strategy)
            .set_tags(tag_on_create(&want.tags))
            .send()
            .await
            .of("ecs:CreateCluster")?;
        let arn = answer.cluster().and_then(AwsCluster::cluster_arn);
        Ok(ClusterOutputs {
            arn: arn
                .ok_or_else(missing("ecs:CreateCluster", "clusterArn"))?
                .into(),
            name: want.name.clone(),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ClusterSpec,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("container_insights") {
            aws.ecs
                .update_cluster()
                .cluster(&live.outputs.name)
                .settings(want.container_insights.setting())
                .send()
                .await
                .of("ecs:UpdateCluster")?;
        }
        if changes.touch_any(&["capacity_providers", "default_strategy"]) {
            const OPERATION: &str = "ecs:PutClusterCapacityProviders";
            aws.ecs
                .put_cluster_capacity_providers()
                .cluster(&live.outputs.name)
                .set_capacity_providers(Some(want.capacity_providers.iter().cloned().collect()))
                .set_default_capacity_provider_strategy(capacity::to_aws(
                    OPERATION,
                    &want.default_strategy,
                )?)
                .send()
                .await
                .of(OPERATION)?;
        }
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ecs
            .delete_cluster()
            .cluster(&live.outputs.name)
            .send()
            .await
            .of("ecs:DeleteCluster")
            .gone_is_fine(&["ClusterNotFoundException"])
    }
}

async fn describe(aws: &Aws, name: &str) -> Result<Option<AwsCluster>> {
    let answer = aws
        .ecs
        .describe_clusters()
        .clusters(name)
        .include(ClusterField::Tags)
        .include(ClusterField::Settings)
        .include(ClusterField::Configurations)
        .send()
        .await
        .of("ecs:DescribeClusters")?;
    let found = answer.clusters().first().cloned();
    if found.is_none() {
        only_missing("ecs:DescribeClusters", answer.failures())?;
    }
    Ok(found)
}

/// Maps a cluster; a deleted one stays as an `INACTIVE` tombstone (field guide, section 4).
fn live(cluster: &AwsCluster) -> Option<Result<Live<Cluster>>> {
    let condition = match cluster.status().unwrap_or_default() {
        "INACTIVE" => return None,
        "DEPROVISIONING" => Condition::Deleting,
        "FAILED" => Condition::Failed("its capacity providers could not be set up".into()),
        status => Condition::from_status(status, &["ACTIVE"]),
    };
    Some(mapped(cluster, condition))
}

fn mapped(cluster: &AwsCluster, condition: Condition) -> Result<Live<Cluster>> {
    let field = |name| missing("ecs:DescribeClusters", name);
    let name = cluster.cluster_name().ok_or_else(field("clusterName"))?;
    let insights = cluster
        .settings()
        .iter()
        .find(|setting| setting.name() == Some(&ClusterSettingName::ContainerInsights))
        .and_then(ClusterSetting::value);
    Ok(Live {
        outputs: ClusterOutputs {
            arn: cluster
                .cluster_arn()
                .ok_or_else(field("clusterArn"))?
                .into(),
            name: name.to_owned(),
        },
        spec: ClusterSpec {
            name: name.to_owned(),
            container_insights: match insights {
                Some("enabled") => ContainerInsights::Enabled,
                Some("enhanced") => ContainerInsights::Enhanced,
                _ => ContainerInsights::Disabled,
            },
            capacity_providers: cluster.capacity_providers().iter().cloned().collect(),
            default_strategy: capacity::from_aws(cluster.default_capacity_provider_strategy()),
            tags: tags_of(cluster.tags()),
        },
        condition,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_clusters::DescribeClustersOutput;
    use aws_sdk_ecs::operation::put_cluster_capacity_providers::PutClusterCapacityProvidersOutput;
    use aws_sdk_ecs::types::{CapacityProviderStrategyItem as AwsItem, Failure, Tag};
    use aws_smithy_mocks::mock;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, diff};

    fn item(capacity_provider: &str) -> CapacityProviderStrategyItem {
        CapacityProviderStrategyItem {
            capacity_provider: capacity_provider.into(),
            weight: 1,
            base: 0,
        }
    }

    fn want() -> ClusterSpec {
        ClusterSpec {
            name: "order-api-dev".into(),
            container_insights: ContainerInsights::Enabled,
            capacity_providers: ["FARGATE".into(), "FARGATE_SPOT".into()].into(),
            default_strategy: [item("FARGATE"), item("FARGATE_SPOT")].into(),
            tags: Tags::from_pairs([(NODE_TAG, "ecs-cluster")]),
        }
    }

    fn in_aws(status: &str) -> AwsCluster {
        let item = |name| AwsItem::builder().capacity_provider(name).weight(1).build();
        AwsCluster::builder()
            .cluster_name("order-api-dev")
            .cluster_arn("arn:aws:ecs:us-east-1:123456789012:cluster/order-api-dev")
            .status(status)
            .settings(ContainerInsights::Enabled.setting())
            .capacity_providers("FARGATE_SPOT")
            .capacity_providers("FARGATE")
            .default_capacity_provider_strategy(item("FARGATE_SPOT").unwrap())
            .default_capacity_provider_strategy(item("FARGATE").unwrap())
            .tags(Tag::builder().key(NODE_TAG).value("ecs-cluster").build())
            .build()
    }

    async fn observed(answer: DescribeClustersOutput) -> Result<Option<Live<Cluster>>> {
        let rule = mock!(Client::describe_clusters)
            .match_requests(|r| r.clusters() == ["order-api-dev"] && r.include().len() == 3)
            .then_output(move || answer.clone());
        Cluster::observe(&mocked(&[&rule]), &scope("ecs-cluster"), &want(), None).await
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_whatever_the_order() {
        let answer = DescribeClustersOutput::builder().clusters(in_aws("ACTIVE"));
        let live = observed(answer.build()).await.unwrap().unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.name, "order-api-dev");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn a_missing_cluster_and_an_inactive_tombstone_are_gone() {
        let failure = Failure::builder().reason("MISSING").build();
        let missing = DescribeClustersOutput::builder().failures(failure).build();
        assert!(observed(missing).await.unwrap().is_none());
        let tombstone = DescribeClustersOutput::builder().clusters(in_aws("INACTIVE"));
        assert!(observed(tombstone.build()).await.unwrap().is_none());
        let going = DescribeClustersOutput::builder().clusters(in_aws("DEPROVISIONING"));
        let going = observed(going.build()).await.unwrap().unwrap();
        assert_eq!(going.condition, Condition::Deleting);
    }

    #[tokio::test]
    async fn a_changed_strategy_replaces_the_whole_set_and_nothing_else() {
        let put = mock!(Client::put_cluster_capacity_providers)
            .match_requests(|r| {
                r.capacity_providers() == ["FARGATE", "FARGATE_SPOT"]
                    && r.default_capacity_provider_strategy().len() == 1
                    && r.default_capacity_provider_strategy()[0].capacity_provider() == "FARGATE"
            })
            .then_output(|| PutClusterCapacityProvidersOutput::builder().build());
        let aws = mocked(&[&put]);
        let live = mapped(&in_aws("ACTIVE"), Condition::Ready).unwrap();
        let want = ClusterSpec {
            default_strategy: [item("FARGATE")].into(),
            ..want()
        };
        let changes = diff(&json!(want), &json!(live.spec), None);
        Cluster::update(&aws, &scope("ecs-cluster"), &live, &want, &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }
}
