//! The edge: load balancer with its two colours, listeners, certificate, and the web ACL before it.

use std::collections::BTreeSet;

use super::Stack;
use super::network::Network;
use super::security::{APP_PORT, Security};
use crate::config::{RuleMode, Tls};
use crate::kinds::acm::{
    Certificate, CertificateArn, CertificateSpec, CertificateValidation, CertificateValidationSpec,
    ImportedCertificate, ImportedCertificateSpec,
};
use crate::kinds::elbv2::{
    HealthCheck, Listener, ListenerAction, ListenerProtocol, ListenerRule, ListenerRuleSpec,
    ListenerSpec, LoadBalancer, LoadBalancerSpec, TargetGroup, TargetGroupSpec,
    WeightedTargetGroup,
};
use crate::kinds::route53::{Record, RecordKind, RecordSpec};
use crate::kinds::wafv2::{
    AclRule, DefaultAction, IpSet, IpSetSpec, ManagedRuleGroup, Mode, WebAcl, WebAclAssociation,
    WebAclAssociationSpec, WebAclSpec,
};
use crate::resource::{Declared, Handle, Input};

/// What other tiers build on.
pub(super) struct Edge {
    pub(super) load_balancer: Handle<LoadBalancer>,
    pub(super) blue: Handle<TargetGroup>,
    pub(super) green: Handle<TargetGroup>,
    /// The rule that sends the world's requests to the tasks.
    pub(super) production_rule: Handle<ListenerRule>,
    /// The rule that sends test requests to a release before the world sees it.
    pub(super) test_rule: Handle<ListenerRule>,
    pub(super) web_acl: Handle<WebAcl>,
}

pub(super) fn declare(stack: &mut Stack<'_>, network: &Network, security: &Security) -> Edge {
    let load_balancer = load_balancer(stack, network, security);
    let blue = target_group(stack, network, "blue");
    let green = target_group(stack, network, "green");
    let (production_rule, test_rule) = match stack.config.edge.tls {
        Tls::On => {
            let certificate = certificate(stack);
            let redirect = ListenerAction::RedirectToHttps { port: 443 };
            listener(stack, &load_balancer, "http-listener", 80, None, redirect);
            let secure = Some(&certificate);
            let https = listener(
                stack,
                &load_balancer,
                "https-listener",
                443,
                secure,
                not_found(),
            );
            let test_port = stack.config.edge.test_port;
            let test = listener(
                stack,
                &load_balancer,
                "test-listener",
                test_port,
                secure,
                not_found(),
            );
            (
                forward(stack, "production-rule", &https, &blue, &green),
                forward(stack, "test-rule", &test, &blue, &green),
            )
        }
        Tls::Off => {
            let http = listener(
                stack,
                &load_balancer,
                "http-listener",
                80,
                None,
                not_found(),
            );
            let port = stack.config.edge.test_port;
            let test = listener(
                stack,
                &load_balancer,
                "test-listener",
                port,
                None,
                not_found(),
            );
            (
                forward(stack, "http-production-rule", &http, &blue, &green),
                forward(stack, "test-rule", &test, &blue, &green),
            )
        }
    };
    alias_record(stack, &load_balancer);
    let web_acl = web_acl(stack, &load_balancer);
    Edge {
        load_balancer,
        blue,
        green,
        production_rule,
        test_rule,
        web_acl,
    }
}

fn load_balancer(
    stack: &mut Stack<'_>,
    network: &Network,
    security: &Security,
) -> Handle<LoadBalancer> {
    let role = stack.service_linked_role(
        "service-linked-role-elb",
        "elasticloadbalancing.amazonaws.com",
    );
    let name = stack.name("order-api");
    let spec = LoadBalancerSpec {
        vpc: network.vpc.id(),
        subnets: network.public_subnet_ids(),
        security_groups: vec![security.load_balancer.id()],
        http2: true,
        drop_invalid_header_fields: true,
        deletion_protection: stack.config.protect,
        tags: stack.tags("load-balancer", &name),
        name,
    };
    let load_balancer = stack.add("load-balancer", spec);
    stack.graph.after(&load_balancer, &role);
    // Without an attached internet gateway it stays `provisioning` for ever (field guide, 5).
    stack.graph.after(&load_balancer, &network.public_route);
    for association in &network.public_associations {
        stack.graph.after(&load_balancer, association);
    }
    load_balancer
}

fn target_group(stack: &mut Stack<'_>, network: &Network, colour: &str) -> Handle<TargetGroup> {
    let address = format!("{colour}-target-group");
    let name = stack.name(&format!("order-{colour}"));
    let spec = TargetGroupSpec {
        vpc: network.vpc.id(),
        port: APP_PORT,
        health_check: HealthCheck {
            path: "/health".to_owned(),
            matcher: "200".to_owned(),
            interval_seconds: 30,
            timeout_seconds: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 3,
        },
        deregistration_delay_seconds: 30,
        tags: stack.tags_with(&address, &name, "Deployment", colour),
        name,
    };
    stack.add(&address, spec)
}

/// The answer to paths that `edge.paths` does not name.
fn not_found() -> ListenerAction<Declared> {
    ListenerAction::FixedResponse {
        status_code: 404,
        content_type: "text/plain".to_owned(),
        body: "not found".to_owned(),
    }
}

