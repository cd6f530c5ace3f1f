//! Random stacks, and random changes of them.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::kinds::{self, Network};
use super::world::{at, settings};
use crate::engine::{Declaration, Graph};
use crate::resource::{Declared, Handle, Input, Reference, Wait};

const KINDS: &[&str] = &[
    "fake/network",
    "fake/store",
    "fake/database",
    "fake/rule",
    "fake/certificate",
    "fake/alarm",
    "fake/log",
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

/// So many configurations of one stack, each of which differs from the one before in some nodes.
pub(super) fn models(count: usize) -> impl Strategy<Value = Vec<Model>> {
    let changes = vec(prop::option::weighted(0.4, wish()), count - 1);
    let node = (prop::sample::select(KINDS), wish(), changes);
    vec(node, 1..13).prop_map(move |nodes| {
        let latest = |number: usize, first: &Wish, changes: &[Option<Wish>]| {
            let changes = changes[..number].iter().rev();
            changes.flatten().next().unwrap_or(first).clone()
        };
        let configuration = |number| {
            let nodes = nodes.iter();
            nodes.map(move |(kind, first, changes)| (*kind, latest(number, first, changes)))
        };
        (0..count)
            .map(|number| configuration(number).collect())
            .collect()
    })
}

/// A declaration as a drawing in lines: each node with its settings and what it refers to.
pub(super) fn draw(declaration: &Declaration) -> String {
    let mut text = String::new();
    for node in &declaration.nodes {
        let spec = &node.spec;
        let _infallible = write!(
            text,
            "\n    {:<18} shape {} size {} late {}",
            node.address.as_str(),
            spec["shape"],
            spec["size"],
            spec["late"]
        );
        for field in ["parent", "base", "uses"] {
            let lists = spec[field].as_array();
            let one = spec[field].is_object().then_some(&spec[field]);
            let references = lists.into_iter().flatten().chain(one);
            let names = references.filter_map(|reference| reference["$output"].as_str());
            let names: Vec<_> = names.map(|name| name.trim_end_matches(".arn")).collect();
            if !names.is_empty() {
                let _infallible = write!(text, "  {field} -> {}", names.join(", "));
            }
        }
        let ready = node.edges.iter().filter(|(_, wait)| **wait == Wait::Ready);
        let ready: Vec<_> = ready.map(|(to, _)| to.as_str()).collect();
        if !ready.is_empty() {
            let _infallible = write!(text, "  waits for ready {}", ready.join(", "));
        }
    }
    text
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
            spec.shape = wish.shape;
            // A subscription has nothing that could be changed: what may be there or not takes no update.
            if kind != "fake/subscription" {
                (spec.size, spec.late) = (wish.size, wish.late);
            }
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
                // Nobody refers to what may be there or not.
                let is_ghostly = target.kind == "fake/subscription";
                match edge.way {
                    _ if is_ghostly => after.push(target.address.clone()),
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
