//! One row for each value that is refused, table by table. In the TOML text `>>` marks where the
//! error must point.

use super::*;

#[test]
fn network() {
    for (text, message, help) in [
        (
            "[network]\ncidr = >>'10.0.0.5/16'",
            "10.0.0.5/16, which has host bits set; did you mean 10.0.0.0/16?",
            "/16 to /21",
        ),
        (
            "[network]\ncidr = >>'10.0.0.0/8'",
            "is too big for a VPC",
            "/16 to /21",
        ),
        (
            "[network]\ncidr = >>'10.0.0.0/24'",
            "is too small for three public and three private subnets",
            "/16 to /21",
        ),
        (
            "[network]\ncidr = >>'127.0.0.0/16'",
            "loopback",
            "/16 to /21",
        ),
        (
            "[network]\ncidr = >>'10.0.0.0/33'",
            "which is not an IPv4 CIDR block",
            "prefix",
        ),
        (
            "[network]\ncidr = >>'10.0.300.0/16'",
            "which is not an IPv4 CIDR block",
            "0 to 255",
        ),
        (
            "[network]\ncidr = >>'fd00::/56'",
            "which is not an IPv4 CIDR block",
            "prefix",
        ),
        (
            "[network]\ncidr = >>'10.0.0.0'",
            "which is not an IPv4 CIDR block",
            "10.0.0.0/32",
        ),
        (
            "[network]\nazs = >>['us-east-1a', 'us-east-1b']",
            "`network.azs` has 2 elements",
            "exactly 3",
        ),
        (
            "[network]\nazs = ['us-east-1a', 'us-east-1b', >>'us-east-1a']",
            "bad element 3: it is us-east-1a again",
            "once",
        ),
        (
            "[network]\nazs = ['us-east-1a', >>'us-east-1-bos-1a', 'us-east-1c']",
            "which is not an AZ",
            "local",
        ),
        (
            "[network]\nazs = >>['us-east-1a', 'us-east-1b', 'us-west-2c']",
            "names us-west-2c, but the region is us-east-1 (the default)",
            "3 AZs of us-east-1",
        ),
    ] {
        refused(text, message, help);
    }
    for good in ["8.8.0.0/16", "100.64.0.0/16", "192.168.248.0/21"] {
        assert!(
            load_text(&format!("[network]\ncidr = '{good}'")).is_ok(),
            "{good}"
        );
    }
}

#[test]
fn database() {
    for (text, message, help) in [
        (
            "[database]\nreaders = >>16",
            "`database.readers` is 16, which is out of range",
            "allowed: 0 to 15",
        ),
        (
            "[database]\nreaders = >>-1",
            "is -1, which is out of range",
            "allowed: 0 to 15",
        ),
        (
            "[database]\nreaders = >>300",
            "is 300, which is out of range",
            "allowed: 0 to 15",
        ),
        (
            "[database]\nbackup_retention_days = >>0",
            "out of range",
            "allowed: 1 to 35 days",
        ),
        (
            "[database]\nbackup_retention_days = >>36",
            "out of range",
            "allowed: 1 to 35 days",
        ),
        (
            "[database]\ninstance_class = >>'r6g.large'",
            "not an instance class",
            "db.r6g.large",
        ),
        (
            "[database]\ninstance_class = >>'db.r6g'",
            "not an instance class",
            "db.r6g.large",
        ),
        (
            "[database]\ninstance_class = >>'db.serverless'",
            "which capacity chooses",
            "capacity = \"serverless\"",
        ),
        (
            "[database]\nmin_acu = >>0.3",
            "is 0.3, which is not a step of 0.5",
            "0 to 256 ACU",
        ),
        (
            "[database]\nmax_acu = >>0.5",
            "out of range",
            "1 to 256 ACU",
        ),
        (
            "[database]\nmax_acu = >>256.5",
            "out of range",
            "1 to 256 ACU",
        ),
        (
            "[database]\nmax_acu = >>nan",
            "out of range",
            "1 to 256 ACU",
        ),
        (
            "[database]\nmax_acu = 2\nmin_acu = >>8",
            "`database.min_acu` is 8, more than `database.max_acu`, 2",
            "must not be above",
        ),
        (
            "[database]\nmin_acu = >>8",
            "more than `database.max_acu`, 4",
            "defaults: 0.5 and 4",
        ),
        (
            "[database]\nengine_version = >>'5.7'",
            "not an Aurora MySQL 8.0 version",
            "\"8.0\"",
        ),
    ] {
        refused(text, message, help);
    }
}

