//! Certificate Manager: the certificate of the HTTPS listeners. Nothing here has a natural name,
//! so a certificate is found by its domain and its tags.

mod certificate;
mod certificate_validation;
mod imported_certificate;

use std::sync::Arc;

use aws_sdk_acm::types::{
    CertificateDetail, CertificateSummary, CertificateType, Filters, KeyAlgorithm, Tag,
};

pub use certificate::{Certificate, CertificateOutputs, CertificateSpec};
pub use certificate_validation::{
    CertificateValidation, CertificateValidationOutputs, CertificateValidationSpec,
};
pub use imported_certificate::{
    ImportedCertificate, ImportedCertificateOutputs, ImportedCertificateSpec,
};

use crate::aws::{Answer, Aws, GoneIsNone, incomplete};
use crate::resource::{Condition, Result, STACK_TAG, Scope, Tags};

id_types! {
    /// `arn:…:certificate/<uuid>`
    CertificateArn,
}

const GONE: &[&str] = &["ResourceNotFoundException"];

/// Finds the certificate of this node among all of the account: same domain, our tags.
async fn find(
    aws: &Aws,
    scope: &Scope,
    want: &Tags,
    domain: &str,
    kind: &CertificateType,
) -> Result<Option<(CertificateArn, Tags)>> {
    let all = aws.read_once("acm:ListCertificates", list(aws)).await?;
    let candidates = all.iter().filter(|certificate| {
        certificate.r#type() == Some(kind)
            && certificate
                .domain_name()
                .is_some_and(|name| name.eq_ignore_ascii_case(domain))
    });
    for certificate in candidates {
        let Some(arn) = certificate.certificate_arn() else {
            continue;
        };
        let tags = aws.tags(scope, arn, want, read_tags(aws, arn)).await;
        if let Some(tags) = tags.gone_is_none(GONE)?
            && tags.belong_to(scope)
        {
            return Ok(Some((arn.into(), tags)));
        }
    }
    Ok(None)
}

/// Finds all certificates of a type that carry the stack's tag: those that the tag index shows, and
/// those of the known `domains`, because the index lags.
async fn swept(
    aws: &Aws,
    scope: &Scope,
    kind: &CertificateType,
    domains: &[&str],
) -> Result<Vec<(CertificateArn, Tags)>> {
    let all = aws.read_once("acm:ListCertificates", list(aws)).await?;
    let index = aws.tag_index(scope).await?;
    let mut found = Vec::new();
    for certificate in all.iter().filter(|one| one.r#type() == Some(kind)) {
        let (arn, name) = (certificate.certificate_arn(), certificate.domain_name());
        let is_known = name.is_some_and(|name| {
            let mut domains = domains.iter();
            domains.any(|domain| name.eq_ignore_ascii_case(domain))
        });
        let Some(arn) = arn.filter(|arn| is_known || index.contains_key(*arn)) else {
            continue;
        };
        let key = format!("acm:ListTagsForCertificate {arn}");
        let tags = aws.read_once(&key, read_tags(aws, arn)).await;
        if let Some(tags) = tags.gone_is_none(GONE)?
            && tags.0.get(STACK_TAG) == Some(&scope.stack)
        {
            found.push((arn.into(), (*tags).clone()));
        }
    }
    Ok(found)
}

async fn list(aws: &Aws) -> Result<Vec<CertificateSummary>> {
    // Without this filter only RSA certificates are listed.
    let keys = Filters::builder()
        .key_types(KeyAlgorithm::Rsa2048)
        .key_types(KeyAlgorithm::EcPrime256v1);
    let pages = aws
        .acm
        .list_certificates()
        .includes(keys.build())
        .into_paginator()
        .items()
        .send();
    pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("acm:ListCertificates")
}

async fn describe(aws: &Aws, arn: &str) -> Result<Arc<Option<CertificateDetail>>> {
    let key = format!("acm:DescribeCertificate {arn}");
    let read = async {
        let answer = aws
            .acm
            .describe_certificate()
            .certificate_arn(arn)
            .send()
            .await
            .of("acm:DescribeCertificate")
            .gone_is_none(GONE)?;
        Ok(answer.and_then(|answer| answer.certificate))
    };
    aws.read_once(&key, read).await
}

/// Says why a certificate will never be issued.
fn failure(certificate: &CertificateDetail, status: &str) -> Condition {
    let reason = certificate.failure_reason().map(|reason| reason.as_str());
    Condition::Failed(match reason {
        Some(reason) => format!("{status}: {reason}"),
        None => status.to_owned(),
    })
}

async fn delete(aws: &Aws, arn: &str) -> Result<()> {
    aws.acm
        .delete_certificate()
        .certificate_arn(arn)
        .send()
        .await
        .of("acm:DeleteCertificate")
        .gone_is_fine(GONE)
}

fn tag_list(operation: &'static str, tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| {
            let tag = Tag::builder().key(key).value(value);
            tag.build().map_err(incomplete(operation))
        })
        .collect()
}

async fn read_tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let answer = aws
        .acm
        .list_tags_for_certificate()
        .certificate_arn(arn)
        .send()
        .await
        .of("acm:ListTagsForCertificate")?;
    Ok(Tags::from_pairs(
        answer
            .tags()
            .iter()
            .map(|tag| (tag.key(), tag.value().unwrap_or_default())),
    ))
}

/// Brings the tags of a certificate from `live` to `want`.
async fn change_tags(aws: &Aws, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = Tags::from_pairs(want.missing_from(live));
    if !missing.0.is_empty() {
        aws.acm
            .add_tags_to_certificate()
            .certificate_arn(arn)
            .set_tags(Some(tag_list("acm:AddTagsToCertificate", &missing)?))
            .send()
            .await
            .of("acm:AddTagsToCertificate")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        let tags = surplus
            .iter()
            .map(|key| Tag::builder().key(key).build())
            .collect::<std::result::Result<_, _>>()
            .map_err(incomplete("acm:RemoveTagsFromCertificate"))?;
        aws.acm
            .remove_tags_from_certificate()
            .certificate_arn(arn)
            .set_tags(Some(tags))
            .send()
            .await
            .of("acm:RemoveTagsFromCertificate")?;
    }
    Ok(())
}
