"""VPC, subnets, routes, NAT gateways, endpoint and security groups."""

import ipaddress

from facts import Facts, pairs

PUBLIC = ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
PRIVATE = ["10.0.16.0/20", "10.0.32.0/20", "10.0.48.0/20"]


def check(facts: Facts, test_cidrs: list[str]) -> dict:
    """Checks the network and returns the ids others need."""
    ec2 = facts.client("ec2")
    mine = [{"Name": "tag:orderctl:stack", "Values": [facts.suffix]}]
    vpc = facts.one("VPC", ec2.describe_vpcs(Filters=mine)["Vpcs"])
    if vpc is None:
        return {}
    vpc_id = vpc["VpcId"]
    facts.tags("the VPC", pairs(vpc["Tags"]), facts.name("order-vpc"))
    facts.equal("CIDR of the VPC", "10.0.0.0/16", vpc["CidrBlock"])
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        facts.equal(f"{attribute} of the VPC", True, answer[attribute[0].upper() + attribute[1:]]["Value"])
    inside = [{"Name": "vpc-id", "Values": [vpc_id]}]
    public, private = subnets(facts, ec2, inside)
    gateway = facts.one("internet gateway", ec2.describe_internet_gateways(Filters=mine)["InternetGateways"])
    if gateway:
        facts.tags("the internet gateway", pairs(gateway["Tags"]), facts.name("order-igw"))
        facts.equal("attachments of the internet gateway", [vpc_id], [it["VpcId"] for it in gateway["Attachments"]])
        nats = nat_gateways(facts, ec2, mine, public)
        tables = routes(facts, ec2, inside, gateway["InternetGatewayId"], public, private, nats)
        endpoint(facts, ec2, inside, tables)
    groups = security_groups(facts, ec2, inside, test_cidrs)
    return {
        "vpc": vpc_id,
        "public": {it["SubnetId"] for it in public},
        "private": {it["SubnetId"] for it in private},
        "zones": [it["AvailabilityZone"] for it in private],
        "groups": groups,
    }


def subnets(facts: Facts, ec2, inside: list) -> tuple[list, list]:
    found = ec2.describe_subnets(Filters=inside)["Subnets"]
    facts.equal("number of subnets", 6, len(found))
    tiers = {}
    for tier, cidrs in (("public", PUBLIC), ("private", PRIVATE)):
        of_tier = [it for it in found if pairs(it["Tags"]).get("Tier") == tier]
        of_tier.sort(key=lambda it: ipaddress.ip_network(it["CidrBlock"]))
        facts.equal(f"CIDRs of the {tier} subnets", cidrs, [it["CidrBlock"] for it in of_tier])
        facts.equal(f"number of zones of the {tier} subnets", 3, len({it["AvailabilityZone"] for it in of_tier}))
        for number, subnet in enumerate(of_tier, 1):
            name = facts.name(f"order-{tier}-{number}")
            facts.tags(f"{tier} subnet {number}", pairs(subnet["Tags"]), name, Tier=tier)
            facts.equal(f"public addresses on launch of {name}", False, subnet["MapPublicIpOnLaunch"])
        tiers[tier] = of_tier
    zones = {tier: [it["AvailabilityZone"] for it in of_tier] for tier, of_tier in tiers.items()}
    facts.equal("zones of the private subnets", zones["public"], zones["private"])
    return tiers["public"], tiers["private"]


def nat_gateways(facts: Facts, ec2, mine: list, public: list) -> dict[str, str]:
    """One per zone, each with an address of its own. Returns the gateway of each zone."""
    found = ec2.describe_nat_gateways(Filters=[*mine, {"Name": "state", "Values": ["available"]}])["NatGateways"]
    zones = {it["SubnetId"]: it["AvailabilityZone"] for it in public}
    facts.equal("zones of the NAT gateways", sorted(zones.values()), sorted(zones.get(it["SubnetId"], "?") for it in found))
    addresses = {it["AllocationId"]: it for it in ec2.describe_addresses(Filters=mine)["Addresses"]}
    used = [address["AllocationId"] for it in found for address in it["NatGatewayAddresses"]]
    facts.equal("addresses of the NAT gateways", sorted(addresses), sorted(used))
    for gateway in found:
        name = pairs(gateway["Tags"]).get("Name", "")
        facts.holds("NAT gateways are named order-nat-N", name.startswith("order-nat-"), name)
        facts.tags(f"NAT gateway {name}", pairs(gateway["Tags"]), name)
    for address in addresses.values():
        name = pairs(address["Tags"]).get("Name", "")
        facts.tags(f"elastic IP {name}", pairs(address["Tags"]), name)
    return {zones.get(it["SubnetId"], "?"): it["NatGatewayId"] for it in found}


