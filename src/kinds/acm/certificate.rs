//! `acm/certificate`: a public certificate that ACM issues once its DNS record is found.
//!
//! It counts as ready as soon as ACM has said which record it looks for: the record's node needs
//! that to start. [`super::CertificateValidation`] is the node that waits for the issue.

use aws_sdk_acm::types::{
    CertificateDetail, CertificateStatus, CertificateType, ResourceRecord, ValidationMethod,
};
use serde::{Deserialize, Serialize};

use super::{
    CertificateArn, change_tags, delete, describe, failure, find, read_tags, swept, tag_list,
};
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{
    Changes, Condition, Identity, Last, Live, Operations, Refusal, Replacement, Resource, Result,
    Scope, Stage, Tags, Times, outputs,
};

/// An `AWS::CertificateManager::Certificate`, validated by DNS.
pub struct Certificate;

/// The settings of a certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateSpec {
    /// The host name it is for, `api.example.com` or `*.example.com`.
    pub domain: String,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Certificate =>
    /// What AWS gives a certificate. The record's three fields are empty until it is ready, so
    /// refer to them through `when_ready()`.
    CertificateOutputs {
        /// Its ARN.
        arn: CertificateArn,
        /// The name of the DNS record that proves the domain is ours.
        validation_name: String,
        /// The value of that record.
        validation_value: String,
        /// The type of that record: `CNAME`.
        validation_type: String,
    }
}

/// The longest idempotency token that ACM takes.
const TOKEN_LENGTH: usize = 32;

