//! `ec2/security_group`: a group of network interfaces that share rules. The rules are nodes of
//! their own, so that two groups can name each other.

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, ResourceType, SecurityGroup as AwsSecurityGroup, Tag,
};
use serde::{Deserialize, Serialize};

use super::interfaces::{self, Held};
use super::{
    Described, SecurityGroupId, VpcId, all_pages, change_tags, find, narrowed, swept,
    tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result,
    Scope, Stage, Tags, UNKNOWN, outputs,
};

/// An `AWS::EC2::SecurityGroup`.
pub struct SecurityGroup;

/// The settings of a security group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SecurityGroupSpec<S: Stage> {
    /// The VPC it is part of.
    pub vpc: S::In<VpcId>,
    /// Its name, unique in the VPC.
    pub name: String,
    /// What it is for. AWS never changes it.
    pub description: String,
    /// Whether everything may go out: the rule AWS puts into every new group.
    pub default_egress: bool,
    /// Its tags.
    pub tags: Tags,
}

outputs! { SecurityGroup =>
    /// What AWS gives a security group.
    SecurityGroupOutputs {
        /// The group's id.
        id: SecurityGroupId,
    }
}

/// All protocols, all ports.
const ALL: &str = "-1";
/// All addresses.
const ANYWHERE: &str = "0.0.0.0/0";

impl Resource for SecurityGroup {
    const KIND: &'static str = "ec2/security_group";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeSecurityGroups"],
        create: &["ec2:CreateSecurityGroup", "ec2:CreateTags"],
        update: &[
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:CreateTags",
            "ec2:DeleteTags",
        ],
        delete: &[
            "ec2:DeleteSecurityGroup",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DeleteNetworkInterface",
        ],
    };
    const REPLACE_ON: &'static [&'static str] = &["vpc", "name", "description"];
    // Field guide, section 2: interfaces of load balancers, databases and tasks outlive them.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidVpcID.NotFound", 300),
        Refusal::update("InvalidGroup.NotFound", 300),
        Refusal::delete("DependencyViolation", 900),
        Refusal::delete("InvalidGroup.InUse", 900),
    ];
    type Api = Aws;
    type Spec<S: Stage> = SecurityGroupSpec<S>;
    type Outputs = SecurityGroupOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &SecurityGroupSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        let mut found = find::<AwsSecurityGroup>(aws, scope, known).await?;
        if found.is_none() && known.is_none() && &*want.vpc != UNKNOWN {
            // Its name may be taken, by a group that its tags will show to be another's.
            let all = narrowed::<AwsSecurityGroup>(aws, "vpc-id", &want.vpc).await?;
            found = all
                .iter()
                .find(|group| is_named(group, &want.name))
                .cloned();
        }
        found.map(live).transpose()
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &SecurityGroupSpec<Resolved>,
    ) -> Result<SecurityGroupOutputs> {
        let answer = aws
            .ec2
            .create_security_group()
            .vpc_id(&*want.vpc)
            .group_name(&want.name)
            .description(&want.description)
            .tag_specifications(tag_on_create(ResourceType::SecurityGroup, &want.tags))
            .send()
            .await
            .of("ec2:CreateSecurityGroup")?;
        let id = answer.group_id();
        let id = id.ok_or_else(missing("ec2:CreateSecurityGroup", "GroupId"))?;
        Ok(SecurityGroupOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &SecurityGroupSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let id = &live.outputs.id;
        if changes.touch("default_egress") {
            let everything = IpPermission::builder()
                .ip_protocol(ALL)
                .ip_ranges(IpRange::builder().cidr_ip(ANYWHERE).build())
                .build();
            if want.default_egress {
                aws.ec2
                    .authorize_security_group_egress()
                    .group_id(&**id)
                    .ip_permissions(everything)
                    .send()
                    .await
                    .of("ec2:AuthorizeSecurityGroupEgress")
                    .gone_is_fine(&["InvalidPermission.Duplicate"])?;
            } else {
                aws.ec2
                    .revoke_security_group_egress()
                    .group_id(&**id)
                    .ip_permissions(everything)
                    .send()
                    .await
                    .of("ec2:RevokeSecurityGroupEgress")
                    .gone_is_fine(&["InvalidPermission.NotFound"])?;
            }
        }
        if changes.touch("tags") {
            change_tags(aws, id, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ec2
            .delete_security_group()
            .group_id(&*live.outputs.id)
            .send()
            .await
            .of("ec2:DeleteSecurityGroup")
            .gone_is_fine(&["InvalidGroup.NotFound"])
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        _known: &[SecurityGroupSpec<Resolved>],
    ) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, live).await
    }

    async fn make_way(aws: &Aws, scope: &Scope, live: &Live<Self>) -> Result<Vec<String>> {
        let id = &*live.outputs.id;
        let mut users = interfaces::make_way(aws, scope, Held::SecurityGroup(id)).await?;
        // A rule of another group holds it too.
        let filter = "ip-permission.group-id";
        let groups = narrowed::<AwsSecurityGroup>(aws, filter, id).await?;
        let others = groups.iter().filter(|group| group.group_id() != Some(id));
        users.extend(others.filter_map(|group| {
            let name = group.group_name().unwrap_or_default();
            Some(format!(
                "a rule of security group {} ({name})",
                group.group_id()?
            ))
        }));
        Ok(users)
    }
}

impl Described for AwsSecurityGroup {
    const OPERATION: &'static str = "ec2:DescribeSecurityGroups";
    const ID_FILTER: &'static str = "group-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.group_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_security_groups().set_filters(filters))
    }
}

