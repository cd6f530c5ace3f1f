//! Following a release to its end: shows each stage, decides at the pause before production traffic
//! moves, and turns back what will never be healthy. ECS carries the release; whoever follows may come
//! and go.

use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::session::Session;
use super::{CommandError, interrupt};
use crate::engine::{Stop, settle, until_taken};
use crate::resource::Class;
use crate::rollout::failures;
use crate::rollout::smoke::{Smoke, door};
use crate::rollout::start;
use crate::rollout::verdict::{Hopeless, Progress, judge};
use crate::service::ServiceName;
use crate::service::deployments::{self, Deployment, Stopping, roll_back};
use crate::service::revisions::{Target, targets};
use crate::service::tasks::{FailedTask, LogStream, failed_tasks, last_lines};
use crate::stack::{CONTAINER, LOG_STREAM_PREFIX, Names};
use crate::ui::release_view::{self, Snapshot};
use crate::ui::{Printer, release_view::short};

/// How often AWS is asked how far the release is.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The shortest pause between two looks, where time runs faster.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How often a path is tried before the trial has failed: new weights take a moment everywhere.
const SMOKE_TRIES: usize = 5;

/// What decides at the pause before production traffic moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    /// Paths that must answer with a 2xx status through the test listener.
    pub(super) smoke: Vec<String>,
    /// A shell command that must end with 0.
    pub(super) command: Option<String>,
    /// Whether a person is asked.
    pub(super) approve: bool,
    /// Whether that question is answered with yes already.
    pub(super) yes: bool,
    /// How long all of it may take.
    pub(super) within: Duration,
}

impl Trial {
    /// Whether there is anything to decide by.
    pub(super) fn is_asked_for(&self) -> bool {
        !self.smoke.is_empty() || self.command.is_some() || self.approve
    }
}

/// A release that is followed.
pub(super) struct Follower<'a> {
    pub(super) session: &'a Session,
    pub(super) printer: &'a Printer,
    pub(super) stop: Stop,
    pub(super) trial: Trial,
    /// How long the new tasks may take to become healthy.
    pub(super) healthy_within: Duration,
    /// Whether the service had no tasks before, and so nothing to go back to.
    pub(super) was_parked: bool,
}

/// How a release ended.
pub(super) struct Ended {
    pub(super) deployment: Deployment,
    /// Why we turned it back, if we did.
    pub(super) because: Option<String>,
    pub(super) took: Duration,
}

/// What changes only once in a release.
#[derive(Default)]
struct Known {
    target: Option<Target>,
    answered: Option<String>,
    told: Option<Snapshot>,
    because: Option<String>,
    unanswered: usize,
}

