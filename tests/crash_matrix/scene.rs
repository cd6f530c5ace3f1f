//! A verb with the account and the working directory it begins with, and how it ends without faults.

use serde_json::Value;

use super::account::{Account, Eyes};
use super::client::{Client, Disk, Place, SUFFIX};
use super::driver::Sandbox;
use super::oracle::Outcome;
use super::verbs::{BUCKET, Store, Verb, ZONE};

/// An account without a stack, from which all others are copied.
pub struct Origin {
    sandbox: Sandbox,
    account: Account,
    zone: String,
    empty: Outcome,
}

impl Origin {
    pub fn make() -> Self {
        let sandbox = Sandbox::start_with("--control");
        let zone = sandbox.aws(
            r#"route53.create_hosted_zone(Name="example.com", CallerReference="matrix")["HostedZone"]["Id"].split("/")[-1]"#,
        );
        sandbox.aws(&format!(r#"s3.create_bucket(Bucket="{BUCKET}")"#));
        let account = Account::of(&sandbox);
        // The services load at their first use; copies are to have them already.
        let place = Place::new("", Store::Directory);
        for words in [["up", "--yes"], ["down", "--yes"]] {
            let run = Client::run(&account, &place, &words);
            assert_eq!(run.code, Some(0), "{}", run.text);
        }
        let empty = Outcome::seen(&account, &place, &mut Eyes::open(&sandbox));
        Self {
            sandbox,
            account,
            zone: zone.as_str().unwrap().to_owned(),
            empty,
        }
    }

    pub fn eyes(&self) -> Eyes {
        Eyes::open(&self.sandbox)
    }

    fn configuration(&self, text: &str) -> String {
        text.replace(ZONE, &self.zone)
    }
}

/// One AWS call of the run without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub service: String,
    pub operation: String,
    /// Which of its operation's calls it is, from 1.
    pub nth: u64,
}

impl Call {
    pub fn is_read(&self) -> bool {
        ["Describe", "Get", "List"]
            .iter()
            .any(|verb| self.operation.starts_with(verb))
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} #{}", self.service, self.operation, self.nth)
    }
}

pub struct Scene<'o> {
    pub verb: &'static Verb,
    origin: &'o Origin,
    account: Account,
    place: Place,
    clean: Option<Outcome>,
    /// The AWS calls of the run without faults.
    pub calls: Vec<Call>,
    /// How often it writes the state.
    pub saves: u64,
}

impl<'o> Scene<'o> {
    /// Makes the stack that the verb begins with, and runs it once without faults; twice, to see that its end is always
    /// the same.
    pub fn set(origin: &'o Origin, verb: &'static Verb) -> Self {
        let account = origin.account.copy();
        let configuration = origin.configuration(verb.before.unwrap_or_default());
        let place = Place::new(&configuration, verb.store);
        let mut eyes = origin.eyes();
        if verb.before.is_some() {
            let up = || {
                let run = Client::run(&account, &place, &["up", "--yes"]);
                assert_eq!(run.code, Some(0), "{}: {}", verb.name, run.text);
            };
            up();
            eyes.put_image(&account, &format!("order-api-{SUFFIX}"));
            up();
        }
        place.configure(&origin.configuration(verb.after));
        let mut scene = Self {
            verb,
            origin,
            account,
            place,
            clean: None,
            calls: Vec::new(),
            saves: 0,
        };
        let first = scene.run_without_faults(&mut eyes);
        let second = scene.run_without_faults(&mut eyes);
        let differences = second.differences(&first);
        assert!(differences.is_empty(), "{}: {differences:#?}", verb.name);
        scene.clean = Some(first);
        scene
    }

    /// The account and the directory, ready for a run.
    pub fn begin(&self) -> (Account, Place) {
        (self.account.copy(), self.place.copy())
    }

    /// How the run without faults ends.
    pub fn clean(&self) -> &Outcome {
        self.clean.as_ref().unwrap()
    }

    /// An account without a stack.
    pub fn empty(&self) -> &Outcome {
        &self.origin.empty
    }

    fn run_without_faults(&mut self, eyes: &mut Eyes) -> Outcome {
        let (account, place) = self.begin();
        let mut client = Client::start(&account, &place, self.verb.words, Disk::Stops);
        while client.wait_until_stopped() {
            self.saves = client.stops();
            client.go_on();
        }
        let run = client.finish();
        assert_eq!(run.code, Some(0), "{}: {}", self.verb.name, run.text);
        self.calls = calls(&account);
        Outcome::seen(&account, &place, eyes)
    }
}

/// The calls that an account has seen.
fn calls(account: &Account) -> Vec<Call> {
    let log = account.get("calls");
    let mut calls: Vec<Call> = Vec::new();
    for call in log["calls"].as_array().unwrap() {
        let text = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
        let (service, operation) = (text("service"), text("operation"));
        let earlier = calls
            .iter()
            .filter(|other| other.service == service && other.operation == operation);
        let nth = earlier.count() as u64 + 1;
        calls.push(Call {
            service,
            operation,
            nth,
        });
    }
    calls
}

/// A call that is held.
pub struct HeldCall {
    pub name: String,
    /// Whether it is applied already.
    pub is_applied: bool,
}

/// The calls that are held, the longest held first; waits for one for so many seconds.
pub fn held(account: &Account, wait: u32) -> Vec<HeldCall> {
    let held = account.get(&format!("held?wait={wait}"));
    let text = |call: &Value, field: &str| call[field].as_str().unwrap_or_default().to_owned();
    let held = held["held"].as_array().unwrap();
    held.iter()
        .map(|call| HeldCall {
            name: format!("{}:{}", text(call, "service"), text(call, "operation")),
            is_applied: call["point"] == "after",
        })
        .collect()
}
