//! Why tasks stop: what AWS's words mean, and what mends it. Nothing of this is an API error, so a
//! stopped task's reason is where it can be read (field guide, sections 3 and 4).

use aws_sdk_ecs::types::{Container, Task, TaskStopCode};

use super::Subject;

/// What became of a task that did not stop in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Diagnosis {
    /// What happened, in one line; the same for tasks that stopped for the same reason.
    pub(super) title: String,
    /// What mends it.
    pub(super) fix: String,
    /// Whether what the container wrote last tells more.
    pub(super) has_log: bool,
    /// Whether it is nobody's fault, and its service starts another one.
    pub(super) is_expected: bool,
}

/// Words of a `stoppedReason` (all of them must occur, in lower case), what they mean, and the fix.
struct Meaning {
    words: &'static [&'static str],
    title: &'static str,
    fix: &'static str,
}

const PUSH: &str = "`orderctl push IMAGE`, or `orderctl deploy TAG` with a tag that is there";
const BUILD: &str = "build the image for the architecture of `service.architecture` (`docker build --platform …`), then `orderctl push IMAGE`";
const UP: &str = "`orderctl up`, which puts back what is missing";
const WAY_OUT: &str =
    "see what is found about the network; `orderctl up` puts routes, NAT gateways and rules back";

/// The first that fits counts, so the particular come before the general.
const MEANINGS: &[Meaning] = &[
    Meaning {
        words: &["cannotpullcontainererror", "descriptor matching platform"],
        title: "the image is not built for the architecture of the task definition",
        fix: BUILD,
    },
    Meaning {
        words: &["cannotpullcontainererror", "no matching manifest"],
        title: "the image is not built for the architecture of the task definition",
        fix: BUILD,
    },
    Meaning {
        words: &["cannotpullcontainererror", "not found"],
        title: "the image is not in its repository",
        fix: PUSH,
    },
    Meaning {
        words: &["cannotpullcontainererror", "manifest unknown"],
        title: "the image is not in its repository",
        fix: PUSH,
    },
    Meaning {
        words: &["cannotpullcontainererror", "timeout"],
        title: "the image registry cannot be reached",
        fix: WAY_OUT,
    },
    Meaning {
        words: &["cannotpullcontainererror", "deadline exceeded"],
        title: "the image registry cannot be reached",
        fix: WAY_OUT,
    },
    Meaning {
        words: &["cannotpullcontainererror", "403"],
        title: "the execution role may not pull the image",
        fix: UP,
    },
    Meaning {
        words: &["cannotpullcontainererror", "not authorized"],
        title: "the execution role may not pull the image",
        fix: UP,
    },
    Meaning {
        words: &["cannotpullcontainererror", "no space left"],
        title: "the image is larger than the task's storage",
        fix: "make the image smaller, then `orderctl push IMAGE`",
    },
    Meaning {
        words: &["cannotpullcontainererror"],
        title: "the image cannot be pulled",
        fix: PUSH,
    },
    Meaning {
        words: &["resourceinitializationerror", "accessdenied"],
        title: "the execution role may not read what the task needs to start",
        fix: UP,
    },
    Meaning {
        words: &["resourceinitializationerror", "not authorized"],
        title: "the execution role may not read what the task needs to start",
        fix: UP,
    },
    Meaning {
        words: &["resourceinitializationerror", "did not contain json key"],
        title: "the secret lacks the key that the task definition names",
        fix: "put the key into the secret (`aws secretsmanager put-secret-value`), or register a revision without it (`orderctl deploy`)",
    },
    Meaning {
        words: &["resourceinitializationerror", "secret", "resourcenotfound"],
        title: "a secret that the task definition names does not exist",
        fix: UP,
    },
    Meaning {
        words: &["resourceinitializationerror", "invalid ssm parameters"],
        title: "a parameter that the task definition names does not exist",
        fix: UP,
    },
    Meaning {
        words: &["resourceinitializationerror", "log group does not exist"],
        title: "the log group of the containers does not exist",
        fix: UP,
    },
    Meaning {
        words: &["resourceinitializationerror", "timeout"],
        title: "the task cannot reach the AWS services it needs to start",
        fix: WAY_OUT,
    },
    Meaning {
        words: &["resourceinitializationerror", "deadline exceeded"],
        title: "the task cannot reach the AWS services it needs to start",
        fix: WAY_OUT,
    },
    Meaning {
        words: &["resourceinitializationerror", "send request failed"],
        title: "the task cannot reach the AWS services it needs to start",
        fix: WAY_OUT,
    },
    Meaning {
        words: &["resourceinitializationerror"],
        title: "what the task needs to start could not be prepared",
        fix: WAY_OUT,
    },
    Meaning {
        words: &["unable to assume the role"],
        title: "ECS may not use the task's roles",
        fix: UP,
    },
    Meaning {
        words: &["failed elb health checks"],
        title: "the load balancer finds the tasks unhealthy",
        fix: "`orderctl logs` shows what they say; they must answer 200 on /health",
    },
    Meaning {
        words: &["failed container health checks"],
        title: "the container's own health check fails",
        fix: "`orderctl logs` shows what it says; the image must contain curl and answer 200 on /health",
    },
    Meaning {
        words: &["cannotstartcontainererror"],
        title: "the container cannot be started",
        fix: "look at the image's entry point and command, then `orderctl push IMAGE`",
    },
    Meaning {
        words: &["capacity is unavailable"],
        title: CAPACITY,
        fix: CAPACITY_FIX,
    },
    Meaning {
        words: &["limit on the number of vcpus"],
        title: VCPU_LIMIT,
        fix: VCPU_FIX,
    },
    Meaning {
        words: &["timeout waiting for network interface"],
        title: "AWS could not give the task a network interface",
        fix: "wait: ECS starts another task; if it lasts, look at the free addresses of the private subnets",
    },
];