def routes(facts: Facts, ec2, inside: list, gateway: str, public: list, private: list, nats: dict) -> set[str]:
    """The public table leads to the internet gateway, each private one to the NAT gateway of its zone."""
    tables = [it for it in ec2.describe_route_tables(Filters=inside)["RouteTables"] if pairs(it["Tags"]).get("orderctl:stack")]
    facts.equal("number of route tables", 4, len(tables))
    by_subnet = {link["SubnetId"]: it for it in tables for link in it["Associations"] if "SubnetId" in link}
    facts.equal("number of associated subnets", 6, len(by_subnet))
    for table in tables:
        tags = pairs(table["Tags"])
        tier = "private" if "private" in tags["Name"] else "public"
        facts.tags(f"route table {tags['Name']}", tags, tags["Name"], Tier=tier)
    private_tables = set()
    for tier, of_tier in (("public", public), ("private", private)):
        for subnet in of_tier:
            table = by_subnet.get(subnet["SubnetId"], {"Routes": [], "RouteTableId": "none"})
            out = [it for it in table["Routes"] if it.get("DestinationCidrBlock") == "0.0.0.0/0"]
            targets = [it.get("GatewayId") or it.get("NatGatewayId") for it in out]
            zone = subnet["AvailabilityZone"]
            facts.equal(f"way out of the {tier} subnet in {zone}", [gateway if tier == "public" else nats.get(zone)], targets)
            if tier == "private":
                private_tables.add(table["RouteTableId"])
    facts.equal("number of public tables", 1, len({it["RouteTableId"] for it in tables} - private_tables))
    return private_tables


def endpoint(facts: Facts, ec2, inside: list, tables: set[str]) -> None:
    found = [it for it in ec2.describe_vpc_endpoints(Filters=inside)["VpcEndpoints"] if it["State"] != "deleted"]
    endpoint = facts.one("VPC endpoint", found)
    if endpoint:
        facts.equal("service of the endpoint", "com.amazonaws.us-east-1.s3", endpoint["ServiceName"])
        facts.equal("type of the endpoint", "Gateway", endpoint["VpcEndpointType"])
        facts.equal("route tables of the endpoint", tables, set(endpoint["RouteTableIds"]))
        facts.tags("the endpoint", pairs(endpoint["Tags"]), facts.name("order-s3"))


def security_groups(facts: Facts, ec2, inside: list, test_cidrs: list[str]) -> dict[str, str]:
    found = {it["GroupName"]: it for it in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]}
    names = {base: facts.name(f"{base}-sg") for base in ("alb", "ecs", "rds")}
    facts.equal("security groups", sorted([*names.values(), "default"]), sorted(found))
    ids = {base: found[name]["GroupId"] for base, name in names.items() if name in found}
    expected = {
        "alb": {
            (False, 80, 80, "0.0.0.0/0"),
            (False, 443, 443, "0.0.0.0/0"),
            *((False, 8443, 8443, cidr) for cidr in test_cidrs),
            (True, 8080, 8080, ids.get("ecs")),
        },
        "ecs": {(False, 8080, 8080, ids.get("alb")), (True, 443, 443, "0.0.0.0/0"), (True, 3306, 3306, ids.get("rds"))},
        "rds": {(False, 3306, 3306, ids.get("ecs"))},
    }
    for base, group in ids.items():
        facts.tags(f"security group {names[base]}", pairs(found[names[base]]["Tags"]), names[base])
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
        peers = {
            (it["IsEgress"], it["FromPort"], it["ToPort"], it.get("CidrIpv4") or it.get("ReferencedGroupInfo", {}).get("GroupId")) for it in rules
        }
        facts.equal(f"rules of {names[base]} (egress, from, to, peer)", expected[base], peers)
        for rule in rules:
            what = f"rule {rule['SecurityGroupRuleId']} of {names[base]}"
            facts.equal(f"protocol of {what}", "tcp", rule["IpProtocol"])
            facts.holds(f"{what} is described", bool(rule.get("Description")))
            name = pairs(rule["Tags"]).get("Name", "")
            facts.tags(what, pairs(rule["Tags"]), name)
    return ids
