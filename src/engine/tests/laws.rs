//! Law 2, judged at the moment in which a call leaves, and again whenever a run has ended.

use super::cloud::Inner;
use super::disk::Books;
use super::kinds::Settings;
use super::objects::{Behaviour, Object, id_of};
use crate::resource::{Address, Resolved, Scope};
use crate::state::{IntentAction, Record, State};

fn record<'a>(state: &'a State, node: &str) -> Option<&'a Record> {
    state.records.get(&Address::new(node).ok()?)
}

/// The ids that a record keeps.
fn ids(record: &Record) -> impl Iterator<Item = &str> {
    let retired = record.retired.iter().map(|old| &old.outputs);
    let outputs = record.outputs.iter().chain(retired);
    outputs.filter_map(|outputs| outputs["arn"].as_str().map(id_of))
}

/// A create is announced with its token before it is sent, and refers to nothing whose id could still
/// be lost.
pub(super) fn broken_by_create(
    inner: &Inner,
    books: &Books,
    behaviour: Behaviour,
    scope: &Scope,
    want: &Settings<Resolved>,
) -> Option<String> {
    if behaviour.shared {
        return None;
    }
    let node = &scope.node;
    let state = books.state.as_ref();
    let intent = state.and_then(|state| record(state, node)?.intent.as_ref());
    let is_announced = intent.is_some_and(|intent| {
        intent.action == IntentAction::Create
            && intent.token.is_some()
            && intent.token == scope.token
    });
    if !is_announced {
        return Some(format!(
            "the create of {node} is sent before it is announced"
        ));
    }
    broken_by_references(inner, books, node, want)
}

/// What a call refers to is recorded.
pub(super) fn broken_by_references(
    inner: &Inner,
    books: &Books,
    node: &str,
    want: &Settings<Resolved>,
) -> Option<String> {
    let is_shared = |id: &str| {
        inner
            .objects
            .get(id)
            .is_some_and(|object| object.behaviour.shared)
    };
    let is_recorded = |id: &str| {
        let records = books.state.iter().flat_map(|state| state.records.values());
        records.flat_map(ids).any(|known| known == id)
    };
    let mut ids = want.references().map(|arn| id_of(arn));
    let missing = ids.find(|id| !is_shared(id) && !is_recorded(id))?;
    Some(format!(
        "{node} refers to {missing}, whose id is not recorded yet"
    ))
}

/// A delete is announced before it is sent.
pub(super) fn broken_by_delete(books: &Books, scope: &Scope) -> Option<String> {
    let node = &scope.node;
    let record = books.state.as_ref().and_then(|state| record(state, node));
    let is_announced = record.is_some_and(|record| {
        let intent = record.intent.as_ref();
        let is_going = intent.is_some_and(|intent| intent.action == IntentAction::Delete);
        is_going || !record.retired.is_empty()
    });
    (!is_announced).then(|| format!("the delete of {node} is sent before it is announced"))
}

/// What is there, belongs to the stack, and is neither recorded nor announced, so that only a look at
/// the whole cloud could find it again.
pub(super) fn forgotten<'a>(
    objects: impl Iterator<Item = &'a Object>,
    state: &State,
) -> Vec<String> {
    let is_known = |object: &Object| {
        record(state, &object.node).is_some_and(|record| {
            let is_recorded = ids(record).any(|id| id == object.id);
            // Announced, also to go: then it is looked for until it cannot come to light any more.
            let is_announced = record.intent.is_some() && record.outputs.is_none();
            let may_be_an_older_one = record.retired.iter().any(|old| old.outputs.is_null());
            is_recorded || is_announced || may_be_an_older_one
        })
    };
    let unknown = objects.filter(|object| !object.behaviour.shared && !is_known(object));
    unknown
        .map(|object| format!("{} {}", object.node, object.id))
        .collect()
}
