//! What `up` will need, looked at before it makes anything: who calls, what the account allows and
//! has room for, and what stands in the way. Reads alone, and few: about 15 calls side by side.

mod certificate;
mod credentials;
mod examples;
mod permissions;
mod quotas;
mod region;
mod secret;
mod strangers;

use std::time::SystemTime;

use super::Finding;
use super::chart::{Chart, charted, merged};
use crate::aws::Aws;

/// What `up` is about to need.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The suffix, which is the value of the stack's tag.
    pub stack: String,
    /// The account the stack goes to.
    pub account: String,
    /// The ARN of who calls.
    pub caller: String,
    /// When the caller's credentials end, if they do.
    pub credentials_end: Option<SystemTime>,
    /// The region the stack goes to.
    pub region: String,
    /// The three Availability Zones, where they are settled already.
    pub zones: Option<[String; 3]>,
    /// In how many of the zones a NAT gateway with an Elastic IP is to stand.
    pub nat_gateways: usize,
    /// The tasks and what they run on.
    pub tasks: Tasks,
    /// The name of the secret that is to be made.
    pub secret: Option<String>,
    /// Where the load balancer's certificate comes from.
    pub certificate: Certificate,
    /// What has the stack's names and not its tags, each with its kind; or why that is not known.
    /// None where somebody else tells.
    pub strangers: Option<Result<Vec<String>, String>>,
    /// The actions that `up` calls, as IAM writes them: `ec2:CreateVpc`.
    pub actions: Vec<String>,
}

/// How many tasks are to run, of which size, on what.
#[derive(Clone, Copy, Debug)]
pub struct Tasks {
    /// The fewest.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// CPU units of each, 1024 to the vCPU.
    pub cpu: u32,
    /// The weight of FARGATE.
    pub on_demand_weight: u32,
    /// The weight of FARGATE_SPOT.
    pub spot_weight: u32,
}

/// Where the load balancer's certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// There is none, or it is self-signed: nothing is needed.
    Nothing,
    /// It exists.
    Existing {
        /// Its ARN.
        arn: String,
    },
    /// ACM issues it.
    Issued {
        /// The domain it is for.
        domain: String,
        /// The Route 53 hosted zone of that domain.
        zone_id: String,
    },
}

/// Looks at all of it.
pub async fn look(aws: &Aws, needs: &Needs) -> Vec<Finding> {
    macro_rules! looked_at {
        ($($area:ident)*) => {{
            let ($($area,)*) = tokio::join!($(charted(
                $area::AREA,
                async |chart: &mut Chart| $area::look(aws, needs, chart).await,
            )),*);
            merged([$($area),*])
        }};
    }
    looked_at!(credentials region quotas strangers secret certificate permissions)
}

#[cfg(test)]
mod testing {
    use super::*;

    /// What the default stack `dev` needs.
    pub(super) fn needs() -> Needs {
        Needs {
            stack: "dev".into(),
            account: "123456789012".into(),
            caller: "arn:aws:iam::123456789012:user/ana".into(),
            credentials_end: None,
            region: "us-east-1".into(),
            zones: Some(["us-east-1a", "us-east-1b", "us-east-1c"].map(str::to_owned)),
            nat_gateways: 3,
            tasks: Tasks {
                min: 3,
                max: 10,
                cpu: 512,
                on_demand_weight: 1,
                spot_weight: 1,
            },
            secret: Some("order-api-db-password-dev".into()),
            certificate: Certificate::Nothing,
            strangers: None,
            actions: Vec::new(),
        }
    }
}
