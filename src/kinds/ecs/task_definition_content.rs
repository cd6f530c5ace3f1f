//! The content of a task definition: its hash, how it is sent, and how it is read back.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{
    Compatibility, ContainerDefinition, CpuArchitecture, HealthCheck, KeyValuePair,
    LinuxParameters, LogConfiguration, LogDriver, NetworkMode, OsFamily, PortMapping,
    RuntimePlatform, Secret, TaskDefinition as AwsTaskDefinition, TransportProtocol,
};
use sha2::{Digest, Sha256};

use super::task_definition::{
    Architecture, Container, ContainerHealthCheck, TaskDefinitionOutputs, TaskDefinitionSpec,
};
use super::{tag, tag_on_create};
use crate::aws::{Answer, Aws, incomplete, missing};
use crate::resource::{Class, Error, Resolved, Result, Tags, UNKNOWN};

/// The tag on every revision we register that holds the hash of its content.
pub const CONTENT_TAG: &str = "orderctl:content";

const REGISTER: &str = "ecs:RegisterTaskDefinition";

/// Hashes all settings but the tags. A revision is registered only when this changes; a release
/// tags the revisions it registers with the hash of what it sent, so that they are recognised if
/// the declaration comes to name the same image.
///
/// # Errors
/// Never in practice: the settings are plain text and numbers.
pub fn content_hash(spec: &TaskDefinitionSpec<Resolved>) -> Result<String> {
    Ok(hex::encode(Sha256::digest(content(spec)?)))
}

/// The hash, unless a value is not known yet.
pub(super) fn known_content_hash(spec: &TaskDefinitionSpec<Resolved>) -> Result<Option<String>> {
    if content(spec)?.contains(UNKNOWN) {
        return Ok(None);
    }
    content_hash(spec).map(Some)
}

fn content(spec: &TaskDefinitionSpec<Resolved>) -> Result<String> {
    let content = (
        (&spec.family, spec.cpu, spec.memory),
        (&spec.architecture, &spec.execution_role, &spec.task_role),
        &spec.container,
    );
    serde_json::to_string(&content).map_err(|error| {
        Error::new(REGISTER, Class::Refused, error.to_string())
            .with_advice("report this: the settings of the task definition cannot be written")
    })
}

/// Registers a revision.
pub(super) async fn register(
    aws: &Aws,
    want: &TaskDefinitionSpec<Resolved>,
) -> Result<TaskDefinitionOutputs> {
    let platform = RuntimePlatform::builder()
        .operating_system_family(OsFamily::Linux)
        .cpu_architecture(match want.architecture {
            Architecture::X86_64 => CpuArchitecture::X8664,
            Architecture::Arm64 => CpuArchitecture::Arm64,
        })
        .build();
    let answer = aws
        .ecs
        .register_task_definition()
        .family(&want.family)
        .requires_compatibilities(Compatibility::Fargate)
        .network_mode(NetworkMode::Awsvpc)
        .cpu(want.cpu.to_string())
        .memory(want.memory.to_string())
        .runtime_platform(platform)
        .execution_role_arn(&*want.execution_role)
        .task_role_arn(&*want.task_role)
        .container_definitions(container(&want.container)?)
        .set_tags(tag_on_create(&want.tags))
        .tags(tag(CONTENT_TAG, &content_hash(want)?))
        .send()
        .await
        .of(REGISTER)?;
    let field = |name| missing(REGISTER, name);
    let definition = answer
        .task_definition()
        .ok_or_else(field("taskDefinition"))?;
    Ok(TaskDefinitionOutputs {
        arn: definition
            .task_definition_arn()
            .ok_or_else(field("taskDefinitionArn"))?
            .into(),
        family: want.family.clone(),
        revision: definition.revision(),
    })
}

