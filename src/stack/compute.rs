//! The compute: repository, roles, ECS cluster, task definition, service and its scaling.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Stack;
use super::data::{DATABASE, Data};
use super::edge::Edge;
use super::names::{CONTAINER, LOG_STREAM_PREFIX};
use super::network::Network;
use super::security::{APP_PORT, Security};
use super::watching::Watching;
use crate::config::{Architecture, Strategy};
use crate::kinds::applicationautoscaling::{
    Metric, ScalableTarget, ScalableTargetSpec, ScalingPolicy, ScalingPolicySpec, Statistic,
};
use crate::kinds::ecr::{Encryption, ImageTagMutability, Repository, RepositorySpec};
use crate::kinds::ecs::{
    Architecture as CpuArchitecture, CapacityProviderStrategyItem, Cluster, ClusterSpec, Container,
    ContainerHealthCheck, ContainerInsights, DeploymentStrategy, PropagateTags, Service,
    ServiceSpec, TaskDefinition, TaskDefinitionSpec,
};
use crate::kinds::iam::{Role, RoleSpec};
use crate::kinds::logs::{LogGroup, LogGroupSpec, MetricFilter, MetricFilterSpec};
use crate::resource::{Declared, Document, Handle, Input, join};

const EXECUTION_POLICY: &str =
    "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
const LOAD_BALANCER_POLICY: &str =
    "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers";

/// What other tiers build on.
pub(super) struct Compute {
    pub(super) cluster: Handle<Cluster>,
    pub(super) service: Handle<Service>,
    pub(super) repository: Handle<Repository>,
    pub(super) log_group: Handle<LogGroup>,
}

pub(super) fn declare(
    stack: &mut Stack<'_>,
    network: &Network,
    security: &Security,
    edge: &Edge,
    data: &Data,
    watching: &Watching,
) -> Compute {
    let repository = repository(stack);
    let log_group = log_group(stack, "service-log-group", format!("/ecs/{}", name(stack)));
    let roles = roles(stack, data);
    let cluster = cluster(stack);
    let task_definition = task_definition(stack, data, &repository, &log_group, &roles);
    let service = service(
        stack,
        &Surroundings {
            network,
            security,
            edge,
            data,
            watching,
            roles: &roles,
        },
        &cluster,
        &task_definition,
    );
    scaling(stack, &service, &log_group);
    Compute {
        cluster,
        service,
        repository,
        log_group,
    }
}

/// The name that cluster, service, family and repository share.
fn name(stack: &Stack<'_>) -> String {
    stack.name("order-api")
}

fn repository(stack: &mut Stack<'_>) -> Handle<Repository> {
    let expire = |priority: u32, description: &str, selection: Value| {
        json!({
            "rulePriority": priority,
            "description": description,
            "selection": selection,
            "action": { "type": "expire" },
        })
    };
    let untagged = json!({
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 14,
    });
    let tagged = json!({
        "tagStatus": "tagged",
        "tagPatternList": ["*"],
        "countType": "imageCountMoreThan",
        "countNumber": 30,
    });
    let name = name(stack);
    let spec = RepositorySpec {
        scan_on_push: true,
        encryption: Encryption::Aes256,
        // Tags such as `latest` move from release to release.
        image_tag_mutability: ImageTagMutability::Mutable,
        lifecycle_policy: Document(json!({ "rules": [
            expire(1, "untagged images go after 14 days", untagged),
            expire(2, "the newest 30 tagged images stay", tagged),
        ]})),
        tags: stack.tags("repository", &name),
        name,
    };
    stack.add("repository", spec)
}

fn log_group(stack: &mut Stack<'_>, address: &str, name: String) -> Handle<LogGroup> {
    let spec = LogGroupSpec {
        retention_days: stack.config.logs.retention_days.cast_signed(),
        tags: stack.tags(address, &name),
        name,
    };
    stack.add(address, spec)
}

