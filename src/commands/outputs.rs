//! `orderctl outputs`: prints what the stack gives to its users.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::CommandError;
use super::session::{DONE, Local};
use crate::cli::Globals;
use crate::engine::Declaration;
use crate::resource::resolve;
use crate::stack::OUTPUT_NAMES;
use crate::state::State;
use crate::ui::{Printer, table};

/// Prints what the stack gives to its users.
///
/// It is what the last `up` has recorded; AWS is not asked.
#[derive(Args, Debug)]
pub struct OutputsArgs {
    /// Print the value of this one alone
    name: Option<String>,
    /// How to print them
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How outputs are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Two columns
    Table,
    /// One JSON object
    Json,
    /// `ALB_DNS_NAME=…`, for `eval` and env files
    Env,
    /// `albDnsName=…`, to append to `$GITHUB_OUTPUT`
    Github,
}

/// Runs the command.
pub async fn run(
    args: OutputsArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let state = local
        .state()
        .await?
        .filter(|state| !state.outputs.is_empty());
    let Some(state) = state else {
        let place = local.store.place(local.suffix.as_str());
        let message = format!("stack `{}` has no outputs ({place})", local.suffix);
        return Err(CommandError::failed(message).hint("run `orderctl up` first"));
    };
    if let Some(name) = &args.name {
        let Some(value) = state.outputs.get(name) else {
            return Err(unknown(name));
        };
        match globals.json || args.format == Some(Format::Json) {
            true => printer.json_line(value),
            false => printer.data(text(value)),
        }
        return Ok(DONE);
    }
    let default = if globals.json {
        Format::Json
    } else {
        Format::Table
    };
    print(&state, args.format.unwrap_or(default), printer);
    Ok(DONE)
}

/// The declared outputs with what the state records; what is not known is left out.
pub(super) fn resolved(declaration: &Declaration, state: &State) -> BTreeMap<String, Value> {
    let known = |(name, declared): (&String, &Value)| {
        let resolution = resolve(declared, &|reference| {
            let outputs = state.records.get(&reference.address)?.outputs.as_ref()?;
            outputs.get(&reference.field).cloned()
        });
        (!resolution.incomplete).then(|| (name.clone(), resolution.spec))
    };
    declaration.outputs.iter().filter_map(known).collect()
}

fn unknown(name: &str) -> CommandError {
    let error = CommandError::usage(format!("there is no output `{name}`"));
    let close = OUTPUT_NAMES
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    match close.filter(|close| strsim::jaro_winkler(close, name) > 0.8) {
        Some(close) => error.hint(format!("did you mean `{close}`?")),
        None => error.hint(format!("the outputs are {}", OUTPUT_NAMES.join(", "))),
    }
}

/// Prints all outputs.
pub(super) fn print(state: &State, format: Format, printer: &Printer) {
    let known = OUTPUT_NAMES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), state.outputs.get(*name)?.clone())));
    match format {
        Format::Json => printer.json_line(&Value::Object(known.collect::<Map<_, _>>())),
        Format::Table => {
            let rows: Vec<_> = known.map(|(name, value)| (name, text(&value))).collect();
            printer.data(table::two_columns(&rows, &printer.style()));
        }
        Format::Env => known.for_each(|(name, value)| {
            printer.data(format!("{}={}", shout(&name), text(&value)));
        }),
        Format::Github => known.for_each(|(name, value)| {
            printer.data(format!("{name}={}", text(&value)));
        }),
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// `albDnsName` as `ALB_DNS_NAME`.
fn shout(name: &str) -> String {
    let mut shouted = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            shouted.push('_');
        }
        shouted.push(letter.to_ascii_uppercase());
    }
    shouted
}

#[cfg(test)]
mod tests {
    #[test]
    fn environment_names_are_upper_case_words() {
        assert_eq!(super::shout("albDnsName"), "ALB_DNS_NAME");
        assert_eq!(super::shout("vpcId"), "VPC_ID");
    }
}
