//! `orderctl policy`: prints the permissions that commands need.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::CommandError;
use super::session::{DONE, Local};
use crate::cli::Globals;
use crate::policy::{self, Subject, Verb};
use crate::stack::{self, Facts};
use crate::state::Location;
use crate::ui::Printer;

/// Prints the IAM policy that a command needs, and no more.
///
/// It is made of the operations that the declared resources and the command call, for the names of this
/// stack. Nothing is asked of AWS. Where one managed policy would be over IAM's limit of 6,144
/// characters, it is a list of several, all to be attached.
#[derive(Args, Debug)]
pub struct PolicyArgs {
    /// For these commands [default: all]
    #[arg(value_enum, value_name = "COMMAND")]
    verbs: Vec<Verb>,
    /// The AWS account [default: the one the state records, else any]
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
    /// Print this one of several alone, from 1
    #[arg(long, value_name = "NUMBER")]
    part: Option<usize>,
}

/// Runs the command.
pub async fn run(
    args: PolicyArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let verbs = if args.verbs.is_empty() {
        Verb::ALL.to_vec()
    } else {
        args.verbs
    };
    let account = match args.account {
        Some(account) => Some(account),
        None => recorded_account(&local).await,
    };
    let subject = subject(&local, account)?;
    let grants = policy::grants(&verbs, &subject);
    let documents = policy::documents(&grants);
    let printed = match (args.part, documents.as_slice()) {
        (None, [only]) => only.clone(),
        (None, several) => {
            printer.note(format!(
                "{} policies: one would have more than the {} characters that IAM takes. Attach all; --part 1 prints the first alone.",
                several.len(),
                policy::LIMIT
            ));
            json!(several)
        }
        (Some(part), several) => part
            .checked_sub(1)
            .and_then(|index| several.get(index))
            .cloned()
            .ok_or_else(|| {
                CommandError::usage(format!(
                    "there is no part {part}; there are {}",
                    several.len()
                ))
            })?,
    };
    print(&printed, printer);
    Ok(DONE)
}

fn print(document: &Value, printer: &Printer) {
    match printer.is_json() {
        true => printer.json_line(document),
        false => printer.data(format!("{document:#}")),
    }
}

/// The account of a state in a directory; a bucket would have to be asked for it.
async fn recorded_account(local: &Local) -> Option<String> {
    match Location::of(local.settings.state.as_deref()) {
        Location::Directory(_) => local.state().await.ok()??.account,
        Location::Bucket { .. } => None,
    }
}

/// Whose permissions: this stack's, as it is declared now.
pub(super) fn subject(local: &Local, account: Option<String>) -> Result<Subject, CommandError> {
    let config = &local.settings.config;
    // Neither changes which kinds are declared.
    let facts = Facts {
        account: "123456789012".to_owned(),
        availability_zones: ["a", "b", "c"].map(|zone| format!("{}{zone}", config.region)),
        has_image: true,
        running: None,
    };
    let declaration = stack::declare(&local.suffix, config, &facts)?;
    let states = match Location::of(local.settings.state.as_deref()) {
        Location::Directory(_) => None,
        Location::Bucket { bucket, prefix } => Some((bucket, prefix)),
    };
    Ok(Subject {
        suffix: local.suffix.as_str().to_owned(),
        account: account.unwrap_or_else(|| "*".to_owned()),
        region: config.region.clone(),
        states,
        zone: config.edge.zone_id.clone(),
        kinds: declaration
            .nodes
            .iter()
            .map(|node| node.kind.to_owned())
            .collect(),
    })
}

fn account(text: &str) -> Result<String, String> {
    match text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("an account has 12 digits".to_owned()),
    }
}
