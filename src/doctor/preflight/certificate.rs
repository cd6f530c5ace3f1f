//! Area `certificate`: whether the certificate of `edge.certificate_arn` can be used, and whether the
//! zone of `edge.domain` can prove the domain to ACM.

use std::time::{Duration, SystemTime};

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus};
use aws_smithy_types::DateTime;

use super::super::Chart;
use super::super::reads::moment;
use super::{Certificate, Needs};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::Result;

pub(super) const AREA: &str = "certificate";

/// A certificate that ends sooner deserves a word.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) async fn look(aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    match &needs.certificate {
        Certificate::Nothing => Ok(()),
        Certificate::Existing { arn } => existing(aws, needs, arn, chart).await,
        Certificate::Issued { domain, zone_id } => zone(aws, domain, zone_id, chart).await,
    }
}

async fn existing(aws: &Aws, needs: &Needs, arn: &str, chart: &mut Chart) -> Result<()> {
    let fix = "name another one in `edge.certificate_arn`";
    let region = arn.split(':').nth(3).unwrap_or_default();
    if region != needs.region {
        chart
            .problem(format!(
                "the certificate is in {region}, and the stack in {}",
                needs.region
            ))
            .shown_by([arn])
            .mended_by(fix);
        return Ok(());
    }
    let answer = aws
        .acm
        .describe_certificate()
        .certificate_arn(arn)
        .send()
        .await
        .of("acm:DescribeCertificate")
        .gone_is_none(&["ResourceNotFoundException"])?;
    let Some(certificate) = answer.and_then(|answer| answer.certificate) else {
        chart
            .problem("the certificate of `edge.certificate_arn` does not exist")
            .shown_by([arn])
            .mended_by(fix);
        return Ok(());
    };
    let evidence = evidence(arn, &certificate);
    let end = certificate.not_after().map(DateTime::secs);
    let now = DateTime::from(SystemTime::now()).secs();
    let soon = DateTime::from(SystemTime::now() + SOON).secs();
    match certificate.status() {
        Some(CertificateStatus::Issued) if end.is_some_and(|end| end <= now) => {
            chart
                .problem("the certificate has expired")
                .shown_by(evidence)
                .mended_by(fix);
        }
        Some(CertificateStatus::Issued) if end.is_some_and(|end| end <= soon) => {
            chart
                .warning("the certificate ends within 30 days")
                .shown_by(evidence)
                .mended_by(
                    "renew it: ACM does so with those it has issued, imported ones need a new import",
                );
        }
        Some(CertificateStatus::Issued) => {
            chart.fine("the certificate can be used").shown_by(evidence);
        }
        status => {
            let word = status.map_or("of unknown status", CertificateStatus::as_str);
            chart
                .problem(format!("the certificate is {word}, not ISSUED"))
                .shown_by(evidence)
                .mended_by(
                    "prove the domain as ACM asks, or name another one in `edge.certificate_arn`",
                );
        }
    }
    Ok(())
}

fn evidence(arn: &str, certificate: &CertificateDetail) -> Vec<String> {
    let mut names = certificate.subject_alternative_names().to_vec();
    if names.is_empty() {
        names.extend(certificate.domain_name().map(str::to_owned));
    }
    vec![
        arn.to_owned(),
        format!(
            "for {}, until {}",
            names.join(", "),
            moment(certificate.not_after())
        ),
    ]
}