/// Compares names as AWS does when it refuses a second group (field guide, section 2).
fn is_named(group: &AwsSecurityGroup, name: &str) -> bool {
    group
        .group_name()
        .is_some_and(|found| found.eq_ignore_ascii_case(name))
}

/// Says whether a rule is the one AWS puts into new groups. A rule for one port, even to all
/// addresses, is not.
fn lets_everything_through(rule: &IpPermission) -> bool {
    let mut ranges = rule.ip_ranges().iter();
    rule.ip_protocol() == Some(ALL) && ranges.any(|range| range.cidr_ip() == Some(ANYWHERE))
}

fn live(group: AwsSecurityGroup) -> Result<Live<SecurityGroup>> {
    let field = |name| missing(AwsSecurityGroup::OPERATION, name);
    let mut egress = group.ip_permissions_egress().iter();
    Ok(Live {
        outputs: SecurityGroupOutputs {
            id: group.group_id().ok_or_else(field("GroupId"))?.into(),
        },
        spec: SecurityGroupSpec {
            vpc: group.vpc_id().ok_or_else(field("VpcId"))?.into(),
            name: group
                .group_name()
                .ok_or_else(field("GroupName"))?
                .to_owned(),
            description: group.description().unwrap_or_default().to_owned(),
            default_egress: egress.any(lets_everything_through),
            tags: tags_of(group.tags()),
        },
        condition: Condition::Ready,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
    use aws_sdk_ec2::operation::revoke_security_group_egress::RevokeSecurityGroupEgressOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};
    use crate::resource::diff;

    const NODE: &str = "task-security-group";

    fn want() -> SecurityGroupSpec<Resolved> {
        SecurityGroupSpec {
            vpc: "vpc-1".into(),
            name: "ecs-sg-dev".into(),
            description: "Tasks of order-api-dev".into(),
            default_egress: false,
            tags: tags(NODE),
        }
    }

    fn egress(protocol: &str, ports: Option<i32>) -> IpPermission {
        IpPermission::builder()
            .ip_protocol(protocol)
            .set_from_port(ports)
            .set_to_port(ports)
            .ip_ranges(IpRange::builder().cidr_ip(ANYWHERE).build())
            .build()
    }

    fn in_aws(rule: IpPermission) -> AwsSecurityGroup {
        AwsSecurityGroup::builder()
            .group_id("sg-1")
            .vpc_id("vpc-1")
            .group_name("ecs-sg-dev")
            .description("Tasks of order-api-dev")
            .owner_id("123456789012")
            .ip_permissions_egress(rule)
            .set_tags(aws_tags(NODE))
            .build()
    }

    fn groups(filter: &'static str, group: Option<AwsSecurityGroup>) -> Rule {
        mock!(Client::describe_security_groups)
            .match_requests(move |r| r.filters()[0].name() == Some(filter))
            .then_output(move || {
                DescribeSecurityGroupsOutput::builder()
                    .set_security_groups(Some(group.iter().cloned().collect()))
                    .build()
            })
    }

    const OURS: &str = "tag:orderctl:stack";

    async fn observe(rules: &[&Rule]) -> Option<Live<SecurityGroup>> {
        SecurityGroup::observe(&mocked(rules), &scope(NODE), &want(), None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_https_to_anywhere_is_not_the_default_egress() {
        let group = in_aws(egress("tcp", Some(443)));
        let live = observe(&[&groups(OURS, Some(group))]).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "sg-1");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[tokio::test]
    async fn the_default_egress_of_a_new_group_is_revoked() {
        let live = live(in_aws(egress(ALL, None))).unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.names(), ["default_egress"]);
        let revoke = mock!(Client::revoke_security_group_egress)
            .match_requests(|r| {
                r.group_id() == Some("sg-1") && r.ip_permissions() == [egress(ALL, None)]
            })
            .then_output(|| RevokeSecurityGroupEgressOutput::builder().build());
        let aws = mocked(&[&revoke]);
        SecurityGroup::update(&aws, &scope(NODE), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn another_group_of_the_name_is_shown_with_its_own_tags() {
        let ours = groups(OURS, None);
        let mut foreign = in_aws(egress(ALL, None));
        foreign.group_name = Some("ECS-SG-dev".into());
        foreign.tags = None;
        let live = observe(&[&ours, &groups("vpc-id", Some(foreign))])
            .await
            .unwrap();
        assert!(!live.spec.tags.belong_to(&scope(NODE)));
    }

    #[tokio::test]
    async fn a_group_of_a_vpc_that_is_not_made_yet_is_none_without_asking_for_its_name() {
        let want = SecurityGroupSpec {
            vpc: UNKNOWN.into(),
            ..want()
        };
        let aws = mocked(&[&groups(OURS, None)]);
        let live = SecurityGroup::observe(&aws, &scope(NODE), &want, None).await;
        assert!(live.unwrap().is_none());
        assert_eq!(aws.calls().reads(), 1);
    }

    #[tokio::test]
    async fn a_recorded_group_that_is_gone_is_none_even_if_the_name_is_taken_again() {
        let mut other = in_aws(egress(ALL, None));
        other.group_id = Some("sg-2".into());
        let rules = [groups(OURS, Some(other)), groups("group-id", None)];
        let last = Last {
            outputs: SecurityGroupOutputs { id: "sg-1".into() },
            spec: want(),
        };
        let aws = mocked(&[&rules[0], &rules[1]]);
        let live = SecurityGroup::observe(&aws, &scope(NODE), &want(), Some(&last)).await;
        assert!(live.unwrap().is_none());
    }
}
