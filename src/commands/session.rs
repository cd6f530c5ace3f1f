//! What every command that talks to AWS does first: settings, stack, state, clients, account.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::CommandError;
use crate::aws::{Aws, Bucket, Caller, Connection};
use crate::cli::Globals;
use crate::config::{self, Environment, Overrides, Settings, Suffix};
use crate::engine::{Context, Declaration, Events, Kept, Looks, READS_LAG};
use crate::kinds::ecs::{self, Running};
use crate::kinds::{ec2, ecr, registry};
use crate::resource::Scope;
use crate::sandbox::{self, SandboxDirs};
use crate::service::ServiceName;
use crate::stack::{self, Facts, Names};
use crate::state::{LocalStore, Location, S3Store, State, Store};
use crate::ui::Printer;

/// The state's key for the chosen Availability Zones.
const ZONES: &str = "availability_zones";
/// The state's key for the settings that are kept as they were found ([`Kept`]).
const KEPT: &str = "kept";
/// How long after its makers are gone AWS may write a log group again (field guide, section 3).
const LOG_GROUPS_SETTLE: Duration = Duration::from_secs(75);

/// Settings and state of one stack, without AWS.
pub(super) struct Local {
    pub(super) settings: Settings,
    pub(super) suffix: Suffix,
    pub(super) store: Arc<dyn Store>,
}

impl Local {
    pub(super) async fn open(globals: &Globals, printer: &Printer) -> Result<Self, CommandError> {
        let (settings, store) = open_store(globals, printer).await?;
        let suffix = match &settings.suffix {
            Some(suffix) => suffix.clone(),
            None => only_stack(store.as_ref()).await?,
        };
        Ok(Self {
            settings,
            suffix,
            store,
        })
    }

    /// The names of the stack's service.
    pub(super) fn service_name(&self) -> ServiceName {
        let names = Names::of(&self.suffix);
        ServiceName {
            cluster: names.cluster(),
            service: names.service(),
        }
    }

    pub(super) async fn state(&self) -> Result<Option<State>, CommandError> {
        let state = self.store.load(self.suffix.as_str()).await?;
        if let Some(state) = &state
            && state.region != self.settings.config.region
        {
            let ours = &self.settings.config.region;
            return Err(CommandError::failed(format!(
                "stack `{}` lives in {}, and this command is for {ours}",
                self.suffix, state.region
            ))
            .hint(format!(
                "give --region {}, or choose another suffix",
                state.region
            )));
        }
        Ok(state)
    }

    /// Refuses another account than the one the state records (law 3).
    pub(super) fn check_account(&self, state: &State, account: &str) -> Result<(), CommandError> {
        match &state.account {
            Some(recorded) if recorded != account => Err(CommandError::failed(format!(
                "stack `{}` lives in account {recorded}, and these credentials are for {account}",
                self.suffix
            ))
            .hint("use the other account's credentials, or another suffix or --state")),
            _ => Ok(()),
        }
    }
}

/// The settings, and the store of states they name.
pub(super) async fn open_store(
    globals: &Globals,
    printer: &Printer,
) -> Result<(Settings, Arc<dyn Store>), CommandError> {
    let settings = config::load(&overrides(globals))?;
    let store = store_at(settings.state.as_deref(), &settings, globals, printer).await?;
    Ok((settings, store))
}

/// The store of states at a location, reached as the settings say.
pub(super) async fn store_at(
    location: Option<&str>,
    settings: &Settings,
    globals: &Globals,
    printer: &Printer,
) -> Result<Arc<dyn Store>, CommandError> {
    Ok(match Location::of(location) {
        Location::Directory(directory) => Arc::new(LocalStore::new(directory)),
        Location::Bucket { bucket, prefix } => {
            let (connection, _) = connection(settings, globals, printer).await?;
            let bucket = Bucket::connect(&connection, bucket, prefix).await;
            Arc::new(S3Store::new(Arc::new(bucket)))
        }
    })
}

