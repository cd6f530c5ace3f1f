//! What the account and region are, read before anything is planned.

use aws_sdk_ec2::types::Filter;

use super::{Answer, Aws, missing};
use crate::resource::Result;

impl Aws {
    /// Who the credentials belong to, as the last part of an ARN: `user/alice`,
    /// `assumed-role/deploy/ci` (`sts:GetCallerIdentity`).
    pub async fn caller(&self) -> Result<String> {
        let identity = self
            .sts
            .get_caller_identity()
            .send()
            .await
            .of("sts:GetCallerIdentity")?;
        let arn = identity
            .arn
            .ok_or_else(missing("sts:GetCallerIdentity", "Arn"))?;
        Ok(arn.rsplit(':').next().unwrap_or(&arn).to_owned())
    }

    /// The account the credentials belong to (`sts:GetCallerIdentity`).
    pub async fn account_id(&self) -> Result<String> {
        let identity = self
            .sts
            .get_caller_identity()
            .send()
            .await
            .of("sts:GetCallerIdentity")?;
        identity
            .account
            .ok_or_else(missing("sts:GetCallerIdentity", "Account"))
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