fn container(want: &Container<Resolved>) -> Result<ContainerDefinition> {
    let port = PortMapping::builder()
        .container_port(want.port.into())
        .host_port(want.port.into())
        .protocol(TransportProtocol::Tcp);
    let environment = want
        .environment
        .iter()
        .map(|(name, value)| KeyValuePair::builder().name(name).value(value).build());
    let secrets = want.secrets.iter().map(|(name, from)| {
        let secret = Secret::builder().name(name).value_from(from);
        secret.build().map_err(incomplete(REGISTER))
    });
    let log = LogConfiguration::builder()
        .log_driver(LogDriver::Awslogs)
        .options("awslogs-group", &want.log_group)
        .options("awslogs-region", &want.log_region)
        .options("awslogs-stream-prefix", &want.log_stream_prefix)
        .build()
        .map_err(incomplete(REGISTER))?;
    let check = &want.health_check;
    let health_check = HealthCheck::builder()
        .set_command(Some(check.command.clone()))
        .interval(signed(check.interval_seconds))
        .timeout(signed(check.timeout_seconds))
        .retries(signed(check.retries))
        .start_period(signed(check.start_period_seconds))
        .build()
        .map_err(incomplete(REGISTER))?;
    // An init process reaps what ECS Exec sessions leave behind. The root file system stays
    // writable, because ECS Exec writes to it.
    let linux = LinuxParameters::builder().init_process_enabled(true);
    Ok(ContainerDefinition::builder()
        .name(&want.name)
        .image(&want.image)
        .essential(true)
        .port_mappings(port.build())
        .set_environment(Some(environment.collect()))
        .set_secrets(Some(secrets.collect::<Result<_>>()?))
        .log_configuration(log)
        .health_check(health_check)
        .linux_parameters(linux.build())
        .build())
}

/// Maps a revision back. One that we did not register may have what the settings cannot say; the
/// fields they know are filled with empty values then.
pub(super) fn spec_of(definition: &AwsTaskDefinition, tags: Tags) -> TaskDefinitionSpec<Resolved> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or_default();
    let architecture = definition
        .runtime_platform()
        .and_then(RuntimePlatform::cpu_architecture);
    TaskDefinitionSpec {
        family: definition.family().unwrap_or_default().to_owned(),
        cpu: number(definition.cpu()),
        memory: number(definition.memory()),
        architecture: match architecture {
            Some(CpuArchitecture::Arm64) => Architecture::Arm64,
            _ => Architecture::X86_64,
        },
        execution_role: definition.execution_role_arn().unwrap_or_default().into(),
        task_role: definition.task_role_arn().unwrap_or_default().into(),
        container: container_of(definition.container_definitions().first()),
        tags,
    }
}

fn container_of(container: Option<&ContainerDefinition>) -> Container<Resolved> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let port = container
        .and_then(|container| container.port_mappings().first())
        .and_then(PortMapping::container_port);
    let environment = container.map_or(&[][..], ContainerDefinition::environment);
    let secrets = container.map_or(&[][..], ContainerDefinition::secrets);
    let log_options = container
        .and_then(ContainerDefinition::log_configuration)
        .and_then(LogConfiguration::options);
    let log_option = |name: &str| {
        let value = log_options.and_then(|options| options.get(name));
        value.cloned().unwrap_or_default()
    };
    Container {
        name: text(container.and_then(ContainerDefinition::name)),
        image: text(container.and_then(ContainerDefinition::image)),
        port: port
            .and_then(|port| port.try_into().ok())
            .unwrap_or_default(),
        environment: environment
            .iter()
            .map(|pair| (text(pair.name()), text(pair.value())))
            .collect::<BTreeMap<_, _>>(),
        secrets: secrets
            .iter()
            .map(|secret| (secret.name().to_owned(), secret.value_from().to_owned()))
            .collect::<BTreeMap<_, _>>(),
        log_group: log_option("awslogs-group"),
        log_region: log_option("awslogs-region"),
        log_stream_prefix: log_option("awslogs-stream-prefix"),
        health_check: health_check_of(container.and_then(ContainerDefinition::health_check)),
    }
}

fn health_check_of(check: Option<&HealthCheck>) -> ContainerHealthCheck {
    let number = |field: fn(&HealthCheck) -> Option<i32>| {
        let value = check.and_then(field).unwrap_or_default();
        value.try_into().unwrap_or_default()
    };
    ContainerHealthCheck {
        command: check.map_or_else(Vec::new, |check| check.command().to_vec()),
        interval_seconds: number(HealthCheck::interval),
        timeout_seconds: number(HealthCheck::timeout),
        retries: number(HealthCheck::retries),
        start_period_seconds: number(HealthCheck::start_period),
    }
}

fn signed(number: u32) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
pub(super) mod testing {
    //! A task definition and AWS's answers about it.

