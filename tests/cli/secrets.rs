//! The database password and the private key of the certificate leave this program only in the
//! requests that need them (law 7). What is looked through: output and logs of every command, every
//! file it writes, its arguments and environment and those of its children, its errors.

use serde_json::{Value, json};

use crate::driver::{Gate, Outcome, Running, Sandbox, Watch, Workplace};

/// The forms in which a text could be written: as it is, in JSON, in XML, in a URL.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let xml = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let url = secret.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    let url = url.collect();
    let twice = serde_json::to_string(&json).unwrap();
    let inner = |text: &str| text.trim_matches(['"', '\\']).to_owned();
    vec![secret.to_owned(), inner(&json), inner(&twice), xml, url]
}

/// Everything that was seen, by where it stood.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    fn files(&mut self, place: &Workplace) {
        let files = place.files().into_iter();
        // The sandbox is AWS: what it keeps is not ours.
        self.0
            .extend(files.filter(|(name, _)| !name.starts_with("sandbox/")));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push((outcome.line.clone(), outcome.to_string()));
    }

    /// Where a part of the secret stands: any twelve letters of it in a row, in any form.
    fn leaks(&self, secret: &str) -> Vec<&str> {
        assert!(secret.chars().count() >= 12, "{secret:?} is no secret");
        let parts = forms(secret).into_iter().flat_map(|form| {
            let letters: Vec<char> = form.chars().collect();
            letters
                .windows(12)
                .map(|part| part.iter().collect())
                .collect::<Vec<String>>()
        });
        let parts: Vec<String> = parts.collect();
        let leaks = self
            .0
            .iter()
            .filter(|(_, text)| parts.iter().any(|part| text.contains(part)));
        leaks.map(|(place, _)| place.as_str()).collect()
    }

    #[track_caller]
    fn assert_free_of(&self, secrets: &[String]) {
        assert!(!secrets.is_empty());
        for secret in secrets {
            assert_eq!(self.leaks(secret), Vec::<&str>::new(), "{secret:?}");
        }
    }
}

/// The text after `before` in what was sent, as JSON writes it.
fn sent_texts(gate: &Gate, before: &str) -> Vec<String> {
    let heard = gate.heard();
    let texts = heard.iter().flat_map(|sent| {
        sent.match_indices(before)
            .map(move |(at, _)| &sent[at + before.len()..])
    });
    texts
        .filter_map(|rest| {
            serde_json::Deserializer::from_str(rest)
                .into_iter::<String>()
                .next()?
                .ok()
        })
        .collect()
}

/// The passwords that were sent to Secrets Manager.
fn passwords(gate: &Gate) -> Vec<String> {
    let values = sent_texts(gate, "\"SecretString\":");
    let parsed = values
        .iter()
        .filter_map(|text| serde_json::from_str::<Value>(text).ok());
    parsed
        .map(|value| value["password"].as_str().unwrap().to_owned())
        .collect()
}

/// The private keys that were sent to ACM, as they were sent (base64 of PEM) and the lines of the PEM.
fn private_keys(gate: &Gate) -> Vec<String> {
    let sent = sent_texts(gate, "\"PrivateKey\":");
    let pem = sent
        .iter()
        .map(|text| String::from_utf8(from_base64(text)).unwrap());
    let lines = pem.flat_map(|pem| pem.lines().map(str::to_owned).collect::<Vec<_>>());
    let lines: Vec<_> = lines.filter(|line| !line.starts_with("-----")).collect();
    sent.into_iter()
        .chain(lines)
        .filter(|text| text.len() >= 12)
        .collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = (0_u32, 0);
    let mut bytes = Vec::new();
    for letter in text.bytes().filter(|byte| *byte != b'=') {
        let value = LETTERS.iter().position(|other| *other == letter).unwrap();
        bits = (bits.0 << 6 | u32::try_from(value).unwrap(), bits.1 + 6);
        if bits.1 >= 8 {
            bits.1 -= 8;
            bytes.push(u8::try_from(bits.0 >> bits.1 & 0xff).unwrap());
        }
    }
    bytes
}

/// Starts a command with everything that makes a program talk.
fn talkative(place: &Workplace, line: &str) -> Running {
    let mut command = place.command(line);
    command
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full");
    Running::start(line, command)
}

