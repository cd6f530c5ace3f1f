//! The value of the database secret: how it is written, and how it is read where a request needs
//! it. [`Password`] cannot be printed or serialised, so it cannot reach a state, plan or log.

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::SecretArn;
use crate::aws::{Answer, Aws};
use crate::resource::{Class, Error, Result};

/// A password. Neither `Debug` nor `Display` shows it, and it is not serialisable.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Gives the password itself, for the one request that needs it.
    pub(in crate::kinds) fn reveal(&self) -> &str {
        &self.0
    }

    /// Makes sure that the answer to a request that carried the password does not repeat it.
    pub(in crate::kinds) fn hide_in(&self, error: Error) -> Error {
        error.hiding(&self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Who logs in to the database, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The database user.
    pub username: String,
    /// Its password.
    pub password: Password,
}

impl Credentials {
    /// Makes credentials with a new password of 32 characters from
    /// `secretsmanager:GetRandomPassword`. Aurora takes no `/`, `@`, `"` or space in a password
    /// (field guide, section 10).
    pub(super) async fn generate(aws: &Aws, username: &str) -> Result<Self> {
        let answer = aws
            .secrets
            .get_random_password()
            .password_length(32)
            .exclude_characters("/@\" ")
            .include_space(false)
            .send()
            .await
            .of("secretsmanager:GetRandomPassword")?;
        let password = answer.random_password.ok_or_else(|| {
            Error::missing_field("secretsmanager:GetRandomPassword", "RandomPassword")
        })?;
        Ok(Self {
            username: username.to_owned(),
            password: Password(password),
        })
    }

    /// The value of the secret, as ECS and the application read it. Only for the request that
    /// stores it.
    pub(super) fn to_secret_string(&self) -> String {
        json!({ "username": self.username, "password": self.password.reveal() }).to_string()
    }
}

/// Reads the credentials from a secret (`secretsmanager:GetSecretValue`).
///
/// # Errors
/// Those of the call; and a refusal if the value is not the JSON that [`super::Secret`] writes,
/// which never quotes the value.
pub async fn read_credentials(aws: &Aws, arn: &SecretArn) -> Result<Credentials> {
    #[derive(Deserialize)]
    struct Stored {
        username: String,
        password: String,
    }
    const OPERATION: &str = "secretsmanager:GetSecretValue";
    let answer = aws
        .secrets
        .get_secret_value()
        .secret_id(&**arn)
        .send()
        .await
        .of(OPERATION)?;
    let text = answer.secret_string().unwrap_or_default();
    // The parser's own message may quote the value, so it is dropped.
    let stored: Stored = serde_json::from_str(text).map_err(|_| {
        Error::new(
            OPERATION,
            Class::Refused,
            format!("the value of {arn} is not a JSON object with `username` and `password`"),
        )
        .with_advice(
            "put such a value into the secret (in the console, or with \
             `aws secretsmanager put-secret-value`), then run the same command again",
        )
    })?;
    Ok(Credentials {
        username: stored.username,
        password: Password(stored.password),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::operation::get_random_password::GetRandomPasswordOutput;
    use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::mocked;

    const ARN: &str =
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:order-api-db-password-dev-AbCdEf";

    #[tokio::test]
    async fn what_is_written_is_read_back_and_never_shown() {
        let random = mock!(Client::get_random_password)
            .match_requests(|r| {
                r.password_length() == Some(32)
                    && r.include_space() == Some(false)
                    && ['/', '@', '"', ' ']
                        .iter()
                        .all(|c| r.exclude_characters().is_some_and(|all| all.contains(*c)))
            })
            .then_output(|| {
                GetRandomPasswordOutput::builder()
                    .random_password(r"hunter2\'}")
                    .build()
            });
        let written = Credentials::generate(&mocked(&[&random]), "admin")
            .await
            .unwrap();
        let text = written.to_secret_string();
        let value = mock!(Client::get_secret_value)
            .match_requests(|r| r.secret_id() == Some(ARN))
            .then_output(move || {
                GetSecretValueOutput::builder()
                    .secret_string(text.clone())
                    .build()
            });
        let read = read_credentials(&mocked(&[&value]), &ARN.into())
            .await
            .unwrap();
        assert_eq!(read, written);
        assert_eq!(read.password.reveal(), r"hunter2\'}");
        let shown = format!("{read:?} {read:#?} {}", read.password);
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn an_unusable_value_is_refused_without_quoting_it() {
        for text in [
            r#""hunter2""#,
            r#"{"username":"admin","password":["hunter2"]}"#,
            "hunter2",
        ] {
            let value = mock!(Client::get_secret_value)
                .then_output(move || GetSecretValueOutput::builder().secret_string(text).build());
            let error = read_credentials(&mocked(&[&value]), &ARN.into())
                .await
                .unwrap_err();
            assert!(error.message().contains(ARN));
            assert!(!format!("{error}").contains("hunter2"), "{error}");
            assert!(error.advice().is_some());
        }
    }
}
