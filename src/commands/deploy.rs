//! `orderctl deploy`: brings an image out by blue/green.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::CommandError;
use super::follow::{Ended, Follower, Trial};
use super::hold::Hold;
use super::release::{await_deployment, no_service, nothing_before, restore, wake};
use super::session::{DONE, Local, Session};
use super::traffic::{Traffic, TrafficArgs};
use crate::cli::{Globals, duration};
use crate::kinds::ecs::{DeploymentStrategy, register_release};
use crate::resource::Tags;
use crate::rollout::history;
use crate::rollout::image::{self, Image, Reference};
use crate::rollout::start::{self, Before, Release};
use crate::service::ServiceName;
use crate::service::deployments::{Deployment, latest, under_way};
use crate::service::revisions::{BY_TAG, IMAGE_TAG, targets};
use crate::stack::{CONTAINER, Names};
use crate::ui::{Printer, json, release_view};

/// Brings an image out by blue/green, and follows it to its end.
///
/// ECS starts the new version beside the old one, shows it on the test listener, then moves production
/// traffic as the strategy says. It goes on whatever becomes of this command.
#[derive(Args, Debug)]
pub struct DeployArgs {
    /// What to release: TAG, sha256:DIGEST, or REPOSITORY:TAG of the stack's repository
    #[arg(required_unless_present_any = ["resume", "list"])]
    image: Option<Reference>,
    #[command(flatten)]
    traffic: TrafficArgs,
    /// Before production traffic moves, this path must answer with 2xx on the test listener (repeatable)
    #[arg(long, value_name = "PATH", conflicts_with = "list")]
    smoke: Vec<String>,
    /// Before production traffic moves, this shell command must succeed; it finds ORDERCTL_TEST_URL and ORDERCTL_SUFFIX
    #[arg(long, value_name = "COMMAND", conflicts_with = "list")]
    smoke_cmd: Option<String>,
    /// Before production traffic moves, ask
    #[arg(long, conflicts_with = "list")]
    approve: bool,
    /// How long that decision may take before ECS turns the release back
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration, conflicts_with = "list")]
    decide_within: Duration,
    /// How long the new tasks may take to become healthy before the release is turned back
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration, conflicts_with = "list")]
    healthy_within: Duration,
    /// Release what runs already once more
    #[arg(long, conflicts_with_all = ["resume", "list"])]
    force: bool,
    /// Begin the release and leave it to ECS
    #[arg(long, conflicts_with_all = ["resume", "list"])]
    no_wait: bool,
    /// Follow the release that is under way
    #[arg(long, conflicts_with_all = ["image", "list"])]
    resume: bool,
    /// List what was released
    #[arg(long, conflicts_with = "image")]
    list: bool,
    /// How many releases to list
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100), requires = "list")]
    limit: u16,
    /// Do not ask; with --resume also an answer to --approve
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
pub async fn run(
    args: DeployArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let local = Local::open(globals, printer).await?;
    if args.list {
        return list(&args, local, globals, printer).await;
    }
    let settings = args.traffic.with(&local.settings.config.deploy)?;
    if args.approve && !args.yes && !args.no_wait && !printer.is_interactive() {
        return Err(
            CommandError::usage("nobody is there to approve; nothing was changed").hint(
                "begin with --no-wait, look at it, then `orderctl deploy --resume --approve --yes`",
            ),
        );
    }
    if args.resume {
        let session = Session::reach(local, globals, printer).await?;
        return resume(&args, session, printer).await;
    }
    let hold = Hold::take(&local, "deploy", globals, printer).await?;
    let begun = begin(&args, &settings, local, &hold, globals, printer).await;
    // ECS goes on alone: nobody has to be kept out any more.
    let stop = hold.stop();
    let Some(begun) = hold.release(begun).await? else {
        return Ok(DONE);
    };
    if args.no_wait {
        printer
            .note("left to ECS; `orderctl deploy --resume` follows it, `orderctl status` shows it");
        report_begun(&begun, printer);
        return Ok(DONE);
    }
    let follower = Follower {
        session: &begun.session,
        printer,
        stop,
        trial: trial(&args),
        healthy_within: begun.session.delays.scaled(args.healthy_within),
        was_parked: begun.was_parked,
    };
    let ended = follower.to_the_end(&begun.deployment.arn).await?;
    finish(&follower, &ended, Some(&begun.image)).await
}

/// A release that ECS has begun.
struct Begun {
    session: Session,
    deployment: Deployment,
    image: Image,
    was_parked: bool,
}

fn trial(args: &DeployArgs) -> Trial {
    Trial {
        smoke: args.smoke.clone(),
        command: args.smoke_cmd.clone(),
        approve: args.approve,
        yes: args.yes && args.resume,
        within: args.decide_within,
    }
}