#[test]
fn a_whole_life_shows_the_password_and_the_private_key_nowhere() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    let mut seen = Seen::default();

    // The request that carries the password is held, to look at what is there in that moment.
    let gate = Gate::before(sandbox.endpoint(), "Action=CreateDBCluster&");
    let line = format!(
        "up --suffix dev --yes -vvv --json --endpoint-url {}",
        gate.endpoint
    );
    let up = talkative(&place, &line);
    let watch = Watch::over(up.id());
    gate.wait_until_closed();
    let password = sandbox.database_password("dev");
    assert_eq!(password.chars().count(), 32);
    seen.files(&place);
    gate.open();
    let up = up.finish().ends_with(0);
    assert!(
        up.stderr.contains("TRACE") || up.stderr.contains("DEBUG"),
        "the log is on: {up}"
    );
    assert!(
        !up.stderr.contains("aws_smithy"),
        "RUST_LOG means nothing: {up}"
    );
    let visible = watch.end();
    let has = |file: &str, text: &str| {
        visible
            .iter()
            .any(|(name, seen)| name.ends_with(file) && seen.contains(text))
    };
    assert!(has("cmdline", "--endpoint-url") && has("environ", "RUST_BACKTRACE=full"));
    seen.0.extend(visible);
    seen.outcome(&up);
    seen.files(&place);

    place.write(
        "orderctl.toml",
        "[database]\nbackup_retention_days = 8\ncredentials = \"secret\"\n",
    );
    for line in [
        "plan --sandbox -vvv --show-unchanged",
        "plan --sandbox -vvv --json",
        "up --sandbox --yes -vvv",
        "outputs --format env -vvv",
        "state show db-cluster",
        "state pull",
        "down --sandbox --yes -vvv",
    ] {
        let running = talkative(&place, &format!("{line} --suffix dev"));
        let watch = Watch::over(running.id());
        let outcome = running.finish().ends_with(0);
        seen.0.extend(watch.end());
        seen.outcome(&outcome);
        seen.files(&place);
    }

    assert_eq!(
        passwords(&gate),
        [password.as_str()],
        "what was sent is the password"
    );
    let keys = private_keys(&gate);
    assert!(keys.len() > 1, "{keys:?}");
    seen.assert_free_of(&[password]);
    seen.assert_free_of(&keys);
    let plan = seen.0.iter().find(|(name, _)| name.starts_with("plan"));
    assert!(
        plan.unwrap().1.contains("backup_retention"),
        "the plan shows the cluster"
    );
}

#[test]
fn what_a_killed_run_leaves_behind_holds_no_secret() {
    for marker in [
        "secretsmanager.CreateSecret",
        "Action=CreateDBCluster&",
        "CertificateManager.ImportCertificate",
    ] {
        let sandbox = Sandbox::start();
        let place = Workplace::on(&sandbox);
        let mut seen = Seen::default();
        let gate = Gate::before(sandbox.endpoint(), marker);
        let line = format!(
            "up --suffix dev --yes -vvv --endpoint-url {}",
            gate.endpoint
        );
        let up = talkative(&place, &line);
        gate.wait_until_closed();
        up.kill();
        let killed = up.finish();
        assert_eq!(killed.code, None, "{killed}");
        gate.cut();
        seen.outcome(&killed);
        seen.files(&place);
        let state = place.state("dev").to_string();
        assert!(
            state.contains("\"intent\""),
            "it was killed in the middle: {state}"
        );
        place.run("up --suffix dev --sandbox --yes").ends_with(0);
        seen.files(&place);
        let mut secrets = vec![sandbox.database_password("dev")];
        secrets.extend(passwords(&gate));
        secrets.extend(private_keys(&gate));
        seen.assert_free_of(&secrets);
    }
}

