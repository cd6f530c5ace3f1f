//! Area `secret`: whether the name of the database secret is held by one that is to be deleted.

use super::super::Chart;
use super::super::reads::moment;
use super::Needs;
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{Result, STACK_TAG};

pub(super) const AREA: &str = "secret";

pub(super) async fn look(aws: &Aws, needs: &Needs, chart: &mut Chart) -> Result<()> {
    let Some(name) = &needs.secret else {
        return Ok(());
    };
    let answer = aws
        .secrets
        .describe_secret()
        .secret_id(name)
        .send()
        .await
        .of("secretsmanager:DescribeSecret")
        .gone_is_none(&["ResourceNotFoundException"])?;
    // One that is not to be deleted is the stack's own, or told as a stranger.
    let Some(pending) = answer.filter(|secret| secret.deleted_date().is_some()) else {
        chart.fine(format!(
            "no secret that is to be deleted holds the name {name}"
        ));
        return Ok(());
    };
    let arn = pending.arn().unwrap_or(name);
    let deleted = format!("{arn}, deleted {}", moment(pending.deleted_date()));
    let is_ours = pending
        .tags()
        .iter()
        .any(|tag| tag.key() == Some(STACK_TAG) && tag.value() == Some(&needs.stack));
    if is_ours {
        chart
            .fine("the stack's former secret is inside its recovery window; `up` takes it back")
            .shown_by([deleted]);
    } else {
        chart
            .problem(format!("a secret that is to be deleted holds the name {name}"))
            .shown_by([deleted, format!("it does not carry the tag {STACK_TAG}={}", needs.stack)])
            .mended_by(format!(
                "to free the name for good: `aws secretsmanager delete-secret --secret-id {arn} --force-delete-without-recovery`; \
                 to use that secret: `aws secretsmanager restore-secret --secret-id {arn}`, then `orderctl up --adopt`"
            ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::error::ErrorMetadata;
    use aws_sdk_secretsmanager::operation::describe_secret::{
        DescribeSecretError, DescribeSecretOutput,
    };
    use aws_sdk_secretsmanager::types::Tag;
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::DateTime;

    use super::super::super::testing::{found, is_fine, only_bad};
    use super::super::super::{Finding, Severity};
    use super::super::testing::needs;
    use super::*;
    use crate::aws::testing::mocked;

    fn secret(deleted: bool, stack: &'static str) -> Rule {
        mock!(Client::describe_secret).then_output(move || {
            DescribeSecretOutput::builder()
                .arn("arn:secret")
                .set_deleted_date(deleted.then(|| DateTime::from_secs(0)))
                .tags(Tag::builder().key(STACK_TAG).value(stack).build())
                .build()
        })
    }

    fn refused(code: &'static str) -> Rule {
        mock!(Client::describe_secret).then_error(move || {
            DescribeSecretError::generic(ErrorMetadata::builder().code(code).build())
        })
    }

    async fn examined(rule: Rule) -> Vec<Finding> {
        let aws = mocked(&[&rule]);
        let needs = needs();
        found(async |chart: &mut Chart| look(&aws, &needs, chart).await).await
    }

    #[tokio::test]
    async fn only_somebody_elses_pending_secret_stands_in_the_way() {
        is_fine(&examined(refused("ResourceNotFoundException")).await);
        is_fine(&examined(secret(false, "prod")).await);
        is_fine(&examined(secret(true, "dev")).await);
        let all = examined(secret(true, "prod")).await;
        let finding = only_bad(&all);
        assert!(finding.is_problem());
        let fix = finding.fix.as_deref().unwrap();
        for part in [
            "delete-secret --secret-id arn:secret --force",
            "restore-secret",
            "--adopt",
        ] {
            assert!(fix.contains(part), "{part} in {fix}");
        }
        let all = examined(refused("AccessDeniedException")).await;
        assert_eq!(only_bad(&all).severity, Severity::Unknown);
    }
}
