//! Which connections the stack needs between its parts, and whether the security groups let them
//! through. A connection needs both ends: the rule out of one group and the rule into the other.

use aws_sdk_ec2::types::SecurityGroupRule;
use ipnet::Ipv4Net;

use super::{Chart, Subject};

/// The ids of the three groups.
pub(super) struct Groups<'a> {
    pub(super) load_balancer: &'a str,
    pub(super) tasks: &'a str,
    pub(super) database: &'a str,
}

/// One rule that must be there.
struct Needed<'a> {
    group: &'a str,
    egress: bool,
    port: u16,
    /// The other group; none is everybody.
    peer: Option<&'a str>,
    what: String,
}

/// Judges the rules of the three groups.
pub(super) fn check(
    groups: &Groups<'_>,
    rules: &[SecurityGroupRule],
    subject: &Subject,
    chart: &mut Chart,
) {
    let (app, db) = (subject.app_port, subject.db_port);
    let rule = |group, egress, port, peer, what: String| Needed {
        group,
        egress,
        port,
        peer,
        what,
    };
    let (balancer, tasks, database) = (groups.load_balancer, groups.tasks, groups.database);
    let entry = if subject.has_tls { 443 } else { 80 };
    let needed = [
        rule(
            balancer,
            false,
            entry,
            None,
            format!("the load balancer does not take requests on port {entry}"),
        ),
        rule(
            balancer,
            true,
            app,
            Some(tasks),
            format!("the load balancer may not send to the tasks' port {app}"),
        ),
        rule(
            tasks,
            false,
            app,
            Some(balancer),
            format!("the tasks do not take requests of the load balancer on port {app}"),
        ),
        rule(
            tasks,
            true,
            443,
            None,
            "the tasks may not reach AWS and others over HTTPS".to_owned(),
        ),
        rule(
            tasks,
            true,
            db,
            Some(database),
            format!("the tasks may not reach the database's port {db}"),
        ),
        rule(
            database,
            false,
            db,
            Some(tasks),
            format!("the database does not take connections of the tasks on port {db}"),
        ),
    ];
    let mut all_there = true;
    for needed in needed {
        if rules
            .iter()
            .any(|rule| needed.is_met_by(rule, subject.network))
        {
            continue;
        }
        all_there = false;
        let way = if needed.egress { "outbound" } else { "inbound" };
        let peer = needed.peer.unwrap_or("anywhere");
        chart
            .problem(needed.what)
            .shown_by([format!(
                "security group {} has no {way} rule for tcp {} and {peer}",
                needed.group, needed.port
            )])
            .mended_by("orderctl up");
    }
    if all_there {
        chart.fine("the security groups let through what must pass");
    }
}

impl Needed<'_> {
    fn is_met_by(&self, rule: &SecurityGroupRule, network: Ipv4Net) -> bool {
        let is_protocol = matches!(rule.ip_protocol(), Some("-1" | "tcp" | "6"));
        // All protocols are all ports, which AWS writes as -1.
        let (from, to) = match (rule.from_port(), rule.to_port()) {
            (None | Some(-1), _) => (0, 65_535),
            (Some(from), to) => (from, to.unwrap_or(from)),
        };
        let port = i32::from(self.port);
        rule.group_id() == Some(self.group)
            && rule.is_egress() == Some(self.egress)
            && is_protocol
            && (from..=to).contains(&port)
            && self.is_peer(rule, network)
    }

    /// The other group, or addresses that include it. Who may reach the load balancer, and what the
    /// tasks, may have been narrowed by hand: whoever did so decided it, and `plan` shows it.
    fn is_peer(&self, rule: &SecurityGroupRule, network: Ipv4Net) -> bool {
        let cidr = rule
            .cidr_ipv4()
            .and_then(|cidr| cidr.parse::<Ipv4Net>().ok());
        match self.peer {
            None => cidr.is_some() || rule.prefix_list_id().is_some(),
            Some(peer) => {
                let group = rule.referenced_group_info().and_then(|it| it.group_id());
                group == Some(peer) || cidr.is_some_and(|cidr| cidr.contains(&network))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::ReferencedSecurityGroup;

    use super::super::Finding;
    use super::super::testing::{found, is_fine, only_bad, subject};
    use super::*;

    const GROUPS: Groups<'static> = Groups {
        load_balancer: "sg-alb",
        tasks: "sg-ecs",
        database: "sg-rds",
    };

    fn rule(group: &str, egress: bool, port: i32, peer: &str) -> SecurityGroupRule {
        let rule = SecurityGroupRule::builder()
            .group_id(group)
            .is_egress(egress)
            .ip_protocol("tcp")
            .from_port(port)
            .to_port(port);
        match peer.starts_with("sg-") {
            true => rule
                .referenced_group_info(ReferencedSecurityGroup::builder().group_id(peer).build()),
            false => rule.cidr_ipv4(peer),
        }
        .build()
    }

    fn declared() -> Vec<SecurityGroupRule> {
        vec![
            rule("sg-alb", false, 443, "0.0.0.0/0"),
            rule("sg-alb", true, 8080, "sg-ecs"),
            rule("sg-ecs", false, 8080, "sg-alb"),
            rule("sg-ecs", true, 443, "0.0.0.0/0"),
            rule("sg-ecs", true, 3306, "sg-rds"),
            rule("sg-rds", false, 3306, "sg-ecs"),
        ]
    }

    async fn checked(rules: &[SecurityGroupRule]) -> Vec<Finding> {
        found(async |chart: &mut Chart| {
            check(&GROUPS, rules, &subject(), chart);
            Ok(())
        })
        .await
    }

    #[tokio::test]
    async fn each_rule_is_missed_on_its_own() {
        is_fine(&checked(&declared()).await);
        for missing in 0..declared().len() {
            let mut rules = declared();
            let gone = rules.remove(missing);
            let all = checked(&rules).await;
            let finding = only_bad(&all);
            assert!(finding.is_problem());
            let group = gone.group_id().unwrap();
            assert!(finding.evidence[0].contains(group), "{finding:?}");
            assert_eq!(finding.fix.as_deref(), Some("orderctl up"));
        }
    }

    #[tokio::test]
    async fn a_wider_rule_will_do_and_one_of_another_direction_will_not() {
        let everything = SecurityGroupRule::builder()
            .group_id("sg-ecs")
            .is_egress(true)
            .ip_protocol("-1")
            .from_port(-1)
            .to_port(-1)
            .cidr_ipv4("0.0.0.0/0");
        let mut rules = declared();
        rules.retain(|rule| rule.group_id() != Some("sg-ecs") || rule.is_egress() == Some(false));
        rules.push(everything.clone().build());
        is_fine(&checked(&rules).await);
        rules.pop();
        rules.push(everything.is_egress(false).build());
        let bad = checked(&rules)
            .await
            .into_iter()
            .filter(Finding::is_problem);
        assert_eq!(bad.count(), 2);
    }
}
