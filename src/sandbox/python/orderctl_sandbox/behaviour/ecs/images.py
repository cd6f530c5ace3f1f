"""Container images: whether the registry has one, and how the program in it behaves.

An image of Amazon ECR is looked up in the account's repositories; other registries are taken to hold everything. There is
no program to run, so its tags say how it would: `crash`, `unhealthy`, `slow` and `broken`, alone or as the last word of a
tag (`1.4-crash`). An image that a task definition names by digest behaves as any of its tags says.
"""

import re
from dataclasses import dataclass
from enum import Enum

from moto.ecr.models import Image, ecr_backends

_ECR = re.compile(
    r"(?P<host>(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Behaviour(Enum):
    """What the program in an image does once it is started."""

    #: Answers health checks at once.
    WELL = "well"
    #: Ends with code 1 soon after the start.
    CRASH = "crash"
    #: Runs, and fails every health check.
    UNHEALTHY = "unhealthy"
    #: Lets health checks hang while it starts, for a long time, and then answers them.
    SLOW = "slow"
    #: Answers health checks, and every other request with status 500.
    BROKEN = "broken"


class ImageNotFound(Exception):
    """ECR has no such image; ``reference`` names what was looked for."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


@dataclass(frozen=True)
class FoundImage:
    """An image as a container runtime sees it after the pull."""

    digest: str | None
    behaviour: Behaviour


def is_in_ecr(image: str) -> bool:
    """Whether this is an image of Amazon ECR, of whichever account and region."""
    return _ECR.fullmatch(image) is not None


def find(image: str) -> FoundImage:
    """Looks an image up; raises ``ImageNotFound`` where its repository or the image in it is absent."""
    parts = _ECR.fullmatch(image)
    if parts is None:
        tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
        return FoundImage(None, _behaviour([tag]))
    tag = parts["tag"] or (None if parts["digest"] else "latest")
    reference = f"{parts['host']}/{parts['repository']}" + (f"@{parts['digest']}" if parts["digest"] else f":{tag}")
    for candidate in _images_in(parts["account"], parts["region"], parts["repository"]):
        if _is_named(candidate, tag, parts["digest"]):
            tags = candidate.image_tags if parts["digest"] else [tag]
            return FoundImage(candidate.get_image_digest(), _behaviour(tags))
    raise ImageNotFound(reference)


def _images_in(account: str, region: str, repository: str) -> list[Image]:
    try:
        found = ecr_backends[account][region].repositories.get(repository)
    except KeyError:
        # A region that does not exist; the host name does not resolve.
        return []
    return found.images if found else []


def _is_named(candidate: Image, tag: str | None, digest: str | None) -> bool:
    # Given both, a runtime goes by the digest alone.
    return candidate.get_image_digest() == digest if digest else tag in candidate.image_tags


def _behaviour(tags: list[str | None]) -> Behaviour:
    words = {tag.rpartition("-")[2] for tag in tags if tag}
    special = (Behaviour.CRASH, Behaviour.UNHEALTHY, Behaviour.SLOW, Behaviour.BROKEN)
    return next((behaviour for behaviour in special if behaviour.value in words), Behaviour.WELL)
