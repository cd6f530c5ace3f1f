"""Resource Groups Tagging API: GetResources answers from an index that lags behind the services.

With eventual consistency (field guide section 1 rule 6), a new resource or a changed tag shows up after twice the lag of
reads, and what is deleted is still listed for once the lag. Without it, everything shows at once.
"""

from collections.abc import Iterator

from moto.core.resource_tagging import TaggedResource
from moto.core.responses import BaseResponse
from moto.ec2.models import ec2_backends

from .. import consistency
from ..clock import CLOCK
from ..patches import tagging
from ..patches.patching import wrap

_listing = tagging.tagged_resources


class Index:
    """What GetResources shows of one region."""

    def __init__(self, account: str, region: str) -> None:
        self.place = (account, region)
        self.real = self._read()
        self.shown = dict(self.real)

    def _read(self) -> dict[str, TaggedResource]:
        with consistency.from_inside():
            found = [TaggedResource(item.arn, dict(item.tags), item.resource_type) for item in _listing(*self.place)]
        return {resource.arn: resource for resource in found}

    def catch_up(self) -> None:
        """Takes note of what has changed since the last time, to show it later."""
        before, self.real = self.real, self._read()
        for arn in before.keys() | self.real.keys():
            resource = self.real.get(arn)
            if resource != before.get(arn):
                seconds = consistency.lag() * (1 if resource is None else 2)
                CLOCK.after(seconds, lambda arn=arn, resource=resource: self._show(arn, resource))

    def _show(self, arn: str, resource: TaggedResource | None) -> None:
        if self.real.get(arn) != resource:
            # Something newer is on its way.
            return
        if resource is None:
            self.shown.pop(arn, None)
        else:
            self.shown[arn] = resource


_indexes: dict[tuple[str, str], Index] = {}


def forget() -> None:
    """Begins anew: what is there now shows at once."""
    _indexes.clear()


def _index(account: str, region: str) -> Index | None:
    """The index of a region; ``None`` without eventual consistency and for what is no region."""
    if not consistency.lag():
        _indexes.clear()
        return None
    if region not in ec2_backends[account].regions:
        return None
    if (account, region) not in _indexes:
        _indexes[account, region] = Index(account, region)
    return _indexes[account, region]


def apply() -> None:
    """Watches all calls for changes, and puts the index before the listing."""

    @wrap(BaseResponse, "call_action")
    def watched(original, self):
        index = _index(self.current_account, self.region)
        answer = original(self)
        if index is not None:
            index.catch_up()
        return answer

    @wrap(tagging, "tagged_resources")
    def lagging(original, account: str, region: str) -> Iterator[TaggedResource]:
        index = _index(account, region)
        if index is None:
            return original(account, region)
        index.catch_up()
        return iter(list(index.shown.values()))
