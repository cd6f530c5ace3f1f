//! What commands call beside the kinds.

use super::Verb;

/// What every command that reaches AWS asks first.
const IDENTITY: &str = "sts:GetCallerIdentity";

/// For a look at the whole stack: zones, those of its subnets, the image to start with, what runs, the
/// index of tags.
const LOOK: &[&str] = &[
    IDENTITY,
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeSubnets",
    "ecr:DescribeImages",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "tag:GetResources",
];

/// What the preflight of a fresh stack asks beside that.
const PREFLIGHT: &[&str] = &[
    "cloudwatch:GetMetricStatistics",
    "iam:GetRole",
    "iam:SimulatePrincipalPolicy",
    "secretsmanager:DescribeSecret",
    "servicequotas:GetServiceQuota",
];

/// To release an image, to watch what becomes of it, and to go back.
const DEPLOY: &[&str] = &[
    IDENTITY,
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:RegisterScalableTarget",
    "cloudwatch:DescribeAlarms",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecs:ContinueServiceDeployment",
    "ecs:DescribeServiceDeployments",
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListServiceDeployments",
    "ecs:ListTasks",
    "ecs:RegisterTaskDefinition",
    "ecs:StopServiceDeployment",
    "ecs:TagResource",
    "ecs:UpdateService",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetHealth",
    "iam:PassRole",
    "logs:GetLogEvents",
];

/// To push an image. The registry's requests are permitted under the names of ECR's own operations.
const PUSH: &[&str] = &[
    IDENTITY,
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetAuthorizationToken",
    "ecr:InitiateLayerUpload",
    "ecr:ListTagsForResource",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
    "ecs:DescribeTaskDefinition",
];

/// To see what runs.
const STATUS: &[&str] = &[
    IDENTITY,
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "ecr:ListImages",
    "ecs:DescribeServiceDeployments",
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListServiceDeployments",
    "ecs:ListTasks",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "wafv2:ListWebACLs",
];

/// To read what the containers write.
const LOGS: &[&str] = &[IDENTITY, "logs:FilterLogEvents"];

/// To find out what is wrong with a stack that runs, beside a look at it and the preflight.
const DOCTOR: &[&str] = &[
    "ecr:BatchGetImage",
    "ecs:DescribeServiceDeployments",
    "ecs:ListServiceDeployments",
    "logs:GetLogEvents",
    "wafv2:GetSampledRequests",
];

/// For states in S3. A list of objects is permitted by `s3:ListBucket`.
pub(super) const STATES: &[&str] = &[
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
];

/// What RDS does with the caller's permissions to keep a password in a secret of its own (Amazon RDS User
/// Guide, "Password management with RDS and AWS Secrets Manager").
pub(super) const MANAGED_PASSWORD: &[&str] = &[
    "kms:DescribeKey",
    "secretsmanager:CreateSecret",
    "secretsmanager:RotateSecret",
    "secretsmanager:TagResource",
];

pub(super) fn of(verb: Verb) -> Vec<&'static str> {
    match verb {
        Verb::Up => [LOOK, PREFLIGHT].concat(),
        Verb::Plan | Verb::Down => LOOK.to_vec(),
        Verb::Deploy => DEPLOY.to_vec(),
        Verb::Push => PUSH.to_vec(),
        Verb::Status => STATUS.to_vec(),
        Verb::Logs => LOGS.to_vec(),
        Verb::Doctor => [LOOK, PREFLIGHT, DOCTOR].concat(),
    }
}