struct Roles {
    execution: Handle<Role>,
    task: Handle<Role>,
    load_balancer: Handle<Role>,
}

fn roles(stack: &mut Stack<'_>, data: &Data) -> Roles {
    let read_secret = json!({
        "Sid": "ReadDatabaseCredentials",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": data.credentials,
    });
    let task_trust = stack_trust(stack, "ecs-tasks.amazonaws.com");
    let execution = role(
        stack,
        "execution-role",
        "ecs-task-exec",
        "Starts tasks of the order API: pulls the image, writes logs, reads the credentials",
        &task_trust,
        &[EXECUTION_POLICY],
        vec![read_secret.clone()],
    );
    let statements = vec![
        read_secret,
        json!({
            "Sid": "ReadConfiguration",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters"],
            "Resource": data.parameter.arn(),
        }),
        json!({
            "Sid": "WriteMetrics",
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": { "StringEquals": { "cloudwatch:namespace": metric_namespace(stack) } },
        }),
        json!({
            "Sid": "EcsExec",
            "Effect": "Allow",
            "Action": [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        }),
    ];
    let task = role(
        stack,
        "task-role",
        "ecs-task",
        "What the order API itself may do",
        &task_trust,
        &[],
        statements,
    );
    let load_balancer = role(
        stack,
        "load-balancer-role",
        "ecs-lb",
        "Lets ECS shift traffic between the target groups of the order API",
        &stack_trust(stack, "ecs.amazonaws.com"),
        &[LOAD_BALANCER_POLICY],
        Vec::new(),
    );
    Roles {
        execution,
        task,
        load_balancer,
    }
}

/// Trust for one AWS service acting for this account alone, against confused deputies.
fn stack_trust(stack: &Stack<'_>, service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": service },
            "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "aws:SourceAccount": stack.facts.account } },
        }],
    })
}

fn role(
    stack: &mut Stack<'_>,
    address: &str,
    base: &str,
    description: &str,
    trust: &Value,
    managed_policies: &[&str],
    statements: Vec<Value>,
) -> Handle<Role> {
    let name = stack.name(base);
    let mut inline_policies = BTreeMap::new();
    if !statements.is_empty() {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        inline_policies.insert("order-api".to_owned(), Document(policy));
    }
    let spec = RoleSpec {
        description: description.to_owned(),
        trust_policy: Document(trust.clone()),
        managed_policies: managed_policies.iter().map(ToString::to_string).collect(),
        inline_policies,
        tags: stack.tags(address, &name),
        name,
    };
    stack.add(address, spec)
}

fn capacity(stack: &Stack<'_>) -> BTreeSet<CapacityProviderStrategyItem> {
    let service = &stack.config.service;
    [
        ("FARGATE", service.on_demand_weight),
        ("FARGATE_SPOT", service.spot_weight),
    ]
    .map(|(provider, weight)| CapacityProviderStrategyItem {
        capacity_provider: provider.to_owned(),
        weight,
        base: 0,
    })
    .into()
}

fn cluster(stack: &mut Stack<'_>) -> Handle<Cluster> {
    let role = stack.service_linked_role("service-linked-role-ecs", "ecs.amazonaws.com");
    let name = name(stack);
    let insights = format!("/aws/ecs/containerinsights/{name}/performance");
    let insights = log_group(stack, "container-insights-log-group", insights);
    let spec = ClusterSpec {
        container_insights: ContainerInsights::Enabled,
        capacity_providers: ["FARGATE", "FARGATE_SPOT"].map(str::to_owned).into(),
        default_strategy: capacity(stack),
        tags: stack.tags("ecs-cluster", &name),
        name,
    };
    let cluster = stack.add("ecs-cluster", spec);
    stack.graph.after(&cluster, &role);
    // Made by us first; Container Insights would make it without retention and tags.
    stack.graph.after(&cluster, &insights);
    cluster
}