#[test]
fn a_refusal_that_repeats_the_request_does_not_bring_the_secret_to_light() {
    for (service, operation, node) in [
        ("secretsmanager", "CreateSecret", "db-secret"),
        ("acm", "ImportCertificate", "certificate"),
        ("rds", "CreateDBCluster", "db-cluster"),
    ] {
        let sandbox = Sandbox::start_with("--control");
        let place = Workplace::on(&sandbox);
        let gate = Gate::open_before(sandbox.endpoint());
        let fault = json!({ "service": service, "operation": operation, "action": "quote" });
        sandbox.fault(&fault);
        let json = if operation == "CreateSecret" {
            "--json"
        } else {
            ""
        };
        let line = format!(
            "up --suffix dev --yes -vvv {json} --endpoint-url {}",
            gate.endpoint
        );
        let up = talkative(&place, &line).finish().ends_with(1);
        let told = format!("{}{}", up.stdout, up.stderr);
        assert!(told.contains(node) && told.contains(operation), "{up}");
        assert!(
            told.contains("message is not shown, because it repeats a secret"),
            "{up}"
        );
        let mut seen = Seen::default();
        seen.outcome(&up);
        seen.files(&place);
        let mut secrets = passwords(&gate);
        secrets.extend(private_keys(&gate));
        if operation == "CreateDBCluster" {
            secrets.push(sandbox.database_password("dev"));
        }
        seen.assert_free_of(&secrets);
    }
    // The same for a request without a secret: there the message is shown.
    let sandbox = Sandbox::start_with("--control");
    let place = Workplace::on(&sandbox);
    sandbox.fault(&json!({ "operation": "CreateNatGateway", "action": "quote" }));
    let up = place.run("up --suffix dev --sandbox --yes").ends_with(1);
    assert!(
        up.stderr
            .contains("This is not valid: Action=CreateNatGateway"),
        "{up}"
    );
}

#[test]
fn with_a_password_of_rds_there_is_none_to_show() {
    let sandbox = Sandbox::start();
    let place = Workplace::on(&sandbox);
    place.write(
        "orderctl.toml",
        "[database]\ncredentials = \"rds-managed\"\n",
    );
    let gate = Gate::open_before(sandbox.endpoint());
    let line = format!(
        "up --suffix dev --yes -vvv --endpoint-url {}",
        gate.endpoint
    );
    let up = talkative(&place, &line).finish().ends_with(0);
    let sent = gate.heard().concat();
    assert!(sent.contains("ManageMasterUserPassword=true"), "{up}");
    assert!(
        !sent.contains("&MasterUserPassword="),
        "no password is sent"
    );
    // The role's policy names GetSecretValue as well, in another spelling.
    for call in ["GetRandomPassword", "GetSecretValue"] {
        assert!(!sent.contains(&format!("secretsmanager.{call}")), "{call}");
    }
    let mut seen = Seen::default();
    seen.outcome(&up);
    seen.files(&place);
    seen.assert_free_of(&private_keys(&gate));

    // The way to a password of our own and back shows neither.
    for credentials in ["secret", "rds-managed"] {
        place.write(
            "orderctl.toml",
            &format!("[database]\ncredentials = \"{credentials}\"\n"),
        );
        let up = talkative(&place, &line).finish().ends_with(0);
        seen.outcome(&up);
        seen.files(&place);
    }
    seen.assert_free_of(&passwords(&gate));
}

#[test]
fn a_secret_that_leaked_would_be_found() {
    let secret = r#"p"4\x&<~%9Wc'q7Zt=8Rk2!mVx;(u)+_"#;
    let place = Workplace::new();
    for form in forms(secret) {
        for planted in [form.clone(), form.chars().skip(9).take(14).collect()] {
            place.write("state/.dev.Xy12ab", &format!("{{\"a\": \"{planted}\"}}"));
            let mut seen = Seen::default();
            seen.files(&place);
            assert_eq!(seen.leaks(secret), ["state/.dev.Xy12ab"], "{planted}");
        }
    }
    // A process, and one that it starts, with the secret in their arguments and environment.
    let mut command = crate::driver::command("sh");
    command
        .args(["-c", "sh -c 'read line' \"$0\"; exit 0", secret])
        .env("LEAK", secret)
        .stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let watch = Watch::over(child.id());
    let visible = loop_until_seen(watch, child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    let seen = Seen(visible);
    let leaks = seen.leaks(secret);
    assert!(leaks.contains(&"/proc/…/cmdline") && leaks.contains(&"/proc/…/environ"));
}

/// Gives the watch time to look at the process and at what it starts.
fn loop_until_seen(mut watch: Watch, process: u32) -> Vec<(String, String)> {
    loop {
        let seen = watch.end();
        if seen
            .iter()
            .filter(|(_, text)| text.contains("read line"))
            .count()
            >= 2
        {
            return seen;
        }
        watch = Watch::over(process);
    }
}