impl Follower<'_> {
    fn name(&self) -> ServiceName {
        self.session.local.service_name()
    }

    /// Follows the deployment to its end.
    pub(super) async fn to_the_end(&self, arn: &str) -> Result<Ended, CommandError> {
        let begun = Instant::now();
        let mut known = Known::default();
        loop {
            if let Some(now) = self.look(arn, &mut known).await? {
                let snapshot = self.snapshot(now, &mut known).await;
                self.tell(&snapshot, begun.elapsed(), &mut known);
                let deployment = &snapshot.deployment;
                if !deployment.is_under_way() {
                    return Ok(Ended {
                        deployment: snapshot.deployment,
                        because: known.because,
                        took: begun.elapsed(),
                    });
                }
                self.act(&snapshot, begun.elapsed(), &mut known).await?;
            }
            settle(self.pause(), &self.stop).await;
            if self.stop.is_stopped() {
                return Err(left());
            }
        }
    }

    fn pause(&self) -> Duration {
        self.session.delays.scaled(LOOK_EVERY).max(SHORTEST_PAUSE)
    }

    /// A look that fails for a while ends nothing: the release goes on without us.
    async fn look(&self, arn: &str, known: &mut Known) -> Result<Option<Deployment>, CommandError> {
        /// Looks without an answer, some five minutes, after which somebody is told.
        const PATIENCE: usize = 60;
        match deployments::again(&self.session.aws, arn).await {
            Ok(now) => {
                known.unanswered = 0;
                Ok(Some(now))
            }
            Err(error)
                if matches!(error.class(), Class::Throttled | Class::Unclear)
                    && known.unanswered < PATIENCE =>
            {
                known.unanswered += 1;
                if known.unanswered == 1 {
                    self.printer
                        .warn(format!("{error}; the release goes on, looking again"));
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What else is known of the new version's tasks. Details that cannot be read are left out: they
    /// decide nothing that ECS does not decide itself.
    async fn snapshot(&self, now: Deployment, known: &mut Known) -> Snapshot {
        let aws = &self.session.aws;
        if known.target.is_none() && !now.target.revision.is_empty() {
            let targets = targets(aws, std::slice::from_ref(&now), CONTAINER).await;
            known.target = targets.unwrap_or_default().remove(&now.target.revision);
        }
        let (mut health, mut failed) = (None, 0);
        if let Some(target) = &known.target {
            if let Some(group) = &target.target_group {
                health = failures::health(aws, group).await.ok();
            }
            let tasks = failed_tasks(aws, &self.name(), &target.definition).await;
            failed = tasks.map_or(0, |tasks| tasks.len());
        }
        Snapshot {
            deployment: now,
            health,
            failed,
        }
    }

    fn tell(&self, snapshot: &Snapshot, since: Duration, known: &mut Known) {
        if known.told.as_ref() == Some(snapshot) {
            return;
        }
        known.told = Some(snapshot.clone());
        let printer = self.printer;
        if printer.is_json() {
            let line = release_view::to_json(snapshot, since, Timestamp::now());
            printer.json_line(&line);
        } else {
            printer.note(release_view::line(snapshot, since, &printer.note_style()));
        }
    }

    async fn act(
        &self,
        snapshot: &Snapshot,
        since: Duration,
        known: &mut Known,
    ) -> Result<(), CommandError> {
        let deployment = &snapshot.deployment;
        if deployment.is_rolling_back() || known.because.is_some() {
            return Ok(());
        }
        if let Some(pause) = deployment.pause() {
            if known.answered.as_ref() == Some(&pause.hook) {
                return Ok(());
            }
            let verdict = self.try_it(deployment).await?;
            let go_on = verdict.is_ok();
            let (aws, arn) = (&self.session.aws, &deployment.arn);
            let answer = async || deployments::answer_pause(aws, arn, &pause.hook, go_on).await;
            self.until_taken(answer).await?;
            known.answered = Some(pause.hook.clone());
            if let Err(why) = verdict {
                self.printer
                    .warn(format!("{why}; turning the release back"));
                known.because = Some(why);
            }
            return Ok(());
        }
        if !deployment.is_coming_up() {
            return Ok(());
        }
        let count = |number: i32| usize::try_from(number).unwrap_or_default();
        let health = snapshot.health.as_ref();
        let progress = Progress {
            since,
            wanted: count(deployment.target.requested).max(1),
            healthy: health.map_or(0, |health| health.healthy),
            failed: snapshot.failed,
        };
        if let Some(hopeless) = judge(progress, self.healthy_within) {
            let why = words(hopeless);
            self.printer
                .warn(format!("{why}; turning the release back"));
            self.turn_back(deployment).await?;
            known.because = Some(why);
        }
        Ok(())
    }

    async fn turn_back(&self, deployment: &Deployment) -> Result<(), CommandError> {
        let aws = &self.session.aws;
        let turn_back = async || roll_back(aws, &deployment.arn).await;
        if self.until_taken(turn_back).await? == Stopping::TooLate {
            self.printer
                .warn("it is past the point where ECS turns back");
        }
        if self.was_parked {
            let name = self.name();
            let park = async || start::park(aws, &name).await;
            self.until_taken(park).await?;
        }
        Ok(())
    }

    /// Sends a call that changes something, again while AWS throttles it.
    async fn until_taken<T>(
        &self,
        call: impl AsyncFn() -> crate::resource::Result<T>,
    ) -> Result<T, CommandError> {
        match until_taken(&self.stop, call).await {
            Ok(answer) => Ok(answer?),
            Err(_stopped) => Err(left()),
        }
    }

    /// Tries the new version through the test listener. Gives why it is not to go on.
    async fn try_it(&self, deployment: &Deployment) -> Result<Result<(), String>, CommandError> {
        if !self.trial.is_asked_for() {
            return Err(waits_for_a_word(deployment));
        }
        let trial = self.stop.cut(timeout(self.trial.within, self.trial()));
        match trial.await {
            Err(_stopped) => Err(left()),
            Ok(Err(_elapsed)) => Ok(Err("the trial took too long".to_owned())),
            Ok(Ok(verdict)) => verdict,
        }
    }

    async fn trial(&self) -> Result<Result<(), String>, CommandError> {
        let session = self.session;
        let before = start::before(&session.aws, &self.name()).await?;
        let rule = before.and_then(|before| before.test_rule);
        let sandbox = session.sandbox.as_deref();
        let smoke = match rule {
            Some(rule) => {
                let door = door(&session.aws, &rule, sandbox).await?;
                Some(Smoke::at(door, sandbox)?)
            }
            None => None,
        };
        for path in &self.trial.smoke {
            let Some(smoke) = &smoke else {
                return Ok(Err("the service has no test listener".to_owned()));
            };
            if let Err(why) = self.ask(smoke, path).await {
                return Ok(Err(why));
            }
        }
        if let Some(command) = &self.trial.command {
            let url = smoke.map(|smoke| smoke.url("")).unwrap_or_default();
            if let Err(why) = self.run(command, &url).await {
                return Ok(Err(why));
            }
        }
        if self.trial.approve && !self.trial.yes {
            let question =
                "The new version answers on the test listener. Move production traffic to it?";
            if !super::confirm(self.printer, question).await? {
                return Ok(Err("it was not approved".to_owned()));
            }
        }
        Ok(Ok(()))
    }

    async fn ask(&self, smoke: &Smoke, path: &str) -> Result<(), String> {
        let url = smoke.url(path);
        let mut last = String::new();
        for attempt in 0..SMOKE_TRIES {
            if attempt > 0 {
                settle(self.pause(), &self.stop).await;
            }
            last = match smoke.ask(path).await {
                Ok(status) if status.is_success() => {
                    self.printer
                        .note(format!("          smoke {url}: {status}"));
                    return Ok(());
                }
                Ok(status) => status.to_string(),
                Err(why) => {
                    format!("{why} (the test listener's port is open to `edge.test_cidrs` alone)")
                }
            };
            self.printer.note(format!("          smoke {url}: {last}"));
        }
        Err(format!("smoke {url}: {last}"))
    }

    /// Runs a command of the user's, which writes where we write.
    async fn run(&self, command: &str, url: &str) -> Result<(), String> {
        let mut child = tokio::process::Command::new("sh");
        child
            .args(["-c", command])
            .env("ORDERCTL_TEST_URL", url)
            .env("ORDERCTL_SUFFIX", self.session.local.suffix.as_str())
            .stdin(Stdio::null())
            // What it prints is no data of ours.
            .stdout(std::io::stderr())
            .kill_on_drop(true);
        let ended = child.status().await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("smoke command `{command}`: {status}")),
            Err(error) => Err(format!("smoke command `{command}` cannot be run: {error}")),
        }
    }

    /// Says why a release failed: what ECS says, the reasons of the stopped tasks, their last lines.
    pub(super) async fn explain(&self, ended: &Ended) -> CommandError {
        let deployment = &ended.deployment;
        let aws = &self.session.aws;
        let mut text = format!(
            "the release failed: {} ({})",
            ended
                .because
                .as_deref()
                .or(deployment.why())
                .unwrap_or("ECS gives no reason"),
            deployment.status
        );
        let targets = targets(aws, std::slice::from_ref(deployment), CONTAINER).await;
        let target = targets
            .unwrap_or_default()
            .remove(&deployment.target.revision);
        let failed = match &target {
            Some(target) => {
                let tasks = failed_tasks(aws, &self.name(), &target.definition).await;
                tasks.unwrap_or_default()
            }
            None => Vec::new(),
        };
        for (reason, count) in failures::grouped(&failed) {
            text.push_str(&format!("\n  {count} × {reason}"));
        }
        text.push_str(&self.last_words(&failed).await);
        let after = match (deployment.status.as_str(), self.was_parked) {
            ("ROLLBACK_SUCCESSFUL", false) => "the version before it has all the traffic",
            (_, true) => "the service is parked again, as there was no version before it",
            _ => "look at `orderctl status`: ECS could not go all the way back",
        };
        CommandError::failed(text)
            .hint(after)
            .hint("`orderctl doctor` looks for the cause; `orderctl logs` has all they wrote")
    }

    async fn last_words(&self, failed: &[FailedTask]) -> String {
        let Some(task) = failed.iter().find(|task| task.has_run) else {
            return String::new();
        };
        let log = LogStream {
            group: Names::of(&self.session.local.suffix).log_group(),
            prefix: LOG_STREAM_PREFIX.to_owned(),
            container: CONTAINER.to_owned(),
            task: task.id.clone(),
        };
        let lines = last_lines(&self.session.aws, &log, 5).await;
        let lines = lines.unwrap_or_default();
        if lines.is_empty() {
            return String::new();
        }
        let printable = |line: &String| {
            let clean = line.chars().map(|c| if c.is_control() { ' ' } else { c });
            format!("\n    {}", clean.collect::<String>())
        };
        let lines: String = lines.iter().map(printable).collect();
        format!("\n  the last lines of task {}:{lines}", short(&task.id))
    }
}

fn words(hopeless: Hopeless) -> String {
    match hopeless {
        Hopeless::TooSlow { within } => {
            format!(
                "the new tasks were not healthy within {:.0} s",
                within.as_secs_f64()
            )
        }
        Hopeless::KeepsFailing { failed } => {
            format!("{failed} tasks of the new version have failed and none is healthy")
        }
    }
}

/// The end of a command that was asked to leave while the release goes on.
fn left() -> CommandError {
    CommandError::Message {
        exit: interrupt::INTERRUPTED,
        message: "left; the release goes on in ECS".to_owned(),
        hints: vec![
            "`orderctl deploy --resume` follows it again, `orderctl rollback` turns it back"
                .to_owned(),
        ],
    }
}

fn waits_for_a_word(deployment: &Deployment) -> CommandError {
    let until = deployment.pause().and_then(|pause| pause.until);
    let until = until.map_or(String::new(), |until| {
        format!(
            ", and ECS turns it back at {}",
            until.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
    });
    CommandError::failed(format!(
        "deployment {} waits before production traffic moves{until}",
        deployment.id()
    ))
    .hint("`orderctl deploy --resume` with --smoke, --smoke-cmd or --approve decides; `orderctl rollback` turns it back")
}