#[test]
fn app_and_service() {
    for (text, message, help) in [
        ("[app]\nlog_level = >>'a b'", "not a log level", "info"),
        ("[app]\nmax_connections = >>0", "out of range", "1 to"),
        (
            "[app.config]\n>>region = 'x'",
            "`app.config.region` has a key of its own",
            "top-level key `region`",
        ),
        (
            "[app.config]\n>>logLevel = 'x'",
            "has a key of its own",
            "`log_level` in [app]",
        ),
        (
            "[app.config]\n>>maxConnections = 5",
            "has a key of its own",
            "`max_connections` in [app]",
        ),
        (
            "[app.config]\na = [1, >>inf]",
            "`app.config.a` is inf, which JSON lacks",
            "finite",
        ),
        ("[app.config]\n>>a = '{{x}}'", "two opening braces", "SSM"),
        (
            "[app.env]\n>>DB_ENDPOINT = 'x'",
            "`app.env.DB_ENDPOINT` is a variable the stack sets itself",
            "CONFIG_PARAM",
        ),
        (
            "[app.env]\n>>DB_CREDENTIALS = 'x'",
            "sets itself",
            "DB_CREDENTIALS",
        ),
        (
            "[app.env]\n>>2X = 'x'",
            "not the name of an environment variable",
            "underscores",
        ),
        (
            "[service]\ncpu = >>500",
            "is 500, which AWS does not offer",
            "256, 512, 1024",
        ),
        (
            "[service]\ncpu = 256\nmemory = >>4096",
            "4096 MiB, which Fargate does not offer with `service.cpu` = 256",
            "512, 1024, 2048 MiB",
        ),
        (
            "[service]\ncpu = >>4096",
            "1024 MiB, which Fargate does not offer with `service.cpu` = 4096",
            "8192 to 30720 in steps of 1024 MiB",
        ),
        ("[service]\nimage_tag = >>'a/b'", "not an image tag", "128"),
        (
            "[service]\nspot_weight = >>0\non_demand_weight = 0",
            "both 0",
            "at least one",
        ),
        (
            "[service]\nspot_weight = >>1001",
            "out of range",
            "0 to 1000",
        ),
    ] {
        refused(text, message, help);
    }
    let big = format!("[app.config]\n>>a = '{}'", "x".repeat(4096));
    refused(
        &big,
        "[app.config] makes an SSM parameter of 41",
        "4096 bytes",
    );
}

#[test]
fn scaling_alarms_logs_and_deploy() {
    for (text, message, help) in [
        (
            "[scaling]\nmin = >>0",
            "`scaling.min` is 0, which is out of range",
            "1 to 5000 tasks",
        ),
        (
            "[scaling]\nmin = >>5\nmax = 4",
            "`scaling.min` is 5, more than `scaling.max`, 4",
            "must not be above max",
        ),
        (
            "[scaling]\nmax = >>2",
            "`scaling.min` is 3, more than `scaling.max`, 2",
            "defaults: 3 and 10",
        ),
        (
            "[scaling]\ncpu_target = >>101",
            "out of range",
            "1 to 100 percent",
        ),
        (
            "[alarms]\nemails = [>>'nobody']",
            "\"nobody\", which is not an e-mail address",
            "oncall@example.com",
        ),
        (
            "[alarms]\nemails = [>>'a@b']",
            "not an e-mail address",
            "oncall@example.com",
        ),
        (
            "[alarms]\nemails = ['a@b.org', >>'a@b.org']",
            "a@b.org again",
            "once",
        ),
        (
            "[logs]\nretention_days = >>8",
            "is 8, which AWS does not offer",
            "1, 3, 5, 7, 14",
        ),
        (
            "[deploy]\nstrategy = >>'rolling'",
            "`deploy.strategy` is \"rolling\"",
            "\"all-at-once\", \"canary\", \"linear\"",
        ),
        (
            "[deploy]\nbake_minutes = >>1441",
            "out of range",
            "0 to 1440 minutes",
        ),
        (
            "[deploy]\nstrategy = 'canary'\npercent = >>0.05",
            "out of range",
            "0.1 to 100",
        ),
        (
            "[deploy]\nstrategy = 'canary'\npercent = >>1.25",
            "not a step of 0.1",
            "0.1 to 100",
        ),
        (
            "[deploy]\npercent = >>2.9\nstrategy = 'linear'",
            "2.9, too little for a linear deployment",
            "3 to 100 percent",
        ),
    ] {
        refused(text, message, help);
    }
}

