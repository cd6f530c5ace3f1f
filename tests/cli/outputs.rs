//! `outputs`: what scripts and people get of the recorded outputs.

use orderctl::stack::OUTPUT_NAMES;
use orderctl::state::State;
use serde_json::{Value, json};

use crate::driver::{Workplace, command};

/// The outputs of a stack, with the values as AWS gives them.
fn place() -> Workplace {
    let place = Workplace::new();
    let mut state = State::new("dev", "us-east-1");
    for name in OUTPUT_NAMES {
        let value = match name {
            "dashboardUrl" => "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards:name=order-api-dev".to_owned(),
            _ => format!("arn:of:{name}/order-api-dev"),
        };
        state.outputs.insert(name.to_owned(), json!(value));
    }
    place.write("state/dev.json", &serde_json::to_string(&state).unwrap());
    place
}

#[test]
fn a_table_for_people_has_all_in_the_documented_order() {
    let place = place();
    let table = place.run("outputs").ends_with(0);
    assert_eq!(table.stderr, "");
    let names: Vec<&str> = table
        .stdout
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(names, OUTPUT_NAMES);
    assert_eq!(place.run("outputs --format table").stdout, table.stdout);
    let first = table.stdout.lines().next().unwrap();
    assert!(
        first.ends_with("arn:of:albDnsName/order-api-dev"),
        "{first}"
    );
}

#[test]
fn json_is_one_object() {
    let place = place();
    let json = place.run("outputs --json").ends_with(0);
    let lines = json.json_lines();
    assert_eq!(lines.len(), 1, "{json}");
    let names: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    assert_eq!(names, OUTPUT_NAMES);
    assert_eq!(lines[0]["vpcId"], "arn:of:vpcId/order-api-dev");
    assert_eq!(place.run("outputs --format json").stdout, json.stdout);
}

#[test]
fn the_environment_form_can_be_evaluated_by_a_shell() {
    let place = place();
    let text = place.run("outputs --format env").ends_with(0).stdout;
    assert_eq!(text.lines().count(), OUTPUT_NAMES.len());
    let output = command("sh")
        .args([
            "-euc",
            r#"eval "$1"; printf '%s\n%s\n' "$ALB_DNS_NAME" "$DASHBOARD_URL""#,
            "sh",
            &text,
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "arn:of:albDnsName/order-api-dev\n\
         https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards:name=order-api-dev\n"
    );
}

#[test]
fn the_github_form_keeps_the_names() {
    let text = place().run("outputs --format github").ends_with(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), OUTPUT_NAMES.len());
    for (line, name) in lines.iter().zip(OUTPUT_NAMES) {
        assert!(line.starts_with(&format!("{name}=")), "{line}");
    }
    assert!(lines.contains(&"vpcId=arn:of:vpcId/order-api-dev"));
}

#[test]
fn one_name_gives_its_value_alone() {
    let place = place();
    let one = place.run("outputs vpcId").ends_with(0);
    assert_eq!(
        (one.stdout.as_str(), one.stderr.as_str()),
        ("arn:of:vpcId/order-api-dev\n", "")
    );
    let json = place.run("outputs vpcId --json").ends_with(0);
    assert_eq!(
        json.json_lines(),
        [Value::from("arn:of:vpcId/order-api-dev")]
    );
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_or_all() {
    let place = place();
    place
        .run("outputs albDns")
        .refused(&["there is no output `albDns`", "did you mean `albDnsName`?"]);
    place.run("outputs zzz").refused(&[
        "there is no output `zzz`",
        "albDnsName, apiUrl",
        "alarmTopicArn",
    ]);
}

#[test]
fn a_stack_without_outputs_says_what_to_do() {
    let place = Workplace::new();
    place
        .run("outputs --suffix dev")
        .ends_with(1)
        .without_data()
        .says(&["stack `dev` has no outputs", "orderctl up"]);
    assert!(place.files().is_empty());
}
