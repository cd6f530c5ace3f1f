//! Typed references between resources. A field `S::In<VpcId>` is an [`Input`] while the stack is
//! declared and a plain `VpcId` once resolved, so a wrong reference does not compile and a kind
//! never sees an unresolved value. No closures: a plan can print every input.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Data, Resource};

/// What a plan prints, and stands in a resolved specification, for a value not known yet.
pub const UNKNOWN: &str = "(known after apply)";

const OUTPUT: &str = "$output";
const WAIT: &str = "$wait";
const JOIN: &str = "$join";

/// The name of one node of the declaration, and of its record in the state: `nat-gateway-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Address(String);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(|name| {
            let name = name.escape_debug();
            serde::de::Error::custom(format!("`{name}` is no address of a resource"))
        })
    }
}

impl Address {
    /// Takes `name` if it consists of lower-case letters, digits and single hyphens.
    pub fn new(name: impl Into<String>) -> Result<Self, String> {
        let name = name.into();
        let fine = !name.is_empty()
            && name.split('-').all(|part| {
                !part.is_empty()
                    && part
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            });
        if fine { Ok(Self(name)) } else { Err(name) }
    }

    /// Stands in for an address that broke the rule, until the mistake is reported.
    pub(crate) fn placeholder() -> Self {
        Self("invalid".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The stage of a specification: declared or resolved.
pub trait Stage: Data {
    /// What a field that may refer to another resource is in this stage.
    type In<T: Data>: Data;
}

/// The stage in which a field may refer to outputs that do not exist yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Declared {}

/// The stage in which every field is a plain value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Resolved {}

impl Stage for Declared {
    type In<T: Data> = Input<T>;
}

impl Stage for Resolved {
    type In<T: Data> = T;
}

/// What a dependent waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// The id exists (law 4: created is not ready).
    Exists,
    /// The resource works.
    Ready,
}

/// Names one output of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The node.
    pub address: Address,
    /// The field of its outputs.
    pub field: String,
    /// What the dependent waits for.
    pub wait: Wait,
}

/// A value, or where it will come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<T> {
    /// A value known when the stack is declared.
    Known(T),
    /// An output of another node.
    Output(Reference),
    /// Texts and outputs, one after the other; only for texts.
    Join(Vec<Value>),
}

impl<T> Input<T> {
    /// Takes the same value as a plain text, for places that mix texts and ids.
    pub fn text(self) -> Input<String>
    where
        T: fmt::Display,
    {
        match self {
            Self::Known(value) => Input::Known(value.to_string()),
            Self::Output(reference) => Input::Output(reference),
            Self::Join(parts) => Input::Join(parts),
        }
    }
}

impl<T> From<T> for Input<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Input<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

/// Joins texts and outputs into one text input, each part given as JSON by [`serde_json::json`].
pub fn join<T>(parts: impl IntoIterator<Item = Value>) -> Input<T> {
    Input::Join(parts.into_iter().collect())
}

impl<T: Serialize> Serialize for Input<T> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Output(reference) => {
                let name = format!("{}.{}", reference.address, reference.field);
                json!({ OUTPUT: name, WAIT: reference.wait }).serialize(serializer)
            }
            Self::Join(parts) => json!({ JOIN: parts }).serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Input<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Some(reference) = as_reference(&value) {
            return Ok(Self::Output(reference));
        }
        if let Some(parts) = as_join(&value) {
            return Ok(Self::Join(parts.clone()));
        }
        T::deserialize(value)
            .map(Self::Known)
            .map_err(serde::de::Error::custom)
    }
}

fn as_reference(value: &Value) -> Option<Reference> {
    let object = value.as_object()?;
    let (address, field) = object.get(OUTPUT)?.as_str()?.split_once('.')?;
    let wait = object
        .get(WAIT)
        .and_then(|wait| Wait::deserialize(wait).ok());
    Some(Reference {
        address: Address::new(address).ok()?,
        field: field.to_owned(),
        wait: wait.unwrap_or(Wait::Exists),
    })
}

fn as_join(value: &Value) -> Option<&Vec<Value>> {
    value.as_object()?.get(JOIN)?.as_array()
}

/// A JSON document inside a specification (a policy, a dashboard) that may contain outputs.
/// Compared as parsed JSON, never as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(pub Value);

impl Document {
    /// Parses a document as AWS returned it; text that is not JSON becomes a JSON text, so that it
    /// shows up as a difference instead of an error.
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A node of the declaration, for referring to its outputs.
pub struct Handle<K> {
    address: Address,
    wait: Wait,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            wait: self.wait,
            kind: PhantomData,
        }
    }
}