#[test]
fn edge_and_waf() {
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate/1234-abcd";
    let with = |text: &str| text.replace("ARN", arn);
    for (text, message, help) in [
        (
            "[edge]\ndomain = >>'api.example.com'",
            "`edge.domain` is set without `edge.zone_id`",
            "hosted zone",
        ),
        (
            "[edge]\nzone_id = >>'Z012345'",
            "`edge.zone_id` is set without `edge.domain`",
            "domain name",
        ),
        (
            "[edge]\ncertificate_arn = 'ARN'\ndomain = >>'api.example.com'\nzone_id = 'Z012345'",
            "both set",
            "keep one",
        ),
        (
            "[edge]\ncertificate_arn = >>'arn:aws:iam::123456789012:server-certificate/x'",
            "not the ARN of an ACM certificate",
            "arn:aws:acm:",
        ),
        (
            "region = 'eu-west-1'\n[edge]\ncertificate_arn = >>'ARN'",
            "certificate in us-east-1, but the region is eu-west-1 (from orderctl.toml)",
            "own region",
        ),
        (
            "[edge]\ntls = 'off'\ncertificate_arn = >>'ARN'",
            "`edge.certificate_arn` is set, but `edge.tls` is \"off\"",
            "tls = \"on\"",
        ),
        (
            "[edge]\ntls = 'off'\ndomain = >>'api.example.com'\nzone_id = 'Z012345'",
            "`edge.domain` is set, but",
            "tls = \"on\"",
        ),
        (
            "[edge]\ndomain = >>'*.example.com'",
            "is not a host name",
            "wildcard",
        ),
        (
            "[edge]\ndomain = >>'https://api.example.com'",
            "is not a host name",
            "scheme",
        ),
        (
            "[edge]\nzone_id = >>'/hostedzone/Z1'",
            "not a hosted zone ID",
            "without /hostedzone/",
        ),
        (
            "[edge]\npaths = >>[]",
            "`edge.paths` has 0 elements",
            "1 to 5",
        ),
        (
            "[edge]\npaths = >>['/a', '/b', '/c', '/d', '/e', '/f']",
            "has 6 elements",
            "1 to 5",
        ),
        (
            "[edge]\npaths = >>['/*/*', '/a*/?', '/b/*/?']",
            "has 6 wildcards",
            "5 wildcards",
        ),
        (
            "[edge]\npaths = ['/a', >>'b']",
            "\"b\", which is not a path pattern",
            "slash",
        ),
        (
            "[edge]\ntest_cidrs = [>>'203.0.113.7/24']",
            "has host bits set",
            "203.0.113.0/24",
        ),
        (
            "[edge]\ntest_port = >>443",
            "is 443, which the production listeners use",
            "except 80 and 443",
        ),
        (
            "[edge]\ntest_port = >>80",
            "is 80, which",
            "except 80 and 443",
        ),
        ("[edge]\ntest_port = >>65536", "out of range", "1 to 65535"),
        (
            "[waf]\nallow_cidrs = [>>'0.0.0.0/0']",
            "which WAF refuses",
            "/1 to /32",
        ),
        ("[waf]\nrate_limit = >>9", "out of range", "10 to"),
        (
            "[waf]\nrate_window_seconds = >>90",
            "is 90, which AWS does not offer",
            "60, 120, 300, 600 seconds",
        ),
        (
            "[waf]\nsqli = >>'counting'",
            "`waf.sqli` is \"counting\"",
            "\"block\", \"count\"",
        ),
    ] {
        refused(&with(text), message, help);
    }
    assert!(load_text(&with("[edge]\ncertificate_arn = 'ARN'")).is_ok());
}

