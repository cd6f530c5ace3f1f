//! What `deploy` and `rollback` have in common: the service they work on, the deployment they begin,
//! and what is put in order when it has ended.

use std::time::Duration;

use super::CommandError;
use super::session::Session;
use super::traffic::declared;
use crate::engine::{Stop, settle};
use crate::resource::Result;
use crate::rollout::ServiceName;
use crate::rollout::deployment::{self, Deployment};
use crate::rollout::start;
use crate::stack::Names;
use crate::ui::Printer;

/// The service's names, as `rollout` takes them.
pub(super) fn service_name(session: &Session) -> ServiceName {
    let names = Names::of(&session.local.suffix);
    ServiceName {
        cluster: names.cluster(),
        service: names.service(),
    }
}

pub(super) fn no_service(name: &ServiceName) -> CommandError {
    CommandError::failed(format!("there is no service {}", name.service))
        .hint("run `orderctl up` first")
}

/// Says whether there is no version to go back to.
pub(super) fn nothing_before(deployment: &Deployment) -> bool {
    deployment
        .sources
        .iter()
        .all(|source| source.requested == 0)
}

/// The deployment that is under way.
pub(super) async fn deployment_under_way(
    session: &Session,
    name: &ServiceName,
) -> Result<Option<Deployment>> {
    match deployment::under_way(&session.aws, name).await {
        // Told better by the look at the service itself.
        Err(error) if error.is(&["ServiceNotFoundException", "ClusterNotFoundException"]) => {
            Ok(None)
        }
        answer => answer,
    }
}

/// ECS lists a new deployment a moment after it was asked for.
pub(super) async fn await_deployment(
    session: &Session,
    name: &ServiceName,
    former: Option<&str>,
) -> std::result::Result<Deployment, CommandError> {
    let never = Stop::never();
    for _ in 0..60 {
        if let Some(found) = start::begun(&session.aws, name, former).await? {
            return Ok(found);
        }
        let pause = session.delays.scaled(Duration::from_secs(2));
        settle(pause.max(Duration::from_millis(100)), &never).await;
    }
    Err(
        CommandError::failed("ECS took the release, and lists no deployment for it")
            .hint("`orderctl status` shows what it does; `orderctl deploy --resume` follows it"),
    )
}

/// A release of its own strategy leaves that behind as the service's.
pub(super) async fn restore(session: &Session, name: &ServiceName, printer: &Printer) {
    let aws = &session.aws;
    let restored = async {
        let Some(before) = start::before(aws, name).await? else {
            return Ok(());
        };
        let config = &session.local.settings.config.deploy;
        let strategy = declared(config);
        if before.is_configured(strategy, config.bake_minutes) {
            return Ok(());
        }
        start::restore(aws, name, strategy, config.bake_minutes, &before.alarms).await
    };
    let restored: Result<()> = restored.await;
    if let Err(error) = restored {
        printer.warn(format!(
            "the service keeps the strategy of this release until the next `orderctl up`: {error}"
        ));
    }
}

/// The first release that went well wakes the scaling of a parked service.
pub(super) async fn wake(
    session: &Session,
    name: &ServiceName,
    printer: &Printer,
) -> std::result::Result<(), CommandError> {
    let scaling = &session.local.settings.config.scaling;
    if start::wake_scaling(&session.aws, name, scaling.min, scaling.max).await? {
        let (min, max) = (scaling.min, scaling.max);
        printer.note(format!(
            "its scaling works from now on: {min} to {max} tasks"
        ));
    }
    Ok(())
}
