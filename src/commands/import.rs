//! `orderctl import`: takes over a stack that another tool made.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::hold::Hold;
use super::session::{DONE, Local, Session};
use super::{CommandError, confirm, recover, show_before_asking};
use crate::cli::Globals;
use crate::engine::{self, Declaration};
use crate::import::{self, Export, Mapping};
use crate::resource::resolve;
use crate::stack;
use crate::ui::{Printer, import_view, progress};

/// Takes over a stack that another tool made.
#[derive(Debug, Subcommand)]
#[allow(
    missing_docs,
    reason = "the help is the documentation of the arguments"
)]
pub enum ImportCommand {
    Pulumi(PulumiArgs),
}

/// Takes over the resources of a Pulumi stack.
///
/// Reads what `pulumi stack export` writes, finds out which of its resources are which of the stack's,
/// looks each up in AWS, shows that, asks, and writes a state. Nothing in AWS is changed: `plan` shows
/// what `up` then would, and what holds data is never replaced unless that is allowed by name.
///
/// Secrets in the file, encrypted or not, are neither stored nor shown. Afterwards the resources must
/// be forgotten by Pulumi (`pulumi stack rm --force` forgets without deleting anything).
#[derive(Args, Debug)]
pub struct PulumiArgs {
    /// The export, as JSON
    file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
pub async fn run(
    command: ImportCommand,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    match command {
        ImportCommand::Pulumi(args) => pulumi(args, globals, printer).await,
    }
}

async fn pulumi(
    args: PulumiArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let export = read(&args.file)?;
    let local = Local::open(globals, printer).await?;
    check_region(&export, &local.settings.config.region)?;
    let hold = Hold::take(&local, "import pulumi", globals, printer).await?;
    let ended = take_over(&export, args.yes, local, &hold, globals, printer).await;
    hold.release(ended).await
}

async fn take_over(
    export: &Export,
    yes: bool,
    local: Local,
    hold: &Hold,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let suffix = local.suffix.clone();
    let place = local.store.place(suffix.as_str());
    if local.state().await?.is_some() {
        let message = format!("stack `{suffix}` has a state already ({place})");
        return Err(CommandError::failed(message).hint(
            "an import is for a stack that orderctl does not know; choose another --suffix",
        ));
    }
    if export.pending > 0 {
        printer.warn(format!(
            "Pulumi was interrupted in {} operations; what they made may not be in the export",
            export.pending
        ));
    }
    let session = Session::open_on(local, None, globals, printer);
    let mut session = hold.unless_stopped(session).await?;
    check_account(export, &session.account)?;
    hold.unless_stopped(settle(&mut session, export)).await?;
    let declaration = session.declaration()?;
    let mapping = import::map(export, &declaration, session.zones());
    if mapping.is_empty() {
        let message = format!("the export has nothing of a stack `{suffix}`");
        return Err(CommandError::failed(message)
            .hint("resources are recognised by their names; give the --suffix in which they end"));
    }
    let (events, follower) = progress::follow(printer, Some(declaration.nodes.len()));
    let context = session.context(true, events);
    let rebuilt = engine::rebuild(&context, &declaration, &mapping.claims);
    let rebuilt = hold.unless_stopped(rebuilt).await;
    drop(context);
    follower.finish().await;
    let rebuilt = rebuilt?;
    recover::enter(&mut session, &rebuilt)?;
    hide_secrets(&mut session, export)?;
    show(&session, &mapping, &rebuilt, yes, globals, printer);
    if !yes {
        let question = format!("Write this state to {place}?");
        let answer = confirm(printer, &question);
        if !hold.unless_stopped(answer).await? {
            return Err(CommandError::failed("not confirmed; nothing was written"));
        }
    }
    hold.changing();
    let recorded = session.state.records.len();
    hold.write_at_once(&session.local.store, session.state.clone())
        .await?;
    printer.note(format!(
        "Stack `{suffix}` is taken over: {recorded} resources recorded in {place}.\n\
         Look at `orderctl plan`, then run `orderctl up`. Do not run Pulumi on it any more."
    ));
    Ok(DONE)
}

fn read(file: &std::path::Path) -> Result<Export, CommandError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::usage(format!("{shown} cannot be read: {error}")))?;
    Export::parse(&text).map_err(|error| {
        CommandError::usage(format!("{shown} is no export of a Pulumi stack: {error}"))
            .hint(error.advice)
    })
}

fn check_region(export: &Export, region: &str) -> Result<(), CommandError> {
    let mut regions = export.places().into_iter().map(|(region, _)| region);
    match regions.find(|found| !found.is_empty() && *found != region) {
        Some(other) => {
            let message =
                format!("the export has resources in {other}, and this command is for {region}");
            Err(CommandError::usage(message).hint(format!("give --region {other}")))
        }
        None => Ok(()),
    }
}

fn check_account(export: &Export, account: &str) -> Result<(), CommandError> {
    let mut accounts = export.places().into_iter().map(|(_, account)| account);
    match accounts.find(|found| *found != account) {
        Some(other) => {
            let message = format!(
                "the export is of account {other}, and these credentials are for {account}"
            );
            Err(CommandError::failed(message).hint("use the other account's credentials"))
        }
        None => Ok(()),
    }
}

/// Takes the zones of the exported subnets, unless the configuration says which.
async fn settle(session: &mut Session, export: &Export) -> Result<(), CommandError> {
    if session.local.settings.config.network.azs.is_some() {
        return Ok(());
    }
    let subnets = import::zones(export, None);
    let offered = session.aws.availability_zones().await?;
    if let Some(zones) = stack::zones(&subnets, &offered) {
        session.settle_in(zones);
    }
    Ok(())
}

/// Takes out of the records what must not be kept: they hold the settings as AWS shows them.
fn hide_secrets(session: &mut Session, export: &Export) -> Result<(), CommandError> {
    let Declaration { nodes, .. } = session.declaration()?;
    let known = session.state.records.clone();
    for node in nodes {
        let Some(record) = session.state.records.get_mut(&node.address) else {
            continue;
        };
        let resolution = resolve(&node.spec, &|reference| {
            let outputs = known.get(&reference.address)?.outputs.as_ref()?;
            outputs.get(&reference.field).cloned()
        });
        let spec = record.spec.take();
        record.spec = spec.map(|spec| export.secrets.recordable(&spec, &resolution.spec));
    }
    Ok(())
}

fn show(
    session: &Session,
    mapping: &Mapping,
    rebuilt: &engine::Rebuilt,
    yes: bool,
    globals: &Globals,
    printer: &Printer,
) {
    if globals.json {
        printer.json_line(&import_view::to_json(mapping, rebuilt, session.zones()));
    } else {
        let style = printer.note_style();
        let text = import_view::render(mapping, rebuilt, session.zones(), &style);
        show_before_asking(&text, yes, printer);
    }
}
