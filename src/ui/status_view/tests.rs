use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::resource::{Class, Error};
use crate::service::deployments::Waiting;
use crate::status::{Database, Member, Reason, Requests, Service, Tasks};

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

fn part(name: &str) -> String {
    format!("arn:{name}")
}

fn image(revision: u32, name: &str, digest: &str, tasks: u32) -> RunningImage {
    RunningImage {
        revision: format!("order-api-dev:{revision}"),
        image: format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/order-api-dev{name}"),
        digest: Some(digest.to_owned()),
        tasks,
    }
}

fn alarm(name: &str, state: &str, reason: &str) -> Alarm {
    Alarm {
        name: name.to_owned(),
        state: Some(state.to_owned()),
        since: time("2026-11-26T01:10:00Z"),
        reason: reason.to_owned(),
    }
}

/// In the middle of a release that does not go well.
fn releasing() -> Snapshot {
    let members = [
        ("order-api-dev-1", Role::Writer, "available", "us-east-1a"),
        ("order-api-dev-2", Role::Reader, "available", "us-east-1b"),
        ("order-api-dev-3", Role::Reader, "rebooting", "us-east-1c"),
    ];
    let members = members.map(|(name, role, status, zone)| Member {
        identifier: name.to_owned(),
        role: Some(role),
        status: status.to_owned(),
        zone: zone.to_owned(),
        class: "db.r6g.large".to_owned(),
    });
    let shares = |blue, green| BTreeMap::from([(part("blue"), blue), (part("green"), green)]);
    Snapshot {
        stack: "dev".to_owned(),
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        at: "2026-11-26T01:14:47Z".parse().unwrap(),
        service: Part::Read(Service {
            status: "ACTIVE".to_owned(),
            desired: 3,
            running: 5,
            pending: 1,
            revision: "order-api-dev:8".to_owned(),
            has_image: None,
        }),
        tasks: Part::Read(Tasks {
            by_provider: BTreeMap::from([
                ("FARGATE".to_owned(), 2),
                ("FARGATE_SPOT".to_owned(), 3),
            ]),
            images: vec![
                image(
                    8,
                    "@sha256:1a2b3c4d5e6f708192a3",
                    "sha256:1a2b3c4d5e6f708192a3",
                    2,
                ),
                image(7, ":v1.4.1", "sha256:ffeeddccbbaa99887766", 3),
            ],
        }),
        weights: Part::Read(Weights {
            production: shares(90.0, 10.0),
            test: shares(0.0, 100.0),
        }),
        colours: [
            Colour {
                name: "blue",
                targets: Part::Read(Targets {
                    group: part("blue"),
                    healthy: 3,
                    ..Targets::default()
                }),
            },
            Colour {
                name: "green",
                targets: Part::Read(Targets {
                    group: part("green"),
                    unhealthy: 2,
                    initial: 1,
                    reason: Some(Reason {
                        code: "Target.ResponseCodeMismatch".to_owned(),
                        description: "Health checks failed with these codes: [503]".to_owned(),
                        targets: 2,
                    }),
                    ..Targets::default()
                }),
            },
        ],
        deployment: Part::Read(Deployment {
            status: "IN_PROGRESS".to_owned(),
            stage: Some("POST_TEST_TRAFFIC_SHIFT".to_owned()),
            started: time("2026-11-26T01:02:47Z"),
            changed: time("2026-11-26T01:14:07Z"),
            waiting: vec![Waiting {
                hook: "hook-1".to_owned(),
                is_pause: true,
                until: time("2026-11-26T02:00:00Z"),
                then: Some("ROLLBACK".to_owned()),
            }],
            ..Deployment::default()
        }),
        release: Part::Read(Release {
            revision: "order-api-dev:8".to_owned(),
            image: Some("v1.4.2".to_owned()),
            digest: Some("sha256:1a2b3c4d5e6f708192a3".to_owned()),
            by: Some("ci/ann".to_owned()),
            began: time("2026-11-26T01:02:47Z"),
            ended: None,
            status: "IN_PROGRESS".to_owned(),
        }),
        alarms: Part::Read(vec![
            alarm(
                "order-api-high-errors-dev",
                "ALARM",
                "Threshold Crossed: 27 > 10",
            ),
            alarm("order-api-db-failures-dev", "OK", "not shown"),
        ]),
        database: Part::Read(Database {
            identifier: "order-api-dev".to_owned(),
            status: "available".to_owned(),
            engine_version: "8.0.mysql_aurora.3.08.2".to_owned(),
            members: members.to_vec(),
        }),
        requests: Part::Read(Requests {
            blocked: 12,
            allowed: 4031,
        }),
    }
}

