//! The network: one VPC over three Availability Zones, a public and a private subnet in each.

use std::collections::BTreeMap;

use super::Stack;
use crate::config::Nat;
use crate::kinds::ec2::{
    ElasticIp, ElasticIpSpec, InternetGateway, InternetGatewayAttachment,
    InternetGatewayAttachmentSpec, InternetGatewaySpec, NatGateway, NatGatewaySpec, Route,
    RouteSpec, RouteTable, RouteTableAssociation, RouteTableAssociationSpec, RouteTableSpec,
    RouteTarget, Subnet, SubnetId, SubnetSpec, Vpc, VpcEndpoint, VpcEndpointSpec, VpcSpec,
};
use crate::resource::{Declared, Handle, Input};

/// What other tiers build on.
pub(super) struct Network {
    pub(super) vpc: Handle<Vpc>,
    pub(super) public_subnets: Vec<Handle<Subnet>>,
    pub(super) private_subnets: Vec<Handle<Subnet>>,
    /// The way from the internet to the public subnets, which they have once they are associated.
    pub(super) public_route: Handle<Route>,
    /// The public subnets with the table of that route.
    pub(super) public_associations: Vec<Handle<RouteTableAssociation>>,
    /// The ways from the private subnets to the internet; none without NAT gateways.
    pub(super) private_routes: Vec<Handle<Route>>,
    /// The private subnets with the tables of those routes.
    pub(super) private_associations: Vec<Handle<RouteTableAssociation>>,
}

impl Network {
    pub(super) fn public_subnet_ids(&self) -> Vec<Input<SubnetId>> {
        self.public_subnets
            .iter()
            .map(Handle::<Subnet>::id)
            .collect()
    }

    pub(super) fn private_subnet_ids(&self) -> Vec<Input<SubnetId>> {
        self.private_subnets
            .iter()
            .map(Handle::<Subnet>::id)
            .collect()
    }
}

pub(super) fn declare(stack: &mut Stack<'_>) -> Network {
    let vpc = vpc(stack);
    let public_subnets = subnets(stack, &vpc, Tier::Public);
    let private_subnets = subnets(stack, &vpc, Tier::Private);
    let (public_route, public_associations) = internet_access(stack, &vpc, &public_subnets);
    let nat_gateways = nat_gateways(stack, &public_subnets, &public_route, &public_associations);
    let private_routing = private_routing(stack, &vpc, &private_subnets, &nat_gateways);
    if stack.config.network.s3_endpoint {
        s3_endpoint(stack, &vpc, &private_routing.tables);
    }
    Network {
        vpc,
        public_subnets,
        private_subnets,
        public_route,
        public_associations,
        private_routes: private_routing.routes,
        private_associations: private_routing.associations,
    }
}

fn vpc(stack: &mut Stack<'_>) -> Handle<Vpc> {
    let spec = VpcSpec {
        cidr: stack.config.network.cidr,
        enable_dns_support: true,
        enable_dns_hostnames: true,
        tags: stack.tags("vpc", &stack.name("order-vpc")),
    };
    stack.add("vpc", spec)
}

#[derive(Clone, Copy)]
enum Tier {
    Public,
    Private,
}

impl Tier {
    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

fn subnets(stack: &mut Stack<'_>, vpc: &Handle<Vpc>, tier: Tier) -> Vec<Handle<Subnet>> {
    let cidrs = match tier {
        Tier::Public => stack.config.network.public_cidrs(),
        Tier::Private => stack.config.network.private_cidrs(),
    };
    let zones = stack.facts.availability_zones.clone();
    let mut subnets = Vec::new();
    for (index, (cidr, availability_zone)) in cidrs.into_iter().zip(zones).enumerate() {
        let address = format!("{}-subnet-{}", tier.word(), index + 1);
        let name = format!("order-{}-{}-{}", tier.word(), index + 1, stack.suffix);
        let spec = SubnetSpec {
            vpc: vpc.id(),
            cidr,
            availability_zone,
            // Nothing but load balancer and NAT gateways lives in the public subnets, and those
            // bring their own addresses.
            map_public_ip_on_launch: false,
            tags: stack.tags_with(&address, &name, "Tier", tier.word()),
        };
        subnets.push(stack.add(&address, spec));
    }
    subnets
}

/// The Availability Zones that subnets which exist stand in, by their nodes; of each place in the
/// order, the zone if it is known.
pub(super) fn zones_of(subnets: &BTreeMap<String, String>) -> [Option<String>; 3] {
    [1, 2, 3].map(|number| {
        let zone = |tier: Tier| subnets.get(&format!("{}-subnet-{number}", tier.word()));
        zone(Tier::Public).or(zone(Tier::Private)).cloned()
    })
}

const ANYWHERE: ipnet::Ipv4Net = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0);

