//! A snapshot as a program reads it.

use serde_json::{Value, json};

use super::super::text::clean;
use super::{role, shares};
use crate::service::deployments::Deployment;
use crate::status::{Alarm, Colour, Part, Snapshot, WINDOW_MINUTES, Weights};

/// The same for programs, as one object. What does not exist or could not be read is null, and named
/// in `absent` or `unreadable`. Times are RFC 3339, UTC; AWS's words stand as AWS writes them.
///
/// | field | what it holds |
/// |---|---|
/// | `type`, `version`, `at` | `status`; see [`super::super::json::VERSION`]; when it was read |
/// | `stack`, `region`, `account` | the stack |
/// | `service` | `status`, `desired`, `running`, `pending`, `revision`, `parked`, `repositoryHoldsImage` (null unless no task is wanted) |
/// | `tasks` | `running`, `onSpot`, `byCapacityProvider`, and `images`: `revision`, `image`, `digest`, `tasks` of each |
/// | `colours` | of blue and of green: `colour`, `targetGroup`, `productionPercent`, `testPercent`, `targets` (`healthy`, `unhealthy`, `initial`, `draining`, `other`), `reason` (`code`, `description`, `targets`) |
/// | `deployment` | the newest: `status`, `underWay`, `stage`, `began`, `changed`, `ended`, `reason`, `awaiting` (`hook`, `until`, `then`) |
/// | `release` | the last: `revision`, `image`, `digest`, `by`, `began`, `ended`, `status` |
/// | `alarms` | of each: `name`, `state` (null if there is none), `since`, `reason` |
/// | `database` | `identifier`, `status`, `engineVersion`, `members`: `identifier`, `role` (`writer`, `reader`, null if it is no member yet), `status`, `zone`, `class` |
/// | `waf` | requests `blocked` and `allowed` in the last `minutes` |
/// | `absent` | the parts that do not exist: `service`, `tasks`, `weights`, `blue`, `green`, `deployment`, `release`, `alarms`, `database`, `waf` |
/// | `unreadable` | of each part that could not be read: `part`, `error`, `advice` |
pub fn to_json(snapshot: &Snapshot) -> Value {
    let (absent, unreadable) = snapshot.gaps();
    let unreadable = unreadable.into_iter().map(|(part, error)| {
        json!({ "part": part, "error": clean(&error.to_string()), "advice": error.advice() })
    });
    let colours = snapshot.colours.iter();
    json!({
        "type": "status",
        "version": super::super::json::VERSION,
        "at": snapshot.at,
        "stack": snapshot.stack,
        "region": snapshot.region,
        "account": snapshot.account,
        "service": snapshot.service.value().map(|service| json!({
            "status": service.status,
            "desired": service.desired,
            "running": service.running,
            "pending": service.pending,
            "revision": service.revision,
            "parked": service.is_parked(),
            "repositoryHoldsImage": service.has_image,
        })),
        "tasks": snapshot.tasks.value().map(|tasks| json!({
            "running": tasks.running(),
            "onSpot": tasks.on_spot(),
            "byCapacityProvider": tasks.by_provider,
            "images": tasks.images.iter().map(|image| json!({
                "revision": image.revision,
                "image": image.image,
                "digest": image.digest,
                "tasks": image.tasks,
            })).collect::<Vec<_>>(),
        })),
        "colours": colours
            .map(|it| colour_json(it, &snapshot.weights))
            .collect::<Vec<_>>(),
        "deployment": snapshot.deployment.value().map(deployment_json),
        "release": snapshot.release.value().map(|release| json!({
            "revision": release.revision,
            "image": release.image,
            "digest": release.digest,
            "by": release.by,
            "began": release.began,
            "ended": release.ended,
            "status": release.status,
        })),
        "alarms": snapshot.alarms.value().map(|alarms| {
            let json = |alarm: &Alarm| json!({
                "name": alarm.name,
                "state": alarm.state,
                "since": alarm.since,
                "reason": alarm.reason,
            });
            alarms.iter().map(json).collect::<Vec<_>>()
        }),
        "database": snapshot.database.value().map(|database| json!({
            "identifier": database.identifier,
            "status": database.status,
            "engineVersion": database.engine_version,
            "members": database.members.iter().map(|member| json!({
                "identifier": member.identifier,
                "role": member.role.map(role),
                "status": member.status,
                "zone": member.zone,
                "class": member.class,
            })).collect::<Vec<_>>(),
        })),
        "waf": snapshot.requests.value().map(|requests| json!({
            "blocked": requests.blocked,
            "allowed": requests.allowed,
            "minutes": WINDOW_MINUTES,
        })),
        "absent": absent,
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}

fn colour_json(colour: &Colour, weights: &Part<Weights>) -> Value {
    let targets = colour.targets.value();
    let (production, test) = targets.map_or((None, None), |it| shares(weights, &it.group));
    let reason = targets.and_then(|targets| targets.reason.as_ref());
    json!({
        "colour": colour.name,
        "targetGroup": targets.map(|targets| &targets.group),
        "productionPercent": production,
        "testPercent": test,
        "targets": targets.map(|targets| json!({
            "healthy": targets.healthy,
            "unhealthy": targets.unhealthy,
            "initial": targets.initial,
            "draining": targets.draining,
            "other": targets.other,
        })),
        "reason": reason.map(|reason| json!({
            "code": reason.code,
            "description": reason.description,
            "targets": reason.targets,
        })),
    })
}

fn deployment_json(deployment: &Deployment) -> Value {
    let awaiting = deployment.waiting.iter().map(
        |waiting| json!({ "hook": waiting.hook, "until": waiting.until, "then": waiting.then }),
    );
    json!({
        "status": deployment.status,
        "underWay": deployment.is_under_way(),
        "stage": deployment.stage,
        "began": deployment.began(),
        "changed": deployment.changed,
        "ended": deployment.finished,
        "reason": deployment.why(),
        "awaiting": awaiting.collect::<Vec<_>>(),
    })
}