const CAPACITY: &str = "AWS has no Fargate capacity left for the tasks";
const CAPACITY_FIX: &str = "wait, or shift the weights of `service.on_demand_weight` and `service.spot_weight` in orderctl.toml, then `orderctl up`";
const VCPU_LIMIT: &str = "the account's limit of Fargate vCPUs is reached";
const VCPU_FIX: &str = "`aws service-quotas request-service-quota-increase --service-code fargate --quota-code L-3032A538 --desired-value N` (Spot: L-36FBB829)";

/// Says what kept a stopped task from running on; nothing if it stopped in order: it was scaled in,
/// replaced, or stopped by somebody.
pub(super) fn diagnose(task: &Task, subject: &Subject) -> Option<Diagnosis> {
    let reason = task.stopped_reason().unwrap_or_default();
    if task.stop_code() == Some(&TaskStopCode::SpotInterruption)
        || reason.contains("Spot Task was interrupted")
    {
        return Some(Diagnosis {
            title: "Fargate Spot took tasks back".to_owned(),
            fix: "none needed: the service starts others; if it is too often, raise `service.on_demand_weight`, then `orderctl up`".to_owned(),
            has_log: false,
            is_expected: true,
        });
    }
    if let Some(out_of_memory) = out_of_memory(task) {
        return Some(out_of_memory);
    }
    let told: String = std::iter::once(reason)
        .chain(task.containers().iter().filter_map(Container::reason))
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    let fits = |meaning: &&Meaning| meaning.words.iter().all(|word| told.contains(word));
    if let Some(meaning) = MEANINGS.iter().find(fits) {
        return Some(Diagnosis {
            title: meaning.title.to_owned(),
            fix: meaning.fix.to_owned(),
            has_log: told.contains("health checks"),
            is_expected: false,
        });
    }
    match task.stop_code() {
        Some(TaskStopCode::EssentialContainerExited) => Some(exited(task, subject)),
        Some(TaskStopCode::TaskFailedToStart) => Some(Diagnosis {
            title: "tasks fail to start".to_owned(),
            fix: "see AWS's reason above".to_owned(),
            has_log: false,
            is_expected: false,
        }),
        Some(TaskStopCode::TerminationNotice | TaskStopCode::InfrastructureHealth) => {
            Some(Diagnosis {
                title: "AWS retired tasks for the sake of its platform".to_owned(),
                fix: "none needed: the service starts others".to_owned(),
                has_log: false,
                is_expected: true,
            })
        }
        _ => None,
    }
}

/// Fargate says so in the container's reason; the exit code alone is the kernel's SIGKILL, which is
/// ECS's own last word too when it stops a task.
fn out_of_memory(task: &Task) -> Option<Diagnosis> {
    let mut containers = task.containers().iter();
    let is_killed = task.stop_code() == Some(&TaskStopCode::EssentialContainerExited);
    let container = containers.find(|container| {
        let told = container.reason().unwrap_or_default();
        told.contains("OutOfMemory") || (is_killed && container.exit_code() == Some(137))
    })?;
    let name = container.name().unwrap_or("a container");
    Some(Diagnosis {
        title: format!("container {name} ran out of memory"),
        fix: "raise `service.memory` in orderctl.toml, then `orderctl up`".to_owned(),
        has_log: true,
        is_expected: false,
    })
}

fn exited(task: &Task, subject: &Subject) -> Diagnosis {
    let containers = task.containers();
    let failed = |container: &&Container| container.exit_code().is_some_and(|code| code != 0);
    let ours = |container: &&Container| container.name() == Some(&subject.container);
    let culprit = containers.iter().find(failed);
    let culprit = culprit.or_else(|| containers.iter().find(ours));
    let name = culprit.and_then(Container::name).unwrap_or("a container");
    let code = culprit.and_then(Container::exit_code);
    let how = match code {
        Some(0) => "ends by itself, with code 0".to_owned(),
        Some(139) => "crashes with code 139 (segmentation fault)".to_owned(),
        Some(code) => format!("exits with code {code}"),
        None => "ends".to_owned(),
    };
    Diagnosis {
        title: format!("container {name} {how}"),
        fix: "`orderctl logs` shows what it says; after a release, `orderctl rollback` brings the former one back".to_owned(),
        has_log: true,
        is_expected: false,
    }
}

