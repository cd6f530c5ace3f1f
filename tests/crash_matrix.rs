//! The crash matrix: every command × every AWS call it makes × everything that can go wrong there. After each the same
//! command is started in a new process, with nobody helping, and must end where a run without faults ends.
//!
//! A slice of it runs with all tests. The whole of it takes three quarters of an hour on two idle cores:
//!
//! ```text
//! cargo test --release --test crash_matrix -- --ignored --nocapture
//! ```
//!
//! `CRASH_MATRIX_VERB` (a part of a command's name in the table) and `CRASH_MATRIX_FAULT` (the same of a fault's) choose
//! rows; `CRASH_MATRIX_WORKERS` is how many cells run at once (default 4).
//!
//! In the slice, kills are kills. In the whole matrix a kill is a snapshot of one run: the process is stopped, its disk
//! and its account are copied as they are, and it goes on; what was copied is what SIGKILL would have left. Snapshots
//! between which no call was applied and no state written are the same, and run once. Answers to *reads* go wrong eight
//! to a run, spread over it, and so do throttled writes; all others have a run of their own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]
#![allow(clippy::disallowed_methods, reason = "it waits for other processes")]

#[path = "crash_matrix/account.rs"]
mod account;
#[path = "crash_matrix/cells.rs"]
mod cells;
#[path = "crash_matrix/client.rs"]
mod client;
mod driver;
#[path = "crash_matrix/oracle.rs"]
mod oracle;
#[path = "crash_matrix/scene.rs"]
mod scene;
#[path = "crash_matrix/table.rs"]
mod table;
#[path = "crash_matrix/verbs.rs"]
mod verbs;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use cells::{Fault, Job, Mishap, Snapshots, Verdict};
use client::Disk;
use scene::{Call, Origin, Scene};
use table::Table;
use verbs::{Store, VERBS};

/// How many answers go wrong in one run where the program itself repeats the call.
const GROUP: usize = 8;
/// Of how many cells one ends with `down`; where the others end is the same to the last setting.
const DOWN_EVERY: usize = 25;

/// The faults that are snapshots in the whole matrix.
const KILLS: [Fault; 3] = [
    Fault::KillBeforeSend,
    Fault::KillAfterAccept,
    Fault::KillBeforeSave,
];

/// A job, with what it proves if it passes: cells by fault.
struct Task {
    number: usize,
    job: Job,
    name: String,
}

/// Gives tasks to the workers.
struct Crew(Sender<Task>);

impl Crew {
    fn give(&self, number: usize, name: String, job: Job) {
        self.0.send(Task { number, job, name }).unwrap();
    }
}

/// Runs everything that `give` gives, with several workers; returns the verdicts by number.
fn with_crew(
    origin: &Origin,
    scene: &Scene<'_>,
    workers: usize,
    give: impl FnOnce(&Crew),
) -> HashMap<usize, Verdict> {
    let (sender, receiver) = channel::<Task>();
    let receiver = Mutex::new(receiver);
    let verdicts = Arc::new(Mutex::new(HashMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (receiver, verdicts) = (&receiver, Arc::clone(&verdicts));
            scope.spawn(move || work(origin, scene, receiver, &verdicts));
        }
        give(&Crew(sender));
    });
    Arc::into_inner(verdicts).unwrap().into_inner().unwrap()
}

fn work(
    origin: &Origin,
    scene: &Scene<'_>,
    tasks: &Mutex<Receiver<Task>>,
    verdicts: &Mutex<HashMap<usize, Verdict>>,
) {
    let mut eyes = origin.eyes();
    loop {
        let task = tasks.lock().unwrap().recv();
        let Ok(Task { number, job, name }) = task else {
            return;
        };
        let verdict = job.run(scene, &mut eyes, number % DOWN_EVERY == 0);
        if let Err(why) = &verdict.result {
            println!("FAILED {}: {name}\n{why}\n", scene.verb.name);
        }
        let mut verdicts = verdicts.lock().unwrap();
        verdicts.insert(number, verdict);
        if verdicts.len().is_multiple_of(50) {
            println!("{}: {} runs done", scene.verb.name, verdicts.len());
        }
    }
}

