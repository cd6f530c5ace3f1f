//! The resources and conditions of each action, after AWS's service authorization reference: names where
//! names are ours, tags where AWS makes up the ids, `*` where AWS knows no resources.

use serde_json::{Value, json};

use super::Subject;
use crate::resource::STACK_TAG;

/// What one statement says of an action.
pub(super) struct Target {
    pub(super) resources: Vec<String>,
    pub(super) condition: Option<Value>,
}

/// The managed policies that roles of the stack get; no other may be attached.
const ATTACHED: [&str; 2] = [
    "service-role/AmazonECSTaskExecutionRolePolicy",
    "AmazonECSInfrastructureRolePolicyForLoadBalancers",
];
/// The services whose service-linked roles are made where the account lacks them.
const LINKED: [&str; 4] = [
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
];

/// Everything in EC2 that carries the stack's tags.
const TAGGED_IN_EC2: &[&str] = &[
    "elastic-ip",
    "internet-gateway",
    "natgateway",
    "route-table",
    "security-group",
    "security-group-rule",
    "subnet",
    "vpc",
    "vpc-endpoint",
];

/// Where and for what an action is needed.
pub(super) fn of(action: &str, subject: &Subject) -> Vec<Target> {
    let place = Place::of(subject);
    let (service, operation) = action.split_once(':').unwrap_or((action, ""));
    match service {
        "acm" => place.acm(operation),
        "application-autoscaling" => place.application_autoscaling(operation),
        "cloudwatch" => place.cloudwatch(operation),
        "ec2" => place.ec2(operation),
        "ecr" if operation != "GetAuthorizationToken" => {
            place.on(&[place.arn("ecr", &format!("repository/{}", place.name))])
        }
        "ecs" => place.ecs(operation),
        "elasticloadbalancing" => place.elasticloadbalancing(operation),
        "iam" => place.iam(operation),
        "kms" => place.on(&[place.arn("kms", "key/*")]),
        "logs" => place.logs(operation),
        "rds" => place.rds(),
        "route53" => place.route53(operation),
        "s3" => place.s3(operation),
        "secretsmanager" => place.secretsmanager(operation),
        "sns" if operation != "Unsubscribe" => {
            place.on(&[place.arn("sns", &format!("order-api-alarms-{}", subject.suffix))])
        }
        "ssm" => place.on(&[place.arn(
            "ssm",
            &format!("parameter/order-api/{}/config", subject.suffix),
        )]),
        "wafv2" => place.wafv2(operation),
        _ => anything(),
    }
}

/// An action for which AWS knows no resources.
fn anything() -> Vec<Target> {
    vec![Target {
        resources: vec!["*".to_owned()],
        condition: None,
    }]
}

fn when(resources: Vec<String>, condition: Value) -> Target {
    Target {
        resources,
        condition: Some(condition),
    }
}

struct Place<'a> {
    subject: &'a Subject,
    partition: &'static str,
    /// `order-api-<suffix>`, which most things are called.
    name: String,
}

impl<'a> Place<'a> {
    fn of(subject: &'a Subject) -> Self {
        let partition = match subject.region.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self {
            subject,
            partition,
            name: format!("order-api-{}", subject.suffix),
        }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let Subject {
            region, account, ..
        } = self.subject;
        format!(
            "arn:{}:{service}:{region}:{account}:{resource}",
            self.partition
        )
    }

    /// The ARN of something that is in no region.
    fn global(&self, service: &str, account: &str, resource: &str) -> String {
        format!("arn:{}:{service}::{account}:{resource}", self.partition)
    }

    fn on(&self, resources: &[String]) -> Vec<Target> {
        vec![Target {
            resources: resources.to_vec(),
            condition: None,
        }]
    }

    /// Of what is made with the stack's tag.
    fn asked_for(&self) -> Value {
        json!({ "StringEquals": { (format!("aws:RequestTag/{STACK_TAG}")): self.subject.suffix } })
    }

    /// Of what carries the stack's tag.
    fn ours(&self) -> Value {
        json!({ "StringEquals": { (format!("aws:ResourceTag/{STACK_TAG}")): self.subject.suffix } })
    }