/// What a service event says went wrong, with the fix; nothing for events of everyday.
pub(super) fn trouble_in_event(message: &str) -> Option<(&'static str, &'static str)> {
    let told = message.to_lowercase();
    if told.contains("capacity is unavailable") {
        Some((CAPACITY, CAPACITY_FIX))
    } else if told.contains("limit on the number of vcpus") {
        Some((VCPU_LIMIT, VCPU_FIX))
    } else if told.contains("unable to assume") {
        Some(("ECS may not use a role of the service", UP))
    } else if told.contains("unable to place a task") || told.contains("unable to start a task") {
        Some(("ECS cannot place tasks", "see AWS's reason above"))
    } else if told.contains("unable to consistently start tasks") {
        Some(("ECS cannot start tasks that stay", "see why they stop"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::subject;
    use super::*;

    fn task(code: TaskStopCode, reason: &str) -> aws_sdk_ecs::types::builders::TaskBuilder {
        Task::builder().stop_code(code).stopped_reason(reason)
    }

    fn container(code: Option<i32>, reason: Option<&str>) -> Container {
        Container::builder()
            .name("order-api")
            .set_exit_code(code)
            .set_reason(reason.map(str::to_owned))
            .build()
    }

    fn title(task: &Task) -> String {
        diagnose(task, &subject()).map_or_else(String::new, |found| found.title)
    }

    #[test]
    fn the_words_of_aws_are_understood() {
        let failed = TaskStopCode::TaskFailedToStart;
        for (reason, expected) in [
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref x:latest: not found",
                "the image is not in its repository",
            ),
            (
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
                "the image is not built for the architecture of the task definition",
            ),
            (
                "CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp 10.0.0.1:443: i/o timeout",
                "the image registry cannot be reached",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: AccessDeniedException: User is not authorized",
                "the execution role may not read what the task needs to start",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: dial tcp 1.2.3.4:443: i/o timeout",
                "the task cannot reach the AWS services it needs to start",
            ),
            (
                "ResourceInitializationError: failed to fetch secret arn from secrets manager: ResourceNotFoundException: Secrets Manager can't find it",
                "a secret that the task definition names does not exist",
            ),
            (
                "ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided for this task.",
                "ECS may not use the task's roles",
            ),
            ("Something new", "tasks fail to start"),
        ] {
            assert_eq!(title(&task(failed.clone(), reason).build()), expected);
        }
    }

    #[test]
    fn exits_are_told_by_container_and_code() {
        let ended = |code, reason| {
            let reason: Option<&str> = reason;
            task(
                TaskStopCode::EssentialContainerExited,
                "Essential container in task exited",
            )
            .containers(container(code, reason))
            .build()
        };
        let memory = "OutOfMemoryError: Container killed due to memory usage";
        for (task, expected) in [
            (
                ended(Some(1), None),
                "container order-api exits with code 1",
            ),
            (
                ended(Some(0), None),
                "container order-api ends by itself, with code 0",
            ),
            (
                ended(Some(137), Some(memory)),
                "container order-api ran out of memory",
            ),
            (
                ended(Some(137), None),
                "container order-api ran out of memory",
            ),
        ] {
            assert_eq!(title(&task), expected);
        }
    }

    #[test]
    fn what_stops_in_order_is_no_finding_and_spot_is_nobodys_fault() {
        let scheduler = TaskStopCode::ServiceSchedulerInitiated;
        let scaled_in = task(
            scheduler.clone(),
            "Scaling activity initiated by (deployment ecs-svc/1)",
        )
        // ECS kills what does not end in time.
        .containers(container(Some(137), None));
        assert_eq!(title(&scaled_in.build()), "");
        let by_hand = task(TaskStopCode::UserInitiated, "Task stopped by user");
        assert_eq!(title(&by_hand.build()), "");
        let unhealthy = task(
            scheduler,
            "Task failed ELB health checks in (target-group arn:x)",
        );
        assert_eq!(
            title(&unhealthy.build()),
            "the load balancer finds the tasks unhealthy"
        );
        let spot = task(
            TaskStopCode::SpotInterruption,
            "Your Spot Task was interrupted.",
        );
        assert!(diagnose(&spot.build(), &subject()).unwrap().is_expected);
    }

    #[test]
    fn an_event_of_everyday_is_no_trouble() {
        let full = "(service order-api-dev) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.";
        assert_eq!(trouble_in_event(full).unwrap().0, CAPACITY);
        let everyday = "(service order-api-dev) has reached a steady state.";
        assert_eq!(trouble_in_event(everyday), None);
    }
}
