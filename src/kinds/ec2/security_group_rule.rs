//! `ec2/security_group_rule`: who may talk to a security group, or to whom it may talk.

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, ResourceType, SecurityGroupRule as AwsRule,
    SecurityGroupRuleRequest, SecurityGroupRuleUpdate, Tag, UserIdGroupPair,
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Described, SecurityGroupId, SecurityGroupRuleId, all_pages, change_tags, find, narrowed, swept,
    tag_on_create, tags_of,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Resolved,
    Resource, Result, Scope, Stage, Tags, UNKNOWN, outputs,
};

/// An `AWS::EC2::SecurityGroupIngress` or `AWS::EC2::SecurityGroupEgress` for one port.
pub struct SecurityGroupRule;

/// The settings of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SecurityGroupRuleSpec<S: Stage> {
    /// The group it belongs to.
    pub security_group: S::In<SecurityGroupId>,
    /// Which way it is for.
    pub direction: Direction,
    /// The protocol, `tcp`.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// The other side.
    pub peer: Peer<S>,
    /// What it is for.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
}

/// Which way a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the group.
    Ingress,
    /// Out of the group.
    Egress,
}

/// The other side of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", rename_all = "snake_case")]
pub enum Peer<S: Stage> {
    /// An address range.
    Cidr(Ipv4Net),
    /// The members of a security group.
    Group(S::In<SecurityGroupId>),
    /// Another thing; only ever read, so that a rule changed by hand shows up as a difference.
    Other(String),
}

outputs! { SecurityGroupRule =>
    /// What AWS gives a rule.
    SecurityGroupRuleOutputs {
        /// The rule's id.
        id: SecurityGroupRuleId,
    }
}