    use aws_sdk_ecs::Client;
    use aws_sdk_ecs::operation::describe_task_definition::{
        DescribeTaskDefinitionError, DescribeTaskDefinitionOutput,
    };
    use aws_sdk_ecs::types::TaskDefinitionStatus;
    use aws_sdk_ecs::types::error::ClientException;
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::resource::{NODE_TAG, STACK_TAG};

    pub(in super::super) fn arn(revision: i32) -> String {
        format!("arn:aws:ecs:us-east-1:123456789012:task-definition/order-api-dev:{revision}")
    }

    pub(in super::super) fn want() -> TaskDefinitionSpec<Resolved> {
        TaskDefinitionSpec {
            family: "order-api-dev".into(),
            cpu: 512,
            memory: 1024,
            architecture: Architecture::Arm64,
            execution_role: "arn:aws:iam::123456789012:role/ecs-task-exec-dev".into(),
            task_role: "arn:aws:iam::123456789012:role/ecs-task-dev".into(),
            container: Container {
                name: "order-api".into(),
                image: "repository:1".into(),
                port: 8080,
                environment: [("DB_NAME".into(), "orderdb".into())].into(),
                secrets: [("DB_CREDENTIALS".into(), "arn:aws:secretsmanager:x".into())].into(),
                log_group: "/ecs/order-api-dev".into(),
                log_region: "us-east-1".into(),
                log_stream_prefix: "order-api".into(),
                health_check: ContainerHealthCheck {
                    command: vec!["CMD-SHELL".into(), "curl -f localhost:8080/health".into()],
                    interval_seconds: 30,
                    timeout_seconds: 5,
                    retries: 3,
                    start_period_seconds: 60,
                },
            },
            tags: Tags::from_pairs([(STACK_TAG, "dev"), (NODE_TAG, "task-definition")]),
        }
    }

    /// What AWS has after `spec` was registered, with the defaults it adds.
    pub(in super::super) fn in_aws(
        revision: i32,
        spec: &TaskDefinitionSpec<Resolved>,
    ) -> AwsTaskDefinition {
        let mut container = container(&spec.container).unwrap();
        container.cpu = 0;
        container.mount_points = Some(Vec::new());
        container.system_controls = Some(Vec::new());
        AwsTaskDefinition::builder()
            .task_definition_arn(arn(revision))
            .family(&spec.family)
            .revision(revision)
            .status(TaskDefinitionStatus::Active)
            .cpu(spec.cpu.to_string())
            .memory(spec.memory.to_string())
            .runtime_platform(
                RuntimePlatform::builder()
                    .cpu_architecture(CpuArchitecture::Arm64)
                    .build(),
            )
            .execution_role_arn(&*spec.execution_role)
            .task_role_arn(&*spec.task_role)
            .container_definitions(container)
            .build()
    }

    pub(in super::super) fn described(
        name: &str,
        revision: i32,
        spec: &TaskDefinitionSpec<Resolved>,
    ) -> Rule {
        let (name, spec) = (name.to_owned(), spec.clone());
        mock!(Client::describe_task_definition)
            .match_requests(move |r| r.task_definition() == Some(&name))
            .then_output(move || {
                DescribeTaskDefinitionOutput::builder()
                    .task_definition(in_aws(revision, &spec))
                    .set_tags(tag_on_create(&spec.tags))
                    .tags(tag(CONTENT_TAG, &content_hash(&spec).unwrap()))
                    .build()
            })
    }

    pub(in super::super) fn nothing_there() -> Rule {
        mock!(Client::describe_task_definition).then_error(|| {
            let error = ClientException::builder()
                .message("Unable to describe task definition.")
                .meta(
                    aws_sdk_ecs::error::ErrorMetadata::builder()
                        .code("ClientException")
                        .message("Unable to describe task definition.")
                        .build(),
                );
            DescribeTaskDefinitionError::ClientException(error.build())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{in_aws, want};
    use super::*;

    #[test]
    fn every_field_is_mapped_back() {
        assert_eq!(spec_of(&in_aws(1, &want()), want().tags), want());
    }

    #[test]
    fn the_hash_is_of_the_content_and_not_of_the_tags() {
        let mut other = want();
        other.tags = Tags::default();
        let hash = content_hash(&want()).unwrap();
        assert_eq!(content_hash(&other).unwrap(), hash);
        assert_eq!(hash.len(), 64, "fits a tag value");
        other.container.environment.clear();
        assert_ne!(content_hash(&other).unwrap(), hash);
    }
}
