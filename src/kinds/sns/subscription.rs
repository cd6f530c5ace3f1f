//! `sns/subscription`: one receiver of a topic. E-mail receivers must confirm by a link that SNS
//! mails them; until then the subscription has no ARN and cannot be deleted.

use aws_sdk_sns::types::Subscription as AwsSubscription;
use serde::{Deserialize, Serialize};

use super::{GONE, TopicArn};
use crate::aws::{Answer, Aws, GoneIsNone};
use crate::resource::{
    Condition, Identity, Last, Live, Operations, Refusal, Resolved, Resource, Result, Scope, Stage,
    outputs,
};

/// An `AWS::SNS::Subscription`.
pub struct Subscription;

/// The settings of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SubscriptionSpec<S: Stage> {
    /// The topic whose messages it receives.
    pub topic: S::In<TopicArn>,
    /// How messages are delivered.
    pub protocol: Protocol,
    /// Where messages are delivered: an address for e-mail, a URL for HTTPS.
    pub endpoint: String,
}

/// How messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// As e-mail.
    Email,
    /// As e-mail with a JSON body.
    EmailJson,
    /// As a POST request.
    Https,
}

outputs! { Subscription =>
    /// What AWS gives a subscription.
    SubscriptionOutputs {
        /// The subscription's ARN; none until the receiver has confirmed.
        arn: Option<String>,
    }
}

impl Resource for Subscription {
    const KIND: &'static str = "sns/subscription";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["sns:ListSubscriptionsByTopic"],
        create: &["sns:Subscribe"],
        update: &[],
        delete: &["sns:Unsubscribe"],
    };
    const REPLACE_ON: &'static [&'static str] = &["topic", "protocol", "endpoint"];
    // An unconfirmed one stays listed until SNS drops it or the topic goes.
    const DELETE_IS_FINAL: bool = true;
    // A topic made moments ago may be missed.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("NotFound", 120),
        Refusal::update("NotFound", 120),
    ];
    type Api = Aws;
    type Spec<S: Stage> = SubscriptionSpec<S>;
    type Outputs = SubscriptionOutputs;

    /// An unconfirmed subscription is ready too: no run waits for somebody to read a mail.
    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &SubscriptionSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let known = last.map_or(want, |last| &last.spec);
        let key = format!("sns:ListSubscriptionsByTopic {}", known.topic);
        let subscriptions = aws.read_once(&key, list(aws, &known.topic)).await?;
        // The end of a subscription somebody left stays listed for days under the ARN `Deleted`,
        // even beside its successor; a confirmed one beats an unconfirmed one. Letter case is let
        // pass, because not finding one would mail the receiver again on every run.
        let arn = subscriptions
            .iter()
            .filter(|found| {
                found.protocol() == Some(known.protocol.as_str())
                    && found
                        .endpoint()
                        .is_some_and(|endpoint| endpoint.eq_ignore_ascii_case(&known.endpoint))
                    && found.subscription_arn() != Some("Deleted")
            })
            .map(|found| confirmed(found.subscription_arn()))
            .max();
        Ok(arn.map(|arn| Live {
            outputs: SubscriptionOutputs { arn },
            spec: known.clone(),
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &SubscriptionSpec<Resolved>,
    ) -> Result<SubscriptionOutputs> {
        let answer = aws
            .sns
            .subscribe()
            .topic_arn(&*want.topic)
            .protocol(want.protocol.as_str())
            .endpoint(&want.endpoint)
            .send()
            .await
            .of("sns:Subscribe")?;
        Ok(SubscriptionOutputs {
            arn: confirmed(answer.subscription_arn()),
        })
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        let Some(arn) = &live.outputs.arn else {
            return Ok(());
        };
        let call = aws.sns.unsubscribe().subscription_arn(arn);
        let answer = call.send().await.of("sns:Unsubscribe");
        answer.gone_is_fine(GONE)
    }
}

impl Protocol {
    fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::EmailJson => "email-json",
            Self::Https => "https",
        }
    }
}

/// Takes an ARN, but not the words SNS puts in its place (`PendingConfirmation`).
fn confirmed(arn: Option<&str>) -> Option<String> {
    arn.filter(|arn| arn.starts_with("arn:")).map(str::to_owned)
}