async fn zone(aws: &Aws, domain: &str, zone_id: &str, chart: &mut Chart) -> Result<()> {
    let answer = aws
        .route53
        .get_hosted_zone()
        .id(zone_id)
        .send()
        .await
        .of("route53:GetHostedZone")
        .gone_is_none(&["NoSuchHostedZone"])?;
    let Some(answer) = answer else {
        chart
            .problem(format!("there is no hosted zone {zone_id}"))
            .mended_by("`aws route53 list-hosted-zones`, then set `edge.zone_id`");
        return Ok(());
    };
    let zone = answer.hosted_zone();
    let name = zone.map_or("", |zone| zone.name()).trim_end_matches('.');
    let is_private = zone
        .and_then(|zone| zone.config())
        .is_some_and(|config| config.private_zone());
    let (domain, lower) = (domain.trim_end_matches('.'), name.to_lowercase());
    let holds =
        domain.eq_ignore_ascii_case(name) || domain.to_lowercase().ends_with(&format!(".{lower}"));
    if !holds {
        chart
            .problem(format!(
                "hosted zone {zone_id} is that of {name}, which {domain} is not in"
            ))
            .mended_by("set `edge.zone_id` to the zone of the domain");
    } else if is_private {
        chart
            .problem(format!(
                "hosted zone {zone_id} is private: ACM cannot see it"
            ))
            .mended_by("set `edge.zone_id` to the public zone of the domain");
    } else {
        let servers = answer.delegation_set().map(|set| set.name_servers());
        chart
            .fine(format!("hosted zone {zone_id} holds {domain}"))
            .shown_by([format!(
                "that the world asks it is not checked: `dig NS {name}` must name {}",
                servers.unwrap_or_default().join(", ")
            )]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_acm::operation::describe_certificate::DescribeCertificateOutput;
    use aws_sdk_route53::operation::get_hosted_zone::GetHostedZoneOutput;
    use aws_sdk_route53::types::{DelegationSet, HostedZone, HostedZoneConfig};
    use aws_smithy_mocks::{Rule, mock};

    use super::super::super::testing::{found, is_fine, only_bad};
    use super::super::super::{Finding, Severity};
    use super::super::testing::needs;
    use super::*;
    use crate::aws::testing::mocked;

    const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/1";

    fn certificate(status: CertificateStatus, days: i64) -> Rule {
        mock!(aws_sdk_acm::Client::describe_certificate).then_output(move || {
            let now = DateTime::from(SystemTime::now()).secs();
            let certificate = CertificateDetail::builder()
                .status(status.clone())
                .domain_name("api.example.com")
                .not_after(DateTime::from_secs(now + days * 86_400));
            DescribeCertificateOutput::builder()
                .certificate(certificate.build())
                .build()
        })
    }

    fn hosted_zone(name: &'static str, private: bool) -> Rule {
        mock!(aws_sdk_route53::Client::get_hosted_zone).then_output(move || {
            let config = HostedZoneConfig::builder().private_zone(private).build();
            let zone = HostedZone::builder()
                .id("/hostedzone/Z1")
                .name(name)
                .caller_reference("x")
                .config(config)
                .build()
                .unwrap();
            let servers = DelegationSet::builder()
                .name_servers("ns-1.awsdns-1.com")
                .build();
            GetHostedZoneOutput::builder()
                .hosted_zone(zone)
                .delegation_set(servers.unwrap())
                .build()
        })
    }

    async fn examined(certificate: Certificate, rules: &[&Rule]) -> Vec<Finding> {
        let needs = Needs {
            certificate,
            ..needs()
        };
        let aws = mocked(rules);
        found(async |chart: &mut Chart| look(&aws, &needs, chart).await).await
    }

    #[tokio::test]
    async fn a_certificate_must_be_issued_and_last() {
        use CertificateStatus::{Issued, PendingValidation};
        let existing = |arn: &str| Certificate::Existing {
            arn: arn.to_owned(),
        };
        is_fine(&examined(existing(ARN), &[&certificate(Issued, 90)]).await);
        for (status, days, severity, title) in [
            (Issued, 10, Severity::Warning, "ends within 30 days"),
            (Issued, -1, Severity::Problem, "has expired"),
            (
                PendingValidation,
                90,
                Severity::Problem,
                "is PENDING_VALIDATION",
            ),
        ] {
            let all = examined(existing(ARN), &[&certificate(status, days)]).await;
            let finding = only_bad(&all);
            assert_eq!(finding.severity, severity);
            assert!(finding.title.contains(title), "{finding:?}");
            assert!(
                finding.evidence[1].contains("api.example.com"),
                "{finding:?}"
            );
        }
        let elsewhere = existing("arn:aws:acm:eu-west-1:123456789012:certificate/1");
        let all = examined(elsewhere, &[]).await;
        assert_eq!(
            only_bad(&all).title,
            "the certificate is in eu-west-1, and the stack in us-east-1"
        );
    }

    #[tokio::test]
    async fn a_zone_must_be_public_and_hold_the_domain() {
        let issued = || Certificate::Issued {
            domain: "api.example.com".into(),
            zone_id: "Z1".into(),
        };
        is_fine(&examined(issued(), &[&hosted_zone("example.com.", false)]).await);
        for (name, private, title) in [
            ("example.org.", false, "which api.example.com is not in"),
            ("ample.com.", false, "which api.example.com is not in"),
            ("example.com.", true, "is private"),
        ] {
            let all = examined(issued(), &[&hosted_zone(name, private)]).await;
            let finding = only_bad(&all);
            assert!(
                finding.is_problem() && finding.title.contains(title),
                "{finding:?}"
            );
        }
    }
}