fn overrides(globals: &Globals) -> Overrides {
    Overrides {
        config_path: globals.config.clone(),
        region: globals.region.clone(),
        suffix: globals.suffix.clone(),
        profile: globals.profile.clone(),
        state: globals.state.clone(),
        environment: Environment::read(|name| std::env::var(name).ok()),
        directory: None,
    }
}

async fn only_stack(store: &dyn Store) -> Result<Suffix, CommandError> {
    let stacks = store.stacks().await?;
    match stacks.as_slice() {
        [only] => only.parse().map_err(|_| {
            CommandError::usage(format!(
                "the only state is that of `{only}`, which is no suffix"
            ))
        }),
        [] => Err(CommandError::usage("which stack?")
            .hint("give --suffix NAME, set ORDERCTL_SUFFIX, or write it into orderctl.toml")),
        several => Err(CommandError::usage(format!(
            "which stack? There are {}",
            several.join(", ")
        ))
        .hint("give --suffix NAME")),
    }
}

/// A stack together with the AWS it lives in.
pub(super) struct Session {
    pub(super) local: Local,
    pub(super) state: State,
    pub(super) aws: Arc<Aws>,
    pub(super) account: String,
    /// The ARN of who calls.
    pub(super) caller: String,
    pub(super) delays: Delays,
    /// The address of the sandbox, if the stack lives in one.
    pub(super) sandbox: Option<String>,
    /// Whether the store holds a state of the stack.
    pub(super) has_state: bool,
    facts: Facts,
}

