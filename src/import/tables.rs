//! Which types of Pulumi are which kinds, and by which names they are recognised.

/// A type whose resources have a natural name.
pub(super) struct Named {
    /// The kind of ours.
    pub(super) kind: &'static str,
    /// The field of its specification that is the name.
    pub(super) ours: &'static str,
    /// Pulumi's type.
    pub(super) token: &'static str,
    /// Pulumi's property that is the name.
    pub(super) theirs: &'static str,
    /// Whether its ARN tells two of the same name apart.
    pub(super) has_own_arn: bool,
}

const fn named(
    kind: &'static str,
    ours: &'static str,
    token: &'static str,
    theirs: &'static str,
) -> Named {
    Named {
        kind,
        ours,
        token,
        theirs,
        has_own_arn: false,
    }
}

impl Named {
    const fn with_own_arn(mut self) -> Self {
        self.has_own_arn = true;
        self
    }
}

/// The types with natural names.
pub(super) const NAMED: &[Named] = &[
    named(
        "applicationautoscaling/scalable_target",
        "resource_id",
        "appautoscaling/target",
        "resourceId",
    ),
    named(
        "applicationautoscaling/scaling_policy",
        "name",
        "appautoscaling/policy",
        "name",
    ),
    named("cloudwatch/alarm", "name", "cloudwatch/metricAlarm", "name"),
    named(
        "cloudwatch/dashboard",
        "name",
        "cloudwatch/dashboard",
        "dashboardName",
    ),
    named("ecr/repository", "name", "ecr/repository", "name"),
    named("ecs/cluster", "name", "ecs/cluster", "name"),
    named("ecs/service", "name", "ecs/service", "name"),
    named(
        "ecs/task_definition",
        "family",
        "ecs/taskDefinition",
        "family",
    ),
    named("elbv2/load_balancer", "name", "lb/loadBalancer", "name").with_own_arn(),
    named("elbv2/target_group", "name", "lb/targetGroup", "name").with_own_arn(),
    named("iam/role", "name", "iam/role", "name"),
    named("logs/log_group", "name", "cloudwatch/logGroup", "name"),
    named(
        "logs/metric_filter",
        "name",
        "cloudwatch/logMetricFilter",
        "name",
    ),
    named(
        "rds/db_cluster",
        "identifier",
        "rds/cluster",
        "clusterIdentifier",
    ),
    named(
        "rds/db_cluster_parameter_group",
        "name",
        "rds/clusterParameterGroup",
        "name",
    ),
    named(
        "rds/db_instance",
        "identifier",
        "rds/clusterInstance",
        "identifier",
    ),
    named("rds/db_subnet_group", "name", "rds/subnetGroup", "name"),
    named(
        "secretsmanager/secret",
        "name",
        "secretsmanager/secret",
        "name",
    )
    .with_own_arn(),
    named("sns/topic", "name", "sns/topic", "name"),
    named("ssm/parameter", "name", "ssm/parameter", "name"),
    named("wafv2/ip_set", "name", "wafv2/ipSet", "name").with_own_arn(),
    named("wafv2/web_acl", "name", "wafv2/webAcl", "name").with_own_arn(),
];

/// Types that are a setting of another resource, or stand inside it, with the properties that name it:
/// its id, its ARN or its name.
pub(super) const PARTS: &[(&str, &[&str])] = &[
    ("ec2/internetGatewayAttachment", &["internetGatewayId"]),
    ("ec2/route", &["routeTableId"]),
    ("ec2/routeTableAssociation", &["subnetId", "routeTableId"]),
    ("ec2/securityGroupRule", &["securityGroupId"]),
    ("ecr/lifecyclePolicy", &["repository"]),
    ("ecr/repositoryPolicy", &["repository"]),
    ("ecs/clusterCapacityProviders", &["clusterName"]),
    ("iam/rolePolicy", &["role"]),
    ("iam/rolePolicyAttachment", &["role"]),
    ("lb/targetGroupAttachment", &["targetGroupArn"]),
    ("secretsmanager/secretVersion", &["secretId"]),
    ("sns/topicSubscription", &["topic", "topicArn"]),
    ("vpc/securityGroupEgressRule", &["securityGroupId"]),
    ("vpc/securityGroupIngressRule", &["securityGroupId"]),
    ("wafv2/webAclAssociation", &["resourceArn"]),
];