impl<K: Resource> Handle<K> {
    /// Refers to the node at `address`; only the graph makes handles, so none dangles.
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            wait: Wait::Exists,
            kind: PhantomData,
        }
    }

    /// The node's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What dependents through this handle wait for.
    pub(crate) fn wait(&self) -> Wait {
        self.wait
    }

    /// The same node, for dependents that need it working and not only its id (law 4).
    #[must_use]
    pub fn when_ready(&self) -> Self {
        Self {
            address: self.address.clone(),
            wait: Wait::Ready,
            kind: PhantomData,
        }
    }

    /// Refers to one output; called by the methods that [`outputs!`] writes.
    pub(crate) fn output<T>(&self, field: &str) -> Input<T> {
        Input::Output(Reference {
            address: self.address.clone(),
            field: field.to_owned(),
            wait: self.wait,
        })
    }
}

/// Declares the outputs of a kind: the struct kept in the state, and a method of the same name on
/// its handle for every field.
macro_rules! outputs {
    ($kind:ident => $(#[$top:meta])* $name:ident {
        $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$top])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name { $($(#[$meta])* pub $field: $type),* }

        impl $crate::resource::Handle<$kind> {
            $($(#[$meta])*
            pub fn $field(&self) -> $crate::resource::Input<$type> {
                self.output(stringify!($field))
            })*
        }
    };
}
pub(crate) use outputs;

/// Finds every reference in a serialised specification; these are the edges of the graph.
pub fn find_references(spec: &Value) -> Vec<Reference> {
    fn walk(value: &Value, found: &mut Vec<Reference>) {
        if let Some(reference) = as_reference(value) {
            found.push(reference);
            return;
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(map) => map.values().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(spec, &mut found);
    found
}

/// A specification with its references replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The specification; [`UNKNOWN`] stands for values that are not known yet.
    pub spec: Value,
    /// Says whether any value is not known yet.
    pub incomplete: bool,
}

/// Replaces every reference by what `lookup` gives; `None` or null means not known yet.
pub fn resolve(spec: &Value, lookup: &dyn Fn(&Reference) -> Option<Value>) -> Resolution {
    let mut incomplete = false;
    let spec = substitute(spec, lookup, &mut incomplete);
    Resolution { spec, incomplete }
}

fn substitute(
    value: &Value,
    lookup: &dyn Fn(&Reference) -> Option<Value>,
    incomplete: &mut bool,
) -> Value {
    if let Some(reference) = as_reference(value) {
        return lookup(&reference)
            .filter(|found| !found.is_null())
            .unwrap_or_else(|| {
                *incomplete = true;
                Value::String(UNKNOWN.to_owned())
            });
    }
    if let Some(parts) = as_join(value) {
        let texts = parts
            .iter()
            .map(|part| match substitute(part, lookup, incomplete) {
                Value::String(text) => text,
                other => other.to_string(),
            });
        return Value::String(texts.collect());
    }
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| substitute(item, lookup, incomplete))
            .collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, item)| (key.clone(), substitute(item, lookup, incomplete)))
                .collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(name: &str) -> Value {
        json!({ OUTPUT: name, WAIT: "exists" })
    }

    #[test]
    fn an_input_survives_the_way_through_json() {
        let reference = Reference {
            address: Address::new("vpc").unwrap(),
            field: "id".into(),
            wait: Wait::Ready,
        };
        for input in [
            Input::Known("a".to_owned()),
            Input::Output(reference),
            join([json!("x-"), output("vpc.id")]),
        ] {
            let text = serde_json::to_string(&input).unwrap();
            assert_eq!(serde_json::from_str::<Input<String>>(&text).unwrap(), input);
        }
    }

    #[test]
    fn references_are_found_at_any_depth() {
        let spec =
            json!({"a": [output("vpc.id")], "b": {"c": {"$join": ["x", output("alb.arn")]}}});
        let found = find_references(&spec);
        let names: Vec<_> = found.iter().map(|r| r.address.as_str()).collect();
        assert_eq!(names, ["vpc", "alb"]);
    }

    #[test]
    fn a_value_not_known_yet_leaves_its_mark_even_inside_a_joined_text() {
        let spec = json!({"a": {"$join": ["arn:", output("alb.arn")]}, "b": output("vpc.id")});
        let known = |r: &Reference| (r.address.as_str() == "vpc").then(|| json!("vpc-1"));
        let resolution = resolve(&spec, &known);
        assert!(resolution.incomplete);
        assert_eq!(resolution.spec["b"], "vpc-1");
        assert_eq!(resolution.spec["a"], format!("arn:{UNKNOWN}"));
    }

    #[test]
    fn addresses_are_lower_case_words_joined_by_hyphens() {
        assert!(Address::new("nat-gateway-1").is_ok());
        for bad in ["", "Nat", "nat.1", "-nat", "nat--1", "nat_1"] {
            assert!(Address::new(bad).is_err(), "{bad}");
        }
    }
}
