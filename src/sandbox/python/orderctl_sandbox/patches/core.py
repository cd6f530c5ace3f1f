"""Response transformers per request, and lookups that are the same for every request.

Gap (moto 5.2.5): ``include=TAGS`` is remembered on the response *class*, so two requests at once, one with and one
without it, get each other's answer.
Restores: every request has its own.

Gap (moto 5.2.5): each call reads the folders of moto's package twice and inspects all methods of its response class,
which is a third of what an answer costs.
Restores: both are looked up once, as neither changes while the process runs.

Gap (moto 5.2.5): the tags of one EC2 resource are looked for among those of all, by a pattern, which is a fifth of what a
whole stack costs.
Restores: they are looked up by the resource's id.
"""

import functools

from moto import backends
from moto.core import responses
from moto.core.responses import BaseResponse
from moto.core.serialize import never_return
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from .patching import replace


def apply() -> None:
    """Gives each request its own transformers, and looks up only once what stays the same."""
    _apply_transformers()
    _apply_lookups()
    _apply_tags()


def _apply_transformers() -> None:
    def own(self) -> dict:
        if "RESPONSE_KEY_PATH_TO_TRANSFORMER" not in self.__dict__:
            self.RESPONSE_KEY_PATH_TO_TRANSFORMER = dict(type(self).RESPONSE_KEY_PATH_TO_TRANSFORMER)
        return self.RESPONSE_KEY_PATH_TO_TRANSFORMER

    @replace(BaseResponse)
    def _include_in_response(self, response_key_path: str) -> None:
        own(self)[response_key_path] = lambda value: value

    @replace(BaseResponse)
    def _exclude_from_response(self, response_key_path: str) -> None:
        own(self)[response_key_path] = never_return


def _apply_lookups() -> None:
    modules = tuple(backends.list_of_moto_modules())
    replace(backends, "list_of_moto_modules")(lambda: modules)
    # The name by which calls are dispatched; by then all modules have added their methods to the classes.
    replace(responses, "method_names_from_class")(functools.cache(responses.method_names_from_class))


def _apply_tags() -> None:
    @replace(TaggedEC2Resource)
    def get_tags(self) -> list[dict[str, str]]:
        tags = self.ec2_backend.tags.get(self.id, {}) if self.id else {}
        resource_type = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "") if tags else ""
        return [
            {"resource_id": self.id, "key": key, "value": value, "resource_type": resource_type}
            for key, value in tags.items()
        ]
