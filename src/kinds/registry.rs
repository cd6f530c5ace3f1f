//! The list of all kinds. Adding a kind is one file and one row here.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ec2, ssm};
use crate::aws::Aws;
use crate::resource::{AnyKind, Bound, Resource};

/// The kinds by name, bound to the given clients.
pub fn registry(aws: &Arc<Aws>) -> HashMap<&'static str, Arc<dyn AnyKind>> {
    fn row<K: Resource<Api = Aws>>(aws: &Arc<Aws>) -> (&'static str, Arc<dyn AnyKind>) {
        (K::KIND, Arc::new(Bound::<K>::new(Arc::clone(aws))))
    }
    HashMap::from([
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
        row::<ssm::Parameter>(aws),
    ])
}
