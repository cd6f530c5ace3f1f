"""SNS: topics that exist otherwise, and topics that are not known yet.

Field guide section 7: CreateTopic answers the existing topic of the name, but refuses other attributes or tags than it
has (``InvalidParameter``). A new topic is ``NotFound`` for a while.
"""

from moto.core.utils import camelcase_to_underscores
from moto.sns.exceptions import ResourceNotFoundError, SNSInvalidParameter, TopicNotFound
from moto.sns.models import SNSBackend, Topic

from .. import consistency
from ..patches.patching import wrap


def _existing(backend: SNSBackend, name: str) -> Topic | None:
    return next((topic for topic in backend.topics.values() if topic.name == name), None)


def _attribute(topic: Topic, name: str) -> str | None:
    return getattr(topic, camelcase_to_underscores(name), None)


def apply() -> None:
    """Refuses to make a topic differently, and lets reads miss new ones."""
    _apply_create()
    _apply_lookups()


def _apply_create() -> None:
    @wrap(SNSBackend, "create_topic")
    def create(original, self, name, attributes=None, tags=None):
        topic = _existing(self, name)
        if topic is not None:
            if any(_attribute(topic, key) != value for key, value in (attributes or {}).items()):
                raise SNSInvalidParameter(
                    "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
                )
            if tags and tags != topic._tags:
                raise SNSInvalidParameter("Invalid parameter: Tags Reason: Topic already exists with different tags")
            return topic
        topic = original(self, name, attributes, tags)
        consistency.created(topic.arn)
        return topic


def _apply_lookups() -> None:
    @wrap(SNSBackend, "get_topic")
    def get(original, self, arn):
        topic = original(self, arn)
        if consistency.misses(arn):
            raise TopicNotFound
        return topic

    @wrap(SNSBackend, "list_topics")
    def listed(original, self, *arguments, **named):
        topics, token = original(self, *arguments, **named)
        return [topic for topic in topics if not consistency.misses(topic.arn)], token

    def tags_of_known(original, self, resource_arn, *arguments):
        if consistency.misses(resource_arn):
            raise ResourceNotFoundError
        return original(self, resource_arn, *arguments)

    for operation in ("list_tags_for_resource", "tag_resource", "untag_resource"):
        wrap(SNSBackend, operation)(tags_of_known)

    @wrap(SNSBackend, "delete_topic")
    def delete(original, self, arn):
        with consistency.from_inside():
            original(self, arn)
        consistency.forget(arn)