/// Runs the rows of one command and enters them into the table.
fn run_whole(
    origin: &Origin,
    scene: &Scene<'_>,
    faults: &[Fault],
    workers: usize,
    table: &mut Table,
) {
    let wanted = |fault| faults.contains(&fault);
    let mut next = 0;
    // What each number stands for.
    let mut proves: HashMap<usize, Vec<(Fault, String)>> = HashMap::new();
    let mut single: Vec<(usize, usize)> = Vec::new();
    // Copies of an account end with it.
    let mut kept = None;
    let mut unwritten = 0;
    let verdicts = with_crew(origin, scene, workers, |crew| {
        let snapshots = Snapshots::of_run(scene, |number, remains| {
            if KILLS.iter().any(|kill| wanted(*kill)) {
                crew.give(number, "SIGKILL".to_owned(), Job::Recover(remains));
            }
            next = number + 1;
        });
        if wanted(Fault::SaveFails) {
            let saves = snapshots.calls_before_save.iter().enumerate();
            // A write that follows on no call is one with the write before.
            for (index, calls) in saves.filter(|(_, calls)| **calls > 0) {
                let (number, save) = (next, index as u64 + 1);
                next += 1;
                let cells = vec![(Fault::SaveFails, format!("state write {save}")); *calls];
                proves.insert(number, cells);
                let name = format!("{}: state write {save}", Fault::SaveFails.name());
                crew.give(number, name, Job::Play(Mishap::Disk(Disk::Full(save))));
            }
        }
        // Nothing is written after the last of them, so nothing of that can fail.
        unwritten = snapshots.after_last_save;
        for (number, mut cells) in snapshots.points.clone() {
            cells.retain(|(fault, _)| wanted(*fault));
            proves.insert(number, cells);
        }
        kept = Some(snapshots);
        let mut calls = scene.calls.clone();
        // With the state in S3 the other calls are those of the rows without.
        calls.retain(|call| scene.verb.store == Store::Directory || call.service == "s3");
        let (reads, writes): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(Call::is_read);
        for (fault, action) in [
            (Fault::AnswerLost, "drop-after"),
            (Fault::ErrorThoughApplied, "error-after"),
            (Fault::Throttled, "throttle"),
        ] {
            if !wanted(fault) {
                continue;
            }
            let by_itself = if fault == Fault::Throttled { GROUP } else { 1 };
            let groups = spread(&reads, GROUP)
                .into_iter()
                .chain(spread(&writes, by_itself));
            for group in groups {
                let number = next;
                next += 1;
                let names: Vec<String> = group.iter().map(ToString::to_string).collect();
                proves.insert(
                    number,
                    names.iter().map(|name| (fault, name.clone())).collect(),
                );
                single.push((number, group.len()));
                let faults = group.into_iter().map(|call| (call, action)).collect();
                let name = format!("{}: {}", fault.name(), names.join(", "));
                crew.give(number, name, Job::Play(Mishap::Answers(faults)));
            }
        }
    });
    drop(kept);
    for fault in [Fault::KillBeforeSave, Fault::SaveFails] {
        // A command that writes no state has no such cells.
        if wanted(fault) && scene.saves > 0 {
            let count = table.count(scene.verb.name, fault);
            count.cells += unwritten;
            count.passed += unwritten;
        }
    }
    let groups: HashMap<usize, usize> = single.into_iter().collect();
    for (number, cells) in proves {
        let Some(verdict) = verdicts.get(&number) else {
            continue;
        };
        for (at, (fault, _)) in cells.iter().enumerate() {
            let count = table.count(scene.verb.name, *fault);
            count.cells += 1;
            count.passed += usize::from(verdict.result.is_ok());
            count.runs += usize::from(at == 0);
        }
        let Some((fault, _)) = cells.first() else {
            continue;
        };
        let missed = match groups.get(&number) {
            Some(calls) => calls - verdict.met.min(*calls),
            None if verdict.met == 0 => cells.len(),
            None => 0,
        };
        table.count(scene.verb.name, *fault).missed += missed;
        if let Err(why) = &verdict.result {
            let names: Vec<_> = cells.iter().map(|(_, name)| name.as_str()).collect();
            let name = fault.name();
            table.failures.push(format!(
                "{}: {name}: {}\n{why}",
                scene.verb.name,
                names.join(", ")
            ));
        }
    }
}

