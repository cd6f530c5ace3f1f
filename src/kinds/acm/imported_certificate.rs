//! `acm/imported_certificate`: a self-signed certificate made here, for stacks without a domain.
//!
//! The private key lives in memory for the one request that imports it. It is in no state, log or
//! error, and nobody can read it back from ACM.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, CertificateType};
use aws_smithy_types::{Blob, DateTime};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use super::{CertificateArn, change_tags, delete, describe, find, read_tags, swept, tag_list};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Refusal, Replacement,
    Resource, Result, Scope, Stage, Tags, outputs,
};

/// A self-signed certificate in ACM.
pub struct ImportedCertificate;

/// The settings of a self-signed certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportedCertificateSpec {
    /// The host name it is for, at most 64 characters.
    pub common_name: String,
    /// Whether it ends within 30 days. Wanted is `false`: the update that makes it so imports a
    /// fresh certificate under the same ARN.
    pub renewal_due: bool,
    /// Its tags.
    pub tags: Tags,
}

outputs! { ImportedCertificate =>
    /// What AWS gives an imported certificate.
    ImportedCertificateOutputs {
        /// Its ARN.
        arn: CertificateArn,
    }
}

/// How long a certificate is valid; browsers refuse more than 398 days.
const VALID_DAYS: i64 = 397;
/// So long before its end a certificate is renewed.
const RENEWAL_SECONDS: i64 = 30 * 24 * 60 * 60;

