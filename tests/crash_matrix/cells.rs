//! The faults, and how each is made to happen to a call.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde_json::json;

use super::account::{Account, Eyes};
use super::client::{Client, Disk, Ended, Place};
use super::oracle;
use super::scene::{Call, Scene, held};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    KillBeforeSend,
    KillAfterAccept,
    KillBeforeSave,
    AnswerLost,
    ErrorThoughApplied,
    Throttled,
    SaveFails,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::KillBeforeSend,
        Self::KillAfterAccept,
        Self::KillBeforeSave,
        Self::AnswerLost,
        Self::ErrorThoughApplied,
        Self::Throttled,
        Self::SaveFails,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::KillBeforeSend => "SIGKILL before AWS has the call",
            Self::KillAfterAccept => "SIGKILL after AWS accepted, before the answer",
            Self::KillBeforeSave => "SIGKILL between answer and state write",
            Self::AnswerLost => "answer lost",
            Self::ErrorThoughApplied => "500 although applied",
            Self::Throttled => "throttled",
            Self::SaveFails => "torn state write, disk full",
        }
    }
}

/// One way to make something go wrong in one run.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// These things happen to these calls; the program goes on as it can.
    Answers(Vec<(Call, &'static str)>),
    /// The disk misbehaves.
    Disk(Disk),
    /// The program is killed while this call is held.
    Kill(Call, &'static str),
}

/// What is there after a kill.
pub struct Remains {
    pub account: Account,
    pub place: Place,
}

/// Something for a worker to do.
pub enum Job {
    /// Run the command again on what a kill left.
    Recover(Remains),
    /// Run the command, let the mishap happen, and run it again.
    Play(Mishap),
}

/// How a job went.
pub struct Verdict {
    /// How many of the mishap's calls were met.
    pub met: usize,
    pub result: Result<(), String>,
}

impl Job {
    /// Does it; with `tear_down` the stack is taken down at the end.
    pub fn run(self, scene: &Scene<'_>, eyes: &mut Eyes, tear_down: bool) -> Verdict {
        match self {
            Self::Recover(remains) => Verdict {
                met: 1,
                result: recover(scene, &remains, None, eyes, tear_down),
            },
            Self::Play(mishap) => {
                let (account, place) = scene.begin();
                let (met, ended) = play(scene, &account, &place, mishap);
                let remains = Remains { account, place };
                Verdict {
                    met,
                    result: recover(scene, &remains, ended, eyes, tear_down),
                }
            }
        }
    }
}

/// The command once more, in a new process, unless the first got to its end.
fn recover(
    scene: &Scene<'_>,
    remains: &Remains,
    first: Option<Ended>,
    eyes: &mut Eyes,
    tear_down: bool,
) -> Result<(), String> {
    let Remains { account, place } = remains;
    let mut story = String::new();
    match first {
        Some(Ended { code: Some(0), .. }) => {}
        Some(Ended {
            code: Some(1),
            text,
        }) => story = format!("the first run failed:\n{text}\n"),
        Some(Ended { code, text }) => {
            return Err(format!("the first run ends with {code:?}:\n{text}"));
        }
        None => story.push_str("the first run was killed\n"),
    }
    if !story.is_empty() {
        place.outlive_lease(account, eyes);
        let again = Client::run(account, place, scene.verb.words);
        if again.code != Some(0) {
            return Err(format!(
                "{story}the next run ends with {:?}:\n{}",
                again.code, again.text
            ));
        }
        story.push_str(&again.text);
    }
    oracle::check(scene, account, place, eyes, tear_down).map_err(|why| format!("{why}\n{story}"))
}

/// Runs the command with the mishap. Returns how often it was met, and how the run ended if it was not killed.
fn play(
    scene: &Scene<'_>,
    account: &Account,
    place: &Place,
    mishap: Mishap,
) -> (usize, Option<Ended>) {
    let words = scene.verb.words;
    match mishap {
        Mishap::Answers(faults) => {
            for (call, action) in &faults {
                account.post("faults", &fault(call, action));
            }
            let ended = Client::start(account, place, words, Disk::Sound).finish();
            let listed = account.get("faults");
            let listed = listed["faults"].as_array().unwrap();
            let met = listed.iter().filter(|fault| fault["hits"] != 0).count();
            (met, Some(ended))
        }
        Mishap::Disk(disk) => {
            let ended = Client::start(account, place, words, disk).finish();
            match (disk, ended.code) {
                (Disk::Kills(_), None) => (1, None),
                (Disk::Full(_), Some(1)) => (1, Some(ended)),
                _ => (0, Some(ended)),
            }
        }
        Mishap::Kill(call, action) => {
            account.post("faults", &fault(&call, action));
            let mut client = Client::start(account, place, words, Disk::Sound);
            while held(account, 1).is_empty() {
                if client.has_ended() {
                    return (0, Some(client.finish()));
                }
            }
            client.kill();
            // What was held before it was applied never is.
            account.post("release", &json!({ "drop": action == "hold-before" }));
            (1, None)
        }
    }
}

fn fault(call: &Call, action: &str) -> serde_json::Value {
    json!({ "service": call.service, "operation": call.operation, "nth": call.nth, "action": action })
}

/// What is left by kills at every point of one run: the process is stopped, its disk and its account are copied, and it
/// goes on. Two points between which nothing was applied and nothing was saved leave the same.
#[derive(Default)]
pub struct Snapshots {
    /// The points, by number of what they leave.
    pub points: BTreeMap<usize, Vec<(Fault, String)>>,
    known: HashMap<(u64, u64), usize>,
    writes: HashMap<u64, bool>,
    asked_from: u64,
    /// For each state write, how many calls were answered between the one before and it.
    pub calls_before_save: Vec<usize>,
    /// How many were answered after the last.
    pub after_last_save: usize,
    /// Copies of an account end with it.
    original: Option<Account>,
}

impl Snapshots {
    /// Notes a point of a stopped run; returns what it leaves unless an earlier point left the same.
    fn note(
        &mut self,
        account: &Account,
        place: &Place,
        next: &mut usize,
        cells: Vec<(Fault, String)>,
    ) -> Option<(usize, Remains)> {
        let log = account.get(&format!("calls?since={}", self.asked_from));
        for call in log["calls"].as_array().unwrap() {
            self.writes
                .insert(call["index"].as_u64().unwrap(), call["wrote"] == true);
        }
        self.asked_from = log["next"].as_u64().unwrap();
        let writes = self.writes.values().filter(|wrote| **wrote).count() as u64;
        let mut hasher = DefaultHasher::new();
        // One in a bucket is among what was written to the account.
        place.state_on_disk().hash(&mut hasher);
        let key = (writes, hasher.finish());
        if cells.is_empty() {
            return None;
        }
        if let Some(same) = self.known.get(&key) {
            self.points.entry(*same).or_default().extend(cells);
            return None;
        }
        let number = *next;
        *next += 1;
        self.known.insert(key, number);
        self.points.insert(number, cells);
        let remains = Remains {
            account: account.copy(),
            place: place.copy(),
        };
        Some((number, remains))
    }

    /// All points of one run: before and after AWS has applied each call, and before each state write.
    pub fn of_run(scene: &Scene<'_>, mut give: impl FnMut(usize, Remains)) -> Self {
        let mut snapshots = Self::default();
        let mut next = 0;
        let (account, place) = scene.begin();
        account.post("faults", &json!({ "action": "hold-both", "times": 0 }));
        let mut client = Client::start(&account, &place, scene.verb.words, Disk::Stops);
        let (mut saves, mut answered) = (0, Vec::new());
        loop {
            let waiting = held(&account, 0);
            if !client.is_stopped() {
                if client.has_ended() {
                    break;
                }
                if waiting.is_empty() {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                if !client.stop() {
                    break;
                }
            }
            let mut cells = Vec::new();
            if client.stops() > saves {
                saves = client.stops();
                snapshots.calls_before_save.push(answered.len());
                cells.extend(answered.drain(..).map(|name| (Fault::KillBeforeSave, name)));
            }
            if let Some(call) = waiting.first() {
                let fault = match call.is_applied {
                    true => Fault::KillAfterAccept,
                    false => Fault::KillBeforeSend,
                };
                cells.push((fault, call.name.clone()));
            }
            if let Some((number, remains)) = snapshots.note(&account, &place, &mut next, cells) {
                give(number, remains);
            }
            client.go_on();
            if let Some(call) = waiting.first() {
                account.post("release", &json!({ "count": 1 }));
                if call.is_applied {
                    answered.push(call.name.clone());
                }
            }
        }
        let ended = client.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.text);
        snapshots.after_last_save = answered.len();
        snapshots.original = Some(account);
        snapshots
    }
}