impl Session {
    /// Opens the stack. Reads alone; refuses another account than the state's (law 3).
    pub(super) async fn open(
        local: Local,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<Self, CommandError> {
        let state = local.state().await?;
        Self::open_on(local, state, globals, printer).await
    }

    /// Opens the stack with this state, or as one whose state is lost.
    pub(super) async fn open_on(
        local: Local,
        state: Option<State>,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<Self, CommandError> {
        let mut session = Self::connect(local, state, globals, printer).await?;
        session.look_up_facts().await?;
        Ok(session)
    }

    /// Reads what only a declaration needs: the zones, whether there is an image to start with, and
    /// what runs.
    pub(super) async fn look_up_facts(&mut self) -> Result<(), CommandError> {
        let Self {
            local, state, aws, ..
        } = &*self;
        let names = Names::of(&local.suffix);
        let (repository, service) = (names.repository(), local.service_name());
        let tag = &local.settings.config.service.image_tag;
        // First: without three of them there is nothing more to ask.
        let availability_zones = zones(&local.settings, state, aws).await?;
        let (tagged, running) = tokio::try_join!(
            ecr::image_digest(aws, &repository, tag),
            ecs::running(aws, &state.stack, &service),
        )?;
        // What was released needs no tag to start with.
        let runs = |running: &Running| running.has_tasks || running.released_image.is_some();
        let has_image = tagged.is_some() || running.as_ref().is_some_and(runs);
        self.facts = Facts {
            account: self.account.clone(),
            availability_zones,
            has_image,
            running,
        };
        Ok(())
    }

    /// Opens the stack without the facts that only a declaration needs.
    pub(super) async fn reach(
        local: Local,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<Self, CommandError> {
        let state = local.state().await?;
        Self::connect(local, state, globals, printer).await
    }

    async fn connect(
        local: Local,
        state: Option<State>,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<Self, CommandError> {
        let has_state = state.is_some();
        let (connection, delays) = connection(&local.settings, globals, printer).await?;
        let aws = Arc::new(Aws::connect(&connection).await);
        let Caller { account, arn } = aws.caller().await?;
        let region = local.settings.config.region.clone();
        let state = state.unwrap_or_else(|| State::new(local.suffix.as_str(), region));
        local.check_account(&state, &account)?;
        let facts = Facts {
            account: account.clone(),
            availability_zones: Default::default(),
            has_image: false,
            running: None,
        };
        let sandbox = globals.sandbox.then(|| connection.endpoint_url.clone());
        Ok(Self {
            local,
            state,
            aws,
            account,
            caller: arn,
            delays,
            sandbox: sandbox.flatten(),
            has_state,
            facts,
        })
    }

    /// The declared stack, with what is kept as it was found.
    pub(super) fn declaration(&self) -> Result<Declaration, CommandError> {
        let declared =
            stack::declare(&self.local.suffix, &self.local.settings.config, &self.facts)?;
        Ok(declared.keeping(&self.kept()))
    }

    fn kept(&self) -> Kept {
        let kept = self.state.choices.get(KEPT).cloned();
        kept.and_then(|kept| serde_json::from_value(kept).ok())
            .unwrap_or_default()
    }

    /// Keeps these settings as they were found, whatever is declared.
    pub(super) fn keep(&mut self, kept: &Kept) {
        if kept.is_empty() {
            self.state.choices.remove(KEPT);
        } else {
            self.state.choices.insert(KEPT.to_owned(), json!(kept));
        }
    }

    /// Keeps nothing of these nodes any more, so that they become as declared. Says whether anything
    /// was kept.
    pub(super) fn release(&mut self, addresses: &[String]) -> bool {
        let mut kept = self.kept();
        let before = kept.len();
        kept.retain(|address, _| !addresses.iter().any(|name| name == address.as_str()));
        let is_released = kept.len() < before;
        if is_released {
            self.keep(&kept);
        }
        is_released
    }

    /// Takes these for the zones of the stack.
    pub(super) fn settle_in(&mut self, zones: [String; 3]) {
        self.facts.availability_zones = zones;
    }

    /// The zones the stack is declared in.
    pub(super) fn zones(&self) -> &[String; 3] {
        &self.facts.availability_zones
    }

    /// Looks again where the stack's subnets are: the first look may have missed new ones.
    pub(super) async fn look_for_zones(&mut self) -> Result<(), CommandError> {
        self.facts.availability_zones = zones(&self.local.settings, &self.state, &self.aws).await?;
        Ok(())
    }

    /// The engine's context; with `shared` reads for a look at the whole stack.
    pub(super) fn context(&self, shared: bool, events: Events) -> Context {
        let aws = if shared {
            let recorded = self.state.records.values();
            let recorded =
                recorded.filter_map(|record| Some((record.kind.clone(), record.outputs.clone()?)));
            Arc::new(self.aws.with_shared_reads().knowing(recorded))
        } else {
            Arc::clone(&self.aws)
        };
        Context {
            kinds: Arc::new(registry(&aws)),
            scope: Scope {
                stack: self.local.suffix.as_str().to_owned(),
                account: self.account.clone(),
                region: self.local.settings.config.region.clone(),
                facts: self
                    .facts
                    .running
                    .as_ref()
                    .map(Running::facts)
                    .unwrap_or_default(),
                ..Scope::default()
            },
            events,
            lag: self.delays.reads,
        }
    }

    /// Kinds for looks at the whole stack, whose reads are shared within each.
    pub(super) fn looks(&self) -> Looks {
        let aws = Arc::clone(&self.aws);
        Looks::with(move || registry(&Arc::new(aws.with_shared_reads())))
    }

    /// Whether the service waits for its first image.
    pub(super) fn is_parked(&self) -> bool {
        !self.facts.has_image
    }

    /// Writes what a run that is about to change things has decided.
    pub(super) fn enter_facts(&self, state: &mut State) {
        state.account = Some(self.account.clone());
        state.protect = self.local.settings.config.protect;
        state
            .choices
            .insert(ZONES.to_owned(), json!(self.facts.availability_zones));
    }
}

/// What AWS does behind the back of its callers, and for how long; real time.
#[derive(Clone, Copy)]
pub(super) struct Delays {
    /// How long after their makers are gone log groups may come back.
    pub(super) log_groups: Duration,
    /// How long reads may miss what was just made.
    pub(super) reads: Duration,
}

impl Delays {
    /// Those of AWS.
    const AWS: Self = Self {
        log_groups: LOG_GROUPS_SETTLE,
        reads: READS_LAG,
    };

    /// A duration of AWS's as it passes there.
    pub(super) fn scaled(self, duration: Duration) -> Duration {
        if self.reads.is_zero() {
            return duration;
        }
        duration.mul_f64(self.reads.div_duration_f64(Self::AWS.reads))
    }

    /// Those of a sandbox, whose time runs faster than AWS's; at speed 0 there are none.
    fn at_speed(speed: f64) -> Self {
        let scaled = |delay: Duration| match speed > 0.0 {
            true => Duration::try_from_secs_f64(delay.as_secs_f64() / speed).unwrap_or(delay),
            false => Duration::ZERO,
        };
        Self {
            log_groups: scaled(Self::AWS.log_groups),
            reads: scaled(Self::AWS.reads),
        }
    }
}

/// How to reach AWS, and how it lags there.
async fn connection(
    settings: &Settings,
    globals: &Globals,
    printer: &Printer,
) -> Result<(Connection, Delays), CommandError> {
    let mut delays = Delays::AWS;
    let mut connection = Connection {
        region: settings.config.region.clone(),
        profile: settings.profile.clone(),
        endpoint_url: globals.endpoint_url.clone(),
        dummy_credentials: false,
    };
    if globals.sandbox {
        let notices = |text: &str| printer.note(text);
        let sandbox = sandbox::ensure_running(&SandboxDirs::from_env()?, &notices).await?;
        delays = Delays::at_speed(sandbox.settings.speed);
        connection.endpoint_url = Some(sandbox.endpoint);
        connection.profile = None;
        connection.dummy_credentials = true;
    } else if connection.endpoint_url.is_some() {
        // Emulators take any credentials; without any, none of the user's are looked for.
        let given = std::env::var_os("AWS_ACCESS_KEY_ID").is_some();
        connection.dummy_credentials = !given && connection.profile.is_none();
        // Nothing writes log groups behind the back of an emulator.
        delays.log_groups = Duration::ZERO;
    }
    Ok((connection, delays))
}

/// The zones of the configuration, else those chosen before, else those the stack's subnets are in,
/// else the region's first three.
async fn zones(settings: &Settings, state: &State, aws: &Aws) -> Result<[String; 3], CommandError> {
    let chosen: Option<[String; 3]> = state
        .choices
        .get(ZONES)
        .and_then(|zones| serde_json::from_value(zones.clone()).ok());
    let declared: Option<[String; 3]> = settings
        .config
        .network
        .azs
        .clone()
        .and_then(|zones| zones.try_into().ok());
    match (declared, chosen) {
        (Some(declared), Some(chosen)) if declared == chosen => return Ok(chosen),
        (None, Some(chosen)) => return Ok(chosen),
        (Some(declared), _) => {
            let offered = aws.availability_zones().await?;
            if let Some(wrong) = declared.iter().find(|zone| !offered.contains(zone)) {
                let message = format!("`{wrong}` is no Availability Zone of this account");
                let help = format!("choose three of {}", offered.join(", "));
                return Err(settings.error_at("network.azs", message, help).into());
            }
            return Ok(declared);
        }
        (None, None) => {}
    }
    let offered = aws.availability_zones().await?;
    let too_few = || {
        let (count, region) = (offered.len(), &settings.config.region);
        let message = format!("region {region} offers this account {count} Availability Zones");
        let help = "the stack needs three; choose another region, for example us-east-1";
        settings.error_at("region", message, help)
    };
    if offered.len() < 3 {
        return Err(too_few().into());
    }
    let subnets = ec2::zones_of_stack(aws, &state.stack).await?;
    stack::zones(&subnets, &offered).ok_or_else(|| too_few().into())
}

/// The exit code for a command that did what it was asked to.
pub(super) const DONE: ExitCode = ExitCode::SUCCESS;
