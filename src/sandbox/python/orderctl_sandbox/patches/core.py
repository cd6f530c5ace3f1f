"""Response transformers per request.

Gap (moto 5.2.5): ``include=TAGS`` is remembered on the response *class*, so two requests at once, one with and one
without it, get each other's answer.
Restores: every request has its own.
"""

from moto.core.responses import BaseResponse
from moto.core.serialize import never_return

from .patching import replace


def apply() -> None:
    """Makes ``_include_in_response`` and ``_exclude_from_response`` write to the instance."""

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