    fn acm(&self, operation: &str) -> Vec<Target> {
        let certificates = vec![self.arn("acm", "certificate/*")];
        match operation {
            "ListCertificates" => anything(),
            "RequestCertificate" => vec![when(vec!["*".to_owned()], self.asked_for())],
            // Also the renewal of one that is there, which takes no tags.
            "ImportCertificate" | "AddTagsToCertificate" => vec![
                when(certificates.clone(), self.asked_for()),
                when(certificates, self.ours()),
            ],
            "DeleteCertificate" | "RemoveTagsFromCertificate" => {
                vec![when(certificates, self.ours())]
            }
            // Whose a certificate is, only its tags say, and they are read so.
            _ => self.on(&certificates),
        }
    }

    fn application_autoscaling(&self, operation: &str) -> Vec<Target> {
        let targets = vec![self.arn("application-autoscaling", "scalable-target/*")];
        match operation {
            "DescribeScalableTargets" | "DescribeScalingPolicies" => anything(),
            "ListTagsForResource" => self.on(&targets),
            "TagResource" => vec![
                when(targets.clone(), self.asked_for()),
                when(targets, self.ours()),
            ],
            "UntagResource" => vec![when(targets, self.ours())],
            _ => {
                let of_ecs = json!({ "StringEquals": { "application-autoscaling:service-namespace": "ecs" } });
                vec![when(targets, of_ecs)]
            }
        }
    }

    fn cloudwatch(&self, operation: &str) -> Vec<Target> {
        let suffix = &self.subject.suffix;
        let alarm = |name: &str| self.arn("cloudwatch", &format!("alarm:{name}"));
        let dashboard = self.global(
            "cloudwatch",
            &self.subject.account,
            &format!("dashboard/{}", self.name),
        );
        let alarms = [
            alarm(&format!("order-api-high-errors-{suffix}")),
            alarm(&format!("order-api-db-failures-{suffix}")),
        ];
        // The alarms of a scaling policy, which Application Auto Scaling makes and takes away.
        let of_scaling = alarm(&format!(
            "TargetTracking-service/{name}/{name}-*",
            name = self.name
        ));
        match operation {
            "GetDashboard" | "PutDashboard" | "DeleteDashboards" => self.on(&[dashboard]),
            "PutMetricAlarm" | "DeleteAlarms" => self.on(&[&alarms[..], &[of_scaling]].concat()),
            "ListTagsForResource" | "TagResource" | "UntagResource" => {
                self.on(&[&alarms[..], &[dashboard]].concat())
            }
            // Alarms are read by a prefix, which is permitted for all or none.
            _ => anything(),
        }
    }

