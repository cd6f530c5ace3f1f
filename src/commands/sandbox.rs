//! `orderctl sandbox`: manages the local AWS.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CommandError;
use super::session::DONE;
use crate::cli::Globals;
use crate::sandbox::{
    self, CONTROL_PATH, HIGHEST_LAG, HIGHEST_SPEED, QUOTAS, Sandbox, SandboxDirs,
    VARIABLES_TO_UNSET, Wishes,
};
use crate::ui::{Printer, table};

/// Manages the local AWS that `--sandbox` works on.
///
/// It is moto, in a version pinned by orderctl, in an environment of its own under the user's cache
/// directory, under a layer of ours that behaves like AWS: things take their time, tasks run, wrong
/// orders are refused. It listens on a free loopback port, keeps everything in memory, and goes on
/// running between commands until it is stopped.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    #[allow(
        missing_docs,
        reason = "the help is the documentation of the arguments"
    )]
    Start(StartArgs),
    /// Stops the local AWS; everything in it is gone then.
    Stop,
    /// Says whether and where the local AWS runs; exits with 1 if it does not.
    Status,
    /// Prints exports that point the AWS CLI and any SDK at the local AWS.
    ///
    /// For a shell: eval "$(orderctl sandbox env)". Starts the local AWS if it is not running.
    Env,
}

/// Starts the local AWS; the first time, installs it.
///
/// It is moto, in a version pinned by orderctl, under a layer of orderctl's own. It is installed
/// into the user's cache directory, or into ORDERCTL_SANDBOX_DIR, which takes Python 3.10 or newer
/// and about 30 seconds. It listens on a free loopback port, and runs until it is stopped.
/// `--sandbox` starts it too, without any of the options below.
///
/// TIME. Resources become ready and go away as slowly as on AWS, with AWS's own words on the way
/// (`pending`, `provisioning`, `creating`, `draining`, …): a NAT gateway takes 100 s, a load
/// balancer 150 s, an Aurora cluster 90 s and an instance 420 s, a task 40 s, a target two health
/// checks. --speed divides all of it. Deleted NAT gateways, stopped tasks and inactive services and
/// clusters stay visible for an hour. At speed 0 everything is ready at the next call, and what only
/// runs out (a paused deployment, a tombstone) never does.
///
/// REFUSALS. What AWS refuses is refused, with its codes: deletions in the wrong order, names that
/// are taken or still pending deletion, what is in use, protected, or not ready, and quotas
/// (--quota). Client tokens are honoured. Permissions and signatures are not checked.
///
/// ECS. Services run tasks, which are seen by DescribeTasks and register in their target group. An
/// image is what its tag in ECR says: absent, the task stops with CannotPullContainerError; tagged
/// `crash`, `unhealthy` or `slow` (or ending in `-crash`, …), it behaves so; any other is healthy.
/// No container really runs and no traffic flows. Blue/green, canary and linear deployments go
/// through AWS's stages, write their weights into the listener rules, pause on hooks, and roll back
/// when an alarm rings (`aws cloudwatch set-alarm-state`).
///
/// CONTROL. With --control, tests find at ENDPOINT/orderctl/sandbox/control/ (GET it for the list):
/// `clock` stops and advances the time; `faults` makes the nth call of an operation, or calls at
/// random with a seed, throttled, denied, delayed, held, answered with 500 or not at all, before or
/// after being applied; `latency` slows every call; `quotas` and `consistency` change while it
/// runs; `calls` is the log of all calls: time, service, operation, status, whether it wrote.
/// As in: curl -d '{"operation": "CreateVpc", "action": "drop-after"}' ENDPOINT/…/control/faults
#[derive(Args, Debug)]
pub struct StartArgs {
    /// Sandbox seconds that pass in one second; 0: nothing takes time [default: 75]
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f64>,
    /// Let reads miss what is new, for so many sandbox seconds [default when given alone: 10]
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = lag,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10"
    )]
    eventual_consistency: Option<f64>,
    /// Limit of the account: elastic-ips, vpcs, internet-gateways, nat-gateways-per-az (5 each) or
    /// fargate-vcpus (64); may be repeated
    #[arg(long = "quota", value_name = "NAME=NUMBER", value_parser = quota)]
    quotas: Vec<(String, u32)>,
    /// Answer the control endpoint
    #[arg(long)]
    control: bool,
}

impl StartArgs {
    fn wishes(self) -> Result<Wishes, CommandError> {
        let lags = self.eventual_consistency.is_some_and(|lag| lag > 0.0);
        if lags && self.speed == Some(0.0) {
            return Err(CommandError::usage(
                "--eventual-consistency needs time to pass, and at --speed 0 none does",
            )
            .hint("give a speed above 0"));
        }
        Ok(Wishes {
            speed: self.speed,
            lag: self.eventual_consistency,
            quotas: self.quotas.into_iter().collect(),
            control: self.control,
        })
    }
}

fn speed(text: &str) -> Result<f64, String> {
    number(text, HIGHEST_SPEED)
}

fn lag(text: &str) -> Result<f64, String> {
    number(text, HIGHEST_LAG)
}

fn number(text: &str, highest: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=highest).contains(number))
        .ok_or_else(|| format!("allowed: a number from 0 to {highest}"))
}

