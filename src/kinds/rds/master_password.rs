//! Where the master user's password comes from. Only the reference to a secret is ever kept; the
//! password goes from Secrets Manager into the one request that needs it (law 7).

use aws_sdk_rds::operation::create_db_cluster::builders::CreateDBClusterFluentBuilder as Create;
use aws_sdk_rds::operation::modify_db_cluster::builders::ModifyDBClusterFluentBuilder as Modify;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::kinds::secretsmanager::{Password, SecretArn, read_credentials};
use crate::resource::{Error, Resolved, Result, Stage};

/// Who keeps the master user's password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", rename_all = "lowercase")]
pub enum MasterPassword<S: Stage> {
    /// It is read from this secret when the cluster is made, and again when the reference changes.
    Secret(S::In<SecretArn>),
    /// RDS makes, encrypts and rotates it in a secret of its own (field guide, section 6).
    Managed,
}

impl MasterPassword<Resolved> {
    /// Tells the live setting. AWS says whether RDS manages the password, but not which secret a
    /// given password came from: that is taken from what was applied last.
    pub(super) fn live(managed: bool, want: &Self, last: Option<&Self>) -> Self {
        if managed {
            return Self::Managed;
        }
        [last.unwrap_or(want), want]
            .into_iter()
            .find(|known| matches!(known, Self::Secret(_)))
            .cloned()
            // Somebody turned the management off; what password they set is not known.
            .unwrap_or_else(|| Self::Secret(SecretArn(String::new())))
    }

    /// Reads the password that a request needs; `None` if RDS makes it.
    pub(super) async fn read(&self, aws: &Aws) -> Result<Option<Password>> {
        match self {
            Self::Managed => Ok(None),
            Self::Secret(arn) => Ok(Some(read_credentials(aws, arn).await?.password)),
        }
    }

    /// Puts it into the create request.
    pub(super) fn on_create(password: Option<&Password>, request: Create) -> Create {
        match password {
            None => request.manage_master_user_password(true),
            Some(password) => request.master_user_password(password.reveal()),
        }
    }

    /// Puts the way from `live` to this password into the modify request. RDS deletes its own secret
    /// when it no longer manages the password, and demands a new one in the same request.
    pub(super) fn on_modify(live: &Self, password: Option<&Password>, request: Modify) -> Modify {
        let Some(password) = password else {
            return request.manage_master_user_password(true);
        };
        let request = request.master_user_password(password.reveal());
        match live {
            Self::Managed => request.manage_master_user_password(false),
            Self::Secret(_) => request,
        }
    }

    /// Makes sure that the answer to a request that carried the password does not repeat it.
    pub(super) fn hide(password: Option<&Password>, error: Error) -> Error {
        match password {
            Some(password) => password.hide_in(error),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::{Declared, diff, find_references};

    type Password = super::MasterPassword<Resolved>;

    fn secret(arn: &str) -> Password {
        MasterPassword::Secret(arn.into())
    }

    #[test]
    fn the_live_setting_differs_from_the_wanted_one_exactly_when_something_is_to_be_done() {
        let managed = Password::Managed;
        let cases = [
            (false, secret("a"), None, false),
            (false, secret("a"), Some(secret("a")), false),
            (false, secret("b"), Some(secret("a")), true),
            (true, secret("a"), Some(secret("a")), true),
            (true, managed.clone(), Some(secret("a")), false),
            (false, managed.clone(), Some(managed.clone()), true),
            (false, managed.clone(), Some(secret("a")), true),
            (false, secret("a"), Some(managed), false),
        ];
        for (is_managed, want, last, differs) in cases {
            let live = MasterPassword::live(is_managed, &want, last.as_ref());
            let wrap = |value: &Password| json!({ "master_password": value });
            let changes = diff(&wrap(&want), &wrap(&live), None);
            assert_eq!(
                changes.touch("master_password"),
                differs,
                "{want:?} {last:?}"
            );
        }
    }

    #[test]
    fn a_reference_to_a_secret_is_an_edge_of_the_graph() {
        let text = json!({"secret": {"$output": "db-secret.arn", "$wait": "ready"}});
        let declared: MasterPassword<Declared> = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(json!(declared), text);
        assert_eq!(find_references(&text)[0].address.as_str(), "db-secret");
    }
}
