//! The error a kind's call returns: which AWS operation failed, with what code, and what to do.

use std::fmt;

use super::Changes;

/// The result of a kind's call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an answer is, for the decision to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The thing asked for does not exist.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// AWS asked us to slow down; nothing was done.
    Throttled,
    /// The answer was lost or AWS failed: the request may or may not have been carried out.
    Unclear,
    /// The credentials are missing, expired, or not allowed to do this.
    Denied,
    /// A limit of the account is reached; trying again does not help.
    Quota,
    /// Any other refusal.
    Refused,
}

/// A failed AWS operation.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    operation: String,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    class: Class,
    advice: Option<String>,
}

impl Error {
    /// Makes an error of `operation` (`ec2:CreateVpc`).
    pub fn new(operation: impl Into<String>, class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            operation: operation.into(),
            code: None,
            message: message.into(),
            request_id: None,
            class,
            advice: None,
        }))
    }

    /// Adds AWS's error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Says what kind of failure it is, where AWS's code alone does not tell.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// Adds AWS's request id.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// Takes the message away if it repeats a part of `secret`, which the request carried: AWS quotes
    /// what it refuses (law 7). Kinds call this for every request that carries one.
    #[must_use]
    pub fn hiding(mut self, secret: &str) -> Self {
        if repeats(&self.0.message, secret) {
            self.0.message = "AWS's message is not shown, because it repeats a secret".to_owned();
        }
        self
    }

    /// Adds what uses the thing that cannot be deleted.
    #[must_use]
    pub fn with_users(mut self, users: &[String]) -> Self {
        if !users.is_empty() {
            self.0.message = format!("{}; it is used by {}", self.0.message, users.join(", "));
        }
        self
    }

    /// Says that AWS's answer lacked a field that its documentation promises.
    pub fn missing_field(operation: &str, field: &str) -> Self {
        Self::new(
            operation,
            Class::Unclear,
            format!("the answer carries no `{field}`"),
        )
        .with_advice("run the same command again; it looks the resource up first")
    }

    pub(super) fn cannot_update(kind: &str, changes: &Changes) -> Self {
        Self::new(
            kind,
            Class::Refused,
            format!("AWS cannot change {} in place", changes.names().join(", ")),
        )
        .with_advice("delete the resource, then run `orderctl up` again")
    }

    /// The AWS operation, as `service:Operation`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// AWS's error code, in wire form.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// AWS's message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// AWS's request id, for a support case.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// What the reader can do about it, if this place knows.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// Says whether the code is one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// Says whether the code is `code` and the message contains `fragment`.
    pub fn says(&self, code: &str, fragment: &str) -> bool {
        self.is(&[code]) && self.message().contains(fragment)
    }
}

/// How much of a secret in a row is no coincidence.
const TELLING: usize = 8;

/// Says whether the text holds a part of the secret, as it is, as JSON, or as a URL writes it.
fn repeats(text: &str, secret: &str) -> bool {
    if secret.is_empty() {
        return false;
    }
    let json = serde_json::Value::from(secret).to_string();
    let url: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    [secret, json.trim_matches('"'), &url].iter().any(|form| {
        let letters: Vec<char> = form.chars().collect();
        let length = TELLING.min(letters.len());
        letters
            .windows(length)
            .any(|part| text.contains(&part.iter().collect::<String>()))
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.0.operation)?;
        if let Some(code) = &self.0.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(id) = &self.0.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_repeats_a_secret_is_not_shown() {
        let secret = r#"q7&Zt"\p=8Rk2!mVx%9Wc'"#;
        let shown = |message: String| {
            let error = Error::new("rds:CreateDBCluster", Class::Refused, message);
            error
                .with_code("InvalidParameterValue")
                .hiding(secret)
                .to_string()
        };
        let json = serde_json::json!({ "password": secret }).to_string();
        for echo in [
            format!("Value: {secret} is not valid"),
            format!("Invalid parameter {json}"),
            "MasterUserPassword=q7%26Zt%22%5Cp%3D8Rk2%21mVx%259Wc%27&Engine=aurora".to_owned(),
            "it begins with q7&Zt\"\\p".to_owned(),
        ] {
            let text = shown(echo);
            assert!(
                text.contains("InvalidParameterValue: AWS's message is not shown"),
                "{text}"
            );
        }
        let harmless = "The password must have 8 to 41 characters; q7&Zt does not say much";
        assert!(shown(harmless.to_owned()).contains(harmless));
        let error = Error::new("rds:CreateDBCluster", Class::Refused, "anything");
        assert_eq!(
            error.clone().hiding(""),
            error,
            "without a secret nothing is hidden"
        );
    }
}