    fn ec2(&self, operation: &str) -> Vec<Target> {
        let all = |kind: &str| self.arn("ec2", &format!("{kind}/*"));
        let new = |kind: &str| when(vec![all(kind)], self.asked_for());
        let tagged = || when(vec![all("*")], self.ours());
        match operation {
            "DescribeVpcAttribute" => self.on(&[all("vpc")]),
            describe if describe.starts_with("Describe") => anything(),
            "CreateVpc" => vec![new("vpc")],
            "CreateInternetGateway" => vec![new("internet-gateway")],
            "AllocateAddress" => vec![new("elastic-ip")],
            // What is new has no tags yet, and what it is made in has no tags in the request.
            "CreateSubnet" => vec![new("subnet"), tagged()],
            "CreateNatGateway" => vec![new("natgateway"), tagged()],
            "CreateRouteTable" => vec![new("route-table"), tagged()],
            "CreateSecurityGroup" => vec![new("security-group"), tagged()],
            "CreateVpcEndpoint" => vec![new("vpc-endpoint"), tagged()],
            "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => {
                vec![new("security-group-rule"), tagged()]
            }
            "CreateTags" => {
                let mut condition = self.asked_for();
                // Together with a create, never of something that is there.
                condition["Null"] = json!({ "ec2:CreateAction": "false" });
                let new = TAGGED_IN_EC2.iter().map(|kind| all(kind)).collect();
                vec![when(new, condition), tagged()]
            }
            // Interfaces that services forgot carry no tags of ours.
            "DeleteNetworkInterface" => self.on(&[all("network-interface")]),
            _ => vec![tagged()],
        }
    }

    fn ecs(&self, operation: &str) -> Vec<Target> {
        let name = &self.name;
        let cluster = self.arn("ecs", &format!("cluster/{name}"));
        let service = self.arn("ecs", &format!("service/{name}/{name}"));
        let definition = self.arn("ecs", &format!("task-definition/{name}:*"));
        let deployment = self.arn("ecs", &format!("service-deployment/{name}/{name}/*"));
        let revision = self.arn("ecs", &format!("service-revision/{name}/{name}/*"));
        match operation {
            "ListTaskDefinitions" | "DescribeTaskDefinition" | "DeregisterTaskDefinition" => {
                anything()
            }
            "RegisterTaskDefinition" | "DeleteTaskDefinitions" => self.on(&[definition]),
            "TagResource" | "UntagResource" => self.on(&[cluster, service, definition]),
            "DescribeTasks" => self.on(&[self.arn("ecs", &format!("task/{name}/*"))]),
            "ListTasks" => {
                let of_cluster = json!({ "ArnEquals": { "ecs:cluster": cluster } });
                vec![when(vec!["*".to_owned()], of_cluster)]
            }
            "DescribeServiceRevisions" => self.on(&[service, revision]),
            text if text.contains("ServiceDeployment") => self.on(&[service, deployment]),
            text if text.contains("Service") => self.on(&[service]),
            _ => self.on(&[cluster]),
        }
    }

    fn elasticloadbalancing(&self, operation: &str) -> Vec<Target> {
        let (name, suffix) = (&self.name, &self.subject.suffix);
        let arn = |resource: String| self.arn("elasticloadbalancing", &resource);
        let balancer = arn(format!("loadbalancer/app/{name}/*"));
        let listener = arn(format!("listener/app/{name}/*"));
        let rule = arn(format!("listener-rule/app/{name}/*"));
        let groups =
            ["blue", "green"].map(|colour| arn(format!("targetgroup/order-{colour}-{suffix}/*")));
        match operation {
            text if text.starts_with("Describe") || text == "SetWebAcl" => anything(),
            "AddTags" | "RemoveTags" => {
                self.on(&[&[balancer, listener, rule][..], &groups].concat())
            }
            text if text.contains("TargetGroup") => self.on(&groups),
            "CreateRule" | "ModifyListener" | "DeleteListener" => self.on(&[listener]),
            text if text.contains("Rule") => self.on(&[rule]),
            _ => self.on(&[balancer]),
        }
    }

    fn iam(&self, operation: &str) -> Vec<Target> {
        let account = &self.subject.account;
        let role = |base: &str| {
            self.global(
                "iam",
                account,
                &format!("role/{base}-{}", self.subject.suffix),
            )
        };
        let roles = ["ecs-task-exec", "ecs-task", "ecs-lb"].map(role).to_vec();
        match operation {
            "ListRoles" => anything(),
            // The preflight asks about the caller, whoever that is.
            "SimulatePrincipalPolicy" => {
                let any = ["role/*", "user/*"].map(|any| self.global("iam", account, any));
                self.on(&any)
            }
            "GetRole" => self.on(&[self.global("iam", account, "role/*")]),
            "CreateServiceLinkedRole" => {
                let linked = LINKED.map(|service| {
                    self.global(
                        "iam",
                        account,
                        &format!("role/aws-service-role/{service}/*"),
                    )
                });
                vec![when(
                    linked.to_vec(),
                    json!({ "StringEquals": { "iam:AWSServiceName": LINKED } }),
                )]
            }
            "PassRole" => {
                let to = ["ecs-tasks.amazonaws.com", "ecs.amazonaws.com"];
                vec![when(
                    roles,
                    json!({ "StringEquals": { "iam:PassedToService": to } }),
                )]
            }
            "AttachRolePolicy" => {
                let policies =
                    ATTACHED.map(|policy| self.global("iam", "aws", &format!("policy/{policy}")));
                vec![when(
                    roles,
                    json!({ "ArnEquals": { "iam:PolicyARN": policies } }),
                )]
            }
            _ => self.on(&roles),
        }
    }

    fn logs(&self, operation: &str) -> Vec<Target> {
        if operation == "DescribeLogGroups" {
            return anything();
        }
        let groups = [
            format!("/ecs/{}", self.name),
            format!("/aws/ecs/containerinsights/{}/performance", self.name),
            format!("/aws/rds/cluster/{}/*", self.name),
        ];
        let arn = |group: &String| self.arn("logs", &format!("log-group:{group}"));
        // Most operations name a group with `:*` at the end, those on tags without.
        let groups = groups
            .iter()
            .flat_map(|group| [arn(group), format!("{}:*", arn(group))]);
        self.on(&groups.collect::<Vec<_>>())
    }

    fn rds(&self) -> Vec<Target> {
        let name = &self.name;
        let resources = [
            format!("cluster:{name}"),
            format!("db:{name}-*"),
            format!("cluster-pg:{name}"),
            format!("subgrp:{name}"),
            format!("cluster-snapshot:{name}-final-*"),
            // AWS's own, which every cluster and instance has.
            "cluster-pg:default.*".to_owned(),
            "pg:default.*".to_owned(),
            "og:default:*".to_owned(),
        ];
        self.on(&resources.map(|resource| self.arn("rds", &resource)))
    }

    fn route53(&self, operation: &str) -> Vec<Target> {
        let zone = |id: &str| format!("arn:{}:route53:::hostedzone/{id}", self.partition);
        match (&self.subject.zone, operation) {
            (Some(declared), _) => self.on(&[zone(declared)]),
            // Without `edge.domain` there is at most a record of an earlier configuration to delete.
            (None, "ChangeResourceRecordSets") => {
                let deletes = json!({ "route53:ChangeResourceRecordSetsActions": ["DELETE"] });
                vec![when(
                    vec![zone("*")],
                    json!({ "ForAllValues:StringEquals": deletes }),
                )]
            }
            (None, _) => self.on(&[zone("*")]),
        }
    }

    fn s3(&self, operation: &str) -> Vec<Target> {
        let Some((bucket, prefix)) = &self.subject.states else {
            return Vec::new();
        };
        let bucket = self.global("s3", "", bucket);
        let under = match prefix.trim_matches('/') {
            "" => "*".to_owned(),
            prefix => format!("{prefix}/*"),
        };
        match operation {
            "ListBucket" => vec![when(
                vec![bucket],
                json!({ "StringLike": { "s3:prefix": under } }),
            )],
            _ => self.on(&[format!("{bucket}/{under}")]),
        }
    }

    fn secretsmanager(&self, operation: &str) -> Vec<Target> {
        // AWS adds a hyphen and six characters.
        let ours = self.arn(
            "secretsmanager",
            &format!(
                "secret:order-api-db-password-{}-??????",
                self.subject.suffix
            ),
        );
        let of_rds = self.arn("secretsmanager", "secret:rds!cluster-*");
        match operation {
            "GetRandomPassword" | "ListSecrets" => anything(),
            "CreateSecret" | "RotateSecret" | "TagResource"
                if self.subject.has_managed_password() =>
            {
                self.on(&[of_rds])
            }
            _ => self.on(&[ours]),
        }
    }

    fn wafv2(&self, operation: &str) -> Vec<Target> {
        let suffix = &self.subject.suffix;
        let acl = self.arn(
            "wafv2",
            &format!("regional/webacl/order-api-waf-{suffix}/*"),
        );
        let set = self.arn(
            "wafv2",
            &format!("regional/ipset/order-api-allow-{suffix}/*"),
        );
        let balancer = self.arn(
            "elasticloadbalancing",
            &format!("loadbalancer/app/{}/*", self.name),
        );
        let managed = format!(
            "arn:{}:wafv2:{}:*:regional/managedruleset/*",
            self.partition, self.subject.region
        );
        match operation {
            "ListIPSets" | "ListWebACLs" => anything(),
            "CreateWebACL" | "UpdateWebACL" => self.on(&[acl, set, managed]),
            "ListTagsForResource" | "TagResource" | "UntagResource" => self.on(&[acl, set]),
            "AssociateWebACL" | "DisassociateWebACL" | "GetWebACLForResource" => {
                self.on(&[acl, balancer])
            }
            text if text.ends_with("IPSet") => self.on(&[set]),
            _ => self.on(&[acl]),
        }
    }
}