#[test]
fn tags() {
    let long_key = format!("[tags]\n>>{} = 'x'", "k".repeat(129));
    let long_value = format!("[tags]\nk = >>'{}'", "v".repeat(257));
    for (text, message, help) in [
        (
            "[tags]\n>>'aws:x' = 'x'",
            "begins with `aws:`, which is reserved",
            "AWS alone",
        ),
        ("[tags]\n>>'AWS:x' = 'x'", "begins with `aws:`", "AWS alone"),
        (
            "[tags]\n>>Name = 'x'",
            "`tags.Name` is a tag orderctl sets itself",
            "ManagedBy",
        ),
        ("[tags]\n>>project = 'x'", "sets itself", "Project"),
        ("[tags]\n>>Environment = 'x'", "sets itself", "Environment"),
        ("[tags]\n>>ManagedBy = 'x'", "sets itself", "ManagedBy"),
        ("[tags]\n>>'orderctl:x' = 'x'", "sets itself", "orderctl:*"),
        (
            "[tags]\n>>'a!' = 'x'",
            "character AWS refuses in tag keys",
            "_ . :",
        ),
        (
            "[tags]\na = >>'x!'",
            "character AWS refuses in tag values",
            "_ . :",
        ),
        (&long_key, "key of 129 characters", "1 to 128"),
        (&long_value, "value of 257 characters", "up to 256"),
        (
            "[tags]\nteam = >>{ a = 'x' }",
            "`tags.team` must be a string, but is a table",
            "quotes",
        ),
        (
            "[tags]\n>>Team = 'a'\nteam = 'b'",
            "differ in upper and lower case alone",
            "IAM",
        ),
    ] {
        refused(text, message, help);
    }
    let tags = |count: usize| -> String {
        (0..count)
            .map(|index| format!("k{index:02} = 'v'\n"))
            .collect()
    };
    assert_eq!(
        load_text(&format!("[tags]\n{}", tags(40)))
            .unwrap()
            .config
            .tags
            .len(),
        40
    );
    refused(
        &format!("[tags]\n>>{}", tags(41)),
        "[tags] has 41 tags",
        "allowed: 40",
    );
    assert!(load_text("[tags]\n'Größe' = 'x'").is_ok());
}

#[test]
fn the_ends_of_ranges_are_allowed() {
    let label = "a".repeat(56);
    let domain = format!("[edge]\nzone_id = 'Z1'\ndomain = '{label}.example'");
    for text in [
        domain.as_str(),
        "[database]\nmin_acu = 4\nmax_acu = 4",
        "[database]\ncapacity = 'serverless'\nmin_acu = 256\nmax_acu = 256",
        "[scaling]\nmin = 5000\nmax = 5000",
        "[waf]\nrate_limit = 2000000000\nallow_cidrs = ['128.0.0.0/1']",
        "[edge]\npaths = ['/*', '/?', '/a*', '/b*', '/c*']\ntest_port = 65535",
        "[deploy]\nstrategy = 'linear'\npercent = 3",
        "[deploy]\nstrategy = 'canary'\npercent = 0.1",
    ] {
        assert!(load_text(text).is_ok(), "{text}: {:?}", load_text(text));
    }
    let long = format!("[edge]\nzone_id = 'Z1'\ndomain = >>'a{label}.example'");
    refused(&long, "longer than the 64 characters", "lower case");
    refused(
        "[waf]\nrate_limit = >>2000000001",
        "out of range",
        "10 to 2000000000",
    );
}
