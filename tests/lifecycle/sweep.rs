//! `down` proves it: what state and configuration do not know goes too, what is somebody else's
//! stays, and what stands in the way is named (law 8).

use serde_json::{Value, json};

use crate::driver::{Sandbox, Stack};

/// A configuration with nodes that the default one does not declare.
const EARLIER: &str = r#"
[network]
nat = "per-az"
[database]
readers = 5
[edge]
test_cidrs = ["203.0.113.0/24"]
[alarms]
emails = ["ops@example.com"]
"#;

/// One with as few nodes as there can be.
const LATER: &str = r#"
[network]
nat = "none"
azs = ["us-east-1x", "us-east-1y", "us-east-1z"]
s3_endpoint = false
[database]
readers = 0
credentials = "rds-managed"
[edge]
tls = "off"
"#;

fn forget(stack: &Stack<'_>) {
    std::fs::remove_dir_all(stack.state_file().parent().unwrap()).unwrap();
}

#[test]
fn what_an_earlier_configuration_made_goes_although_the_state_is_lost() {
    let sandbox = Sandbox::start();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    for later in [LATER, ""] {
        stack.configure(EARLIER);
        stack.up(&[]);
        forget(&stack);
        stack.configure(later);
        let run = stack.down(&["-v"]);
        let run = run.shows(&[
            "db-reader-5",
            "nat-gateway-3",
            "alb-test-from-203-0-113-0-24",
        ]);
        run.shows(&["Nothing of stack `dev` is left"]);
        assert_eq!(stack.aws("inventory()"), before);
    }
}

#[test]
fn doubles_that_the_state_never_knew_are_named_and_go() {
    let sandbox = Sandbox::start();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    let doubles = stack.aws(
        r#"
def tags(kind, node):
    named = {"orderctl:stack": "{s}", "orderctl:node": node}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in named.items()]}]

vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", "vpc"))["Vpc"]["VpcId"]
address = ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", "elastic-ip-1"))["AllocationId"]
gateway = ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway", "internet-gateway"))
gateway = gateway["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", TagSpecifications=tags("subnet", "public-subnet-1"))
# Of a version that knew other nodes.
group = ec2.create_security_group(
    VpcId=vpc, GroupName="old", Description="old", TagSpecifications=tags("security-group", "old-security-group")
)
answer = [vpc, address, gateway, subnet["Subnet"]["SubnetId"], group["GroupId"]]
"#,
    );
    let shown = stack.run(&["down", "--yes", "--json"]).ends_with(0);
    let removal: Value = serde_json::from_str(shown.stdout.lines().next().unwrap()).unwrap();
    let nodes = removal["nodes"].as_array().unwrap();
    let named: Vec<&Value> = nodes
        .iter()
        .flat_map(|node| node["ids"].as_array().unwrap())
        .collect();
    for id in doubles.as_array().unwrap() {
        assert!(named.contains(&id), "{id} is not shown: {removal}");
    }
    let vpc = nodes.iter().find(|node| node["address"] == "vpc").unwrap();
    assert_eq!(vpc["ids"].as_array().unwrap().len(), 2);
    assert_eq!(stack.aws("inventory()"), before);
}

#[test]
fn a_stack_called_alike_is_not_touched() {
    let sandbox = Sandbox::start();
    let before = sandbox.aws("inventory()");
    let (stack, neighbour) = (sandbox.stack("dev"), sandbox.stack("dev-2"));
    // The quota of addresses is 5.
    neighbour.configure("[network]\nnat = \"single\"\n");
    neighbour.up(&[]);
    let theirs = sandbox.aws("inventory()");
    stack.up(&[]);
    forget(&stack);
    stack.down(&[]);
    assert_eq!(sandbox.aws("inventory()"), theirs);
    neighbour.plan().expect_empty();
    stack.down(&[]).shows(&["There is nothing of stack `dev`"]);
    assert_eq!(sandbox.aws("inventory()"), theirs);

    forget(&neighbour);
    neighbour.down(&[]);
    assert_eq!(sandbox.aws("inventory()"), before);
}

#[test]
fn log_groups_that_aws_made_again_go_and_those_of_others_stay() {
    let sandbox = Sandbox::start();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    let untagged = r#"
for name in ["/aws/rds/cluster/order-api-{s}/audit", "/aws/ecs/containerinsights/order-api-{s}/performance"]:
    logs.create_log_group(logGroupName=name)
"#;
    stack.aws(untagged);
    stack
        .down(&[])
        .shows(&["db-log-group-audit", "container-insights-log-group"]);
    assert_eq!(stack.aws("inventory()"), before);

    // Somebody else's cluster writes them, and somebody made the other two.
    stack.aws(untagged);
    stack.aws(
        r#"
rds.create_db_cluster(
    DBClusterIdentifier="order-api-{s}", Engine="aurora-mysql", MasterUsername="ann", MasterUserPassword="hunter22222"
)
logs.create_log_group(logGroupName="/ecs/order-api-{s}")
logs.create_log_group(logGroupName="/aws/rds/cluster/order-api-{s}-2/audit")
"#,
    );
    let theirs = stack.aws("inventory()");
    stack.down(&[]).shows(&["There is nothing of stack `dev`"]);
    assert_eq!(stack.aws("inventory()"), theirs);
}

#[test]
fn what_holds_a_security_group_is_named_with_its_owner_until_it_is_gone() {
    let sandbox = Sandbox::start();
    let stack = sandbox.stack("dev");
    let before = stack.aws("inventory()");
    stack.up(&[]);
    let interfaces = stack.aws(
        r#"
ours = [{"Name": "tag:orderctl:node", "Values": ["private-subnet-1"]}]
subnet = ec2.describe_subnets(Filters=ours)["Subnets"][0]["SubnetId"]
ours = [{"Name": "group-name", "Values": ["ecs-sg-{s}"]}]
group = ec2.describe_security_groups(Filters=ours)["SecurityGroups"][0]["GroupId"]
theirs = ec2.create_network_interface(SubnetId=subnet, Groups=[group], Description="bastion of the operators")
forgotten = ec2.create_network_interface(
    SubnetId=subnet, Groups=[group], Description="arn:aws:ecs:us-east-1:123456789012:attachment/1"
)
answer = [it["NetworkInterface"]["NetworkInterfaceId"] for it in (theirs, forgotten)]
"#,
    );
    let theirs = interfaces[0].as_str().unwrap();
    let named = format!("{theirs} (bastion of the operators, ");
    let run = stack.run(&["down", "--yes"]).ends_with(1);
    let run = run.shows(&[
        "could not delete ec2/security_group ecs-security-group",
        "could not delete ec2/subnet private-subnet-1",
        "DependencyViolation",
        &format!("it is used by network interface {named}"),
        "of account 123456789012",
        "remove what uses it",
        "skipped: vpc",
    ]);
    // While it waits, too.
    let waiting = format!("answers DependencyViolation: used by network interface {named}");
    assert!(run.stderr.contains(&waiting), "{run}");
    let left = r#"[it["NetworkInterfaceId"] for it in ec2.describe_network_interfaces()["NetworkInterfaces"]]"#;
    assert_eq!(
        stack.aws(left),
        json!([theirs]),
        "what a service forgot is gone"
    );

    stack.aws(&format!(
        r#"ec2.delete_network_interface(NetworkInterfaceId="{theirs}")"#
    ));
    stack.down(&[]);
    assert_eq!(stack.aws("inventory()"), before);
}