impl Resource for SecurityGroupRule {
    const KIND: &'static str = "ec2/security_group_rule";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &["ec2:DescribeSecurityGroupRules"],
        create: &[
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:CreateTags",
        ],
        update: &[
            "ec2:ModifySecurityGroupRules",
            "ec2:CreateTags",
            "ec2:DeleteTags",
        ],
        delete: &[
            "ec2:RevokeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
        ],
    };
    const REPLACE_ON: &'static [&'static str] =
        &["security_group", "direction", "protocol", "port", "peer"];
    // Field guide, section 2.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("InvalidGroup.NotFound", 300),
        Refusal::update("InvalidGroup.NotFound", 300),
        Refusal::update("InvalidSecurityGroupRuleId.NotFound", 300),
    ];
    type Api = Aws;
    type Spec<S: Stage> = SecurityGroupRuleSpec<S>;
    type Outputs = SecurityGroupRuleOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &SecurityGroupRuleSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map(|last| &*last.outputs.id);
        if let Some(rule) = find::<AwsRule>(aws, scope, known).await? {
            return live(&rule, Some(want.port)).map(Some);
        }
        if known.is_some() || &*want.security_group == UNKNOWN {
            return Ok(None);
        }
        // AWS refuses a second rule of the same content; its tags will show whose it is.
        let group = &want.security_group;
        for rule in narrowed::<AwsRule>(aws, "group-id", group).await?.iter() {
            let live = live(rule, Some(want.port))?;
            if same_content(&live.spec, want) {
                return Ok(Some(live));
            }
        }
        Ok(None)
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &SecurityGroupRuleSpec<Resolved>,
    ) -> Result<SecurityGroupRuleOutputs> {
        let group = &*want.security_group;
        let tags = tag_on_create(ResourceType::SecurityGroupRule, &want.tags);
        let permission = permission(want)?;
        let (operation, rules) = match want.direction {
            Direction::Ingress => {
                let operation = "ec2:AuthorizeSecurityGroupIngress";
                let call = aws.ec2.authorize_security_group_ingress().group_id(group);
                let call = call.ip_permissions(permission).tag_specifications(tags);
                let answer = call.send().await.of(operation)?;
                (operation, answer.security_group_rules)
            }
            Direction::Egress => {
                let operation = "ec2:AuthorizeSecurityGroupEgress";
                let call = aws.ec2.authorize_security_group_egress().group_id(group);
                let call = call.ip_permissions(permission).tag_specifications(tags);
                let answer = call.send().await.of(operation)?;
                (operation, answer.security_group_rules)
            }
        };
        let rules = rules.unwrap_or_default();
        let id = rules.first().and_then(AwsRule::security_group_rule_id);
        let id = id.ok_or_else(missing(operation, "SecurityGroupRuleId"))?;
        Ok(SecurityGroupRuleOutputs { id: id.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &SecurityGroupRuleSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        let id = &live.outputs.id;
        if changes.touch("description") {
            let update = SecurityGroupRuleUpdate::builder()
                .security_group_rule_id(&**id)
                .security_group_rule(whole_rule(want)?);
            aws.ec2
                .modify_security_group_rules()
                .group_id(&*live.spec.security_group)
                .security_group_rules(update.build())
                .send()
                .await
                .of("ec2:ModifySecurityGroupRules")?;
        }
        if changes.touch("tags") {
            change_tags(aws, id, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        let group = &*live.spec.security_group;
        let id = &*live.outputs.id;
        let revoked = match live.spec.direction {
            Direction::Ingress => {
                let call = aws.ec2.revoke_security_group_ingress().group_id(group);
                let answer = call.security_group_rule_ids(id).send().await;
                answer.of("ec2:RevokeSecurityGroupIngress").map(|_| ())
            }
            Direction::Egress => {
                let call = aws.ec2.revoke_security_group_egress().group_id(group);
                let answer = call.security_group_rule_ids(id).send().await;
                answer.of("ec2:RevokeSecurityGroupEgress").map(|_| ())
            }
        };
        revoked.gone_is_fine(&[
            "InvalidSecurityGroupRuleId.NotFound",
            "InvalidPermission.NotFound",
            "InvalidGroup.NotFound",
        ])
    }

    async fn sweep(aws: &Aws, scope: &Scope, _known: &[Plain]) -> Result<Vec<Live<Self>>> {
        swept(aws, scope, |rule: AwsRule| live(&rule, None)).await
    }
}

impl Described for AwsRule {
    const OPERATION: &'static str = "ec2:DescribeSecurityGroupRules";
    const ID_FILTER: &'static str = "security-group-rule-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.security_group_rule_id(), self.tags())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_security_group_rules().set_filters(filters))
    }
}

/// A rule without references.
type Plain = SecurityGroupRuleSpec<Resolved>;

fn same_content(one: &Plain, other: &Plain) -> bool {
    let content = |rule: &Plain| (rule.direction, rule.protocol.clone(), rule.port);
    content(one) == content(other) && one.peer == other.peer
}

/// The rule as Authorize calls take it.
fn permission(rule: &Plain) -> Result<IpPermission> {
    let permission = IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .from_port(rule.port.into())
        .to_port(rule.port.into());
    let permission = match &rule.peer {
        Peer::Cidr(cidr) => {
            let range = IpRange::builder().cidr_ip(cidr.to_string());
            permission.ip_ranges(range.description(&rule.description).build())
        }
        Peer::Group(id) => {
            let group = UserIdGroupPair::builder().group_id(&**id);
            permission.user_id_group_pairs(group.description(&rule.description).build())
        }
        Peer::Other(text) => return Err(not_to_be_made(text)),
    };
    Ok(permission.build())
}

/// The rule as ModifySecurityGroupRules takes it, which wants all of it for any change.
fn whole_rule(rule: &Plain) -> Result<SecurityGroupRuleRequest> {
    let request = SecurityGroupRuleRequest::builder()
        .ip_protocol(&rule.protocol)
        .from_port(rule.port.into())
        .to_port(rule.port.into())
        .description(&rule.description);
    let request = match &rule.peer {
        Peer::Cidr(cidr) => request.cidr_ipv4(cidr.to_string()),
        Peer::Group(id) => request.referenced_group_id(&**id),
        Peer::Other(text) => return Err(not_to_be_made(text)),
    };
    Ok(request.build())
}

fn not_to_be_made(peer: &str) -> Error {
    let message = format!("no rule can be made for {peer}");
    Error::new(SecurityGroupRule::KIND, Class::Refused, message)
        .with_advice("declare an IPv4 range or a security group as the other side")
}

fn live(rule: &AwsRule, port: Option<u16>) -> Result<Live<SecurityGroupRule>> {
    let field = |name| missing(AwsRule::OPERATION, name);
    let id = rule.security_group_rule_id();
    let direction = match rule.is_egress().ok_or_else(field("IsEgress"))? {
        true => Direction::Egress,
        false => Direction::Ingress,
    };
    Ok(Live {
        outputs: SecurityGroupRuleOutputs {
            id: id.ok_or_else(field("SecurityGroupRuleId"))?.into(),
        },
        spec: SecurityGroupRuleSpec {
            security_group: rule.group_id().ok_or_else(field("GroupId"))?.into(),
            direction,
            protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
            port: port_of(rule, port),
            peer: peer_of(rule),
            description: rule.description().unwrap_or_default().to_owned(),
            tags: tags_of(rule.tags()),
        },
        condition: Condition::Ready,
    })
}

/// Reads the port. Of a range, which only somebody else's hand makes, the end that is not wanted
/// is given, so that it shows up as a difference; 0 stands for all ports.
fn port_of(rule: &AwsRule, wanted: Option<u16>) -> u16 {
    let port = |number: Option<i32>| number.and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let (from, to) = (port(rule.from_port()), port(rule.to_port()));
    if Some(from) == wanted { to } else { from }
}

fn peer_of(rule: &AwsRule) -> Peer<Resolved> {
    let range = rule.cidr_ipv4();
    if let Some(cidr) = range.and_then(|text| text.parse().ok()) {
        return Peer::Cidr(cidr);
    }
    let group = rule.referenced_group_info();
    if let Some(id) = group.and_then(|group| group.group_id()) {
        return Peer::Group(id.into());
    }
    let other = range.or(rule.cidr_ipv6()).or(rule.prefix_list_id());
    Peer::Other(other.unwrap_or("an unknown peer").to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::authorize_security_group_ingress::AuthorizeSecurityGroupIngressOutput;
    use aws_sdk_ec2::operation::describe_security_group_rules::DescribeSecurityGroupRulesOutput;
    use aws_sdk_ec2::operation::modify_security_group_rules::ModifySecurityGroupRulesOutput;
    use aws_sdk_ec2::operation::revoke_security_group_egress::{
        RevokeSecurityGroupEgressError, RevokeSecurityGroupEgressOutput,
    };
    use aws_sdk_ec2::types::ReferencedSecurityGroup;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::{aws_tags, tags};
    use crate::resource::diff;

    const NODE: &str = "task-egress-database";
    const OURS: &str = "tag:orderctl:stack";

    fn want() -> Plain {
        SecurityGroupRuleSpec {
            security_group: "sg-1".into(),
            direction: Direction::Egress,
            protocol: "tcp".into(),
            port: 3306,
            peer: Peer::Group("sg-2".into()),
            description: "Database".into(),
            tags: tags(NODE),
        }
    }

    fn in_aws() -> AwsRule {
        let group = ReferencedSecurityGroup::builder().group_id("sg-2");
        AwsRule::builder()
            .security_group_rule_id("sgr-1")
            .group_id("sg-1")
            .is_egress(true)
            .ip_protocol("tcp")
            .from_port(3306)
            .to_port(3306)
            .referenced_group_info(group.build())
            .description("Database")
            .set_tags(aws_tags(NODE))
            .build()
    }

    fn rules(filter: &'static str, found: Vec<AwsRule>) -> Rule {
        mock!(Client::describe_security_group_rules)
            .match_requests(move |r| r.filters()[0].name() == Some(filter))
            .then_output(move || {
                DescribeSecurityGroupRulesOutput::builder()
                    .set_security_group_rules(Some(found.clone()))
                    .build()
            })
    }

    async fn observe(answers: &[&Rule]) -> Option<Live<SecurityGroupRule>> {
        SecurityGroupRule::observe(&mocked(answers), &scope(NODE), &want(), None)
            .await
            .unwrap()
    }

    fn changed(rule: &AwsRule) -> Vec<String> {
        let live = live(rule, Some(want().port)).unwrap();
        diff(&json!(want()), &json!(live.spec), None).names()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back() {
        let live = observe(&[&rules(OURS, vec![in_aws()])]).await.unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(&*live.outputs.id, "sgr-1");
        assert_eq!(live.condition, Condition::Ready);
    }

    #[test]
    fn what_somebody_changed_by_hand_shows_up_in_the_field_it_belongs_to() {
        assert_eq!(changed(&in_aws()), [""; 0]);
        for (from, to) in [(3306, 3310), (3300, 3306), (3300, 3310), (-1, -1)] {
            let mut rule = in_aws();
            (rule.from_port, rule.to_port) = (Some(from), Some(to));
            assert_eq!(changed(&rule), ["port"], "{from}-{to}");
        }
        let mut rule = in_aws();
        rule.referenced_group_info = None;
        rule.cidr_ipv6 = Some("::/0".into());
        assert_eq!(changed(&rule), ["peer"]);
    }

    #[tokio::test]
    async fn a_rule_of_the_same_content_without_our_tags_is_found_in_its_group() {
        let mut untagged = in_aws();
        untagged.tags = None;
        let mut another = untagged.clone();
        another.is_egress = Some(false);
        another.security_group_rule_id = Some("sgr-0".into());
        let group = rules("group-id", vec![another.clone(), untagged]);
        let live = observe(&[&rules(OURS, vec![]), &group]).await.unwrap();
        assert_eq!(&*live.outputs.id, "sgr-1");
        assert!(!live.spec.tags.belong_to(&scope(NODE)));
        let group = rules("group-id", vec![another]);
        assert!(observe(&[&rules(OURS, vec![]), &group]).await.is_none());
    }

    #[tokio::test]
    async fn a_gone_rule_and_one_of_a_group_not_made_yet_are_none_without_looking_into_the_group() {
        let last = Last {
            outputs: SecurityGroupRuleOutputs { id: "sgr-9".into() },
            spec: want(),
        };
        let mut early = want();
        early.security_group = UNKNOWN.into();
        for (want, last) in [(want(), Some(&last)), (early, None)] {
            let answers = [rules(OURS, vec![]), rules("security-group-rule-id", vec![])];
            let aws = mocked(&[&answers[0], &answers[1]]);
            let live = SecurityGroupRule::observe(&aws, &scope(NODE), &want, last).await;
            assert!(live.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn the_authorize_call_carries_content_and_tags() {
        let want = SecurityGroupRuleSpec {
            direction: Direction::Ingress,
            port: 443,
            peer: Peer::Cidr("0.0.0.0/0".parse().unwrap()),
            ..want()
        };
        let rule = mock!(Client::authorize_security_group_ingress)
            .match_requests(|r| {
                r.group_id() == Some("sg-1")
                    && r.ip_permissions()[0].ip_ranges()[0].description() == Some("Database")
                    && r.ip_permissions()[0].ip_ranges()[0].cidr_ip() == Some("0.0.0.0/0")
                    && r.ip_permissions()[0].from_port() == Some(443)
                    && r.ip_permissions()[0].to_port() == Some(443)
                    && tags_of(r.tag_specifications()[0].tags()) == tags(NODE)
            })
            .then_output(|| {
                AuthorizeSecurityGroupIngressOutput::builder()
                    .security_group_rules(in_aws())
                    .build()
            });
        let outputs = SecurityGroupRule::create(&mocked(&[&rule]), &scope(NODE), &want).await;
        assert_eq!(&*outputs.unwrap().id, "sgr-1");
    }

    #[tokio::test]
    async fn a_new_description_is_the_only_thing_update_sends() {
        let modify = mock!(Client::modify_security_group_rules)
            .match_requests(|r| {
                let update = &r.security_group_rules()[0];
                let rule = update.security_group_rule().unwrap();
                r.group_id() == Some("sg-1")
                    && update.security_group_rule_id() == Some("sgr-1")
                    && rule.description() == Some("Database")
                    && rule.referenced_group_id() == Some("sg-2")
                    && (rule.from_port(), rule.to_port()) == (Some(3306), Some(3306))
            })
            .then_output(|| ModifySecurityGroupRulesOutput::builder().build());
        let aws = mocked(&[&modify]);
        let mut rule = in_aws();
        rule.description = Some("typo".into());
        let live = live(&rule, Some(want().port)).unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.names(), ["description"]);
        SecurityGroupRule::update(&aws, &scope(NODE), &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn a_rule_is_revoked_by_its_id_and_a_gone_one_is_fine() {
        let revoke = mock!(Client::revoke_security_group_egress)
            .match_requests(|r| {
                r.group_id() == Some("sg-1") && r.security_group_rule_ids() == ["sgr-1"]
            })
            .then_output(|| RevokeSecurityGroupEgressOutput::builder().build());
        let gone = mock!(Client::revoke_security_group_egress).then_error(|| {
            let error = ErrorMetadata::builder().code("InvalidSecurityGroupRuleId.NotFound");
            RevokeSecurityGroupEgressError::generic(error.build())
        });
        for rule in [revoke, gone] {
            let live = live(&in_aws(), Some(want().port)).unwrap();
            SecurityGroupRule::delete(&mocked(&[&rule]), &scope(NODE), &live)
                .await
                .unwrap();
            assert_eq!(rule.num_calls(), 1);
        }
    }
}
