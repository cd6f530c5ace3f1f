//! The names by which the running stack is addressed. They follow from the suffix alone, so that
//! commands find what runs without a state.

use crate::config::Suffix;

/// The container that takes the traffic.
pub const CONTAINER: &str = "order-api";
/// What the names of the containers' log streams begin with.
pub const LOG_STREAM_PREFIX: &str = "ecs";

/// Names of the stack's parts in AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(String);

impl Names {
    /// The names of the stack with this suffix.
    pub fn of(suffix: &Suffix) -> Self {
        Self(suffix.as_str().to_owned())
    }

    fn name(&self, base: &str) -> String {
        format!("{base}-{}", self.0)
    }

    /// The ECS cluster.
    pub fn cluster(&self) -> String {
        self.name("order-api")
    }

    /// The ECS service.
    pub fn service(&self) -> String {
        self.name("order-api")
    }

    /// The family of its task definitions.
    pub fn family(&self) -> String {
        self.name("order-api")
    }

    /// The ECR repository that holds its images.
    pub fn repository(&self) -> String {
        self.name("order-api")
    }

    /// The log group its containers write to.
    pub fn log_group(&self) -> String {
        format!("/ecs/{}", self.name("order-api"))
    }

    /// The load balancer.
    pub fn load_balancer(&self) -> String {
        self.name("order-api")
    }

    /// The target group of the first colour.
    pub fn blue(&self) -> String {
        self.name("order-blue")
    }

    /// The target group of the other colour.
    pub fn green(&self) -> String {
        self.name("order-green")
    }

    /// The web ACL in front of the load balancer.
    pub fn web_acl(&self) -> String {
        self.name("order-api-waf")
    }

    /// The Aurora cluster.
    pub fn db_cluster(&self) -> String {
        self.name("order-api")
    }

    /// The secret with the database user's credentials.
    pub fn db_secret(&self) -> String {
        self.name("order-api-db-password")
    }

    /// The role ECS starts tasks with.
    pub fn execution_role(&self) -> String {
        self.name("ecs-task-exec")
    }

    /// The role the application has.
    pub fn task_role(&self) -> String {
        self.name("ecs-task")
    }

    /// The role ECS shifts traffic with.
    pub fn load_balancer_role(&self) -> String {
        self.name("ecs-lb")
    }

    /// The alarm on the service's 5XX answers, which rolls releases back.
    pub fn high_errors_alarm(&self) -> String {
        self.name("order-api-high-errors")
    }

    /// The alarm on the database's connections.
    pub fn db_failures_alarm(&self) -> String {
        self.name("order-api-db-failures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::stack::{Facts, declare};

    #[test]
    fn they_are_the_declared_ones() {
        let suffix: Suffix = "dev".parse().unwrap();
        let facts = Facts {
            account: "123456789012".into(),
            availability_zones: ["a", "b", "c"].map(str::to_owned),
            has_image: true,
            running: None,
        };
        let declared = declare(&suffix, &Config::default(), &facts).unwrap();
        let name_of = |address: &str, field: &str| {
            let mut nodes = declared.nodes.iter();
            let node = nodes.find(|node| node.address.as_str() == address);
            node.unwrap().spec[field].clone()
        };
        let names = Names::of(&suffix);
        let pairs = [
            (names.cluster(), name_of("ecs-cluster", "name")),
            (names.service(), name_of("service", "name")),
            (names.family(), name_of("task-definition", "family")),
            (names.repository(), name_of("repository", "name")),
            (names.log_group(), name_of("service-log-group", "name")),
            (names.load_balancer(), name_of("load-balancer", "name")),
            (names.blue(), name_of("blue-target-group", "name")),
            (names.green(), name_of("green-target-group", "name")),
            (names.web_acl(), name_of("web-acl", "name")),
            (names.db_cluster(), name_of("db-cluster", "identifier")),
            (names.db_secret(), name_of("db-secret", "name")),
            (names.execution_role(), name_of("execution-role", "name")),
            (names.task_role(), name_of("task-role", "name")),
            (
                names.load_balancer_role(),
                name_of("load-balancer-role", "name"),
            ),
            (
                names.high_errors_alarm(),
                name_of("high-errors-alarm", "name"),
            ),
            (
                names.db_failures_alarm(),
                name_of("db-failures-alarm", "name"),
            ),
        ];
        for (ours, declared) in pairs {
            assert_eq!(declared, ours);
        }
    }
}
