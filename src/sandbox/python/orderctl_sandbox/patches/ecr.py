"""ECR: images by tag and by digest.

Gaps (moto 5.2.5): the digest of an image is that of its layers' names or random, so that images are mixed up; a tag that
moves takes the image it had with it; pushing to a missing repository or a broken manifest fails without a code;
BatchGetImage answers another tag than the one asked for, and forgets the digest of what it does not find; a tag that is
immutable is refused with the code of an image that exists; the size of an image is that of its configuration; tokens
lead to AWS itself, and have expired.
Restores: a digest is the SHA-256 of the manifest; the former image of a tag stays, untagged; tokens lead to our registry.
"""

import copy
import hashlib
import json
from base64 import b64encode
from datetime import timedelta

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ecr.exceptions import ImageAlreadyExistsException, InvalidParameterException
from moto.ecr.models import ECRBackend, Image
from moto.ecr.responses import ECRResponse

from .patching import replace, wrap


class ImageDigestDoesNotMatch(ServiceException):
    """The digest that was given is not that of the manifest."""

    code = "ImageDigestDoesNotMatchException"

    def __init__(self) -> None:
        super().__init__(
            "The specified image digest does not match the digest that Amazon ECR calculated for the image."
        )


class ImageTagAlreadyExists(ServiceException):
    """The tag belongs to another image and cannot be moved."""

    code = "ImageTagAlreadyExistsException"

    def __init__(self, tag: str, repository: str) -> None:
        super().__init__(
            f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because "
            "the tag is immutable."
        )


def password_for(account: str, region: str) -> str:
    """The password of the user ``AWS`` for the registry of this account and region."""
    return f"{account}.{region}"


def _digest(manifest: str) -> str:
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def _is_manifest(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _matches(image: Image, wanted: dict[str, str]) -> bool:
    tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
    return (not tag or tag in image.image_tags) and (not digest or digest == image.image_digest)


def apply() -> None:
    """Patches pushing and reading of images."""

    @replace(Image)
    def _create_digest(self) -> None:
        self._image_digest = _digest(self.image_manifest)

    @wrap(Image, "get_image_size_in_bytes")
    def with_layers(original, self):
        manifest = json.loads(self.image_manifest)
        if "size" not in manifest.get("config", {}):
            return original(self)
        return manifest["config"]["size"] + sum(layer.get("size", 0) for layer in manifest.get("layers", ()))

    @replace(ECRResponse)
    def get_authorization_token(self):
        # One process answers for every account and region, so its address cannot tell them apart as ECR's do.
        given = {
            "expiresAt": utcnow() + timedelta(hours=12),
            "proxyEndpoint": f"http://{self.headers['Host']}",
        }
        accounts = self._get_param("registryIds") or [self.current_account]
        tokens = [b64encode(f"AWS:{password_for(account, self.region)}".encode()).decode() for account in accounts]
        return ActionResult({"authorizationData": [{**given, "authorizationToken": token} for token in tokens]})

    @wrap(Image, "remove_tag")
    def untagged_in_the_end(original, self, tag):
        original(self, tag)
        if not self.image_tags:
            self.image_tag = None

    @wrap(ECRBackend, "put_image")
    def checked(original, self, repository_name, image_manifest, image_tag, image_manifest_mediatype=None, digest=None):
        repository = self._get_repository(repository_name)
        if not _is_manifest(image_manifest):
            raise InvalidParameterException(
                "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
            )
        if digest and digest != _digest(image_manifest):
            raise ImageDigestDoesNotMatch()
        tagged = [image for image in repository.images if image_tag in image.image_tags]
        former = [image for image in tagged if image.image_manifest != image_manifest]
        if former:
            try:
                self._resolve_image_tag_mutability(repository, image_tag)
            except ImageAlreadyExistsException:
                raise ImageTagAlreadyExists(image_tag, repository_name) from None
        for image in former:
            image.remove_tag(image_tag)
        return original(self, repository_name, image_manifest, image_tag, image_manifest_mediatype, digest)

    @replace(ECRBackend)
    def batch_get_image(self, repository_name, registry_id=None, image_ids=None):
        repository = self._get_repository(repository_name, registry_id)
        if not image_ids:
            raise InvalidParameterException(
                "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must not be null'"
            )
        images, failures = [], []
        for wanted in image_ids:
            found = next((image for image in repository.images if _matches(image, wanted)), None)
            if found is None:
                reason = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
                failures.append({"imageId": wanted, **reason})
                continue
            answered = copy.copy(found)
            answered.image_tag = wanted.get("imageTag")
            images.append(answered)
        return {"images": images, "failures": failures}
