//! The list of all kinds. Adding a kind is one file and one row here.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    acm, applicationautoscaling, cloudwatch, ec2, ecr, ecs, elbv2, iam, logs, rds, route53,
    secretsmanager, sns, ssm, wafv2,
};
use crate::aws::Aws;
use crate::resource::{AnyKind, Bound, Profile, Resource};

/// Gives one row per kind, made by another macro.
macro_rules! every_kind {
    ($row:ident) => {
        [
            $row!(acm::Certificate),
            $row!(acm::CertificateValidation),
            $row!(acm::ImportedCertificate),
            $row!(applicationautoscaling::ScalableTarget),
            $row!(applicationautoscaling::ScalingPolicy),
            $row!(cloudwatch::Alarm),
            $row!(cloudwatch::Dashboard),
            $row!(ec2::ElasticIp),
            $row!(ec2::InternetGateway),
            $row!(ec2::InternetGatewayAttachment),
            $row!(ec2::NatGateway),
            $row!(ec2::Route),
            $row!(ec2::RouteTable),
            $row!(ec2::RouteTableAssociation),
            $row!(ec2::SecurityGroup),
            $row!(ec2::SecurityGroupRule),
            $row!(ec2::Subnet),
            $row!(ec2::Vpc),
            $row!(ec2::VpcEndpoint),
            $row!(ecr::Repository),
            $row!(ecs::Cluster),
            $row!(ecs::Service),
            $row!(ecs::TaskDefinition),
            $row!(elbv2::Listener),
            $row!(elbv2::ListenerRule),
            $row!(elbv2::LoadBalancer),
            $row!(elbv2::TargetGroup),
            $row!(iam::Role),
            $row!(iam::ServiceLinkedRole),
            $row!(logs::LogGroup),
            $row!(logs::MetricFilter),
            $row!(rds::DbCluster),
            $row!(rds::DbClusterParameterGroup),
            $row!(rds::DbInstance),
            $row!(rds::DbSubnetGroup),
            $row!(route53::Record),
            $row!(secretsmanager::Secret),
            $row!(sns::Subscription),
            $row!(sns::Topic),
            $row!(ssm::Parameter),
            $row!(wafv2::IpSet),
            $row!(wafv2::WebAcl),
            $row!(wafv2::WebAclAssociation),
        ]
    };
}

/// The kinds by name, bound to the given clients.
pub fn registry(aws: &Arc<Aws>) -> HashMap<&'static str, Arc<dyn AnyKind>> {
    fn row<K: Resource<Api = Aws>>(aws: &Arc<Aws>) -> (&'static str, Arc<dyn AnyKind>) {
        (K::KIND, Arc::new(Bound::<K>::new(Arc::clone(aws))))
    }
    macro_rules! bound {
        ($kind:ty) => {
            row::<$kind>(aws)
        };
    }
    HashMap::from(every_kind!(bound))
}

/// The constants of all kinds.
pub fn profiles() -> Vec<Profile> {
    macro_rules! profile {
        ($kind:ty) => {
            Profile::of::<$kind>()
        };
    }
    every_kind!(profile).into()
}
