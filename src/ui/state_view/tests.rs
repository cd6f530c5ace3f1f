use super::*;
use crate::state::Retired;

fn state() -> State {
    let text = include_str!("../../../state/example.json");
    State::parse(text, "example.json").unwrap()
}

fn address(name: &str) -> Address {
    Address::new(name).unwrap()
}

fn outputs(outputs: Value) -> Record {
    let mut record = Record::new("ec2/vpc");
    record.outputs = Some(outputs);
    record
}

#[test]
fn the_list_has_the_name_aws_knows_each_by_and_what_is_under_way() {
    insta::assert_snapshot!(list(&state(), &Style::PLAIN), @r#"
    ADDRESS        KIND             ID                     CREATED               UNDER WAY
    nat-gateway-1  ec2/nat_gateway  -                      -                     create since 2026-11-22T10:15:30Z
    vpc            ec2/vpc          vpc-0a1b2c3d4e5f60718  2026-11-22T10:15:28Z  -
    "#);
    let mut quiet = state();
    quiet.records.remove(&address("nat-gateway-1"));
    insta::assert_snapshot!(list(&quiet, &Style::PLAIN), @r#"
    ADDRESS  KIND     ID                     CREATED
    vpc      ec2/vpc  vpc-0a1b2c3d4e5f60718  2026-11-22T10:15:28Z
    "#);
    let json = list_to_json(&state());
    assert_eq!(json["serial"], 42);
    assert_eq!(json["records"][0]["underWay"]["action"], "create");
    assert_eq!(json["records"][0]["id"], Value::Null);
    assert_eq!(json["records"][1]["id"], "vpc-0a1b2c3d4e5f60718");
    assert_eq!(json["records"][1]["createdAt"], "2026-11-22T10:15:28Z");
}

#[test]
fn an_id_is_the_shortest_name_or_what_is_connected() {
    for (given, wanted) in [
        (
            json!({ "arn": "arn:a", "name": "order-api-dev" }),
            Some("order-api-dev"),
        ),
        (json!({ "arn": "arn:a" }), Some("arn:a")),
        (
            json!({ "route_table": "rtb-1", "destination": "0.0.0.0/0" }),
            Some("rtb-1/0.0.0.0/0"),
        ),
        (json!({ "arn": null }), None),
        (json!(7), None),
        (json!({ "id": "a\u{1b}[2Jb" }), Some("a [2Jb")),
    ] {
        assert_eq!(id(&outputs(given)).as_deref(), wanted);
    }
}

#[test]
fn one_record_is_shown_with_everything_but_what_smells_of_a_secret() {
    let mut state = state();
    let nat = state.records.get_mut(&address("nat-gateway-1")).unwrap();
    let spec = nat.intent.as_mut().unwrap().spec.as_mut().unwrap();
    spec["db_password"] = "hunter2".into();
    nat.retired.push(Retired {
        outputs: json!({ "id": "nat-old" }),
        spec: json!({ "secret_key": "hunter2" }),
    });
    let address = address("nat-gateway-1");
    let nat = &state.records[&address];
    let text = record(&state, &address, nat, &Style::PLAIN);
    insta::assert_snapshot!(text, @r#"
    address       nat-gateway-1
    kind          ec2/nat_gateway
    under way     create since 2026-11-22T10:15:30Z, 1 older instance to delete
    client token  0f4c8a52-6a5e-4b43-9f0a-3d6c8c1d7e11
    made from     elastic-ip-1, public-subnet-1
    needed by     nothing

    settings under way
    {
      "subnet": "subnet-0123456789abcdef0",
      "allocation_id": "eipalloc-0123456789abcdef0",
      "tags": {
        "orderctl:node": "nat-gateway-1",
        "orderctl:stack": "dev"
      },
      "db_password": "(sensitive)"
    }

    outputs of older instance 1
    {
      "id": "nat-old"
    }

    settings of older instance 1
    {
      "secret_key": "(sensitive)"
    }
    "#);
    let json = record_to_json(&state, &address, nat);
    assert_eq!(
        json["record"]["intent"]["token"],
        "0f4c8a52-6a5e-4b43-9f0a-3d6c8c1d7e11"
    );
    assert_eq!(json["record"]["retired"][0]["outputs"]["id"], "nat-old");
    assert!(!json.to_string().contains("hunter2"), "{json}");
}

#[test]
fn what_is_forgotten_is_shown_with_what_depends_on_it() {
    let mut state = state();
    let mut subnet = Record::new("ec2/subnet");
    subnet.dependencies.insert(address("vpc"));
    state.records.insert(address("public-subnet-1"), subnet);
    let one = BTreeSet::from([address("vpc"), address("nat-gateway-1")]);
    insta::assert_snapshot!(forgetting(&state, &one, &Style::PLAIN), @r#"
    - forget  ec2/nat_gateway nat-gateway-1
        under way: create since 2026-11-22T10:15:30Z
    - forget  ec2/vpc vpc (vpc-0a1b2c3d4e5f60718)
        needed by public-subnet-1

    2 to forget, 1 left recorded.
    "#);
    let json = forgetting_to_json(&state, &one);
    assert_eq!(json["records"][1]["neededBy"], json!(["public-subnet-1"]));
    // What goes too is nothing left behind.
    let both = BTreeSet::from([address("vpc"), address("public-subnet-1")]);
    let json = forgetting_to_json(&state, &both);
    assert_eq!(json["records"][1]["neededBy"], json!([]));
}
