//! The resolved configuration: every setting of the stack with its meaning, unit and default. All
//! values here have passed the rules, so the rest of the program never checks them again.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::network::Network;

/// Holds every setting of one stack, resolved and valid.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// The AWS region; default `us-east-1`.
    pub region: String,
    /// Whether `down` and replacements that lose data are refused and AWS's deletion protection
    /// is on (database cluster, load balancer); default false.
    pub protect: bool,
    /// The user's own tags, added to every taggable resource; at most 40.
    pub tags: BTreeMap<String, String>,
    /// The VPC and its subnets.
    pub network: Network,
    /// The Aurora MySQL cluster.
    pub database: Database,
    /// What the application reads: its SSM parameter and its environment.
    pub app: App,
    /// The Fargate tasks and the ECS service.
    pub service: Service,
    /// How the number of tasks follows the load.
    pub scaling: Scaling,
    /// The load balancer's listeners and certificate.
    pub edge: Edge,
    /// The web ACL in front of the load balancer.
    pub waf: Waf,
    /// When somebody is told.
    pub alarms: Alarms,
    /// How long logs are kept.
    pub logs: Logs,
    /// How a release takes over the traffic.
    pub deploy: Deploy,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            region: "us-east-1".to_owned(),
            protect: false,
            tags: BTreeMap::new(),
            network: Network::default(),
            database: Database::default(),
            app: App::default(),
            service: Service::default(),
            scaling: Scaling::default(),
            edge: Edge::default(),
            waf: Waf::default(),
            alarms: Alarms::default(),
            logs: Logs::default(),
            deploy: Deploy::default(),
        }
    }
}

/// Describes the Aurora MySQL cluster and its instances.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Database {
    /// Who makes the master password; default [`Credentials::Secret`].
    pub credentials: Credentials,
    /// The number of readers beside the writer, 0 to 15; default 2.
    pub readers: u8,
    /// The instance class, `db.<family>.<size>`; default `db.r6g.large`. Not used by Serverless v2.
    pub instance_class: String,
    /// Fixed instances or Aurora Serverless v2; default [`Capacity::Provisioned`].
    pub capacity: Capacity,
    /// The least Serverless v2 capacity in ACU, 0 to 256 in steps of 0.5 (0 lets an idle database
    /// pause); default 0.5.
    pub min_acu: f64,
    /// The most Serverless v2 capacity in ACU, 1 to 256 in steps of 0.5; default 4.
    pub max_acu: f64,
    /// How many days automatic backups are kept, 1 to 35; default 7.
    pub backup_retention_days: u8,
    /// The declared prefix of the engine version, which the live version must start with; default
    /// `8.0`, where AWS picks the patch.
    pub engine_version: String,
}

/// Chooses who makes and keeps the database's master password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credentials {
    /// A Secrets Manager secret of the stack, `order-api-db-password-<suffix>`.
    Secret,
    /// A secret RDS makes and rotates. Running tasks keep the password they started with, so
    /// after a rotation they need a new deployment (field guide section 6).
    RdsManaged,
}

/// Chooses how database instances are sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// Instances of `instance_class`.
    Provisioned,
    /// Aurora Serverless v2 between `min_acu` and `max_acu`.
    Serverless,
}

impl Default for Database {
    fn default() -> Self {
        Database {
            credentials: Credentials::Secret,
            readers: 2,
            instance_class: "db.r6g.large".to_owned(),
            capacity: Capacity::Provisioned,
            min_acu: 0.5,
            max_acu: 4.0,
            backup_retention_days: 7,
            engine_version: "8.0".to_owned(),
        }
    }
}

/// Holds what the application is told through its SSM parameter and its environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct App {
    /// What is added to the JSON of the SSM parameter; never `region`, `logLevel` or
    /// `maxConnections`, which have keys of their own.
    pub config: BTreeMap<String, serde_json::Value>,
    /// Environment variables added to the container.
    pub env: BTreeMap<String, String>,
    /// `logLevel` in the SSM parameter, a word the application understands; default `info`.
    pub log_level: String,
    /// `maxConnections` in the SSM parameter, at least 1; default 100.
    pub max_connections: u32,
}

