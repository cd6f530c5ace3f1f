//! What a listener does with a request that no rule takes.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, FixedResponseActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum,
};
use serde::{Deserialize, Serialize};

use super::WeightedTargetGroup;
use super::forward::{any_split, forward, forwarded};
use crate::resource::{Class, Error, Resolved, Result, Stage};

/// The default action of a listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", tag = "type", rename_all = "kebab-case")]
pub enum ListenerAction<S: Stage> {
    /// Answers 301 with the same URL on HTTPS.
    RedirectToHttps {
        /// The port of the HTTPS listener.
        port: u16,
    },
    /// Answers by itself.
    FixedResponse {
        /// The HTTP status code.
        status_code: u16,
        /// `text/plain`, `text/html`, `application/json` …
        content_type: String,
        /// The answer's body, at most 1024 bytes.
        body: String,
    },
    /// Forwards to target groups. Any split over exactly these groups is as wanted.
    Forward {
        /// The groups and their shares.
        target_groups: Vec<WeightedTargetGroup<S>>,
    },
    /// Something else, set by other hands; only ever read, never declared.
    Foreign {
        /// What AWS calls it.
        action: String,
    },
}

impl ListenerAction<Resolved> {
    /// Makes the actions of a request.
    pub(super) fn to_aws(&self) -> Result<Vec<Action>> {
        let action = match self {
            Self::RedirectToHttps { port } => {
                let config = RedirectActionConfig::builder()
                    .protocol("HTTPS")
                    .port(port.to_string())
                    .status_code(RedirectActionStatusCodeEnum::Http301);
                Action::builder()
                    .r#type(ActionTypeEnum::Redirect)
                    .redirect_config(config.build())
                    .build()
            }
            Self::FixedResponse {
                status_code,
                content_type,
                body,
            } => {
                let config = FixedResponseActionConfig::builder()
                    .status_code(status_code.to_string())
                    .content_type(content_type)
                    .message_body(body);
                Action::builder()
                    .r#type(ActionTypeEnum::FixedResponse)
                    .fixed_response_config(config.build())
                    .build()
            }
            Self::Forward { target_groups } => forward(target_groups),
            Self::Foreign { action } => {
                return Err(Error::new(
                    "elasticloadbalancing:ModifyListener",
                    Class::Refused,
                    format!("a {action} action cannot be declared"),
                )
                .with_advice("declare a redirect, a fixed response or target groups"));
            }
        };
        Ok(vec![action])
    }

    /// Reads the actions of an answer, in the terms of the wanted action.
    pub(super) fn from_aws(actions: &[Action], want: &Self) -> Self {
        match actions {
            [action] => {
                let known = redirect(action).or_else(|| fixed_response(action));
                known
                    .or_else(|| forward_in_terms_of(action, want))
                    .unwrap_or_else(|| Self::foreign(actions))
            }
            _ => Self::foreign(actions),
        }
    }

    fn foreign(actions: &[Action]) -> Self {
        let names: Vec<_> = actions
            .iter()
            .filter_map(|action| action.r#type().map(ActionTypeEnum::as_str))
            .collect();
        Self::Foreign {
            action: names.join(", "),
        }
    }
}

/// Reads a redirect that keeps host, path and query, for which AWS echoes placeholders.
fn redirect(action: &Action) -> Option<ListenerAction<Resolved>> {
    let config = action.redirect_config()?;
    let keeps = |part: Option<&str>, placeholder| part.is_none_or(|part| part == placeholder);
    let plain = config.protocol() == Some("HTTPS")
        && config.status_code() == Some(&RedirectActionStatusCodeEnum::Http301)
        && keeps(config.host(), "#{host}")
        && keeps(config.path(), "/#{path}")
        && keeps(config.query(), "#{query}");
    let port = config.port()?.parse().ok()?;
    plain.then_some(ListenerAction::RedirectToHttps { port })
}

fn fixed_response(action: &Action) -> Option<ListenerAction<Resolved>> {
    let config = action.fixed_response_config()?;
    Some(ListenerAction::FixedResponse {
        status_code: config.status_code()?.parse().ok()?,
        content_type: config.content_type().unwrap_or_default().to_owned(),
        body: config.message_body().unwrap_or_default().to_owned(),
    })
}

fn forward_in_terms_of(
    action: &Action,
    want: &ListenerAction<Resolved>,
) -> Option<ListenerAction<Resolved>> {
    let live = forwarded(action);
    if live.is_empty() {
        return None;
    }
    let wanted = match want {
        ListenerAction::Forward { target_groups } => target_groups.as_slice(),
        _ => &[],
    };
    Some(ListenerAction::Forward {
        target_groups: any_split(live, wanted),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward_to(groups: &[(&str, u16)]) -> ListenerAction<Resolved> {
        let groups = groups.iter().map(|&(arn, weight)| WeightedTargetGroup {
            target_group: arn.into(),
            weight,
        });
        ListenerAction::Forward {
            target_groups: groups.collect(),
        }
    }

    fn fixed() -> ListenerAction<Resolved> {
        ListenerAction::FixedResponse {
            status_code: 404,
            content_type: "text/plain".into(),
            body: "not found".into(),
        }
    }

    #[test]
    fn every_action_survives_the_way_through_aws_and_through_json() {
        let redirect = ListenerAction::RedirectToHttps { port: 443 };
        for action in [
            redirect,
            fixed(),
            forward_to(&[("blue", 100), ("green", 0)]),
        ] {
            let sent = action.to_aws().unwrap();
            assert_eq!(ListenerAction::from_aws(&sent, &action), action);
            let text = serde_json::to_string(&action).unwrap();
            let read: ListenerAction<Resolved> = serde_json::from_str(&text).unwrap();
            assert_eq!(read, action);
        }
    }

    #[test]
    fn the_placeholders_that_aws_echoes_are_no_drift() {
        let config = RedirectActionConfig::builder()
            .protocol("HTTPS")
            .port("443")
            .status_code(RedirectActionStatusCodeEnum::Http301)
            .host("#{host}")
            .path("/#{path}")
            .query("#{query}");
        let echoed = |config: RedirectActionConfig| {
            let action = Action::builder()
                .r#type(ActionTypeEnum::Redirect)
                .redirect_config(config)
                .build();
            ListenerAction::from_aws(&[action], &fixed())
        };
        let plain = ListenerAction::RedirectToHttps { port: 443 };
        assert_eq!(echoed(config.clone().build()), plain);
        assert_ne!(echoed(config.host("elsewhere.example").build()), plain);
    }

    #[test]
    fn a_shifted_split_is_as_wanted_and_a_foreign_group_is_not() {
        let want = forward_to(&[("blue", 100), ("green", 0)]);
        let read = |live: ListenerAction<Resolved>| {
            ListenerAction::from_aws(&live.to_aws().unwrap(), &want)
        };
        assert_eq!(read(forward_to(&[("green", 100), ("blue", 0)])), want);
        assert_ne!(read(forward_to(&[("alien", 100), ("blue", 0)])), want);
    }

    #[test]
    fn an_action_of_other_hands_is_shown_and_never_sent() {
        let action = Action::builder()
            .r#type(ActionTypeEnum::AuthenticateOidc)
            .build();
        let both = [action, fixed().to_aws().unwrap().remove(0)];
        let read = ListenerAction::from_aws(&both, &fixed());
        let ListenerAction::Foreign { action } = &read else {
            unreachable!("{read:?}")
        };
        assert_eq!(action, "authenticate-oidc, fixed-response");
        assert!(read.to_aws().is_err());
    }
}
