//! Reads values out of a parsed TOML document without ever losing where they stand. Instead of
//! stopping at the first fault (as serde would, in the order of our structs) it notes them all, so
//! that the one reported is the first in the file. The keys asked for are the schema: what nobody
//! asked for is an unknown key.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;

/// Says what is wrong with one value: `` `database.readers` <what> ``.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub what: String,
    pub help: String,
    /// Where it is when it is not the whole value, such as one element of a list.
    pub span: Option<Range<usize>>,
}

/// Makes a [`Fault`] of the whole value.
pub(super) fn fault(what: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault {
        what: what.into(),
        help: help.into(),
        span: None,
    }
}

/// Collects what reading a document brings to light.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub problems: Vec<Problem>,
    /// Where the value of each key that was present stands, by its full name.
    pub spans: BTreeMap<String, Range<usize>>,
    /// The full names of the keys whose values were refused.
    pub refused: BTreeSet<String>,
    /// Every key that was asked for, by its full name: the schema.
    pub schema: Vec<String>,
}

/// Reads one table of the document.
pub(super) struct Section<'d, 'n> {
    name: &'static str,
    table: Option<&'d DeTable<'d>>,
    asked: Vec<&'static str>,
    notes: &'n RefCell<Notes>,
}

impl<'d, 'n> Section<'d, 'n> {
    /// Begins with the document's top level.
    pub(super) fn root(table: &'d DeTable<'d>, notes: &'n RefCell<Notes>) -> Self {
        Section {
            name: "",
            table: Some(table),
            asked: Vec::new(),
            notes,
        }
    }

    fn full_name(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.push(key);
        self.table?.get(key)
    }

    /// Reads a key if it is there; a value that `read` refuses is noted and taken as absent.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'d Spanned<DeValue<'d>>) -> Result<T, Fault>,
    ) -> Option<T> {
        let name = self.full_name(key);
        self.notes.borrow_mut().schema.push(name.clone());
        let value = self.find(key)?;
        let mut notes = self.notes.borrow_mut();
        notes.spans.insert(name.clone(), value.span());
        match read(value) {
            Ok(read) => Some(read),
            Err(fault) => {
                notes.problems.push(Problem {
                    message: format!("`{name}` {}", fault.what),
                    help: fault.help,
                    labels: vec![(fault.span.unwrap_or(value.span()), "here".to_owned())],
                });
                notes.refused.insert(name);
                None
            }
        }
    }

    /// Reads a key into its place; without the key the place keeps its default.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        read: impl FnOnce(&'d Spanned<DeValue<'d>>) -> Result<T, Fault>,
    ) {
        if let Some(value) = self.get(key, read) {
            *place = value;
        }
    }

    /// Opens a table below this one; `name` is its full name.
    pub(super) fn section(&mut self, key: &'static str, name: &'static str) -> Section<'d, 'n> {
        let table = self.find(key).and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                self.notes.borrow_mut().problems.push(Problem {
                    message: format!("`{name}` must be a table, but is {}", kind(other)),
                    help: format!("write its keys below a line [{name}]"),
                    labels: vec![(value.span(), "here".to_owned())],
                });
                None
            }
        });
        Section {
            name,
            table,
            asked: Vec::new(),
            notes: self.notes,
        }
    }

    /// Reads a table whose keys are the user's own. Faults of `check_key` are placed on the key,
    /// those of `read` on the value. The table's place is that of its first key.
    pub(super) fn entries<T>(
        &mut self,
        key: &'static str,
        name: &'static str,
        check_key: impl Fn(&str) -> Result<(), Fault>,
        read: impl Fn(&'d Spanned<DeValue<'d>>) -> Result<T, Fault>,
    ) -> BTreeMap<String, T> {
        let section = self.section(key, name);
        let mut notes = self.notes.borrow_mut();
        notes.schema.push(name.to_owned());
        let mut entries = BTreeMap::new();
        for (key, value) in section.table.into_iter().flatten() {
            let text = key.get_ref().as_ref();
            let first = notes.spans.entry(name.to_owned()).or_insert(key.span());
            if key.span().start < first.start {
                *first = key.span();
            }
            let result = check_key(text)
                .map_err(|fault| (fault, key.span()))
                .and_then(|()| read(value).map_err(|fault| (fault, value.span())));
            match result {
                Ok(read) => {
                    entries.insert(text.to_owned(), read);
                }
                Err((fault, span)) => {
                    notes.problems.push(Problem {
                        message: format!("`{name}.{text}` {}", fault.what),
                        help: fault.help,
                        labels: vec![(fault.span.unwrap_or(span), "here".to_owned())],
                    });
                    notes.refused.insert(name.to_owned());
                }
            }
        }
        entries
    }

    /// Ends the table: every key that nobody asked for is a problem.
    pub(super) fn finish(self) {
        let known = |key: &str| self.asked.contains(&key);
        let unknown = self
            .table
            .into_iter()
            .flatten()
            .filter(|(key, _)| !known(key.get_ref()));
        for (key, _) in unknown {
            let text = key.get_ref().as_ref();
            let guess = closest(text, self.asked.iter().copied());
            let mut help = guess.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let place = match self.name {
                "" => "at the top level".to_owned(),
                name => format!("in [{name}]"),
            };
            help.push_str(&format!("Allowed {place}: {}", self.asked.join(", ")));
            self.notes.borrow_mut().problems.push(Problem {
                message: format!("`{}` is not a key of orderctl.toml", self.full_name(text)),
                help,
                labels: vec![(key.span(), "unknown key".to_owned())],
            });
        }
    }
}

/// Returns the candidate nearest to `text`, if at most half of the letters differ.
pub(super) fn closest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = |candidate: &str| {
        strsim::normalized_damerau_levenshtein(&text.to_lowercase(), &candidate.to_lowercase())
    };
    candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Names a value's type for people.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
