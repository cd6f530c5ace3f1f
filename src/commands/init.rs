//! `orderctl init`: writes a commented configuration file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use super::session::DONE;
use crate::cli::Globals;
use crate::config::{self, FILE_NAME, Suffix};
use crate::ui::Printer;

/// Writes a commented orderctl.toml.
///
/// It explains every key and sets each to its default. --config names another file.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Overwrite the file that is there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub fn run(
    args: &InitArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let path = globals
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let suffix = globals
        .suffix
        .as_deref()
        .map(str::parse::<Suffix>)
        .transpose()
        .map_err(|e| CommandError::usage(e.to_string()))?;
    let text = config::template(suffix.as_ref(), globals.region.as_deref());
    let mut options = OpenOptions::new();
    options.write(true).truncate(true);
    if args.force {
        options.create(true)
    } else {
        options.create_new(true)
    };
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            printer.note(format!("wrote {}", path.display()));
            Ok(DONE)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(CommandError::usage(
            format!("{} is there already", path.display()),
        )
        .hint("give --force to overwrite it")),
        Err(error) => Err(CommandError::failed(format!("{}: {error}", path.display()))),
    }
}
