//! The database password leaves Secrets Manager only in the request that needs it (law 7).

use crate::driver::{Gate, Running, Sandbox, Workplace};

/// The forms in which a text could be written: as it is, in JSON, and in a URL.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let url = secret.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        url.collect(),
    ]
}

#[test]
fn a_whole_life_shows_the_password_nowhere() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let mut seen: Vec<(String, String)> = Vec::new();

    // The request that carries the password is held, to look at what is there in that moment.
    let gate = Gate::before(sandbox.endpoint(), "Action=CreateDBCluster&");
    let line = format!(
        "up --suffix dev --yes -vvv --json --endpoint-url {}",
        gate.endpoint
    );
    let up = Running::start(&line, place.command(&line));
    gate.wait_until_closed();
    let password = sandbox.database_password("dev");
    assert_eq!(password.chars().count(), 32);
    seen.push(("the arguments of `up`".to_owned(), up.command_line()));
    seen.extend(place.files());
    gate.open();
    let up = up.finish().ends_with(0);
    assert!(
        up.stderr.contains("TRACE") || up.stderr.contains("DEBUG"),
        "the log is on: {up}"
    );
    seen.push(("up".to_owned(), up.to_string()));
    seen.extend(place.files());

    place.write(
        "orderctl.toml",
        "[database]\nbackup_retention_days = 8\ncredentials = \"secret\"\n",
    );
    for line in [
        "plan --sandbox -vvv --show-unchanged",
        "plan --sandbox -vvv --json",
        "up --sandbox --yes -vvv",
        "outputs --format env -vvv",
        "down --sandbox --yes -vvv",
    ] {
        let outcome = place.run(&format!("{line} --suffix dev")).ends_with(0);
        seen.push((line.to_owned(), outcome.to_string()));
        seen.extend(place.files());
    }

    for form in forms(&password) {
        for (place, text) in &seen {
            assert!(!text.contains(&form), "the password stands in {place}");
        }
    }
    let plan = &seen
        .iter()
        .find(|(name, _)| name.starts_with("plan"))
        .unwrap()
        .1;
    assert!(
        plan.contains("backup_retention"),
        "the plan shows the cluster: {plan}"
    );
}
