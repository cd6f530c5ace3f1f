//! Random stacks, random changes of them, and random misfortune.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;

use super::faults::{Effect, Fault, Operation};
use super::kinds::{self, Network};
use super::world::{SaveFault, World, at, settings};
use crate::engine::{Declaration, Graph};
use crate::resource::{Declared, Handle, Input, Reference, Wait};

const KINDS: &[&str] = &[
    "fake/network",
    "fake/store",
    "fake/database",
    "fake/rule",
    "fake/certificate",
    "fake/alarm",
    "fake/definition",
    "fake/subscription",
    "fake/service",
    "fake/gateway",
    "fake/role",
];

/// How a node refers to an earlier one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Base,
    Uses,
    After,
}

#[derive(Clone, Debug)]
pub(super) struct Edge {
    to: prop::sample::Index,
    way: Way,
    ready: bool,
}

/// What can change of a node from one configuration to the next.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    present: bool,
    shape: u32,
    size: u32,
    late: u32,
    edges: Vec<Edge>,
}

/// A configuration: the kind and the wish of every node.
pub(super) type Model = Vec<(&'static str, Wish)>;

fn wish() -> impl Strategy<Value = Wish> {
    let way = prop_oneof![
        Just(Way::Base),
        Just(Way::Uses),
        Just(Way::Uses),
        Just(Way::After)
    ];
    let edge = (any::<prop::sample::Index>(), way, any::<bool>());
    let edges = vec(
        edge.prop_map(|(to, way, ready)| Edge { to, way, ready }),
        0..4,
    );
    let present = prop::bool::weighted(0.85);
    (present, 1..3_u32, 1..3_u32, 0..2_u32, edges).prop_map(
        |(present, shape, size, late, edges)| Wish {
            present,
            shape,
            size,
            late,
            edges,
        },
    )
}

pub(super) fn model() -> impl Strategy<Value = Model> {
    vec((prop::sample::select(KINDS), wish()), 1..13)
}

/// Two configurations of one stack that differ in some nodes.
pub(super) fn models() -> impl Strategy<Value = (Model, Model)> {
    let node = (
        prop::sample::select(KINDS),
        wish(),
        prop::option::weighted(0.4, wish()),
    );
    vec(node, 1..13).prop_map(|nodes| {
        let before = nodes.iter().map(|(kind, wish, _)| (*kind, wish.clone()));
        let after = nodes
            .iter()
            .map(|(kind, old, new)| (*kind, new.clone().unwrap_or(old.clone())));
        (before.collect(), after.collect())
    })
}

struct Place {
    address: String,
    kind: &'static str,
}

/// Declares a configuration. Where a node has no place to be inside of, it is a network instead;
/// where the place is absent, so is the node.
pub(super) fn declare(model: &Model) -> Declaration {
    let mut graph = Graph::default();
    let mut declared: Vec<Option<Place>> = Vec::new();
    for (n, (kind, wish)) in model.iter().enumerate() {
        let edges: Vec<(usize, &Edge)> = match n {
            0 => Vec::new(),
            _ => wish
                .edges
                .iter()
                .map(|edge| (edge.to.index(n), edge))
                .collect(),
        };
        let is_inside = matches!(*kind, "fake/rule" | "fake/subscription");
        let inside = edges.first().filter(|_| is_inside).map(|(to, _)| *to);
        let kind = if is_inside && inside.is_none() {
            "fake/network"
        } else {
            *kind
        };
        let address = format!("n{n}-{}", kind.trim_start_matches("fake/"));
        let fits = |place: &Place| !matches!(place.kind, "fake/role" | "fake/subscription");
        let place = inside.map(|to| declared[to].as_ref().filter(|place| fits(place)));
        if !wish.present || matches!(place, Some(None)) {
            declared.push(None);
            continue;
        }
        let mut spec = settings::<Declared>(&address);
        let mut after = Vec::new();
        if kind != "fake/role" {
            (spec.shape, spec.size, spec.late) = (wish.shape, wish.size, wish.late);
            spec.parent = place.flatten().map(|place| arn(place, Wait::Exists));
            let others = if kind == "fake/subscription" {
                &[]
            } else {
                &edges[..]
            };
            for (to, edge) in others {
                let Some(target) = &declared[*to] else {
                    continue;
                };
                let input = arn(
                    target,
                    if edge.ready {
                        Wait::Ready
                    } else {
                        Wait::Exists
                    },
                );
                match edge.way {
                    // What its identity consists of is known when it is declared.
                    Way::Base if kind == "fake/certificate" => spec.uses.push(input),
                    Way::Base => spec.base.push(input),
                    Way::Uses => spec.uses.push(input),
                    Way::After => after.push(target.address.clone()),
                }
            }
        }
        kinds::declare(&mut graph, kind, &address, spec);
        let handle = |address: &str| Handle::<kinds::Fake<Network>>::new(at(address));
        for first in after {
            graph.after(&handle(&address), &handle(&first));
        }
        declared.push(Some(Place { address, kind }));
    }
    graph.finish().unwrap()
}

fn arn(node: &Place, wait: Wait) -> Input<String> {
    Input::Output(Reference {
        address: at(&node.address),
        field: "arn".into(),
        wait,
    })
}

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Misfortune {
    Call(Fault),
    /// So many saves from now.
    Save(usize, SaveFault),
}

fn misfortune() -> impl Strategy<Value = Misfortune> {
    const ALL: &[Operation] = &[
        Operation::Read,
        Operation::Create,
        Operation::Update,
        Operation::Delete,
    ];
    let operations = prop::sample::select(vec![ALL, Operation::WRITES, Operation::WRITES]);
    let effect = prop::sample::select(vec![
        Effect::Refuse("Forbidden"),
        Effect::Throttle,
        Effect::LoseRequest,
        Effect::LoseAnswer,
        Effect::CrashBefore,
        Effect::CrashAfter,
    ]);
    let call = (operations, 0..30_usize, effect).prop_map(|(operations, after, effect)| {
        Misfortune::Call(Fault {
            operations,
            node: None,
            after,
            times: 1,
            effect,
        })
    });
    let faults = vec![
        SaveFault::Fail,
        SaveFault::CrashBefore,
        SaveFault::CrashAfter,
    ];
    let save = (0..30_usize, prop::sample::select(faults))
        .prop_map(|(number, fault)| Misfortune::Save(number, fault));
    prop_oneof![3 => call, 1 => save]
}

/// How the cloud behaves in one case.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    shows_after: u64,
    update_shows_after: u64,
    parallelism: usize,
    misfortunes: Vec<Misfortune>,
}

pub(super) fn weather(misfortunes: Range<usize>) -> impl Strategy<Value = Weather> {
    let parallelism = prop::sample::select(vec![1, 3, 16]);
    (
        0..4_u64,
        0..4_u64,
        parallelism,
        vec(misfortune(), misfortunes),
    )
        .prop_map(
            |(shows_after, update_shows_after, parallelism, misfortunes)| Weather {
                shows_after,
                update_shows_after,
                parallelism,
                misfortunes,
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
    pub(super) fn over(&self, world: &mut World) {
        world.parallelism = self.parallelism;
        let saves = world.disk.saves.load(std::sync::atomic::Ordering::SeqCst);
        let mut inner = world.cloud.look();
        inner.shows_after = std::time::Duration::from_secs(self.shows_after);
        inner.update_shows_after = std::time::Duration::from_secs(self.update_shows_after);
        for misfortune in &self.misfortunes {
            match misfortune {
                Misfortune::Call(fault) => inner.faults.push(fault.clone()),
                Misfortune::Save(number, fault) => {
                    world
                        .disk
                        .faults
                        .lock()
                        .unwrap()
                        .insert(saves + number, *fault);
                }
            }
        }
    }
}