impl Resource for ImportedCertificate {
    const KIND: &'static str = "acm/imported_certificate";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &[
            "acm:ListCertificates",
            "acm:DescribeCertificate",
            "acm:ListTagsForCertificate",
        ],
        create: &["acm:ImportCertificate", "acm:AddTagsToCertificate"],
        update: &[
            "acm:ImportCertificate",
            "acm:AddTagsToCertificate",
            "acm:RemoveTagsFromCertificate",
        ],
        delete: &["acm:DeleteCertificate"],
    };
    const REPLACE_ON: &'static [&'static str] = &["common_name"];
    const REPLACEMENT: Replacement = Replacement::CreateFirst;
    // Field guide, section 5: ACM believes it in use for up to 20 minutes after its listener went.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::update("ResourceNotFoundException", 120),
        Refusal::delete("ResourceInUseException", 1200),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ImportedCertificateSpec;
    type Outputs = ImportedCertificateOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &ImportedCertificateSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let (arn, tags) = match last {
            Some(last) => (last.outputs.arn.clone(), None),
            None => {
                let name = &want.common_name;
                let kind = CertificateType::Imported;
                match find(aws, scope, &want.tags, name, &kind).await? {
                    Some((arn, tags)) => (arn, Some(tags)),
                    None => return Ok(None),
                }
            }
        };
        let found = describe(aws, &arn).await?;
        let Some(found) = found.as_ref() else {
            return Ok(None);
        };
        let tags = match tags {
            Some(tags) => Some(tags),
            None => aws
                .tags(scope, &arn, &want.tags, read_tags(aws, &arn))
                .await
                .gone_is_none(super::GONE)?,
        };
        let Some(tags) = tags else { return Ok(None) };
        live(arn, found, tags).map(Some)
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &ImportedCertificateSpec,
    ) -> Result<ImportedCertificateOutputs> {
        let made = SelfSigned::new(&want.common_name, Timestamp::now())?;
        let answer = aws
            .acm
            .import_certificate()
            .certificate(made.certificate.clone())
            .private_key(made.private_key.clone())
            .set_tags(Some(tag_list("acm:ImportCertificate", &want.tags)?))
            .send()
            .await
            .of("acm:ImportCertificate")
            .map_err(|error| made.hide_in(error))?;
        let arn = answer
            .certificate_arn()
            .ok_or_else(missing("acm:ImportCertificate", "CertificateArn"))?;
        Ok(ImportedCertificateOutputs { arn: arn.into() })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ImportedCertificateSpec,
        changes: &Changes,
    ) -> Result<()> {
        let arn = &*live.outputs.arn;
        if changes.touch("renewal_due") {
            // ACM refuses tags together with an ARN; the certificate keeps those it has.
            let made = SelfSigned::new(&want.common_name, Timestamp::now())?;
            aws.acm
                .import_certificate()
                .certificate_arn(arn)
                .certificate(made.certificate.clone())
                .private_key(made.private_key.clone())
                .send()
                .await
                .of("acm:ImportCertificate")
                .map_err(|error| made.hide_in(error))?;
        }
        if changes.touch("tags") {
            change_tags(aws, arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        delete(aws, &live.outputs.arn).await
    }

    async fn sweep(
        aws: &Aws,
        scope: &Scope,
        known: &[ImportedCertificateSpec],
    ) -> Result<Vec<Live<Self>>> {
        let domains: Vec<&str> = known.iter().map(|spec| &*spec.common_name).collect();
        let kind = CertificateType::Imported;
        let mut found = Vec::new();
        for (arn, tags) in swept(aws, scope, &kind, &domains).await? {
            if let Some(certificate) = describe(aws, &arn).await?.as_ref() {
                found.push(live(arn, certificate, tags)?);
            }
        }
        Ok(found)
    }
}

fn live(
    arn: CertificateArn,
    found: &CertificateDetail,
    tags: Tags,
) -> Result<Live<ImportedCertificate>> {
    let name = found
        .domain_name()
        .ok_or_else(missing("acm:DescribeCertificate", "DomainName"))?;
    let condition = match found.status() {
        // An update renews an expired one.
        Some(CertificateStatus::Issued | CertificateStatus::Expired) => Condition::Ready,
        other => Condition::Pending(other.map_or("unknown", |s| s.as_str()).to_owned()),
    };
    Ok(Live {
        outputs: ImportedCertificateOutputs { arn },
        spec: ImportedCertificateSpec {
            common_name: name.to_owned(),
            renewal_due: renewal_due(found.not_after(), Timestamp::now()),
            tags,
        },
        condition,
    })
}

fn renewal_due(not_after: Option<&DateTime>, now: Timestamp) -> bool {
    not_after.is_some_and(|end| end.secs() - now.as_second() < RENEWAL_SECONDS)
}

/// A fresh certificate and its private key, in PEM. Has no Debug on purpose.
struct SelfSigned {
    certificate: Blob,
    private_key: Blob,
}

impl SelfSigned {
    /// Makes a certificate for the host `name`, valid from yesterday: clocks differ.
    fn new(name: &str, now: Timestamp) -> Result<Self> {
        let start = now.to_zoned(TimeZone::UTC).date().saturating_sub(1.day());
        let end = start.saturating_add(VALID_DAYS.days());
        let midnight = |day: Date| {
            let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
            date_time_ymd(day.year().into(), month, day_of_month)
        };
        let mut params =
            CertificateParams::new([name.to_owned()]).map_err(|e| not_made(name, &e))?;
        params.not_before = midnight(start);
        params.not_after = midnight(end);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| not_made(name, &e))?;
        let certificate = params.self_signed(&key).map_err(|e| not_made(name, &e))?;
        Ok(Self {
            certificate: Blob::new(certificate.pem()),
            private_key: Blob::new(key.serialize_pem()),
        })
    }

    /// Makes sure that the answer to the request does not repeat the private key.
    fn hide_in(&self, error: Error) -> Error {
        let pem = String::from_utf8_lossy(self.private_key.as_ref());
        // The first and the last line say only what it is.
        let key = pem.lines().filter(|line| !line.starts_with("-----"));
        let base64 = aws_smithy_types::base64::encode(&self.private_key);
        key.fold(error, |error, line| error.hiding(line))
            .hiding(&base64)
    }
}

fn not_made(name: &str, error: &rcgen::Error) -> Error {
    Error::new(
        "acm:ImportCertificate",
        Class::Refused,
        format!("no certificate for {name:?} could be made: {error}"),
    )
    .with_advice("use a host name of ASCII letters, digits, hyphens and dots")
}