/// Begins the release; nothing if there is nothing to do.
async fn begin(
    args: &DeployArgs,
    settings: &Traffic,
    local: Local,
    hold: &Hold,
    globals: &Globals,
    printer: &Printer,
) -> Result<Option<Begun>, CommandError> {
    let session = Session::reach(local, globals, printer);
    let session = hold.unless_stopped(session).await?;
    let aws = &session.aws;
    let name = session.local.service_name();
    let Some(wanted) = &args.image else {
        return Err(CommandError::usage("which image?"));
    };
    let looked = look(&session, &name, wanted);
    let Found {
        before,
        image,
        under_way,
        former,
    } = hold.unless_stopped(looked).await?;
    if let Some(deployment) = under_way {
        printer.note(format!(
            "{} is being released already; following it",
            image.named
        ));
        return Ok(Some(Begun {
            was_parked: nothing_before(&deployment),
            deployment,
            image,
            session,
        }));
    }
    let was_parked = before.desired == 0;
    let running = running_image(&session, &before).await?;
    if running.as_deref() == Some(image.uri.as_str()) && !was_parked && !args.force {
        printer.note(format!("{} runs already ({})", image.named, image.digest));
        // Whoever released it may have been killed before this.
        let stop = hold.changing();
        restore(&session, &name, &stop, printer).await;
        wake(&session, &name, &stop, printer).await?;
        report_image(&image, printer);
        return Ok(None);
    }
    let ringing = start::ringing(aws, &before.alarms);
    for alarm in hold.unless_stopped(ringing).await? {
        printer.warn(format!(
            "alarm {alarm} is ringing: ECS watches no alarm during a release that begins so, and would not turn it back"
        ));
    }
    show(&image, settings, &before, args, printer);
    if !args.yes {
        let answer = super::confirm(printer, "Release it?");
        if !hold.unless_stopped(answer).await? {
            return Err(CommandError::failed("not confirmed; nothing was changed"));
        }
    }
    let _stop = hold.changing();
    let by = session.caller.rsplit(':').next().unwrap_or_default();
    let tags = [
        (IMAGE_TAG, tag_value(&image.named)),
        (BY_TAG, tag_value(by)),
    ];
    let tags = Tags::from_pairs(tags);
    let register =
        async || register_release(aws, &before.revision, CONTAINER, &image.uri, &tags).await;
    let revision = hold.until_taken(register).await?;
    let scaling = &session.local.settings.config.scaling;
    let release = Release {
        revision: revision.to_string(),
        strategy: settings.strategy,
        bake_minutes: settings.bake_minutes,
        pause: trial(args).is_asked_for().then_some(args.decide_within),
        tasks: was_parked.then_some(scaling.min),
    };
    let start = async || start::start(aws, &name, &before, &release).await;
    hold.until_taken(start).await?;
    let deployment = await_deployment(&session, &name, former.as_deref()).await?;
    Ok(Some(Begun {
        deployment,
        image,
        was_parked,
        session,
    }))
}

/// What there is before the release: the service, the image, and the newest deployment.
async fn look(
    session: &Session,
    name: &ServiceName,
    wanted: &Reference,
) -> Result<Found, CommandError> {
    let aws = &session.aws;
    let repository = Names::of(&session.local.suffix).repository();
    let (before, under_way) = tokio::try_join!(start::before(aws, name), under_way(aws, name))?;
    let Some(before) = before else {
        return Err(no_service(name));
    };
    let (image, newest) =
        tokio::try_join!(image::find(aws, &repository, wanted), latest(aws, name, 1))?;
    if let Some(under_way) = &under_way {
        // The same command again, after it was killed or left, goes on with what it began.
        let targets = targets(aws, std::slice::from_ref(under_way), CONTAINER).await?;
        let target = targets.get(&under_way.target.revision);
        if under_way.is_rolling_back() || target.is_none_or(|target| target.image != image.uri) {
            return Err(start::refusal(under_way).into());
        }
    }
    Ok(Found {
        before,
        image,
        under_way,
        former: newest.into_iter().next().map(|newest| newest.arn),
    })
}

/// What there is before a release.
struct Found {
    before: Before,
    image: Image,
    /// The release of the same image that is under way.
    under_way: Option<Deployment>,
    /// The newest deployment.
    former: Option<String>,
}

/// The image in the revision that runs.
async fn running_image(session: &Session, before: &Before) -> Result<Option<String>, CommandError> {
    let local = &session.local;
    let (stack, name) = (local.suffix.as_str(), local.service_name());
    let running = crate::kinds::ecs::running(&session.aws, stack, &name).await?;
    let running = running.filter(|running| running.revision == before.revision);
    Ok(running.and_then(|running| running.released_image))
}

/// What AWS takes as the value of a tag.
fn tag_value(text: &str) -> String {
    let taken = |c: &char| c.is_alphanumeric() || " _.:/=+-@".contains(*c);
    text.chars().filter(taken).take(256).collect()
}

