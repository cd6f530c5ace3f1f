//! Turns single TOML values into Rust ones. Each function names the type it wanted and the range
//! or words it allows, so that every key's error reads the same way.

use std::fmt::Display;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Fault, closest, fault, kind};

type Value<'d> = Spanned<DeValue<'d>>;

fn wrong_type(wanted: &str, value: &Value<'_>, help: impl Into<String>) -> Fault {
    fault(
        format!("must be {wanted}, but is {}", kind(value.get_ref())),
        help,
    )
}

/// Reads a string.
pub(super) fn string(value: &Value<'_>) -> Result<String, Fault> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err(wrong_type(
            "a string",
            value,
            "write the value in double quotes",
        )),
    }
}

/// Reads a string that `check` accepts.
pub(super) fn checked(
    value: &Value<'_>,
    check: impl FnOnce(&str) -> Result<(), Fault>,
) -> Result<String, Fault> {
    let text = string(value)?;
    check(&text)?;
    Ok(text)
}

/// Reads true or false.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, Fault> {
    match value.get_ref() {
        DeValue::Boolean(answer) => Ok(*answer),
        _ => Err(wrong_type(
            "true or false",
            value,
            "allowed: true, false (without quotes)",
        )),
    }
}

/// Reads a whole number in a range; `note` ends the help, for example with the unit.
pub(super) fn whole<T>(value: &Value<'_>, range: RangeInclusive<T>, note: &str) -> Result<T, Fault>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    let help = format!(
        "allowed: {} to {}{}",
        range.start(),
        range.end(),
        suffixed(note)
    );
    let DeValue::Integer(digits) = value.get_ref() else {
        return Err(wrong_type("a whole number", value, help));
    };
    let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
    match number.and_then(|number| T::try_from(number).ok()) {
        Some(number) if range.contains(&number) => Ok(number),
        _ => Err(fault(format!("is {digits}, which is out of range"), help)),
    }
}

/// Reads a number, whole or not, in a range.
pub(super) fn number(
    value: &Value<'_>,
    range: RangeInclusive<f64>,
    note: &str,
) -> Result<f64, Fault> {
    let help = format!(
        "allowed: {} to {}{}",
        range.start(),
        range.end(),
        suffixed(note)
    );
    let digits = match value.get_ref() {
        DeValue::Float(digits) => digits.as_str(),
        DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str(),
        _ => return Err(wrong_type("a number", value, help)),
    };
    match digits.parse::<f64>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(fault(format!("is {digits}, which is out of range"), help)),
    }
}

fn suffixed(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!(" {note}")
    }
}

/// Reads one of a few words.
pub(super) fn one_of<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Result<T, Fault> {
    let names = words.iter().map(|(word, _)| *word);
    let quoted: Vec<String> = names.clone().map(|word| format!("\"{word}\"")).collect();
    let allowed = quoted.join(", ");
    let DeValue::String(text) = value.get_ref() else {
        return Err(wrong_type("a string", value, format!("allowed: {allowed}")));
    };
    if let Some((_, meant)) = words.iter().find(|(word, _)| word == text) {
        return Ok(*meant);
    }
    let help = match closest(text, names) {
        Some(near) => format!("did you mean \"{near}\"? Allowed: {allowed}"),
        None => format!("allowed: {allowed}"),
    };
    Err(fault(
        format!("is {text:?}, which is not one of its words"),
        help,
    ))
}

/// Reads a list of `count` elements; a fault in one is placed on that element, and so is one that
/// appears twice.
pub(super) fn list<'d, T: PartialEq + Display>(
    value: &Value<'d>,
    count: RangeInclusive<usize>,
    count_help: &str,
    read: impl Fn(&Value<'d>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let DeValue::Array(elements) = value.get_ref() else {
        let help = "write it in square brackets, with commas between the elements";
        return Err(wrong_type("a list", value, help));
    };
    let mut items: Vec<T> = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let on_element = |fault: Fault| Fault {
            what: format!("has a bad element {}: it {}", index + 1, fault.what),
            span: Some(fault.span.unwrap_or(element.span())),
            ..fault
        };
        let item = read(element).map_err(on_element)?;
        if items.contains(&item) {
            let twice = fault(format!("is {item} again"), "list each one once");
            return Err(on_element(twice));
        }
        items.push(item);
    }
    if count.contains(&items.len()) {
        return Ok(items);
    }
    Err(fault(format!("has {} elements", items.len()), count_help))
}

/// Reads an IPv4 block without host bits.
pub(super) fn cidr(value: &Value<'_>) -> Result<Ipv4Net, Fault> {
    let cidr = any_cidr(value)?;
    if cidr.addr() != cidr.network() {
        let what = format!("is {cidr}, which has host bits set");
        return Err(fault(what, format!("did you mean {}?", cidr.trunc())));
    }
    Ok(cidr)
}

/// Reads an IPv4 block that may have host bits.
pub(super) fn any_cidr(value: &Value<'_>) -> Result<Ipv4Net, Fault> {
    let text = string(value)?;
    text.parse::<Ipv4Net>().map_err(|_| {
        let what = format!("is {text:?}, which is not an IPv4 CIDR block");
        let help = match text.parse::<std::net::Ipv4Addr>() {
            Ok(address) => format!("did you mean \"{address}/32\"? An address needs its prefix"),
            Err(_) => "write four numbers of 0 to 255 and a prefix of 0 to 32, \
                       for example \"203.0.113.0/24\""
                .to_owned(),
        };
        fault(what, help)
    })
}

/// Turns any TOML value into JSON, for `[app.config]`.
pub(super) fn json(value: &Value<'_>) -> Result<serde_json::Value, Fault> {
    let on_value = |fault: Fault| Fault {
        span: fault.span.or(Some(value.span())),
        ..fault
    };
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string().into()),
        DeValue::Boolean(answer) => Ok((*answer).into()),
        DeValue::Datetime(moment) => Ok(moment.to_string().into()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map(Into::into)
            .map_err(|_| {
                on_value(fault(
                    format!("is {digits}, which is too big"),
                    JSON_INTEGER,
                ))
            }),
        DeValue::Float(digits) => digits
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Into::into)
            .ok_or_else(|| on_value(fault(format!("is {digits}, which JSON lacks"), JSON_FLOAT))),
        DeValue::Array(elements) => elements
            .iter()
            .map(json)
            .collect::<Result<Vec<_>, _>>()
            .map(Into::into),
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<_>, &Value<'_>)| {
                json(value).map(|value| (AsRef::<str>::as_ref(key.get_ref()).to_owned(), value))
            };
            table
                .iter()
                .map(entry)
                .collect::<Result<_, _>>()
                .map(serde_json::Value::Object)
        }
    }
}

const JSON_INTEGER: &str = "whole numbers of JSON here have 64 bits; write bigger ones as a string";
const JSON_FLOAT: &str = "write a finite number";
