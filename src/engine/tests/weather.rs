//! Random misfortune: what goes wrong during one run, and when somebody ends it.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::disk::SaveFault;
use super::faults::{Effect, Fault, Operation};
use super::world::World;
use crate::engine::Declaration;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
enum Misfortune {
    Call(Fault),
    /// So many saves from now, so many saves.
    Save(usize, usize, SaveFault),
    /// What is made of a kind that is replaced when it fails, fails.
    Doom(Index),
    /// AWS brings it back, so many seconds after its deletion.
    Return(Index, u64),
}

const ALL: &[Operation] = &[
    Operation::Read,
    Operation::Create,
    Operation::Update,
    Operation::Delete,
];

fn misfortune() -> impl Strategy<Value = Misfortune> {
    let operations = select(vec![ALL, Operation::WRITES, Operation::WRITES]);
    let effect = select(vec![
        Effect::Refuse("Forbidden"),
        Effect::Throttle,
        Effect::LoseRequest,
        Effect::LoseAnswer,
        Effect::HangBefore,
        Effect::HangAfter,
        Effect::CrashBefore,
        Effect::CrashAfter,
    ]);
    let call = (operations, 0..30_usize, effect)
        .prop_map(|(operations, after, effect)| broken(operations, after, 1, effect));
    let quota = (0..10_usize, 1..6_usize).prop_map(|(after, times)| {
        broken(
            &[Operation::Create],
            after,
            times,
            Effect::Refuse("LimitExceeded"),
        )
    });
    let flap = (0..30_usize, 1..4_usize)
        .prop_map(|(after, times)| broken(&[Operation::Read], after, times, Effect::Flap));
    let throttle = (0..30_usize, 2..9_usize)
        .prop_map(|(after, times)| broken(ALL, after, times, Effect::Throttle));
    let faults = vec![
        SaveFault::Fail,
        SaveFault::FailAfter,
        SaveFault::CrashBefore,
        SaveFault::CrashAfter,
    ];
    let times = select(vec![1, 1, 5, 100]);
    let save = (0..30_usize, times, select(faults))
        .prop_map(|(number, times, fault)| Misfortune::Save(number, times, fault));
    let doom = any::<Index>().prop_map(Misfortune::Doom);
    let comes_back =
        (any::<Index>(), 1..50_u64).prop_map(|(node, after)| Misfortune::Return(node, after));
    prop_oneof![
        6 => call,
        3 => save,
        1 => quota,
        1 => flap,
        1 => throttle,
        1 => doom,
        1 => comes_back,
    ]
}

fn broken(
    operations: &'static [Operation],
    after: usize,
    times: usize,
    effect: Effect,
) -> Misfortune {
    Misfortune::Call(Fault {
        operations,
        node: None,
        after,
        times,
        effect,
    })
}

/// How the cloud behaves in one run.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    shows_after: u64,
    update_shows_after: u64,
    parallelism: usize,
    misfortunes: Vec<Misfortune>,
    /// Milliseconds until a signal comes.
    signal: Option<u64>,
}

pub(super) fn weather(misfortunes: Range<usize>) -> impl Strategy<Value = Weather> {
    let parallelism = select(vec![1, 3, 16]);
    // Most runs are short; a signal must often come in the middle of one.
    let signal = prop_oneof![0..3_000_u64, 0..30_000_u64, 0..300_000_u64];
    let signal = prop::option::weighted(0.3, signal);
    let misfortunes = vec(misfortune(), misfortunes);
    (0..4_u64, 0..4_u64, parallelism, misfortunes, signal).prop_map(
        |(shows_after, update_shows_after, parallelism, misfortunes, signal)| Weather {
            shows_after,
            update_shows_after,
            parallelism,
            misfortunes,
            signal,
        },
    )
}

impl Weather {
    /// Shows updates at once: one that comes to light after the wish has changed is drift.
    pub(super) fn without_late_updates(self) -> Self {
        Self {
            update_shows_after: 0,
            ..self
        }
    }

    /// Lets it come over the world from now on.
    pub(super) fn over(&self, world: &mut World, declaration: &Declaration) {
        world.parallelism = self.parallelism;
        world.stop_after = self.signal.map(Duration::from_millis);
        let saves = world.disk.saves.load(Ordering::SeqCst);
        let mut inner = world.cloud.look();
        inner.shows_after = Duration::from_secs(self.shows_after);
        inner.update_shows_after = Duration::from_secs(self.update_shows_after);
        let of_kind = |kinds: &[&str], index: &Index| {
            let nodes = declaration.nodes.iter();
            let nodes: Vec<_> = nodes.filter(|node| kinds.contains(&node.kind)).collect();
            let chosen = (!nodes.is_empty()).then(|| index.get(&nodes));
            chosen.map(|node| node.address.to_string())
        };
        for misfortune in &self.misfortunes {
            match misfortune {
                Misfortune::Call(fault) => inner.faults.push(fault.clone()),
                Misfortune::Save(number, times, fault) => {
                    let mut faults = world.disk.faults.lock().unwrap();
                    let numbers = saves + number..saves + number + times;
                    faults.extend(numbers.map(|number| (number, *fault)));
                }
                Misfortune::Doom(index) => inner.doomed.extend(of_kind(&["fake/gateway"], index)),
                Misfortune::Return(index, after) => {
                    let node = of_kind(&["fake/log"], index);
                    let after = Duration::from_secs(*after);
                    inner.comes_back.extend(node.map(|node| (node, after)));
                }
            }
        }
    }
}

/// Ends all misfortune.
pub(super) fn clear_the_sky(world: &mut World) {
    let mut inner = world.cloud.look();
    inner.faults.clear();
    inner.doomed.clear();
    inner.comes_back.clear();
    drop(inner);
    world.disk.faults.lock().unwrap().clear();
    world.stop_after = None;
}

/// How much of it was met so far.
pub(super) fn misfortunes_met(world: &World) -> usize {
    world.cloud.look().faults_met + world.disk.faults_met.load(Ordering::SeqCst)
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls at once; reads miss what is new for {} s, updates for {} s",
            self.parallelism, self.shows_after, self.update_shows_after
        )?;
        for misfortune in &self.misfortunes {
            write!(f, "\n    {misfortune}")?;
        }
        match self.signal {
            Some(after) => write!(f, "\n    a signal after {after} ms"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Misfortune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(fault) => {
                let first = fault.after + 1;
                match fault.times {
                    1 => write!(f, "call {first}")?,
                    times => write!(f, "calls {first} to {}", fault.after + times)?,
                }
                write!(f, " of {:?}: {:?}", fault.operations, fault.effect)
            }
            Self::Save(number, 1, fault) => write!(f, "save {}: {fault:?}", number + 1),
            Self::Save(number, times, fault) => {
                write!(f, "saves {} to {}: {fault:?}", number + 1, number + times)
            }
            Self::Doom(_) => f.write_str("a gateway fails"),
            Self::Return(_, after) => write!(f, "a log comes back after {after} s"),
        }
    }
}