fn show(image: &Image, settings: &Traffic, before: &Before, args: &DeployArgs, printer: &Printer) {
    let how = match settings.strategy {
        DeploymentStrategy::Canary {
            percent,
            bake_minutes,
        } => format!("canary: {percent} % for {bake_minutes} min, then all"),
        DeploymentStrategy::Linear {
            percent,
            bake_minutes,
        } => format!("linear: {percent} % every {bake_minutes} min"),
        DeploymentStrategy::BlueGreen | DeploymentStrategy::Rolling => "all at once".to_owned(),
    };
    let tasks = match before.desired {
        0 => "the service is parked; this starts it and its scaling".to_owned(),
        count => format!("{count} tasks beside the {} that run", before.running),
    };
    let trial = trial(args);
    let mut gates: Vec<String> = trial
        .smoke
        .iter()
        .map(|path| format!("{path} answers"))
        .collect();
    gates.extend(
        trial
            .command
            .iter()
            .map(|command| format!("`{command}` succeeds")),
    );
    gates.extend(trial.approve.then(|| "you approve".to_owned()));
    let gate = match gates.is_empty() {
        true => String::new(),
        false => format!("\n  before production traffic moves: {}", gates.join(", ")),
    };
    let text = format!(
        "Release {} ({})\n  {tasks}\n  {how}; both versions stay for {} min after that{gate}",
        image.named, image.digest, settings.bake_minutes
    );
    super::show_before_asking(&text, args.yes, printer);
}

/// Follows the release that is under way.
async fn resume(
    args: &DeployArgs,
    session: Session,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let name = session.local.service_name();
    let Some(under_way) = under_way(&session.aws, &name).await? else {
        let newest = history::entries(&session.aws, &name, CONTAINER, 1)
            .await?
            .pop();
        let Some(newest) = newest else {
            return Err(no_service(&name));
        };
        let what = newest.named.as_deref().unwrap_or(&newest.image);
        let message = format!(
            "no release is under way; the last one, {what}, is {}",
            newest.deployment.status
        );
        if !newest.deployment.is_successful() {
            return Err(
                CommandError::failed(message).hint("`orderctl deploy --list` shows them all")
            );
        }
        let before = start::before(&session.aws, &name).await?;
        if before.is_none_or(|before| before.desired == 0) {
            // Its scaling must sleep on: a minimum would start tasks that have no image.
            printer.note("no release is under way; the service is parked until `orderctl deploy`");
            return Ok(DONE);
        }
        printer.note(message);
        let stop = super::interrupt::holding();
        wake(&session, &name, &stop, printer).await?;
        restore(&session, &name, &stop, printer).await;
        return Ok(DONE);
    };
    let follower = Follower {
        session: &session,
        printer,
        stop: super::interrupt::holding(),
        trial: trial(args),
        healthy_within: session.delays.scaled(args.healthy_within),
        was_parked: nothing_before(&under_way),
    };
    let ended = follower.to_the_end(&under_way.arn).await?;
    finish(&follower, &ended, None).await
}

/// Says how it ended, and leaves the service as it is declared.
async fn finish(
    follower: &Follower<'_>,
    ended: &Ended,
    image: Option<&Image>,
) -> Result<ExitCode, CommandError> {
    let (session, printer) = (follower.session, follower.printer);
    let name = session.local.service_name();
    restore(session, &name, &follower.stop, printer).await;
    if !ended.deployment.is_successful() {
        return Err(follower.explain(ended).await);
    }
    wake(session, &name, &follower.stop, printer).await?;
    let took = ended.took;
    printer.note(format!(
        "Released in {}. `orderctl rollback` brings the version before back.",
        crate::ui::duration(took)
    ));
    if let Some(image) = image {
        report_image(image, printer);
    }
    Ok(DONE)
}

fn report_image(image: &Image, printer: &Printer) {
    if printer.is_json() {
        printer.json_line(&json!({
            "type": "released",
            "version": json::VERSION,
            "image": image.uri,
            "digest": image.digest,
            "named": image.named,
            "tags": image.tags,
        }));
    } else {
        printer.data(&image.digest);
    }
}

fn report_begun(begun: &Begun, printer: &Printer) {
    if printer.is_json() {
        printer.json_line(&json!({
            "type": "begun",
            "version": json::VERSION,
            "deployment": begun.deployment.arn,
            "digest": begun.image.digest,
        }));
    } else {
        printer.data(&begun.deployment.arn);
    }
}

async fn list(
    args: &DeployArgs,
    local: Local,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let session = Session::reach(local, globals, printer).await?;
    let name = session.local.service_name();
    let Some(before) = start::before(&session.aws, &name).await? else {
        return Err(no_service(&name));
    };
    let entries = history::entries(&session.aws, &name, CONTAINER, args.limit.into()).await?;
    if printer.is_json() {
        printer.json_line(&release_view::list_to_json(&entries, &before.revision));
    } else {
        let now = Timestamp::now();
        printer.data(release_view::list(
            &entries,
            &before.revision,
            now,
            &printer.style(),
        ));
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_hold_only_what_aws_takes() {
        assert_eq!(
            tag_value("assumed-role/ci/run#1 (x)"),
            "assumed-role/ci/run1 x"
        );
    }
}
