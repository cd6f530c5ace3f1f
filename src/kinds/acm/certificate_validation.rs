//! `acm/certificate_validation`: the wait until ACM has found the DNS record and issued the
//! certificate. It is nothing in AWS; being a node, its wait has an edge, a forecast and a text.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus};
use serde::{Deserialize, Serialize};

use super::{CertificateArn, describe, failure};
use crate::aws::Aws;
use crate::resource::{
    Condition, Identity, Last, Live, Operations, Resolved, Resource, Result, Scope, Stage, Times,
    outputs,
};

/// The issue of a [`super::Certificate`].
pub struct CertificateValidation;

/// Which certificate is waited for, and after which record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct CertificateValidationSpec<S: Stage> {
    /// The certificate.
    pub certificate: S::In<CertificateArn>,
    /// The name of the record that validates it: only there so that the wait begins after it. Not
    /// comparable, since AWS knows nothing of it.
    pub record: S::In<String>,
}

outputs! { CertificateValidation =>
    /// What dependents of an issued certificate refer to.
    CertificateValidationOutputs {
        /// The ARN of the certificate.
        certificate: CertificateArn,
    }
}

impl Resource for CertificateValidation {
    const KIND: &'static str = "acm/certificate_validation";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["acm:DescribeCertificate"],
        create: &[],
        update: &[],
        delete: &[],
    };
    const REPLACE_ON: &'static [&'static str] = &["certificate"];
    const HOLDS_INPUTS: bool = false;
    const DELETE_IS_FINAL: bool = true;
    // ACM takes up to 75 minutes (field guide, section 5).
    const TIMES: Times = Times {
        create: 180,
        delete: 1,
        limit: 75 * 60,
    };
    type Api = Aws;
    type Spec<S: Stage> = CertificateValidationSpec<S>;
    type Outputs = CertificateValidationOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &CertificateValidationSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let certificate = last.map_or(&want.certificate, |last| &last.outputs.certificate);
        let found = describe(aws, certificate).await?;
        // AWS holds nothing of it: it exists because we recorded it, or because its end is reached.
        let exists = |found: &&CertificateDetail| {
            last.is_some() || found.status() == Some(&CertificateStatus::Issued)
        };
        Ok(found.as_ref().as_ref().filter(exists).map(|found| {
            let status = found.status().map_or("unknown", CertificateStatus::as_str);
            Live {
                outputs: CertificateValidationOutputs {
                    certificate: certificate.clone(),
                },
                spec: CertificateValidationSpec {
                    certificate: certificate.clone(),
                    record: want.record.clone(),
                },
                condition: match found.status() {
                    Some(CertificateStatus::Issued) => Condition::Ready,
                    Some(CertificateStatus::PendingValidation) | None => {
                        Condition::Pending(status.to_owned())
                    }
                    Some(_) => failure(found, status),
                },
            }
        }))
    }

    async fn create(
        _aws: &Aws,
        _scope: &Scope,
        want: &CertificateValidationSpec<Resolved>,
    ) -> Result<CertificateValidationOutputs> {
        Ok(CertificateValidationOutputs {
            certificate: want.certificate.clone(),
        })
    }

    async fn delete(_aws: &Aws, _scope: &Scope, _live: &Live<Self>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_acm::Client;
    use aws_sdk_acm::operation::describe_certificate::DescribeCertificateOutput;
    use aws_smithy_mocks::{Rule, mock};

    use CertificateStatus::{Issued, PendingValidation, ValidationTimedOut};

    use super::*;
    use crate::aws::testing::{mocked, scope};

    fn certificate_is(status: CertificateStatus) -> Rule {
        mock!(Client::describe_certificate)
            .match_requests(|r| r.certificate_arn() == Some("arn:1"))
            .then_output(move || {
                let detail = CertificateDetail::builder().status(status.clone());
                DescribeCertificateOutput::builder()
                    .certificate(detail.build())
                    .build()
            })
    }

    fn want() -> CertificateValidationSpec<Resolved> {
        CertificateValidationSpec {
            certificate: "arn:1".into(),
            record: "_x1.api.example.com".into(),
        }
    }

    #[tokio::test]
    async fn it_is_ready_when_the_certificate_is_issued() {
        for (status, condition) in [
            (
                PendingValidation,
                Condition::Pending("PENDING_VALIDATION".into()),
            ),
            (Issued, Condition::Ready),
            (
                ValidationTimedOut,
                Condition::Failed("VALIDATION_TIMED_OUT".into()),
            ),
        ] {
            let aws = mocked(&[&certificate_is(status)]);
            let scope = scope("certificate-validation");
            let outputs = CertificateValidation::create(&aws, &scope, &want())
                .await
                .unwrap();
            let spec = want();
            let last = Last { outputs, spec };
            let live = CertificateValidation::observe(&aws, &scope, &want(), Some(&last))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(live.spec, want());
            assert_eq!(live.condition, condition);
            CertificateValidation::delete(&aws, &scope, &live)
                .await
                .unwrap();
            assert_eq!(aws.calls().writes(), 0);
        }
    }

    #[tokio::test]
    async fn without_a_record_it_is_there_once_the_certificate_is_issued() {
        let scope = scope("certificate-validation");
        for (status, expected) in [
            (PendingValidation, None),
            (ValidationTimedOut, None),
            (Issued, Some(Condition::Ready)),
        ] {
            let aws = mocked(&[&certificate_is(status)]);
            let live = CertificateValidation::observe(&aws, &scope, &want(), None).await;
            assert_eq!(live.unwrap().map(|live| live.condition), expected);
        }
    }
}