fn task_definition(
    stack: &mut Stack<'_>,
    data: &Data,
    repository: &Handle<Repository>,
    log_group: &Handle<LogGroup>,
    roles: &Roles,
) -> Handle<TaskDefinition> {
    let config = stack.config;
    let mut environment: BTreeMap<String, Input<String>> = BTreeMap::from([
        ("DB_ENDPOINT".to_owned(), data.cluster.endpoint()),
        (
            "DB_READER_ENDPOINT".to_owned(),
            data.cluster.reader_endpoint(),
        ),
        ("DB_NAME".to_owned(), DATABASE.into()),
        ("REGION".to_owned(), config.region.clone().into()),
        ("CONFIG_PARAM".to_owned(), data.parameter.name()),
    ]);
    let users = config
        .app
        .env
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().into()));
    environment.extend(users);
    let running = stack.facts.running.as_ref();
    let released = running.and_then(|running| running.released_image.clone());
    let image = match released {
        Some(released) => released.into(),
        None => join([
            json!(repository.url()),
            json!(":"),
            json!(config.service.image_tag),
        ]),
    };
    let health = format!("curl -fsS http://localhost:{APP_PORT}/health || exit 1");
    let family = name(stack);
    let spec = TaskDefinitionSpec {
        cpu: config.service.cpu,
        memory: config.service.memory,
        architecture: match config.service.architecture {
            Architecture::X86_64 => CpuArchitecture::X86_64,
            Architecture::Arm64 => CpuArchitecture::Arm64,
        },
        execution_role: roles.execution.arn(),
        task_role: roles.task.arn(),
        container: Container {
            name: CONTAINER.to_owned(),
            image,
            port: APP_PORT,
            environment,
            secrets: [("DB_CREDENTIALS".to_owned(), data.credentials.clone().text())].into(),
            log_group: log_group.name(),
            log_region: config.region.clone(),
            log_stream_prefix: LOG_STREAM_PREFIX.to_owned(),
            health_check: ContainerHealthCheck {
                command: vec!["CMD-SHELL".to_owned(), health],
                interval_seconds: 30,
                timeout_seconds: 5,
                retries: 3,
                start_period_seconds: config.service.health_check_grace_seconds.min(300),
            },
        },
        tags: stack.tags("task-definition", &family),
        family,
    };
    stack.add("task-definition", spec)
}

/// What the service stands between.
struct Surroundings<'a> {
    network: &'a Network,
    security: &'a Security,
    edge: &'a Edge,
    data: &'a Data,
    watching: &'a Watching,
    roles: &'a Roles,
}

fn service(
    stack: &mut Stack<'_>,
    around: &Surroundings<'_>,
    cluster: &Handle<Cluster>,
    task_definition: &Handle<TaskDefinition>,
) -> Handle<Service> {
    let config = stack.config;
    let deploy = &config.deploy;
    let strategy = match deploy.strategy {
        Strategy::AllAtOnce => DeploymentStrategy::BlueGreen,
        Strategy::Canary => DeploymentStrategy::Canary {
            percent: deploy.percent,
            bake_minutes: deploy.step_bake_minutes,
        },
        Strategy::Linear => DeploymentStrategy::Linear {
            percent: deploy.percent,
            bake_minutes: deploy.step_bake_minutes,
        },
    };
    let is_parked = !stack.facts.has_image;
    let name = name(stack);
    let spec = ServiceSpec {
        cluster: cluster.arn(),
        vpc: around.network.vpc.id(),
        task_definition: task_definition.arn(),
        desired_count: if is_parked { 0 } else { config.scaling.min },
        subnets: around.network.private_subnet_ids(),
        security_groups: vec![around.security.tasks.id()],
        assign_public_ip: false,
        container_name: CONTAINER.to_owned(),
        container_port: APP_PORT,
        target_group: around.edge.blue.arn(),
        alternate_target_group: around.edge.green.arn(),
        production_listener_rule: around.edge.production_rule.arn(),
        test_listener_rule: around.edge.test_rule.arn(),
        infrastructure_role: around.roles.load_balancer.arn(),
        capacity_strategy: capacity(stack),
        health_check_grace_seconds: config.service.health_check_grace_seconds,
        enable_execute_command: true,
        availability_zone_rebalancing: true,
        strategy,
        bake_minutes: deploy.bake_minutes,
        pauses: false,
        alarms: vec![around.watching.high_errors.name()],
        propagate_tags: PropagateTags::Service,
        enable_ecs_managed_tags: true,
        tags: stack.tags("service", &name),
        name,
    };
    let service = stack.add("service", spec);
    // Tasks pull their image and stop in order only while the way out is there; so the routes, and
    // with them the NAT gateways, outlive the service (field guide, section 4, trap). A subnet whose
    // association is missing goes by the VPC's main table, which leads nowhere.
    for route in &around.network.private_routes {
        stack.graph.after(&service, route);
    }
    for association in &around.network.private_associations {
        stack.graph.after(&service, association);
    }
    if !is_parked {
        stack
            .graph
            .follow(&service, &around.data.writer.when_ready());
    }
    service
}