impl Default for App {
    fn default() -> Self {
        App {
            config: BTreeMap::new(),
            env: BTreeMap::new(),
            log_level: "info".to_owned(),
            max_connections: 100,
        }
    }
}

impl App {
    /// Returns the JSON object of the SSM parameter: `region`, `logLevel`, `maxConnections`, then
    /// `[app.config]` in the order of its keys.
    pub fn parameter(&self, region: &str) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        object.insert("region".to_owned(), region.into());
        object.insert("logLevel".to_owned(), self.log_level.as_str().into());
        object.insert("maxConnections".to_owned(), self.max_connections.into());
        for (key, value) in &self.config {
            object.insert(key.clone(), value.clone());
        }
        serde_json::Value::Object(object)
    }
}

/// Describes the Fargate tasks and the ECS service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    /// CPU units of a task, 1024 to the vCPU; default 512.
    pub cpu: u32,
    /// Memory of a task in MiB; must be one Fargate offers with `cpu`; default 1024.
    pub memory: u32,
    /// The processor the image is built for; default [`Architecture::X86_64`].
    pub architecture: Architecture,
    /// How many seconds a new task's failing health checks are overlooked; default 60.
    pub health_check_grace_seconds: u32,
    /// The tag of the image in the stack's ECR repository; default `latest`.
    pub image_tag: String,
    /// The weight of FARGATE_SPOT, 0 to 1000; default 1.
    pub spot_weight: u32,
    /// The weight of FARGATE (On-Demand), 0 to 1000; default 1.
    pub on_demand_weight: u32,
}

/// Names a task's processor architecture as ECS does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Architecture {
    /// 64-bit Intel and AMD.
    #[serde(rename = "X86_64")]
    X86_64,
    /// 64-bit ARM (Graviton).
    #[serde(rename = "ARM64")]
    Arm64,
}

impl Default for Service {
    fn default() -> Self {
        Service {
            cpu: 512,
            memory: 1024,
            architecture: Architecture::X86_64,
            health_check_grace_seconds: 60,
            image_tag: "latest".to_owned(),
            spot_weight: 1,
            on_demand_weight: 1,
        }
    }
}

/// Describes how the number of tasks follows the load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// The fewest tasks, at least 1; default 3.
    pub min: u32,
    /// The most tasks, at least `min`; default 10.
    pub max: u32,
    /// The average CPU to hold, in percent; default 70.
    pub cpu_target: f64,
    /// The pending orders to hold (`PendingOrders`); default 100.
    pub pending_orders_target: f64,
    /// Seconds to wait after removing tasks; default 300.
    pub in_cooldown_seconds: u32,
    /// Seconds to wait after adding tasks; default 60.
    pub out_cooldown_seconds: u32,
}

impl Default for Scaling {
    fn default() -> Self {
        Scaling {
            min: 3,
            max: 10,
            cpu_target: 70.0,
            pending_orders_target: 100.0,
            in_cooldown_seconds: 300,
            out_cooldown_seconds: 60,
        }
    }
}

/// Describes the load balancer's listeners, paths and certificate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// Whether the API is served over HTTPS; default [`Tls::On`].
    pub tls: Tls,
    /// An ACM certificate of the same region; excludes `domain`.
    pub certificate_arn: Option<String>,
    /// The API's own domain name: a certificate is requested for it and an alias record made;
    /// needs `zone_id`. With neither, a self-signed certificate is imported.
    pub domain: Option<String>,
    /// The Route 53 hosted zone that holds `domain`, without `/hostedzone/`.
    pub zone_id: Option<String>,
    /// The path patterns forwarded to the service, one to five; default `/*`.
    pub paths: Vec<String>,
    /// Who may reach the test listener; default nobody.
    pub test_cidrs: Vec<Ipv4Net>,
    /// The port of the test listener, not 80 or 443; default 8443.
    pub test_port: u16,
}

/// Chooses between HTTPS and plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// HTTPS on 443; port 80 redirects to it.
    On,
    /// Plain HTTP on 80 alone.
    Off,
}

