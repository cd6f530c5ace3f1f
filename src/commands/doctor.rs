//! `orderctl doctor`: finds out what is wrong with the stack, or what `up` will meet.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::session::{DONE, Local, Session};
use super::{CommandError, recover};
use crate::cli::Globals;
use crate::config::{Capacity, Config, Credentials, Nat, Tls};
use crate::doctor::preflight::{Certificate, Needs, Tasks};
use crate::doctor::{self, Finding, Severity, Subject, preflight};
use crate::engine::{self, Events, Plan, PlanOptions};
use crate::policy;
use crate::stack::{APP_PORT, CONTAINER, DB_PORT, Names};
use crate::ui::{Printer, doctor_view};

/// Finds out what is wrong with the stack, and says what mends it.
///
/// It looks at tasks and why they stopped, the image, roles, routes, security groups, targets, the
/// database, what the WAF has blocked, releases and alarms. It only reads, takes no lock, and exits
/// with 1 if there is a problem.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Look at what `up` will need instead: credentials, region, quotas, names, secret, certificate
    /// and permissions, before any money is spent
    #[arg(long)]
    preflight: bool,
}

/// Runs the command.
pub async fn run(
    args: DoctorArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    let mut session = Session::reach(local, globals, printer).await?;
    let findings = match args.preflight {
        true => look_ahead(&mut session, printer).await?,
        false => examine(&session).await?,
    };
    let stack = session.local.suffix.as_str();
    if globals.json {
        printer.json_line(&doctor_view::to_json(&findings, stack, args.preflight));
    } else {
        printer.data(doctor_view::render(&findings, &printer.style()));
        printer.note(format!("\n{}", doctor_view::summary(&findings)));
    }
    tracing::info!(
        reads = session.aws.calls().reads(),
        writes = session.aws.calls().writes(),
        "calls"
    );
    match findings.iter().any(Finding::is_problem) {
        true => Err(CommandError::Reported(1)),
        false => Ok(DONE),
    }
}

async fn examine(session: &Session) -> Result<Vec<Finding>, CommandError> {
    let subject = subject(session);
    // Who may not ask whether there is a stack is told what else cannot be known.
    let exists = doctor::exists(&session.aws, &subject).await.unwrap_or(true);
    if !exists && !session.has_state {
        let message = format!("there is nothing of stack `{}` to look at", subject.stack);
        return Err(CommandError::failed(message).hint(
            "`orderctl doctor --preflight` looks at what `orderctl up` will need; or give another --suffix",
        ));
    }
    Ok(doctor::examine(&session.aws, &subject).await)
}

fn subject(session: &Session) -> Subject {
    let config = &session.local.settings.config;
    let names = Names::of(&session.local.suffix);
    Subject {
        stack: session.local.suffix.as_str().to_owned(),
        cluster: names.cluster(),
        service: names.service(),
        container: CONTAINER.to_owned(),
        app_port: APP_PORT,
        db_port: DB_PORT,
        repository: names.repository(),
        log_group: names.log_group(),
        execution_role: names.execution_role(),
        task_role: names.task_role(),
        load_balancer_role: names.load_balancer_role(),
        load_balancer: names.load_balancer(),
        target_groups: [names.blue(), names.green()],
        web_acl: names.web_acl(),
        db_cluster: names.db_cluster(),
        high_errors_alarm: names.high_errors_alarm(),
        db_failures_alarm: names.db_failures_alarm(),
        network: config.network.cidr,
        has_nat: config.network.nat != Nat::None,
        has_tls: config.edge.tls == Tls::On,
        connections_per_task: config.app.max_connections,
        max_acu: (config.database.capacity == Capacity::Serverless)
            .then_some(config.database.max_acu),
    }
}

/// The preflight on its own: also for a stack that exists.
async fn look_ahead(
    session: &mut Session,
    printer: &Printer,
) -> Result<Vec<Finding>, CommandError> {
    let planned = plan(session, printer).await;
    let strangers = planned
        .map(|plan| strangers(&plan))
        .map_err(|error| match error {
            CommandError::Message { message, .. } => message,
            error => format!("{error:?}"),
        });
    let needs = Needs {
        strangers: Some(strangers),
        ..needs(session)
    };
    Ok(preflight::look(&session.aws, &needs).await)
}

