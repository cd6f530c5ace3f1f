"""SNS: e-mail subscriptions.

Gaps (moto 5.2.5): an e-mail subscription is confirmed at once and no count of subscriptions is kept.
Restores: field guide section 7 (``PendingConfirmation`` until somebody clicks; what is unconfirmed cannot be deleted).
"""

from moto.sns.exceptions import SNSInvalidParameter
from moto.sns.models import SNSBackend
from moto.sns.responses import SNSResponse

from .patching import wrap

_CLICKED = ("email", "email-json")


def apply() -> None:
    """Patches subscribing, unsubscribing and the counts of a topic."""

    @wrap(SNSBackend, "subscribe")
    def pending_until_clicked(original, self, topic_arn, endpoint, protocol):
        subscription = original(self, topic_arn, endpoint, protocol)
        if protocol in _CLICKED and not subscription.confirmed:
            # moto's serializer prefers this attribute over `arn`, the key under which the subscription is kept.
            subscription.subscription_arn = "PendingConfirmation"
            subscription.attributes["PendingConfirmation"] = True
        else:
            subscription.confirmed = True
        return subscription

    @wrap(SNSResponse, "subscribe")
    def not_yet_an_arn(original, self):
        answer = original(self)
        subscription = self.backend.subscriptions.get(answer._result["SubscriptionArn"])
        if subscription is not None and not subscription.confirmed and not self._get_bool_param("ReturnSubscriptionArn"):
            answer._result["SubscriptionArn"] = "pending confirmation"
        return answer

    @wrap(SNSBackend, "unsubscribe")
    def only_confirmed(original, self, subscription_arn):
        subscription = self.subscriptions.get(subscription_arn)
        if not subscription_arn.startswith("arn:") or (subscription is not None and not subscription.confirmed):
            raise SNSInvalidParameter("Invalid parameter: This subscription cannot be deleted: it is pending confirmation")
        return original(self, subscription_arn)

    @wrap(SNSResponse, "get_topic_attributes")
    def with_counts(original, self):
        arn = self._get_param("TopicArn")
        topic = self.backend.get_topic(arn)
        own = [s for s in self.backend.subscriptions.values() if s.topic.arn == arn]
        topic.subscriptions_confimed = sum(s.confirmed for s in own)
        topic.subscriptions_pending = len(own) - topic.subscriptions_confimed
        return original(self)
