"""What the Dockerfiles of all services download besides images: an estimate, by reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from build_lib.dockerfile import Reach, reaches
from build_lib.repository.dockerfiles import below
from build_lib.repository.service import Service
from build_lib.repository.services import Repository
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """Something that the build of a service downloads, and the file; `path` is as in `Need`."""

    service: str
    path: str
    reach: Reach


def find(repository: Repository, settings: Settings, services: Sequence[str] = ()) -> tuple[Outside, ...]:
    """Return what the builds of these services and of those that they depend on download; of all, without names.

    Raises:
        BuildError: there is no such service.
    """
    return tuple(
        Outside(service=service.name, path=below(service.dockerfile, settings), reach=reach)
        for service in repository.chosen(services).values()
        for reach in of(service)
    )


def of(service: Service) -> tuple[Reach, ...]:
    """Return what the build of a service downloads, by the lines of its Dockerfile that its target needs."""
    return reaches(service.text, service.reading, service.args, service.platform.partition(",")[0] or None)
