//! What the account and region are, read before anything is planned.

use aws_sdk_ec2::types::Filter;

use super::{Answer, Aws, missing};
use crate::resource::Result;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account the credentials belong to.
    pub account: String,
    /// The ARN of the user, or of the session of a role.
    pub arn: String,
}

impl Aws {
    /// Who the credentials belong to (`sts:GetCallerIdentity`).
    pub async fn caller(&self) -> Result<Caller> {
        let identity = self
            .sts
            .get_caller_identity()
            .send()
            .await
            .of("sts:GetCallerIdentity")?;
        Ok(Caller {
            account: identity
                .account
                .ok_or_else(missing("sts:GetCallerIdentity", "Account"))?,
            arn: identity.arn.unwrap_or_default(),
        })
    }

    /// The region's Availability Zones by name, Local and Wavelength Zones left out
    /// (`ec2:DescribeAvailabilityZones`).
    pub async fn availability_zones(&self) -> Result<Vec<String>> {
        let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
        let answer = self
            .ec2
            .describe_availability_zones()
            .filters(filter("state", "available"))
            .filters(filter("zone-type", "availability-zone"))
            .send()
            .await
            .of("ec2:DescribeAvailabilityZones")?;
        let zones = answer.availability_zones().iter();
        let mut names: Vec<String> = zones
            .filter_map(|zone| zone.zone_name().map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }
}