/// The plan as `plan` makes it, for what it says of strangers.
async fn plan(session: &mut Session, printer: &Printer) -> Result<Plan, CommandError> {
    session.look_up_facts().await?;
    let (_, reads) = recover::if_lost(session, printer).await?;
    let declaration = session.declaration()?;
    let context = reads.unwrap_or_else(|| session.context(true, Events::nowhere()));
    let options = PlanOptions { adopt: false };
    Ok(engine::plan(&context, &declaration, &session.state, options).await?)
}

fn strangers(plan: &Plan) -> Vec<String> {
    let named = plan.foreign.iter().map(|node| {
        let whose = plan.whose.get(&node.address);
        let whose = whose.map_or_else(String::new, |whose| format!(" ({whose})"));
        format!("{} {}{whose}", node.kind, node.address)
    });
    named.collect()
}

/// The preflight of an `up` on a stack of which there is nothing yet. Names that are taken stand in
/// the plan, which is made next of the same reads.
pub(super) async fn before_up(session: &Session) -> Vec<Finding> {
    preflight::look(&session.aws, &needs(session)).await
}

/// Shows what a preflight found that somebody has to know. Refuses to go on if it is a problem.
pub(super) fn judge(
    findings: &[Finding],
    session: &Session,
    printer: &Printer,
) -> Result<(), CommandError> {
    let fine = findings
        .iter()
        .filter(|it| it.severity == Severity::Fine)
        .count();
    let told: Vec<Finding> = findings
        .iter()
        .filter(|it| it.severity != Severity::Fine)
        .cloned()
        .collect();
    if !told.is_empty() && printer.is_json() {
        let stack = session.local.suffix.as_str();
        printer.json_line(&doctor_view::to_json(findings, stack, true));
    } else if !told.is_empty() {
        printer.block(&doctor_view::render(&told, &printer.note_style()));
    }
    printer.note(format!("preflight: {fine} checks passed"));
    let problems = findings.iter().filter(|it| it.is_problem()).count();
    if problems == 0 {
        return Ok(());
    }
    let many = match problems {
        1 => "a problem".to_owned(),
        many => format!("{many} problems"),
    };
    Err(
        CommandError::failed(format!("the preflight found {many}; nothing was changed"))
            .hint("mend that first, or go on all the same with --skip-preflight"),
    )
}

fn needs(session: &Session) -> Needs {
    let config = &session.local.settings.config;
    let secret = Names::of(&session.local.suffix).db_secret();
    let zones = session.zones();
    Needs {
        stack: session.local.suffix.as_str().to_owned(),
        account: session.account.clone(),
        caller: session.caller.clone(),
        credentials_end: session.aws.credentials_end(),
        region: config.region.clone(),
        zones: zones
            .iter()
            .all(|zone| !zone.is_empty())
            .then(|| zones.clone()),
        nat_gateways: match config.network.nat {
            Nat::PerAz => 3,
            Nat::Single => 1,
            Nat::None => 0,
        },
        tasks: Tasks {
            min: config.scaling.min,
            max: config.scaling.max,
            cpu: config.service.cpu,
            on_demand_weight: config.service.on_demand_weight,
            spot_weight: config.service.spot_weight,
        },
        secret: (config.database.credentials == Credentials::Secret).then_some(secret),
        certificate: certificate(config),
        strangers: None,
        actions: actions(session),
    }
}

/// The actions that an `up` of what is declared may call.
fn actions(session: &Session) -> Vec<String> {
    let account = session.account.clone();
    // A declaration that is wrong is told by the plan.
    let Ok(subject) = super::policy::subject(&session.local, Some(account)) else {
        return Vec::new();
    };
    let pairs = policy::actions(policy::Verb::Up, &subject).into_iter();
    let actions: BTreeSet<String> = pairs.map(|(action, _)| action).collect();
    actions.into_iter().collect()
}

fn certificate(config: &Config) -> Certificate {
    let edge = &config.edge;
    match (&edge.certificate_arn, &edge.domain, &edge.zone_id) {
        (Some(arn), _, _) => Certificate::Existing { arn: arn.clone() },
        (None, Some(domain), Some(zone_id)) => Certificate::Issued {
            domain: domain.clone(),
            zone_id: zone_id.clone(),
        },
        _ => Certificate::Nothing,
    }
}
