//! The declared graph: nodes with their specifications, and edges found by walking them. A handle
//! exists only after its node was added, so a declared graph cannot have a cycle and the order of
//! declaration is an order in which everything can be made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::resource::{
    Address, Declared, Handle, Input, KEPT_TAG, Resource, Wait, find_references,
};

/// One node as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in the declaration.
    pub address: Address,
    /// Its kind.
    pub kind: &'static str,
    /// Its specification with references.
    pub spec: Value,
    /// The nodes it waits for, and what it waits for.
    pub edges: BTreeMap<Address, Wait>,
    /// Those of `edges` that matter for making alone; deleting need not mind them.
    pub follows: BTreeSet<Address>,
}

impl Node {
    /// The nodes that must outlive this one.
    pub fn dependencies(&self) -> BTreeSet<Address> {
        self.edges
            .keys()
            .filter(|to| !self.follows.contains(*to))
            .cloned()
            .collect()
    }
}

/// A graph being declared.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: BTreeMap<String, Value>,
    problem: Option<GraphError>,
}

/// A declared graph, complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The nodes, each after all it refers to.
    pub nodes: Vec<Node>,
    /// What the stack gives to its users, with references.
    pub outputs: BTreeMap<String, Value>,
}

/// Settings that are kept as they were found when the resource was taken over, by node and field.
pub type Kept = BTreeMap<Address, BTreeMap<String, Value>>;

impl Declaration {
    /// Wants what is `kept` instead of what is declared, and a tag that says so, from which a lost
    /// state learns of it.
    #[must_use]
    pub fn keeping(mut self, kept: &Kept) -> Self {
        for node in &mut self.nodes {
            let Some(fields) = kept.get(&node.address).filter(|fields| !fields.is_empty()) else {
                continue;
            };
            for (field, value) in fields {
                if let Some(declared) = node.spec.get_mut(field) {
                    *declared = value.clone();
                }
            }
            if let Some(Value::Object(tags)) = node.spec.get_mut("tags") {
                let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                tags.insert(KEPT_TAG.to_owned(), Value::String(names.join(" ")));
            }
        }
        self
    }
}

/// A mistake in the declaration itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The address breaks the rule of addresses.
    #[error("`{0}` is no address: use lower-case words joined by hyphens")]
    Address(String),
    /// Two nodes have the same address.
    #[error("two nodes are called `{0}`")]
    Twice(Address),
    /// A node refers to one that was not declared before it.
    #[error("`{node}` refers to `{to}`, which is not declared before it")]
    Dangling {
        /// The node.
        node: Address,
        /// What it refers to.
        to: Address,
    },
    /// The specification could not be written as JSON.
    #[error("the specification of `{0}` is not JSON: {1}")]
    Spec(Address, String),
}

impl Graph {
    /// Adds a node and gives a handle to refer to its outputs. A mistake is kept for
    /// [`Graph::finish`].
    pub fn add<K: Resource>(&mut self, address: &str, spec: K::Spec<Declared>) -> Handle<K> {
        let address = match Address::new(address) {
            Ok(address) => address,
            Err(name) => {
                self.problem.get_or_insert(GraphError::Address(name));
                return Handle::new(Address::placeholder());
            }
        };
        match serde_json::to_value(&spec) {
            Ok(spec) => self.insert(&address, K::KIND, spec),
            Err(error) => {
                let problem = GraphError::Spec(address.clone(), error.to_string());
                self.problem.get_or_insert(problem);
            }
        }
        Handle::new(address)
    }

    fn insert(&mut self, address: &Address, kind: &'static str, spec: Value) {
        if self.nodes.iter().any(|node| node.address == *address) {
            self.problem
                .get_or_insert(GraphError::Twice(address.clone()));
            return;
        }
        let mut edges = BTreeMap::new();
        for reference in find_references(&spec) {
            let wait = edges.entry(reference.address).or_insert(reference.wait);
            *wait = (*wait).max(reference.wait);
        }
        if let Some(to) = edges
            .keys()
            .find(|to| !self.nodes.iter().any(|n| n.address == **to))
        {
            let problem = GraphError::Dangling {
                node: address.clone(),
                to: to.clone(),
            };
            self.problem.get_or_insert(problem);
        }
        let follows = BTreeSet::new();
        self.nodes.push(Node {
            address: address.clone(),
            kind,
            spec,
            edges,
            follows,
        });
    }

    /// Makes `node` wait until `first` exists, where no data flows between them. The handle's
    /// [`Handle::when_ready`] makes it wait until `first` works.
    pub fn after<A: Resource, B: Resource>(&mut self, node: &Handle<A>, first: &Handle<B>) {
        let Some(found) = self.nodes.iter_mut().find(|n| n.address == *node.address()) else {
            return;
        };
        let wait = found
            .edges
            .entry(first.address().clone())
            .or_insert(first.wait());
        *wait = (*wait).max(first.wait());
    }

    /// Makes `node` wait until `first` exists, for the order of making alone: they are deleted side
    /// by side.
    pub fn follow<A: Resource, B: Resource>(&mut self, node: &Handle<A>, first: &Handle<B>) {
        self.after(node, first);
        if let Some(found) = self.nodes.iter_mut().find(|n| n.address == *node.address()) {
            found.follows.insert(first.address().clone());
        }
    }

    /// Declares one output of the stack.
    pub fn output<T: serde::Serialize>(&mut self, name: &str, value: Input<T>) {
        if let Ok(value) = serde_json::to_value(value) {
            self.outputs.insert(name.to_owned(), value);
        }
    }

    /// Closes the declaration, or gives the first mistake in it.
    pub fn finish(self) -> Result<Declaration, GraphError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(Declaration {
                nodes: self.nodes,
                outputs: self.outputs,
            }),
        }
    }
}
