//! The list of all kinds. Adding a kind is one file and one row here.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    acm, applicationautoscaling, cloudwatch, ec2, ecr, ecs, elbv2, iam, logs, rds, route53,
    secretsmanager, sns, ssm, wafv2,
};
use crate::aws::Aws;
use crate::resource::{AnyKind, Bound, Resource};

/// The kinds by name, bound to the given clients.
pub fn registry(aws: &Arc<Aws>) -> HashMap<&'static str, Arc<dyn AnyKind>> {
    fn row<K: Resource<Api = Aws>>(aws: &Arc<Aws>) -> (&'static str, Arc<dyn AnyKind>) {
        (K::KIND, Arc::new(Bound::<K>::new(Arc::clone(aws))))
    }
    HashMap::from([
        row::<acm::Certificate>(aws),
        row::<acm::CertificateValidation>(aws),
        row::<acm::ImportedCertificate>(aws),
        row::<applicationautoscaling::ScalableTarget>(aws),
        row::<applicationautoscaling::ScalingPolicy>(aws),
        row::<cloudwatch::Alarm>(aws),
        row::<cloudwatch::Dashboard>(aws),
        row::<ec2::ElasticIp>(aws),
        row::<ec2::InternetGateway>(aws),
        row::<ec2::InternetGatewayAttachment>(aws),
        row::<ec2::NatGateway>(aws),
        row::<ec2::Route>(aws),
        row::<ec2::RouteTable>(aws),
        row::<ec2::RouteTableAssociation>(aws),
        row::<ec2::SecurityGroup>(aws),
        row::<ec2::SecurityGroupRule>(aws),
        row::<ec2::Subnet>(aws),
        row::<ec2::Vpc>(aws),
        row::<ec2::VpcEndpoint>(aws),
        row::<ecr::Repository>(aws),
        row::<ecs::Cluster>(aws),
        row::<ecs::Service>(aws),
        row::<ecs::TaskDefinition>(aws),
        row::<elbv2::Listener>(aws),
        row::<elbv2::ListenerRule>(aws),
        row::<elbv2::LoadBalancer>(aws),
        row::<elbv2::TargetGroup>(aws),
        row::<iam::Role>(aws),
        row::<iam::ServiceLinkedRole>(aws),
        row::<logs::LogGroup>(aws),
        row::<logs::MetricFilter>(aws),
        row::<rds::DbCluster>(aws),
        row::<rds::DbClusterParameterGroup>(aws),
        row::<rds::DbInstance>(aws),
        row::<rds::DbSubnetGroup>(aws),
        row::<route53::Record>(aws),
        row::<secretsmanager::Secret>(aws),
        row::<sns::Subscription>(aws),
        row::<sns::Topic>(aws),
        row::<ssm::Parameter>(aws),
        row::<wafv2::IpSet>(aws),
        row::<wafv2::WebAcl>(aws),
        row::<wafv2::WebAclAssociation>(aws),
    ])
}
