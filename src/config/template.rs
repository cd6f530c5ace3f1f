//! The file `init` writes: every key at its default, with a line on what it means. A test holds it
//! to the schema and to the defaults, so it cannot fall behind.

use super::suffix::Suffix;

/// Holds the commented orderctl.toml. `#key = value` lines show defaults and may all be
/// uncommented at once without changing anything; `#` and a space begins prose.
pub const TEMPLATE: &str = r##"# orderctl.toml: the settings of one order-API stack.
#
# Every key is optional. A line that begins with # and a key shows the default: remove the # and
# change the value. Keys without a default are shown as an example after "e.g.".
# What counts: flags, then environment variables, then this file, then the defaults.

# The name of the stack, <suffix> in all its resources: a-z, 0-9 and single hyphens, 1 to 20
# characters. Also --suffix or ORDERCTL_SUFFIX.  e.g. suffix = "dev"

# The AWS region; it needs three availability zones. Also --region, AWS_REGION or
# AWS_DEFAULT_REGION.
#region = "us-east-1"

# The profile of your AWS configuration. Also --profile or AWS_PROFILE.  e.g. profile = "work"

# Where the states are: a directory, or s3://bucket/prefix. Also --state or ORDERCTL_STATE.  e.g. state = "state"

# true refuses `down` and anything else that loses data, and turns on AWS's deletion protection.
#protect = false

# Your own tags on every resource, at most 40.  e.g. CostCenter = "4711"
[tags]

[network]
# The address block of the VPC, /16 to /21. It is cut into sixteen: three public subnets share the
# first part, and three private ones take the next three. It cannot be changed in place.
#cidr = "10.0.0.0/16"
# Three availability zones of the region; without the key the first `up` chooses and remembers.
# e.g. azs = ["us-east-1a", "us-east-1b", "us-east-1c"]
# NAT gateways: "per-az" (three), "single" (cheap, but one AZ's failure cuts off all) or "none"
# (tasks reach neither the internet nor the image registry).
#nat = "per-az"
# Reach S3 through a free gateway endpoint instead of the NAT gateways.
#s3_endpoint = true

[database]
# Who makes the password: "secret" (a secret of this stack) or "rds-managed" (RDS makes and rotates
# it; tasks must be redeployed after each rotation).
#credentials = "secret"
# Readers beside the writer, 0 to 15.
#readers = 2
# "provisioned" (instances of instance_class) or "serverless" (Serverless v2 between the two ACU
# limits below).
#capacity = "provisioned"
#instance_class = "db.r6g.large"
# Serverless v2 limits in ACU, steps of 0.5: min_acu 0 to 256 (0 pauses when idle), max_acu 1 to
# 256.
#min_acu = 0.5
#max_acu = 4.0
# Days that automatic backups are kept, 1 to 35.
#backup_retention_days = 7
# The version the live engine must begin with; AWS picks the patch.
#engine_version = "8.0"

[app]
# "logLevel" and "maxConnections" in the SSM parameter /order-api/<suffix>/config.
#log_level = "info"
#max_connections = 100

# More keys for that parameter's JSON.  e.g. featureFlags = { newCheckout = true }
[app.config]

# More environment variables for the container. Never put a secret here: task definitions are not
# secret.  e.g. PAYMENT_URL = "https://payments.example.com"
[app.env]

[service]
# The size of a task: CPU units (1024 to the vCPU) and MiB, a pair that Fargate offers.
#cpu = 512
#memory = 1024
# The processor the image is built for: "X86_64" or "ARM64".
#architecture = "X86_64"
# Seconds in which a new task's failing health checks do not count.
#health_check_grace_seconds = 60
# The image's tag in the stack's ECR repository.
#image_tag = "latest"
# How tasks are shared out between Fargate Spot and On-Demand, 0 to 1000 each.
#spot_weight = 1
#on_demand_weight = 1

[scaling]
# The fewest and the most tasks, 1 to 5000.
#min = 3
#max = 10
# Average CPU in percent, and pending orders, that scaling holds.
#cpu_target = 70.0
#pending_orders_target = 100.0
# Seconds to wait after removing tasks (in) and after adding some (out).
#in_cooldown_seconds = 300
#out_cooldown_seconds = 60

[edge]
# "on" (HTTPS; port 80 redirects to it) or "off" (plain HTTP alone: everybody on the way can read
# it).
#tls = "on"
# The certificate: one you have in ACM, or a domain with its Route 53 zone, for which one is
# requested; with neither a self-signed one is made, which browsers warn about.
# e.g. certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/<id>"
# e.g. domain = "orders.example.com" with zone_id = "Z0123456789ABCDEFGHIJ"
# The paths that reach the service, 1 to 5 patterns with at most 5 wildcards.
#paths = ["/*"]
# Who may reach the test listener, which shows a release before it takes over.
#test_cidrs = []
#test_port = 8443

[waf]
# Addresses that the rules below never block.
#allow_cidrs = []
# Requests one address may send per window (10 or more) of 60, 120, 300 or 600 seconds.
#rate_limit = 100
#rate_window_seconds = 300
# AWS's managed rule groups: "block", or "count" to only watch.
#common = "block"
#known_bad_inputs = "block"
#sqli = "block"

[alarms]
# Who is mailed; each address must confirm once.
#emails = []
# Alarm above this many 5XX answers in 300 s, and above this many database connections.
#high_errors = 10
#db_connections = 80

[logs]
# Days that logs are kept: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096,
# 1827, 2192, 2557, 2922, 3288 or 3653.
#retention_days = 7

[deploy]
# How a release takes over: "all-at-once", "canary" (a small share first) or "linear" (equal steps).
#strategy = "all-at-once"
# The share in percent: canary 0.1 to 100 (default 5), linear 3 to 100 (default 10); and the
# minutes between shifts, 0 to 1440 (canary 10, linear 6). All-at-once uses neither.
#percent = 5.0
#step_bake_minutes = 10
# Minutes in which both versions stay up and a rollback is immediate, 0 to 1440.
#bake_minutes = 5
"##;

/// Returns [`TEMPLATE`] with the suffix and the region of the user filled in.
pub fn template(suffix: Option<&Suffix>, region: Option<&str>) -> String {
    let mut text = TEMPLATE.to_owned();
    if let Some(suffix) = suffix {
        let example = "ORDERCTL_SUFFIX.  e.g. suffix = \"dev\"\n";
        text = text.replacen(
            example,
            &format!("ORDERCTL_SUFFIX.\nsuffix = \"{suffix}\"\n"),
            1,
        );
    }
    if let Some(region) = region {
        let line = format!("region = {}\n", toml::Value::from(region));
        text = text.replacen("#region = \"us-east-1\"\n", &line, 1);
    }
    text
}