/// Lists a topic's subscriptions; none if the topic itself is gone.
async fn list(aws: &Aws, topic: &str) -> Result<Vec<AwsSubscription>> {
    let pages = aws
        .sns
        .list_subscriptions_by_topic()
        .topic_arn(topic)
        .into_paginator()
        .items()
        .send();
    let found = pages
        .collect::<std::result::Result<_, _>>()
        .await
        .of("sns:ListSubscriptionsByTopic")
        .gone_is_none(GONE)?;
    Ok(found.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::Client;
    use aws_sdk_sns::error::ErrorMetadata;
    use aws_sdk_sns::operation::list_subscriptions_by_topic::{
        ListSubscriptionsByTopicError, ListSubscriptionsByTopicOutput,
    };
    use aws_sdk_sns::operation::subscribe::SubscribeOutput;
    use aws_sdk_sns::operation::unsubscribe::UnsubscribeOutput;
    use aws_smithy_mocks::{Rule, mock};
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};

    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:order-api-alarms-dev";
    const ARN: &str = "arn:aws:sns:us-east-1:123456789012:order-api-alarms-dev:0a1b";

    fn want() -> SubscriptionSpec<Resolved> {
        SubscriptionSpec {
            topic: TOPIC.into(),
            protocol: Protocol::Email,
            endpoint: "oncall@example.com".into(),
        }
    }

    fn listed(entries: &'static [(&str, &str, &str)]) -> Rule {
        mock!(Client::list_subscriptions_by_topic)
            .match_requests(|r| r.topic_arn() == Some(TOPIC))
            .then_output(|| {
                let found = entries.iter().map(|(arn, protocol, endpoint)| {
                    AwsSubscription::builder()
                        .subscription_arn(*arn)
                        .protocol(*protocol)
                        .endpoint(*endpoint)
                        .topic_arn(TOPIC)
                        .build()
                });
                ListSubscriptionsByTopicOutput::builder()
                    .set_subscriptions(Some(found.collect()))
                    .build()
            })
    }

    async fn observe(rule: &Rule) -> Option<Live<Subscription>> {
        let aws = mocked(&[rule]);
        let live = Subscription::observe(&aws, &scope("subscription"), &want(), None).await;
        live.unwrap()
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_prefers_the_confirmed_one() {
        let live = observe(&listed(&[
            ("arn:other", "email", "other@example.com"),
            ("arn:sms", "sms", "oncall@example.com"),
            ("PendingConfirmation", "email", "oncall@example.com"),
            (ARN, "email", "oncall@example.com"),
        ]))
        .await
        .unwrap();
        assert_eq!(live.spec, want());
        assert_eq!(live.outputs.arn.as_deref(), Some(ARN));
    }

    #[tokio::test]
    async fn an_unconfirmed_one_is_there_ready_and_without_arn() {
        let pending = listed(&[("PendingConfirmation", "email", "oncall@example.com")]);
        let live = observe(&pending).await.unwrap();
        assert_eq!(live.condition, Condition::Ready);
        assert_eq!(live.outputs.arn, None);
    }

    #[tokio::test]
    async fn a_left_one_and_one_of_a_gone_topic_are_none() {
        assert!(observe(&listed(&[])).await.is_none());
        let left = listed(&[("Deleted", "email", "oncall@example.com")]);
        assert!(observe(&left).await.is_none());
        let gone = mock!(Client::list_subscriptions_by_topic).then_error(|| {
            let code = ErrorMetadata::builder().code("NotFound");
            ListSubscriptionsByTopicError::generic(code.build())
        });
        assert!(observe(&gone).await.is_none());
    }

    #[tokio::test]
    async fn subscribing_an_address_gives_no_arn_yet() {
        let subscribe = mock!(Client::subscribe)
            .match_requests(|r| {
                r.topic_arn() == Some(TOPIC)
                    && r.protocol() == Some("email")
                    && r.endpoint() == Some("oncall@example.com")
            })
            .then_output(|| {
                let output = SubscribeOutput::builder();
                output.subscription_arn("pending confirmation").build()
            });
        let made = Subscription::create(&mocked(&[&subscribe]), &scope("x"), &want()).await;
        assert_eq!(made.unwrap().arn, None);
    }

    #[tokio::test]
    async fn only_a_confirmed_subscription_is_unsubscribed() {
        let unsubscribe = mock!(Client::unsubscribe)
            .match_requests(|r| r.subscription_arn() == Some(ARN))
            .then_output(|| UnsubscribeOutput::builder().build());
        let aws = mocked(&[&unsubscribe]);
        for arn in [None, Some(ARN.to_owned())] {
            let live = Live {
                outputs: SubscriptionOutputs { arn },
                spec: want(),
                condition: Condition::Ready,
            };
            Subscription::delete(&aws, &scope("x"), &live)
                .await
                .unwrap();
        }
        assert_eq!(aws.calls().writes(), 1);
    }

    #[test]
    fn protocols_are_written_as_sns_writes_them() {
        for protocol in [Protocol::Email, Protocol::EmailJson, Protocol::Https] {
            assert_eq!(json!(protocol), protocol.as_str());
        }
    }
}