fn quota(text: &str) -> Result<(String, u32), String> {
    let names = QUOTAS.map(|(name, _)| name);
    let (name, limit) = text
        .split_once('=')
        .ok_or("write NAME=NUMBER, as in elastic-ips=5")?;
    if !names.contains(&name) {
        return Err(format!("there are {}", names.join(", ")));
    }
    let limit = limit
        .parse()
        .map_err(|_| "the limit is a whole number from 0 on")?;
    Ok((name.to_owned(), limit))
}

/// Runs the command.
pub async fn run(
    command: SandboxCommand,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let dirs = SandboxDirs::from_env()?;
    let notices = |text: &str| printer.note(text);
    match command {
        SandboxCommand::Start(args) => {
            let sandbox = sandbox::start(&dirs, &args.wishes()?, &notices).await?;
            show(&sandbox, printer);
            Ok(DONE)
        }
        SandboxCommand::Stop => {
            match sandbox::stop(&dirs, &notices).await? {
                Some(stopped) => {
                    printer.note(format!("stopped the local AWS at {}", stopped.endpoint))
                }
                None => printer.note("the local AWS is not running"),
            }
            Ok(DONE)
        }
        SandboxCommand::Status => match sandbox::status(&dirs).await {
            Some(sandbox) => {
                show(&sandbox, printer);
                Ok(DONE)
            }
            None => Err(CommandError::failed("the local AWS is not running")
                .hint("`orderctl sandbox start` starts it")),
        },
        SandboxCommand::Env => {
            let sandbox = sandbox::ensure_running(&dirs, &notices).await?;
            let region = globals.region.as_deref().unwrap_or("us-east-1");
            for name in VARIABLES_TO_UNSET {
                printer.data(format!("unset {name}"));
            }
            for (name, value) in sandbox::env_exports(&sandbox, region) {
                printer.data(format!("export {name}={value}"));
            }
            Ok(DONE)
        }
    }
}

fn show(sandbox: &Sandbox, printer: &Printer) {
    let settings = &sandbox.settings;
    let control = settings
        .control
        .then(|| format!("{}{CONTROL_PATH}", sandbox.endpoint));
    if printer.is_json() {
        printer.json_line(&json!({
            "endpoint": sandbox.endpoint,
            "pid": sandbox.pid,
            "log": sandbox.log,
            "speed": settings.speed,
            "eventualConsistencySeconds": settings.lag,
            "quotas": settings.quotas,
            "control": control,
        }));
        return;
    }
    let mut rows = vec![
        ("endpoint", sandbox.endpoint.clone()),
        ("process", sandbox.pid.to_string()),
        ("log", sandbox.log.display().to_string()),
        ("speed", speed_in_words(settings.speed)),
    ];
    if settings.lag > 0.0 {
        let text = format!("reads miss what is new for {} s", settings.lag);
        rows.push(("eventual consistency", text));
    }
    let changed: Vec<String> = QUOTAS
        .iter()
        .filter_map(|(name, usual)| {
            let limit = settings.quotas.get(*name)?;
            (limit != usual).then(|| format!("{name}={limit}"))
        })
        .collect();
    if !changed.is_empty() {
        rows.push(("quotas", changed.join(" ")));
    }
    if let Some(control) = control {
        rows.push(("control", control));
    }
    let rows: Vec<(String, String)> = rows
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    printer.data(table::two_columns(&rows, &printer.style()));
}

fn speed_in_words(speed: f64) -> String {
    match speed {
        0.0 => "nothing takes time".to_owned(),
        speed => format!("{speed} sandbox seconds a second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{DEFAULT_LAG, DEFAULT_SPEED};

    #[test]
    fn numbers_quotas_and_what_does_not_go_together_are_refused() {
        assert_eq!(speed("0"), Ok(0.0));
        assert_eq!(speed("2.5"), Ok(2.5));
        for text in ["-1", "fast", "NaN", "1000001"] {
            assert!(speed(text).unwrap_err().contains("0 to 1000000"), "{text}");
        }
        assert!(lag("601").unwrap_err().contains("0 to 600"));
        assert_eq!(quota("vpcs=2"), Ok(("vpcs".to_owned(), 2)));
        assert!(quota("vpcs").unwrap_err().contains("NAME=NUMBER"));
        assert!(quota("eips=2").unwrap_err().contains("elastic-ips"));
        assert!(quota("vpcs=-1").unwrap_err().contains("whole number"));
        let both = StartArgs {
            speed: Some(0.0),
            eventual_consistency: Some(DEFAULT_LAG),
            quotas: Vec::new(),
            control: false,
        };
        assert!(both.wishes().is_err());
    }

    #[test]
    fn the_help_names_the_defaults() {
        use clap::CommandFactory;
        #[derive(clap::Parser)]
        struct Start {
            #[command(flatten)]
            args: StartArgs,
        }
        let help = Start::command().render_long_help().to_string();
        assert!(help.contains(&format!("[default: {DEFAULT_SPEED}]")));
        assert!(help.contains(&format!("alone: {DEFAULT_LAG}]")));
        for (name, limit) in QUOTAS {
            assert!(
                help.contains(name) && help.contains(&limit.to_string()),
                "{name}"
            );
        }
    }
}