impl Default for Edge {
    fn default() -> Self {
        Edge {
            tls: Tls::On,
            certificate_arn: None,
            domain: None,
            zone_id: None,
            paths: vec!["/*".to_owned()],
            test_cidrs: Vec::new(),
            test_port: 8443,
        }
    }
}

/// Describes the web ACL.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waf {
    /// Addresses the other rules never look at; default none. /0 is not a WAF range.
    pub allow_cidrs: Vec<Ipv4Net>,
    /// Requests one address may send per window before it is blocked, 10 to 2 000 000 000;
    /// default 100.
    pub rate_limit: u32,
    /// The window in seconds: 60, 120, 300 or 600; default 300.
    pub rate_window_seconds: u32,
    /// `AWSManagedRulesCommonRuleSet`; default [`RuleMode::Block`].
    pub common: RuleMode,
    /// `AWSManagedRulesKnownBadInputsRuleSet`; default [`RuleMode::Block`].
    pub known_bad_inputs: RuleMode,
    /// `AWSManagedRulesSQLiRuleSet`; default [`RuleMode::Block`].
    pub sqli: RuleMode,
}

/// Chooses what a managed rule group does with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleMode {
    /// The group's own actions apply: matches are blocked.
    Block,
    /// Matches are only counted.
    Count,
}

impl Default for Waf {
    fn default() -> Self {
        Waf {
            allow_cidrs: Vec::new(),
            rate_limit: 100,
            rate_window_seconds: 300,
            common: RuleMode::Block,
            known_bad_inputs: RuleMode::Block,
            sqli: RuleMode::Block,
        }
    }
}

/// Describes who is told, and from when on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarms {
    /// E-mail addresses subscribed to the alarm topic; default none.
    pub emails: Vec<String>,
    /// 5XX answers in 300 s above which the error alarm fires; default 10.
    pub high_errors: u32,
    /// Database connections above which the database alarm fires; default 80.
    pub db_connections: u32,
}

impl Default for Alarms {
    fn default() -> Self {
        Alarms {
            emails: Vec::new(),
            high_errors: 10,
            db_connections: 80,
        }
    }
}

/// Describes how long logs are kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Logs {
    /// Days every log group of the stack keeps its events; one of [`RETENTION_DAYS`]; default 7.
    pub retention_days: u32,
}

/// Lists the retention periods CloudWatch Logs accepts, in days (`PutRetentionPolicy`).
pub const RETENTION_DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

impl Default for Logs {
    fn default() -> Self {
        Logs { retention_days: 7 }
    }
}

/// Describes how a release takes over the traffic (ECS native blue/green).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deploy {
    /// How the traffic moves; default [`Strategy::AllAtOnce`].
    pub strategy: Strategy,
    /// The share of the traffic moved first (canary, 0.1 to 100; default 5) or per step (linear,
    /// 3 to 100; default 10), in percent in steps of 0.1. Not used by all-at-once.
    pub percent: f64,
    /// Minutes between two shifts, 0 to 1440; default 10 (canary) or 6 (linear). Not used by
    /// all-at-once.
    pub step_bake_minutes: u32,
    /// Minutes both versions stay up after the last shift, the time in which a rollback is
    /// immediate; 0 to 1440; default 5.
    pub bake_minutes: u32,
}

/// Names the ECS traffic-shift strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All traffic moves in one shift (`BLUE_GREEN`).
    AllAtOnce,
    /// A small share first, then the rest (`CANARY`).
    Canary,
    /// Equal steps (`LINEAR`).
    Linear,
}

impl Strategy {
    /// Returns the percentage and step bake minutes ECS itself fills in for the strategy (field
    /// guide section 4).
    pub fn defaults(self) -> (f64, u32) {
        match self {
            Strategy::AllAtOnce | Strategy::Canary => (5.0, 10),
            Strategy::Linear => (10.0, 6),
        }
    }
}

impl Default for Deploy {
    fn default() -> Self {
        let (percent, step_bake_minutes) = Strategy::AllAtOnce.defaults();
        Deploy {
            strategy: Strategy::AllAtOnce,
            percent,
            step_bake_minutes,
            bake_minutes: 5,
        }
    }
}