/// Half made, by somebody who may not see all of it.
fn half_made() -> Snapshot {
    let denied = Error::new("rds:DescribeDBClusters", Class::Denied, "not you")
        .with_code("AccessDenied")
        .with_advice("check the permission");
    let colour = |name, targets| Colour { name, targets };
    Snapshot {
        service: Part::Absent,
        tasks: Part::Absent,
        weights: Part::Absent,
        colours: [
            colour(
                "blue",
                Part::Read(Targets {
                    group: part("blue"),
                    ..Targets::default()
                }),
            ),
            colour("green", Part::Absent),
        ],
        deployment: Part::Absent,
        release: Part::Absent,
        alarms: Part::Absent,
        database: Part::Unreadable(denied),
        requests: Part::Absent,
        ..releasing()
    }
}

fn parked() -> Snapshot {
    let mut snapshot = half_made();
    snapshot.service = Part::Read(Service {
        status: "ACTIVE".to_owned(),
        desired: 0,
        running: 0,
        pending: 0,
        revision: "order-api-dev:1".to_owned(),
        has_image: Some(false),
    });
    snapshot.tasks = Part::Read(Tasks::default());
    snapshot
}

#[test]
fn a_release_under_way_fits_on_one_screen() {
    let text = render(&releasing(), &Style::PLAIN, Some(80));
    insta::assert_snapshot!(text);
    assert!(text.lines().count() <= 24, "{} lines", text.lines().count());
    assert!(text.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn what_is_not_there_and_what_cannot_be_read_hide_nothing_else() {
    insta::assert_snapshot!(render(&half_made(), &Style::PLAIN, None));
}

#[test]
fn a_parked_service_says_how_it_starts() {
    let text = render(&parked(), &Style::PLAIN, None);
    let line = text.lines().find(|line| line.starts_with("service"));
    assert_eq!(
        line.unwrap(),
        "service     parked; no image yet: `orderctl push IMAGE`, then `orderctl deploy`"
    );
    let mut draining = parked();
    if let Part::Read(service) = &mut draining.service {
        service.status = "DRAINING".to_owned();
    }
    assert!(
        render(&draining, &Style::PLAIN, None).contains("service     draining, 0 tasks running")
    );
}

#[test]
fn an_ended_deployment_tells_why_it_was_rolled_back() {
    let mut snapshot = releasing();
    if let Part::Read(deployment) = &mut snapshot.deployment {
        deployment.status = "ROLLBACK_SUCCESSFUL".to_owned();
        deployment.finished = time("2026-11-26T01:14:00Z");
        deployment.reason = Some("Service deployment rolled back because of an alarm".to_owned());
        deployment.waiting.clear();
    }
    let text = render(&snapshot, &Style::PLAIN, None);
    let expected = "deployment  none under way; the last ended 47 s ago: rollback successful\n            \
                    Service deployment rolled back because of an alarm\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn colours_add_nothing_but_colour() {
    let coloured = render(&releasing(), &Style { colour: true }, Some(80));
    assert!(coloured.contains('\u{1b}'));
    let plain = render(&releasing(), &Style::PLAIN, Some(80));
    assert_eq!(super::super::style::without_colours(&coloured), plain);
}

#[test]
fn programs_get_every_part_and_the_names_of_the_gaps() {
    let json = serde_json::to_string_pretty(&to_json(&releasing())).unwrap();
    insta::assert_snapshot!(json);
    let gaps = to_json(&half_made());
    assert_eq!(gaps["service"], Value::Null);
    assert_eq!(gaps["colours"][1]["targets"], Value::Null);
    let absent = [
        "service",
        "tasks",
        "weights",
        "green",
        "deployment",
        "release",
        "alarms",
        "waf",
    ];
    assert_eq!(gaps["absent"], json!(absent));
    assert_eq!(
        gaps["unreadable"],
        json!([{
            "part": "database",
            "error": "rds:DescribeDBClusters: AccessDenied: not you",
            "advice": "check the permission",
        }])
    );
}