impl Resource for Certificate {
    const KIND: &'static str = "acm/certificate";
    const IDENTITY: Identity = Identity::Tags;
    const OPERATIONS: Operations = Operations {
        read: &[
            "acm:ListCertificates",
            "acm:DescribeCertificate",
            "acm:ListTagsForCertificate",
        ],
        create: &["acm:RequestCertificate", "acm:AddTagsToCertificate"],
        update: &["acm:AddTagsToCertificate", "acm:RemoveTagsFromCertificate"],
        delete: &["acm:DeleteCertificate"],
    };
    const REPLACE_ON: &'static [&'static str] = &["domain"];
    const REPLACEMENT: Replacement = Replacement::CreateFirst;
    const TIMES: Times = Times::typical(10, 60);
    // Field guide, section 5: ACM believes it in use for up to 20 minutes after its listener went.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::update("ResourceNotFoundException", 120),
        Refusal::delete("ResourceInUseException", 1200),
    ];
    type Api = Aws;
    type Spec<S: Stage> = CertificateSpec;
    type Outputs = CertificateOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &CertificateSpec,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let (arn, tags) = match last {
            Some(last) => (last.outputs.arn.clone(), None),
            None => {
                let kind = CertificateType::AmazonIssued;
                match find(aws, scope, &want.tags, &want.domain, &kind).await? {
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
        live(arn, found, tags, &want.domain).map(Some)
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &CertificateSpec,
    ) -> Result<CertificateOutputs> {
        let answer = aws
            .acm
            .request_certificate()
            .domain_name(&want.domain)
            .validation_method(ValidationMethod::Dns)
            .set_idempotency_token(scope.token.as_deref().map(idempotency_token))
            .set_tags(Some(tag_list("acm:RequestCertificate", &want.tags)?))
            .send()
            .await
            .of("acm:RequestCertificate")?;
        let arn = answer
            .certificate_arn()
            .ok_or_else(missing("acm:RequestCertificate", "CertificateArn"))?;
        Ok(outputs_of(arn.into(), None))
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &CertificateSpec,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch("tags") {
            change_tags(aws, &live.outputs.arn, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        delete(aws, &live.outputs.arn).await
    }

    async fn sweep(aws: &Aws, scope: &Scope, known: &[CertificateSpec]) -> Result<Vec<Live<Self>>> {
        let domains: Vec<&str> = known.iter().map(|spec| &*spec.domain).collect();
        let kind = CertificateType::AmazonIssued;
        let mut found = Vec::new();
        for (arn, tags) in swept(aws, scope, &kind, &domains).await? {
            if let Some(certificate) = describe(aws, &arn).await?.as_ref() {
                found.push(live(arn, certificate, tags, "")?);
            }
        }
        Ok(found)
    }
}

/// Maps a certificate; the `wanted` domain in its own spelling.
fn live(
    arn: CertificateArn,
    found: &CertificateDetail,
    tags: Tags,
    wanted: &str,
) -> Result<Live<Certificate>> {
    let name = found
        .domain_name()
        .ok_or_else(missing("acm:DescribeCertificate", "DomainName"))?;
    let domain = if name.eq_ignore_ascii_case(wanted) {
        wanted
    } else {
        name
    };
    Ok(Live {
        outputs: outputs_of(arn, record(found)),
        spec: CertificateSpec {
            domain: domain.to_owned(),
            tags,
        },
        condition: condition(found),
    })
}

/// Makes a token of the characters ACM takes.
fn idempotency_token(token: &str) -> String {
    token
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(TOKEN_LENGTH)
        .collect()
}

fn record(found: &CertificateDetail) -> Option<&ResourceRecord> {
    found
        .domain_validation_options()
        .iter()
        .find_map(|option| option.resource_record())
}

fn outputs_of(arn: CertificateArn, record: Option<&ResourceRecord>) -> CertificateOutputs {
    let text = |read: fn(&ResourceRecord) -> &str| record.map_or("", read).to_owned();
    CertificateOutputs {
        arn,
        validation_name: text(ResourceRecord::name),
        validation_value: text(ResourceRecord::value),
        validation_type: text(|record| record.r#type().as_str()),
    }
}

fn condition(found: &CertificateDetail) -> Condition {
    let status = found.status().map_or("unknown", CertificateStatus::as_str);
    match found.status() {
        Some(CertificateStatus::PendingValidation | CertificateStatus::Issued) => {
            if record(found).is_some() {
                Condition::Ready
            } else {
                Condition::Pending(status.to_owned())
            }
        }
        Some(
            CertificateStatus::Failed
            | CertificateStatus::ValidationTimedOut
            | CertificateStatus::Revoked
            | CertificateStatus::Expired
            | CertificateStatus::Inactive,
        ) => failure(found, status),
        _ => Condition::Pending(status.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_acm::Client;
    use aws_sdk_acm::operation::describe_certificate::DescribeCertificateOutput;
    use aws_sdk_acm::operation::list_certificates::ListCertificatesOutput;
    use aws_sdk_acm::operation::list_tags_for_certificate::ListTagsForCertificateOutput;
    use aws_sdk_acm::operation::request_certificate::RequestCertificateOutput;
    use aws_sdk_acm::types::{DomainValidation, FailureReason, RecordType};
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, STACK_TAG};

    const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/1";

    fn want() -> CertificateSpec {
        CertificateSpec {
            domain: "API.example.com".into(),
            tags: Tags::from_pairs([(STACK_TAG, "dev"), (NODE_TAG, "certificate")]),
        }
    }

    fn in_aws(status: CertificateStatus, with_record: bool) -> CertificateDetail {
        let record = ResourceRecord::builder()
            .name("_x1.api.example.com.")
            .r#type(RecordType::Cname)
            .value("_x2.acm-validations.aws.")
            .build()
            .unwrap();
        let validation = DomainValidation::builder()
            .domain_name("api.example.com")
            .set_resource_record(with_record.then_some(record));
        CertificateDetail::builder()
            .certificate_arn(ARN)
            .domain_name("api.example.com")
            .status(status)
            .failure_reason(FailureReason::CaaError)
            .domain_validation_options(validation.build().unwrap())
            .build()
    }

    fn described(status: CertificateStatus, with_record: bool) -> Rule {
        mock!(Client::describe_certificate).then_output(move || {
            DescribeCertificateOutput::builder()
                .certificate(in_aws(status.clone(), with_record))
                .build()
        })
    }

    fn tagged() -> Rule {
        mock!(Client::list_tags_for_certificate).then_output(|| {
            ListTagsForCertificateOutput::builder()
                .set_tags(Some(tag_list("test", &want().tags).unwrap()))
                .build()
        })
    }

    async fn observed(status: CertificateStatus, with_record: bool) -> Live<Certificate> {
        let last = Last {
            outputs: outputs_of(ARN.into(), None),
            spec: want(),
        };
        let aws = mocked(&[&described(status, with_record), &tagged()]);
        Certificate::observe(&aws, &scope("certificate"), &want(), Some(&last))
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn it_is_ready_once_the_record_to_make_is_known() {
        use CertificateStatus::PendingValidation;
        let live = observed(PendingValidation, false).await;
        assert_eq!(
            live.condition,
            Condition::Pending("PENDING_VALIDATION".into())
        );
        let live = observed(PendingValidation, true).await;
        assert_eq!(live.condition, Condition::Ready);
        assert_eq!(live.spec, want());
        let outputs = live.outputs;
        assert_eq!(outputs.validation_name, "_x1.api.example.com.");
        assert_eq!(outputs.validation_value, "_x2.acm-validations.aws.");
        assert_eq!(outputs.validation_type, "CNAME");
    }

    #[tokio::test]
    async fn one_that_will_never_be_issued_says_why() {
        let live = observed(CertificateStatus::Failed, true).await;
        assert_eq!(
            live.condition,
            Condition::Failed("FAILED: CAA_ERROR".into())
        );
    }

    #[tokio::test]
    async fn without_any_certificate_it_is_none() {
        let none = mock!(Client::list_certificates)
            .then_output(|| ListCertificatesOutput::builder().build());
        let aws = mocked(&[&none]);
        let live = Certificate::observe(&aws, &scope("certificate"), &want(), None).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn create_sends_tags_and_a_token_that_acm_takes() {
        let request = mock!(Client::request_certificate)
            .match_requests(|r| {
                r.idempotency_token() == Some("0123456789abcdef0123456789abcdef")
                    && r.validation_method() == Some(&ValidationMethod::Dns)
                    && r.tags().len() == 2
            })
            .then_output(|| {
                RequestCertificateOutput::builder()
                    .certificate_arn(ARN)
                    .build()
            });
        let scope = Scope {
            token: Some("01234567-89ab-cdef-0123-456789abcdef".into()),
            ..scope("certificate")
        };
        let outputs = Certificate::create(&mocked(&[&request]), &scope, &want())
            .await
            .unwrap();
        assert_eq!(&*outputs.arn, ARN);
        assert_eq!(outputs.validation_name, "");
    }
}
