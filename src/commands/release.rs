//! What `deploy` and `rollback` have in common: the service they work on, the deployment they begin,
//! and what is put in order when it has ended.

use std::time::Duration;

use super::CommandError;
use super::interrupt::INTERRUPTED;
use super::session::Session;
use super::traffic::declared;
use crate::engine::{Stop, settle, until_taken};
use crate::rollout::start;
use crate::service::ServiceName;
use crate::service::deployments::Deployment;
use crate::ui::Printer;

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

/// ECS lists a new deployment a moment after it was asked for.
pub(super) async fn await_deployment(
    session: &Session,
    name: &ServiceName,
    former: Option<&str>,
) -> Result<Deployment, CommandError> {
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
pub(super) async fn restore(session: &Session, name: &ServiceName, stop: &Stop, printer: &Printer) {
    let config = &session.local.settings.config.deploy;
    let (strategy, minutes) = (declared(config), config.bake_minutes);
    let aws = &session.aws;
    let put_back = async || {
        let before = start::before(aws, name).await?;
        let Some(before) = before.filter(|it| !it.is_configured(strategy, minutes)) else {
            return Ok(());
        };
        start::restore(aws, name, strategy, minutes, &before.alarms).await
    };
    let why = match until_taken(stop, put_back).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_stopped) => "interrupted".to_owned(),
    };
    printer.warn(format!(
        "the service keeps the strategy of this release until the next `orderctl up`: {why}"
    ));
}

/// The first release that went well wakes the scaling of a parked service.
pub(super) async fn wake(
    session: &Session,
    name: &ServiceName,
    stop: &Stop,
    printer: &Printer,
) -> Result<(), CommandError> {
    let scaling = &session.local.settings.config.scaling;
    let (min, max) = (scaling.min, scaling.max);
    let wake = async || start::wake_scaling(&session.aws, name, min, max).await;
    let woken = until_taken(stop, wake).await;
    let asleep = |_stopped| CommandError::Message {
        exit: INTERRUPTED,
        message: "interrupted; the release is out, and its scaling does not work yet".to_owned(),
        hints: vec!["`orderctl deploy --resume` puts that in order".to_owned()],
    };
    if woken.map_err(asleep)?? {
        printer.note(format!(
            "its scaling works from now on: {min} to {max} tasks"
        ));
    }
    Ok(())
}