#[cfg(test)]
mod tests {
    use aws_sdk_acm::Client;
    use aws_sdk_acm::operation::describe_certificate::{
        DescribeCertificateError, DescribeCertificateOutput,
    };
    use aws_sdk_acm::operation::import_certificate::ImportCertificateOutput;
    use aws_sdk_acm::operation::list_certificates::ListCertificatesOutput;
    use aws_sdk_acm::operation::list_tags_for_certificate::ListTagsForCertificateOutput;
    use aws_sdk_acm::types::error::ResourceNotFoundException;
    use aws_sdk_acm::types::{CertificateSummary, KeyAlgorithm};
    use aws_sdk_resourcegroupstagging::operation::get_resources::GetResourcesOutput;
    use aws_sdk_resourcegroupstagging::types::ResourceTagMapping;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, STACK_TAG, diff};

    const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/1";
    /// 2200-01-01, a day on which these tests will not run.
    const FAR: i64 = 7_258_118_400;

    fn want() -> ImportedCertificateSpec {
        ImportedCertificateSpec {
            common_name: "order-api-dev.internal".into(),
            renewal_due: false,
            tags: Tags::from_pairs([(STACK_TAG, "dev"), (NODE_TAG, "certificate")]),
        }
    }

    fn last() -> Last<ImportedCertificate> {
        Last {
            outputs: ImportedCertificateOutputs { arn: ARN.into() },
            spec: want(),
        }
    }

    fn described(not_after: i64) -> Rule {
        mock!(Client::describe_certificate)
            .match_requests(|r| r.certificate_arn() == Some(ARN))
            .then_output(move || {
                let detail = CertificateDetail::builder()
                    .certificate_arn(ARN)
                    .domain_name("order-api-dev.internal")
                    .r#type(CertificateType::Imported)
                    .status(CertificateStatus::Issued)
                    .not_after(DateTime::from_secs(not_after));
                DescribeCertificateOutput::builder()
                    .certificate(detail.build())
                    .build()
            })
    }

    fn tagged() -> Rule {
        mock!(Client::list_tags_for_certificate)
            .match_requests(|r| r.certificate_arn() == Some(ARN))
            .then_output(|| {
                let tags = tag_list("test", &want().tags).unwrap();
                ListTagsForCertificateOutput::builder()
                    .set_tags(Some(tags))
                    .build()
            })
    }

    fn listed() -> Rule {
        mock!(Client::list_certificates)
            .match_requests(|r| {
                let filter = r.includes();
                filter.is_some_and(|f| f.key_types().contains(&KeyAlgorithm::EcPrime256v1))
            })
            .then_output(|| {
                let summary = |arn: &str, name: &str| {
                    CertificateSummary::builder()
                        .certificate_arn(arn)
                        .domain_name(name)
                        .r#type(CertificateType::Imported)
                        .build()
                };
                ListCertificatesOutput::builder()
                    .certificate_summary_list(summary("arn:foreign", "other.example"))
                    .certificate_summary_list(summary(ARN, "order-api-dev.internal"))
                    .build()
            })
    }

    #[tokio::test]
    async fn a_recorded_one_is_read_without_a_search_and_every_field_mapped_back() {
        let aws = mocked(&[&described(FAR), &tagged()]);
        let live =
            ImportedCertificate::observe(&aws, &scope("certificate"), &want(), Some(&last()))
                .await
                .unwrap()
                .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.condition, Condition::Ready);
        assert_eq!(aws.calls().reads(), 2);
    }

    #[tokio::test]
    async fn an_unrecorded_one_is_found_by_name_and_tags_and_not_by_those_of_another_node() {
        for (node, found) in [("certificate", true), ("certificate-2", false)] {
            let aws = mocked(&[&listed(), &described(FAR), &tagged()]);
            let live = ImportedCertificate::observe(&aws, &scope(node), &want(), None)
                .await
                .unwrap();
            assert_eq!(live.is_some(), found, "{node}");
        }
    }

    #[tokio::test]
    async fn a_gone_one_is_none() {
        let gone = mock!(Client::describe_certificate).then_error(|| {
            let meta = ErrorMetadata::builder().code("ResourceNotFoundException");
            let gone = ResourceNotFoundException::builder().meta(meta.build());
            DescribeCertificateError::ResourceNotFoundException(gone.build())
        });
        let aws = mocked(&[&gone]);
        let live =
            ImportedCertificate::observe(&aws, &scope("certificate"), &want(), Some(&last())).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn create_imports_a_certificate_with_its_key_and_tags() {
        let import = mock!(Client::import_certificate)
            .match_requests(|r| {
                let pem = |blob: Option<&Blob>, what: &str| {
                    blob.is_some_and(|blob| blob.as_ref().starts_with(what.as_bytes()))
                };
                pem(r.certificate(), "-----BEGIN CERTIFICATE-----")
                    && pem(r.private_key(), "-----BEGIN PRIVATE KEY-----")
                    && r.tags().len() == 2
                    && r.certificate_arn().is_none()
            })
            .then_output(|| {
                ImportCertificateOutput::builder()
                    .certificate_arn(ARN)
                    .build()
            });
        let aws = mocked(&[&import]);
        let outputs = ImportedCertificate::create(&aws, &scope("certificate"), &want())
            .await
            .unwrap();
        assert_eq!(&*outputs.arn, ARN);
    }

    #[tokio::test]
    async fn one_that_ends_soon_is_renewed_under_its_arn_without_tags() {
        let import = mock!(Client::import_certificate)
            .match_requests(|r| r.certificate_arn() == Some(ARN) && r.tags.is_none())
            .then_output(|| {
                ImportCertificateOutput::builder()
                    .certificate_arn(ARN)
                    .build()
            });
        let aws = mocked(&[&described(1_000_000_000), &tagged(), &import]);
        let scope = scope("certificate");
        let live = ImportedCertificate::observe(&aws, &scope, &want(), Some(&last()))
            .await
            .unwrap()
            .unwrap();
        let changes = diff(&json!(want()), &json!(live.spec), None);
        assert_eq!(changes.names(), ["renewal_due"]);
        ImportedCertificate::update(&aws, &scope, &live, &want(), &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[test]
    fn renewal_is_due_in_the_last_thirty_days() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let day = 24 * 60 * 60;
        for (days_left, due) in [(-1, true), (29, true), (31, false), (365, false)] {
            let end = DateTime::from_secs(now.as_second() + days_left * day);
            assert_eq!(renewal_due(Some(&end), now), due, "{days_left}");
        }
        assert!(!renewal_due(None, now));
    }

    #[test]
    fn no_two_certificates_share_a_key_and_a_name_that_cannot_stand_in_one_is_an_error() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let made = |name| SelfSigned::new(name, now);
        let (one, two) = (made("a.internal").unwrap(), made("a.internal").unwrap());
        assert!(one.private_key != two.private_key);
        assert!(made("ö.internal").is_err());
    }

    #[test]
    fn an_error_that_quotes_a_line_of_the_key_is_shown_without_it() {
        let made = SelfSigned::new("a.internal", Timestamp::from_second(1_800_000_000).unwrap());
        let made = made.unwrap();
        let pem = String::from_utf8(made.private_key.clone().into_inner()).unwrap();
        let line = pem.lines().nth(1).unwrap();
        let sent = aws_smithy_types::base64::encode(&made.private_key);
        for quoted in [line, &sent[40..60]] {
            let message = format!("The private key is not valid: {quoted}");
            let error = Error::new("acm:ImportCertificate", Class::Refused, message);
            assert!(!made.hide_in(error).to_string().contains(quoted));
        }
        let message = "-----BEGIN PRIVATE KEY----- was expected";
        let error = Error::new("acm:ImportCertificate", Class::Refused, message);
        assert!(made.hide_in(error).to_string().contains(message));
    }

    #[tokio::test]
    async fn a_sweep_finds_by_domain_or_by_the_tag_index_and_asks_for_the_tags() {
        for (known, is_indexed, found) in [
            (vec![want()], false, 1),
            (vec![], true, 1),
            (vec![], false, 0),
        ] {
            let index = mock!(aws_sdk_resourcegroupstagging::Client::get_resources).then_output(
                move || {
                    let mapping = ResourceTagMapping::builder().resource_arn(ARN).build();
                    GetResourcesOutput::builder()
                        .set_resource_tag_mapping_list(is_indexed.then(|| vec![mapping]))
                        .build()
                },
            );
            let rules = [&listed(), &described(FAR), &tagged(), &index];
            let swept = ImportedCertificate::sweep(&mocked(&rules), &scope(""), &known).await;
            let swept = swept.unwrap();
            assert_eq!(swept.len(), found, "{known:?} {is_indexed}");
            assert!(swept.iter().all(|live| live.spec == want()));
        }
    }
}