fn listener(
    stack: &mut Stack<'_>,
    load_balancer: &Handle<LoadBalancer>,
    address: &str,
    port: u16,
    certificate: Option<&Input<CertificateArn>>,
    default_action: ListenerAction<Declared>,
) -> Handle<Listener> {
    let name = format!("order-api-{address}-{}", stack.suffix);
    let spec = ListenerSpec {
        load_balancer: load_balancer.arn(),
        port,
        protocol: match certificate {
            Some(_) => ListenerProtocol::Https,
            None => ListenerProtocol::Http,
        },
        certificates: certificate.into_iter().cloned().collect(),
        ssl_policy: match certificate {
            Some(_) => "ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned(),
            None => String::new(),
        },
        default_action,
        tags: stack.tags(address, &name),
    };
    stack.add(address, spec)
}

/// Sends `edge.paths` to the two colours. The weights belong to the releases from then on.
fn forward(
    stack: &mut Stack<'_>,
    address: &str,
    listener: &Handle<Listener>,
    blue: &Handle<TargetGroup>,
    green: &Handle<TargetGroup>,
) -> Handle<ListenerRule> {
    let name = format!("order-api-{address}-{}", stack.suffix);
    let spec = ListenerRuleSpec {
        listener: listener.arn(),
        priority: 10,
        path_patterns: stack.config.edge.paths.iter().cloned().collect(),
        target_groups: vec![
            WeightedTargetGroup {
                target_group: blue.arn(),
                weight: 100,
            },
            WeightedTargetGroup {
                target_group: green.arn(),
                weight: 0,
            },
        ],
        tags: stack.tags(address, &name),
    };
    stack.add(address, spec)
}

const SELF_SIGNED: &str = "self-signed-certificate";

/// The user's certificate, one that ACM issues for the domain, or a self-signed one.
fn certificate(stack: &mut Stack<'_>) -> Input<CertificateArn> {
    let edge = &stack.config.edge;
    if let Some(arn) = &edge.certificate_arn {
        return Input::Known(arn.as_str().into());
    }
    let name = stack.name("order-api");
    let (Some(domain), Some(zone_id)) = (edge.domain.clone(), edge.zone_id.clone()) else {
        let spec = ImportedCertificateSpec {
            common_name: format!("order-api-{}.internal", stack.suffix),
            renewal_due: false,
            tags: stack.tags(SELF_SIGNED, &name),
        };
        return stack.add::<ImportedCertificate>(SELF_SIGNED, spec).arn();
    };
    let spec = CertificateSpec {
        domain,
        tags: stack.tags("certificate", &name),
    };
    let certificate = stack.add::<Certificate>("certificate", spec);
    // The record's name and value appear some seconds after the request.
    let proof = certificate.when_ready();
    let record = stack.add::<Record>(
        "certificate-validation-record",
        RecordSpec {
            zone_id,
            name: proof.validation_name(),
            kind: RecordKind::Cname {
                value: proof.validation_value(),
                ttl: 300,
            },
        },
    );
    let spec = CertificateValidationSpec {
        certificate: certificate.arn(),
        record: record.fqdn(),
    };
    let validation = stack.add::<CertificateValidation>("certificate-validation", spec);
    // A listener refuses a certificate that is not issued.
    validation.when_ready().certificate()
}

fn alias_record(stack: &mut Stack<'_>, load_balancer: &Handle<LoadBalancer>) {
    let edge = &stack.config.edge;
    let (Some(domain), Some(zone_id)) = (edge.domain.clone(), edge.zone_id.clone()) else {
        return;
    };
    let spec = RecordSpec {
        zone_id,
        name: domain.into(),
        kind: RecordKind::Alias {
            target_dns_name: load_balancer.dns_name(),
            target_zone_id: load_balancer.canonical_hosted_zone_id(),
        },
    };
    stack.add::<Record>("alias-record", spec);
}

fn web_acl(stack: &mut Stack<'_>, load_balancer: &Handle<LoadBalancer>) -> Handle<WebAcl> {
    let name = stack.name("order-api-allow");
    let addresses = stack.config.waf.allow_cidrs.iter().map(ToString::to_string);
    let spec = IpSetSpec {
        description: "Addresses that no rule blocks".to_owned(),
        addresses: addresses.collect::<BTreeSet<_>>(),
        tags: stack.tags("waf-allow-list", &name),
        name,
    };
    let allowed = stack.add::<IpSet>("waf-allow-list", spec);
    let waf = &stack.config.waf;
    let group = |name: ManagedRuleGroup, mode: RuleMode| AclRule::ManagedGroup {
        name,
        mode: match mode {
            RuleMode::Block => Mode::Block,
            RuleMode::Count => Mode::Count,
        },
    };
    let rules = vec![
        AclRule::AllowList {
            ip_set: allowed.arn(),
        },
        AclRule::RateLimit {
            limit: waf.rate_limit,
            window_seconds: waf.rate_window_seconds,
        },
        group(ManagedRuleGroup::Common, waf.common),
        group(ManagedRuleGroup::KnownBadInputs, waf.known_bad_inputs),
        group(ManagedRuleGroup::Sqli, waf.sqli),
    ];
    let name = stack.name("order-api-waf");
    let spec = WebAclSpec {
        description: "Protects the order API".to_owned(),
        default_action: DefaultAction::Allow,
        rules,
        metrics_and_samples: true,
        tags: stack.tags("web-acl", &name),
        name,
    };
    let web_acl = stack.add::<WebAcl>("web-acl", spec);
    let spec = WebAclAssociationSpec {
        web_acl: web_acl.arn(),
        resource: load_balancer.arn().text(),
    };
    stack.add::<WebAclAssociation>("web-acl-association", spec);
    web_acl
}
