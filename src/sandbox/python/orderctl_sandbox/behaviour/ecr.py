"""ECR: a new repository is not known at once.

Field guide section 1 rule 6: for a while it is ``RepositoryNotFoundException`` and not listed. A second create of the
name is refused all the same, and a deletion finds it.
"""

from moto.ecr.exceptions import RepositoryNotFoundException
from moto.ecr.models import ECRBackend, Image, Repository

from .. import consistency
from ..patches.patching import wrap


def apply() -> None:
    """Lets lookups miss new repositories."""

    def misses(backend: ECRBackend, name: str) -> bool:
        repository = backend.repositories.get(name)
        return repository is not None and consistency.misses(repository.arn)

    @wrap(ECRBackend, "create_repository")
    def create(original, self, *arguments, **named) -> Repository:
        repository = original(self, *arguments, **named)
        consistency.created(repository.arn)
        return repository

    @wrap(ECRBackend, "_get_repository")
    def get(original, self, name, registry_id=None) -> Repository:
        if misses(self, name):
            raise RepositoryNotFoundException(name, registry_id or self.account_id)
        return original(self, name, registry_id)

    @wrap(ECRBackend, "list_images")
    def listed(original, self, repository_name, registry_id=None, *arguments, **named) -> list[Image]:
        self._get_repository(repository_name, registry_id)
        return original(self, repository_name, registry_id, *arguments, **named)

    @wrap(ECRBackend, "describe_repositories")
    def describe(original, self, registry_id=None, repository_names=None) -> list[Repository]:
        for name in repository_names or ():
            if misses(self, name):
                raise RepositoryNotFoundException(name, registry_id or self.account_id)
        found = original(self, registry_id, repository_names)
        return found if repository_names else [repository for repository in found if not misses(self, repository.name)]

    @wrap(ECRBackend, "delete_repository")
    def delete(original, self, *arguments, **named) -> Repository:
        with consistency.from_inside():
            repository = original(self, *arguments, **named)
        consistency.forget(repository.arn)
        return repository