fn internet_access(
    stack: &mut Stack<'_>,
    vpc: &Handle<Vpc>,
    public_subnets: &[Handle<Subnet>],
) -> (Handle<Route>, Vec<Handle<RouteTableAssociation>>) {
    let tags = stack.tags("internet-gateway", &stack.name("order-igw"));
    let gateway = stack.add::<InternetGateway>("internet-gateway", InternetGatewaySpec { tags });
    let attachment = stack.add::<InternetGatewayAttachment>(
        "internet-gateway-attachment",
        InternetGatewayAttachmentSpec {
            internet_gateway: gateway.id(),
            vpc: vpc.id(),
        },
    );
    let table = route_table(stack, vpc, "public-route-table", Tier::Public);
    let target = RouteTarget::InternetGateway(attachment.when_ready().internet_gateway());
    let route = default_route(stack, "public-default-route", &table, target);
    let mut associations = Vec::new();
    for (index, subnet) in public_subnets.iter().enumerate() {
        let address = format!("public-association-{}", index + 1);
        associations.push(associate(stack, &address, subnet, &table));
    }
    (route, associations)
}

fn route_table(
    stack: &mut Stack<'_>,
    vpc: &Handle<Vpc>,
    address: &str,
    tier: Tier,
) -> Handle<RouteTable> {
    let name = format!("order-{address}-{}", stack.suffix);
    let tags = stack.tags_with(address, &name, "Tier", tier.word());
    stack.add(
        address,
        RouteTableSpec {
            vpc: vpc.id(),
            tags,
        },
    )
}

fn default_route(
    stack: &mut Stack<'_>,
    address: &str,
    table: &Handle<RouteTable>,
    target: RouteTarget<Declared>,
) -> Handle<Route> {
    stack.add(
        address,
        RouteSpec {
            route_table: table.id(),
            destination: ANYWHERE,
            target,
        },
    )
}

fn associate(
    stack: &mut Stack<'_>,
    address: &str,
    subnet: &Handle<Subnet>,
    table: &Handle<RouteTable>,
) -> Handle<RouteTableAssociation> {
    let spec = RouteTableAssociationSpec {
        subnet: subnet.id(),
        route_table: table.id(),
    };
    stack.add(address, spec)
}

fn nat_gateways(
    stack: &mut Stack<'_>,
    public_subnets: &[Handle<Subnet>],
    public_route: &Handle<Route>,
    public_associations: &[Handle<RouteTableAssociation>],
) -> Vec<Handle<NatGateway>> {
    let count = match stack.config.network.nat {
        Nat::PerAz => 3,
        Nat::Single => 1,
        Nat::None => 0,
    };
    let mut gateways = Vec::new();
    let subnets = public_subnets.iter().zip(public_associations);
    for (index, (subnet, association)) in subnets.take(count).enumerate() {
        let number = index + 1;
        let address = format!("elastic-ip-{number}");
        let tags = stack.tags(&address, &format!("order-nat-{number}-{}", stack.suffix));
        let elastic_ip = stack.add::<ElasticIp>(&address, ElasticIpSpec { tags });
        let address = format!("nat-gateway-{number}");
        let tags = stack.tags(&address, &format!("order-nat-{number}-{}", stack.suffix));
        let gateway = stack.add::<NatGateway>(
            &address,
            NatGatewaySpec {
                subnet: subnet.id(),
                allocation_id: elastic_ip.allocation_id(),
                tags,
            },
        );
        // Its public address only works once the internet gateway is attached, and the gateway
        // cannot be detached while the address is mapped.
        stack.graph.after(&gateway, public_route);
        stack.graph.after(&gateway, association);
        gateways.push(gateway);
    }
    gateways
}

/// The private subnets' own tables and what leads out of them.
struct PrivateRouting {
    tables: Vec<Handle<RouteTable>>,
    routes: Vec<Handle<Route>>,
    associations: Vec<Handle<RouteTableAssociation>>,
}

fn private_routing(
    stack: &mut Stack<'_>,
    vpc: &Handle<Vpc>,
    private_subnets: &[Handle<Subnet>],
    nat_gateways: &[Handle<NatGateway>],
) -> PrivateRouting {
    let (mut tables, mut routes, mut associations) = (Vec::new(), Vec::new(), Vec::new());
    for (index, subnet) in private_subnets.iter().enumerate() {
        let number = index + 1;
        let address = format!("private-route-table-{number}");
        let table = route_table(stack, vpc, &address, Tier::Private);
        let address = format!("private-association-{number}");
        associations.push(associate(stack, &address, subnet, &table));
        // The zone's own gateway, or the only one. The route does not wait for it to be available.
        if let Some(gateway) = nat_gateways.get(index).or(nat_gateways.first()) {
            let address = format!("private-default-route-{number}");
            let target = RouteTarget::NatGateway(gateway.id());
            routes.push(default_route(stack, &address, &table, target));
        }
        tables.push(table);
    }
    PrivateRouting {
        tables,
        routes,
        associations,
    }
}

fn s3_endpoint(stack: &mut Stack<'_>, vpc: &Handle<Vpc>, tables: &[Handle<RouteTable>]) {
    let spec = VpcEndpointSpec {
        vpc: vpc.id(),
        service_name: format!("com.amazonaws.{}.s3", stack.config.region),
        route_tables: tables.iter().map(Handle::<RouteTable>::id).collect(),
        tags: stack.tags("s3-endpoint", &stack.name("order-s3")),
    };
    stack.add::<VpcEndpoint>("s3-endpoint", spec);
}
