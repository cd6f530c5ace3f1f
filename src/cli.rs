//! The command line: global flags and the list of commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::commands::interrupt::Interrupt;
use crate::commands::{self, CommandError};
use crate::ui::{ColorChoice, Printer, PrinterOptions};

/// Stands up, releases onto, watches and tears down the order-API stack on AWS.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 locked, 4 `plan --detailed-exitcode`
/// found changes, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "orderctl", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Which stack: the ending of all its names
    #[arg(long, global = true, value_name = "NAME")]
    pub suffix: Option<String>,
    /// AWS region
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Profile of the shared AWS configuration files
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Configuration file [default: orderctl.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the states are kept: a directory, or s3://BUCKET/PREFIX [default: state]
    #[arg(long, global = true, value_name = "PLACE")]
    pub state: Option<String>,
    /// How long to wait for the stack's lock, as 30s or 10m
    #[arg(long, global = true, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Work on a local AWS that orderctl installs and starts itself
    #[arg(long, global = true, env = "ORDERCTL_SANDBOX", value_parser = clap::builder::FalseyValueParser::new())]
    pub sandbox: bool,
    /// Another endpoint for all AWS services
    #[arg(long, global = true, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub endpoint_url: Option<String>,
    /// Print JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log what happens; twice for every call
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// Never ask; refuse what would need an answer
    #[arg(long, global = true)]
    pub no_input: bool,
}

// The help of a command is the documentation of its arguments: one here would take its place.
#[derive(Debug, Subcommand)]
enum Command {
    Up(commands::up::UpArgs),
    Plan(commands::plan::PlanArgs),
    Down(commands::down::DownArgs),
    Deploy(commands::deploy::DeployArgs),
    Rollback(commands::rollback::RollbackArgs),
    Outputs(commands::outputs::OutputsArgs),
    Push(commands::push::PushArgs),
    Policy(commands::policy::PolicyArgs),
    Status(commands::status::StatusArgs),
    Logs(commands::logs::LogsArgs),
    Doctor(commands::doctor::DoctorArgs),
    Stacks(commands::stacks::StacksArgs),
    #[command(subcommand)]
    State(commands::state::StateCommand),
    Init(commands::init::InitArgs),
    #[command(subcommand)]
    Import(commands::import::ImportCommand),
    #[command(subcommand)]
    Sandbox(commands::sandbox::SandboxCommand),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version on stdout, usage errors on stderr with exit code 2.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _broken_pipe = error.print();
            return ExitCode::from(code);
        }
    };
    let globals = cli.globals;
    let printer = Printer::new(PrinterOptions {
        json: globals.json,
        quiet: globals.quiet,
        color: globals.color,
        no_input: globals.no_input,
    });
    start_log(globals.verbose, &printer);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let interrupt = Interrupt::listen(&printer);
            let command = run(cli.command, &globals, &printer);
            let ended = runtime.block_on(interrupt.race(&printer, command));
            // A thread that waits for an answer from the terminal would wait on.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(CommandError::failed(format!("no runtime: {error}"))),
    };
    match result {
        Ok(_) if printer.has_lost_data() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            error.print(&printer);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(
    command: Command,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    match command {
        Command::Up(args) => commands::up::run(args, globals, printer).await,
        Command::Plan(args) => commands::plan::run(args, globals, printer).await,
        Command::Down(args) => commands::down::run(args, globals, printer).await,
        Command::Deploy(args) => commands::deploy::run(args, globals, printer).await,
        Command::Rollback(args) => commands::rollback::run(args, globals, printer).await,
        Command::Outputs(args) => commands::outputs::run(args, globals, printer).await,
        Command::Policy(args) => commands::policy::run(args, globals, printer).await,
        Command::Push(args) => commands::push::run(args, globals, printer).await,
        Command::Status(args) => commands::status::run(args, globals, printer).await,
        Command::Logs(args) => commands::logs::run(args, globals, printer).await,
        Command::Doctor(args) => commands::doctor::run(args, globals, printer).await,
        Command::Stacks(args) => commands::stacks::run(args, globals, printer).await,
        Command::Init(args) => commands::init::run(&args, globals, printer),
        Command::Import(command) => commands::import::run(command, globals, printer).await,
        Command::State(command) => commands::state::run(command, globals, printer).await,
        Command::Sandbox(command) => commands::sandbox::run(command, globals, printer).await,
    }
}

/// Reads a duration such as `30s`, `10m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read: Result<jiff::SignedDuration, _> = text.parse();
    let read = read
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    read.ok_or_else(|| "write it as 30s, 10m or 1h 30m".to_owned())
}

/// Only our own events are logged: those of the SDK would show requests, and with them secrets.
fn start_log(verbose: u8, printer: &Printer) {
    let level = match verbose {
        0 => return,
        1 => "orderctl=info",
        2 => "orderctl=debug",
        _ => "orderctl=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(printer.note_style().colour)
        .with_writer({
            let printer = printer.clone();
            move || printer.log_writer()
        })
        .init();
}
