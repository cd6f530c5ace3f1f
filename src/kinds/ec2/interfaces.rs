//! Network interfaces that hold a security group, a subnet or a VPC, and whose they are (field
//! guide, end of section 2). AWS's own services put them there, take them away some time after they
//! are done, and now and then forget one.

use aws_sdk_ec2::types::{Filter, NetworkInterface, NetworkInterfaceStatus, Tag};

use super::{Described, all_pages, narrowed, tags_of};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{Result, STACK_TAG, Scope};

impl Described for NetworkInterface {
    const OPERATION: &'static str = "ec2:DescribeNetworkInterfaces";
    const ID_FILTER: &'static str = "network-interface-id";

    fn id_and_tags(&self) -> (Option<&str>, &[Tag]) {
        (self.network_interface_id(), self.tag_set())
    }

    async fn describe(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Self>> {
        all_pages!(aws.describe_network_interfaces().set_filters(filters))
    }
}

/// Where the interfaces are looked for.
#[derive(Clone, Copy)]
pub(super) enum Held<'a> {
    /// Members of a security group.
    SecurityGroup(&'a str),
    /// Inside a subnet.
    Subnet(&'a str),
    /// Inside a VPC.
    Vpc(&'a str),
}

/// Deletes the interfaces that a service has left behind, and names the others.
///
/// Left behind is what is attached to nothing and carries the stack's tag, or what a service made
/// and is a member of our security group: nobody else's are put into that. What is attached, and
/// what a person made, is only named; so is what lies unattached in our subnet without being ours,
/// because the service of somebody else may be about to attach it.
pub(super) async fn make_way(aws: &Aws, scope: &Scope, held: Held<'_>) -> Result<Vec<String>> {
    let (filter, id) = match held {
        Held::SecurityGroup(id) => ("group-id", id),
        Held::Subnet(id) => ("subnet-id", id),
        Held::Vpc(id) => ("vpc-id", id),
    };
    let mut others = Vec::new();
    for interface in narrowed::<NetworkInterface>(aws, filter, id).await?.iter() {
        let ours = tags_of(interface.tag_set());
        let is_tagged = ours.0.get(STACK_TAG) == Some(&scope.stack);
        let by_service = matches!(held, Held::SecurityGroup(_)) && is_of_service(interface);
        let deleted = is_unattached(interface) && (is_tagged || by_service);
        if !deleted || !delete(aws, interface).await {
            others.push(told(interface));
        }
    }
    others.sort();
    Ok(others)
}

/// Names the interfaces with a public address in a VPC, which hold its internet gateway.
pub(super) async fn with_public_address(aws: &Aws, vpc: &str) -> Result<Vec<String>> {
    let all = narrowed::<NetworkInterface>(aws, "vpc-id", vpc).await?;
    let is_public = |interface: &&NetworkInterface| {
        let association = interface.association();
        association.is_some_and(|association| association.public_ip().is_some())
    };
    Ok(all.iter().filter(is_public).map(told).collect())
}

fn is_unattached(interface: &NetworkInterface) -> bool {
    interface.status() == Some(&NetworkInterfaceStatus::Available)
        && interface.attachment().is_none()
}

/// Says whether a service that the stack uses made it. They write themselves into the description:
/// `ELB app/…`, `RDSNetworkInterface`, `arn:aws:ecs:…:attachment/…`.
fn is_of_service(interface: &NetworkInterface) -> bool {
    let description = interface.description().unwrap_or_default();
    let begins = ["ELB app/", "RDSNetworkInterface", "arn:aws:ecs:"];
    begins.iter().any(|begin| description.starts_with(begin))
}

/// Deletes an interface; says whether that worked. Whatever came in between, such as a service that
/// attached it after all, shows when it is looked at again.
async fn delete(aws: &Aws, interface: &NetworkInterface) -> bool {
    let id = interface.network_interface_id();
    let answer = aws
        .ec2
        .delete_network_interface()
        .set_network_interface_id(id.map(str::to_owned))
        .send()
        .await
        .of("ec2:DeleteNetworkInterface");
    answer
        .gone_is_fine(&["InvalidNetworkInterfaceID.NotFound"])
        .is_ok()
}

/// An interface in one line: its id, what it says of itself, and whose it is.
fn told(interface: &NetworkInterface) -> String {
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let mut parts = Vec::new();
    parts.extend(given(interface.description()));
    let attachment = interface.attachment();
    let instance = attachment.and_then(|attachment| attachment.instance_id());
    parts.extend(given(instance).map(|id| format!("attached to {id}")));
    if is_unattached(interface) {
        parts.push("attached to nothing".to_owned());
    }
    let is_managed = interface.requester_managed() == Some(true);
    let requester = given(interface.requester_id()).filter(|_| is_managed);
    let account = given(interface.owner_id()).map(|id| format!("account {id}"));
    parts.extend(requester.or(account).map(|owner| format!("of {owner}")));
    let id = interface.network_interface_id().unwrap_or("eni-?");
    format!("network interface {id} ({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::operation::delete_network_interface::DeleteNetworkInterfaceOutput;
    use aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput;
    use aws_sdk_ec2::types::{NetworkInterfaceAssociation, NetworkInterfaceAttachment};
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::kinds::ec2::testing::aws_tags;

    fn interface(id: &str, description: &str, attached_to: Option<&str>) -> NetworkInterface {
        let attachment = attached_to.map(|instance| {
            let attachment = NetworkInterfaceAttachment::builder();
            attachment.instance_id(instance).build()
        });
        let status = match attached_to {
            Some(_) => NetworkInterfaceStatus::InUse,
            None => NetworkInterfaceStatus::Available,
        };
        NetworkInterface::builder()
            .network_interface_id(id)
            .description(description)
            .status(status)
            .set_attachment(attachment)
            .owner_id("123456789012")
            .build()
    }

    fn described(filter: &'static str, found: Vec<NetworkInterface>) -> Rule {
        mock!(Client::describe_network_interfaces)
            .match_requests(move |r| {
                r.filters()[0].name() == Some(filter) && r.filters()[0].values() == ["x-1"]
            })
            .then_output(move || {
                DescribeNetworkInterfacesOutput::builder()
                    .set_network_interfaces(Some(found.clone()))
                    .build()
            })
    }

    fn deletion(of: &'static str) -> Rule {
        mock!(Client::delete_network_interface)
            .match_requests(move |r| r.network_interface_id() == Some(of))
            .then_output(|| DeleteNetworkInterfaceOutput::builder().build())
    }

    #[tokio::test]
    async fn what_is_attached_is_named_with_its_owner_and_left_alone() {
        let mut balancer = interface("eni-2", "ELB app/order-api-dev/1", Some("i-9"));
        balancer.attachment = Some(NetworkInterfaceAttachment::builder().build());
        balancer.requester_id = Some("amazon-elb".into());
        balancer.requester_managed = Some(true);
        let mut ours = interface("eni-3", "", Some("i-8"));
        ours.tag_set = aws_tags("vpc");
        let found = vec![balancer, ours, interface("eni-1", "bastion", Some("i-7"))];
        let aws = mocked(&[&described("group-id", found)]);
        let named = make_way(&aws, &scope("group"), Held::SecurityGroup("x-1")).await;
        assert_eq!(
            named.unwrap(),
            [
                "network interface eni-1 (bastion, attached to i-7, of account 123456789012)",
                "network interface eni-2 (ELB app/order-api-dev/1, of amazon-elb)",
                "network interface eni-3 (attached to i-8, of account 123456789012)",
            ]
        );
        assert_eq!(aws.calls().writes(), 0);
    }

    #[tokio::test]
    async fn what_a_service_left_in_our_group_goes_and_what_a_person_left_is_named() {
        for service in [
            "ELB app/order-api-dev/1",
            "RDSNetworkInterface",
            "arn:aws:ecs:us-east-1:123456789012:attachment/1",
        ] {
            let found = vec![
                interface("eni-1", service, None),
                interface("eni-2", "spare address of the mail server", None),
            ];
            let (described, deletion) = (described("group-id", found), deletion("eni-1"));
            let aws = mocked(&[&described, &deletion]);
            let named = make_way(&aws, &scope("group"), Held::SecurityGroup("x-1")).await;
            let named = named.unwrap();
            assert_eq!(named.len(), 1, "{named:?}");
            assert!(named[0].contains("eni-2 (spare address"), "{named:?}");
            assert!(named[0].contains("attached to nothing"), "{named:?}");
            assert_eq!(deletion.num_calls(), 1);
        }
    }

    #[tokio::test]
    async fn in_our_subnet_only_what_carries_our_tag_goes() {
        let mut ours = interface("eni-1", "", None);
        ours.tag_set = aws_tags("public-subnet-1");
        let theirs = interface("eni-2", "arn:aws:ecs:us-east-1:1:attachment/1", None);
        for (filter, held) in [
            ("subnet-id", Held::Subnet("x-1")),
            ("vpc-id", Held::Vpc("x-1")),
        ] {
            let described = described(filter, vec![ours.clone(), theirs.clone()]);
            let deletion = deletion("eni-1");
            let aws = mocked(&[&described, &deletion]);
            let named = make_way(&aws, &scope("subnet"), held).await.unwrap();
            assert!(named.len() == 1 && named[0].contains("eni-2"), "{named:?}");
            assert_eq!(deletion.num_calls(), 1);
        }
    }

    #[tokio::test]
    async fn an_internet_gateway_is_held_by_public_addresses_alone() {
        let mut public = interface("eni-1", "Interface for NAT Gateway nat-1", Some("i-1"));
        let address = NetworkInterfaceAssociation::builder().public_ip("192.0.2.1");
        public.association = Some(address.build());
        let private = interface("eni-2", "RDSNetworkInterface", Some("i-2"));
        let aws = mocked(&[&described("vpc-id", vec![public, private])]);
        let named = with_public_address(&aws, "x-1").await.unwrap();
        assert!(
            named.len() == 1 && named[0].contains("NAT Gateway nat-1"),
            "{named:?}"
        );
    }
}