fn metric_namespace(stack: &Stack<'_>) -> String {
    format!("OrderAPI/{}", stack.suffix)
}

const PENDING_ORDERS: &str = "PendingOrders";

fn scaling(stack: &mut Stack<'_>, service: &Handle<Service>, log_group: &Handle<LogGroup>) {
    let namespace = metric_namespace(stack);
    let spec = MetricFilterSpec {
        name: stack.name("pending-orders"),
        log_group: log_group.name(),
        pattern: format!("{{ $.msg = \"{PENDING_ORDERS}\" }}"),
        metric_namespace: namespace.clone(),
        metric_name: PENDING_ORDERS.to_owned(),
        metric_value: "$.count".to_owned(),
        default_value: None,
        unit: None,
    };
    stack.add::<MetricFilter>("pending-orders-filter", spec);
    let role = stack.service_linked_role(
        "service-linked-role-autoscaling",
        "ecs.application-autoscaling.amazonaws.com",
    );
    let scaling = &stack.config.scaling;
    let name = name(stack);
    let spec = ScalableTargetSpec {
        resource_id: format!("service/{name}/{name}").into(),
        // Registering a minimum starts that many tasks, suspended or not (field guide, section 7).
        min: if stack.facts.has_image {
            scaling.min
        } else {
            0
        },
        max: scaling.max,
        suspended: !stack.facts.has_image,
        tags: stack.tags("scalable-target", &name),
    };
    let target = stack.add::<ScalableTarget>("scalable-target", spec);
    stack.graph.after(&target, service);
    stack.graph.after(&target, &role);
    let cpu = Metric::EcsServiceAverageCpuUtilization;
    let pending = Metric::Custom {
        namespace,
        metric_name: PENDING_ORDERS.to_owned(),
        statistic: Statistic::Average,
        dimensions: BTreeMap::new(),
    };
    let (cpu_target, pending_target) = (scaling.cpu_target, scaling.pending_orders_target);
    policy(stack, &target, "cpu-scaling", cpu, cpu_target);
    policy(
        stack,
        &target,
        "pending-orders-scaling",
        pending,
        pending_target,
    );
}

fn policy(
    stack: &mut Stack<'_>,
    target: &Handle<ScalableTarget>,
    base: &str,
    metric: Metric<Declared>,
    target_value: f64,
) {
    let spec = ScalingPolicySpec {
        name: stack.name(base),
        resource_id: target.resource_id(),
        metric,
        target_value,
        scale_in_cooldown_seconds: stack.config.scaling.in_cooldown_seconds,
        scale_out_cooldown_seconds: stack.config.scaling.out_cooldown_seconds,
    };
    stack.add::<ScalingPolicy>(base, spec);
}
