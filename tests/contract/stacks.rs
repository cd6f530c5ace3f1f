//! The stacks the contract is checked on. Together they hold every kind of the registry.

use orderctl::aws::{Answer, Aws};
use orderctl::config::{Capacity, Config, Credentials, Nat, Strategy, Tls};
use orderctl::engine::Declaration;
use orderctl::sandbox::ACCOUNT_ID;
use orderctl::stack::{Facts, declare};

/// The domain of the hosted zone.
const ZONE: &str = "contract.example";

/// One stack.
pub(crate) struct Variant {
    pub(crate) suffix: &'static str,
    pub(crate) config: Config,
    pub(crate) has_image: bool,
}

impl Variant {
    pub(crate) fn declaration(&self) -> Declaration {
        let facts = Facts {
            account: ACCOUNT_ID.to_owned(),
            availability_zones: ["us-east-1a", "us-east-1b", "us-east-1c"].map(str::to_owned),
            has_image: self.has_image,
            running: None,
        };
        declare(&self.suffix.parse().unwrap(), &self.config, &facts).unwrap()
    }
}

/// What `up --suffix default` makes with no file at all.
pub(crate) fn default() -> Variant {
    Variant {
        suffix: "default",
        config: Config::default(),
        has_image: false,
    }
}

/// The other side of every switch that brings kinds of its own or another shape of them.
pub(crate) fn other_side(zone_id: &str) -> Variant {
    let mut config = Config {
        tags: [("team".to_owned(), "orders".to_owned())].into(),
        ..Config::default()
    };
    config.network.nat = Nat::Single;
    config.database.credentials = Credentials::RdsManaged;
    config.database.capacity = Capacity::Serverless;
    config.database.readers = 1;
    config.edge.domain = Some(format!("api.{ZONE}"));
    config.edge.zone_id = Some(zone_id.to_owned());
    config.edge.test_cidrs = vec!["192.0.2.0/24".parse().unwrap()];
    config.waf.allow_cidrs = vec!["198.51.100.0/24".parse().unwrap()];
    config.alarms.emails = vec!["oncall@contract.example".to_owned()];
    config.deploy.strategy = Strategy::Canary;
    Variant {
        suffix: "other-side",
        config,
        has_image: true,
    }
}

/// The same stack as it would be declared by now, had its configuration changed: other nodes, and
/// none of those that each switch brings.
pub(crate) fn reconfigured(variant: &Variant) -> Variant {
    let mut config = Config::default();
    if variant.suffix == default().suffix {
        config.network.nat = Nat::None;
        config.network.s3_endpoint = false;
        config.database.credentials = Credentials::RdsManaged;
        config.database.readers = 0;
        config.edge.tls = Tls::Off;
    }
    Variant {
        suffix: variant.suffix,
        config,
        has_image: false,
    }
}

/// Makes the hosted zone that the user of a domain brings along, and gives its id.
pub(crate) async fn hosted_zone(aws: &Aws) -> String {
    let answer = aws
        .route53
        .create_hosted_zone()
        .name(ZONE)
        .caller_reference("contract")
        .send()
        .await
        .of("route53:CreateHostedZone")
        .unwrap();
    let zone = answer.hosted_zone().unwrap();
    zone.id().trim_start_matches("/hostedzone/").to_owned()
}