/// Groups of `size` calls that lie far from each other.
fn spread(calls: &[Call], size: usize) -> Vec<Vec<Call>> {
    let groups = calls.len().div_ceil(size);
    (0..groups)
        .map(|first| calls.iter().skip(first).step_by(groups).cloned().collect())
        .collect()
}

/// A choice among the names of rows by an environment variable.
fn is_chosen(variable: &str, name: &str) -> bool {
    std::env::var(variable)
        .is_ok_and(|part| !name.contains(&part))
        .eq(&false)
}

fn workers() -> usize {
    std::env::var("CRASH_MATRIX_WORKERS").map_or(4, |text| text.parse().unwrap())
}

#[test]
#[ignore = "takes three quarters of an hour"]
fn the_whole_matrix_is_green() {
    let origin = Origin::make();
    let mut table = Table::default();
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| is_chosen("CRASH_MATRIX_FAULT", fault.name()))
        .collect();
    for verb in VERBS
        .iter()
        .filter(|verb| is_chosen("CRASH_MATRIX_VERB", verb.name))
    {
        let begun = Instant::now();
        let scene = Scene::set(&origin, verb);
        let writes = scene.calls.iter().filter(|call| !call.is_read()).count();
        println!(
            "{}: {} calls, {writes} of them write; {} state writes",
            verb.name,
            scene.calls.len(),
            scene.saves
        );
        run_whole(&origin, &scene, &faults, workers(), &mut table);
        println!(
            "{} took {} s\n{table}",
            verb.name,
            begun.elapsed().as_secs()
        );
    }
    assert!(
        table.failures.is_empty(),
        "{} cells failed",
        table.failures.len()
    );
}

#[test]
fn a_slice_of_the_matrix_is_green() {
    let origin = Origin::make();
    let mut failures = Vec::new();
    for (row, verb) in VERBS.iter().enumerate() {
        let scene = Scene::set(&origin, verb);
        let mut names = HashMap::new();
        let verdicts = with_crew(&origin, &scene, 3, |crew| {
            for (column, fault) in Fault::ALL.into_iter().enumerate() {
                let is_of_saves = matches!(fault, Fault::KillBeforeSave | Fault::SaveFails);
                if is_of_saves && scene.saves == 0 {
                    continue;
                }
                // Another call in every field of the table, always the same ones.
                let writes: Vec<&Call> =
                    scene.calls.iter().filter(|call| !call.is_read()).collect();
                let call = writes[(row * 31 + column * 17 + 5) % writes.len()].clone();
                let save = (row as u64 * 31 + column as u64 * 17 + 5) % scene.saves.max(1) + 1;
                let mishap = match fault {
                    Fault::KillBeforeSend => Mishap::Kill(call, "hold-before"),
                    Fault::KillAfterAccept => Mishap::Kill(call, "hold-after"),
                    Fault::KillBeforeSave => Mishap::Disk(Disk::Kills(save)),
                    Fault::AnswerLost => Mishap::Answers(vec![(call, "drop-after")]),
                    Fault::ErrorThoughApplied => Mishap::Answers(vec![(call, "error-after")]),
                    Fault::Throttled => Mishap::Answers(vec![(call, "throttle")]),
                    Fault::SaveFails => Mishap::Disk(Disk::Full(save)),
                };
                let name = format!("{}: {}: {mishap:?}", verb.name, fault.name());
                names.insert(column, name.clone());
                crew.give(column, name, Job::Play(mishap));
            }
        });
        for (column, verdict) in verdicts {
            if let Err(why) = verdict.result {
                failures.push(format!("{}\n{why}", names[&column]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
