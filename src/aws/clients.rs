//! All AWS clients of one run, built once from one configuration.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_types::retry::RetryConfig;
use serde_json::Value;

use super::expiry::{CredentialsEnd, noting_the_end};
use super::observer::{CallCount, CallObserver};
use super::reads::Reads;

/// Where and as whom to connect.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region, `us-east-1`.
    pub region: String,
    /// A profile of the shared AWS configuration files.
    pub profile: Option<String>,
    /// Another endpoint than AWS's, for every service.
    pub endpoint_url: Option<String>,
    /// Uses fixed dummy credentials and asks no metadata service: for local emulators.
    pub dummy_credentials: bool,
}

/// The clients a kind may call, and the reads they share.
#[derive(Clone)]
pub struct Aws {
    /// Certificate Manager.
    pub acm: aws_sdk_acm::Client,
    /// Application Auto Scaling.
    pub autoscaling: aws_sdk_applicationautoscaling::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// EC2, which includes VPC networking.
    pub ec2: aws_sdk_ec2::Client,
    /// Elastic Container Registry.
    pub ecr: aws_sdk_ecr::Client,
    /// Elastic Container Service.
    pub ecs: aws_sdk_ecs::Client,
    /// Elastic Load Balancing v2.
    pub elbv2: aws_sdk_elasticloadbalancingv2::Client,
    /// Identity and Access Management.
    pub iam: aws_sdk_iam::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Service Quotas.
    pub quotas: aws_sdk_servicequotas::Client,
    /// Relational Database Service.
    pub rds: aws_sdk_rds::Client,
    /// Route 53.
    pub route53: aws_sdk_route53::Client,
    /// Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Simple Notification Service.
    pub sns: aws_sdk_sns::Client,
    /// Systems Manager.
    pub ssm: aws_sdk_ssm::Client,
    /// Security Token Service.
    pub sts: aws_sdk_sts::Client,
    /// Resource Groups Tagging.
    pub tagging: aws_sdk_resourcegroupstagging::Client,
    /// WAF v2.
    pub wafv2: aws_sdk_wafv2::Client,
    pub(super) reads: Arc<Reads>,
    pub(super) recorded: Arc<Vec<(String, Value)>>,
    calls: CallCount,
    credentials_end: CredentialsEnd,
}

impl Aws {
    /// Loads credentials and region the way every AWS tool does, and builds the clients. Makes no
    /// call to AWS.
    pub async fn connect(connection: &Connection) -> Self {
        let (sdk, end) = noting_the_end(configuration(connection).await);
        Self {
            credentials_end: end,
            ..Self::build(&sdk, None)
        }
    }

    /// Builds the clients; `extra` sees every request before ours does.
    pub(super) fn build(sdk: &SdkConfig, extra: Option<SharedInterceptor>) -> Self {
        let calls = CallCount::default();
        let observer = SharedInterceptor::new(CallObserver::new(calls.clone()));
        let interceptors: Vec<SharedInterceptor> = extra.into_iter().chain([observer]).collect();
        macro_rules! client {
            ($service:ident) => {{
                let mut config = $service::config::Builder::from(sdk);
                for interceptor in &interceptors {
                    config.push_interceptor(interceptor.clone());
                }
                $service::Client::from_conf(config.build())
            }};
        }
        Self {
            acm: client!(aws_sdk_acm),
            autoscaling: client!(aws_sdk_applicationautoscaling),
            cloudwatch: client!(aws_sdk_cloudwatch),
            ec2: client!(aws_sdk_ec2),
            ecr: client!(aws_sdk_ecr),
            ecs: client!(aws_sdk_ecs),
            elbv2: client!(aws_sdk_elasticloadbalancingv2),
            iam: client!(aws_sdk_iam),
            logs: client!(aws_sdk_cloudwatchlogs),
            quotas: client!(aws_sdk_servicequotas),
            rds: client!(aws_sdk_rds),
            route53: client!(aws_sdk_route53),
            secrets: client!(aws_sdk_secretsmanager),
            sns: client!(aws_sdk_sns),
            ssm: client!(aws_sdk_ssm),
            sts: client!(aws_sdk_sts),
            tagging: client!(aws_sdk_resourcegroupstagging),
            wafv2: client!(aws_sdk_wafv2),
            reads: Arc::new(Reads::fresh()),
            recorded: Arc::default(),
            calls,
            credentials_end: CredentialsEnd::default(),
        }
    }

    /// When the credentials of the last call end; none if they do not, or if there was no call yet.
    pub fn credentials_end(&self) -> Option<SystemTime> {
        self.credentials_end.get()
    }

    /// The same clients with reads that are made once and shared, for one look at the whole stack.
    #[must_use]
    pub fn with_shared_reads(&self) -> Self {
        Self {
            reads: Arc::new(Reads::shared()),
            ..self.clone()
        }
    }

    /// The same clients, told the kind and the outputs of everything the state records, so that
    /// resources that AWS reads by id alone can share one read.
    #[must_use]
    pub fn knowing(self, recorded: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self {
            recorded: Arc::new(recorded.into_iter().collect()),
            ..self
        }
    }

    /// How many calls these clients have made so far.
    pub fn calls(&self) -> &CallCount {
        &self.calls
    }
}

/// Loads credentials and region the way every AWS tool does.
pub(super) async fn configuration(connection: &Connection) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(connection.region.clone()))
        // Standard mode with patience for throttled reads; adaptive mode would slow every
        // call after one throttle (field guide, section 11). Writes get a single attempt,
        // see `observer`.
        .retry_config(RetryConfig::standard().with_max_attempts(8))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(10))
                .operation_attempt_timeout(Duration::from_secs(60))
                .build(),
        );
    if let Some(profile) = &connection.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &connection.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if connection.dummy_credentials {
        loader = loader.credentials_provider(dummy_credentials());
    }
    loader.load().await
}

pub(super) fn dummy_credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "sandbox"))
}
