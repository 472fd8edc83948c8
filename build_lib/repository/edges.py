"""Why services depend on each other: one uses another's image, or is built while another one runs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Literal

from build_lib.compose import BuildEntry
from build_lib.errors import BuildError, nearest
from build_lib.repository import dockerfiles
from build_lib.settings import Settings

Kind = Literal["image", "running", "packages"]

_WORDS: Mapping[Kind, str] = {
    "image": "uses the image of",
    "running": "is built with a running",
    "packages": "is built with the packages of",
}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edge:
    """A dependency on another service, and where it is written, for messages.

    The other service is built first, because its image is used; or because it runs during the build; or because one
    that runs during the build serves its packages.
    """

    name: str
    kind: Kind
    where: str

    def __str__(self) -> str:
        """What a service does that has this edge."""
        return f"{_WORDS[self.kind]} {self.name} ({self.where})"


def running(entry: BuildEntry, settings: Settings) -> Iterator[Edge]:
    """Return an edge for each service that runs while this one is built, by the compose file or by BUILD_WITH."""
    for item in entry.build_with:
        yield Edge(name=item.name, kind="running", where=f"{dockerfiles.below(item.path, settings)}:{item.line}")
    for name, needed in settings.build_with:
        if name == entry.name:
            yield Edge(name=needed, kind="running", where="BUILD_WITH")


def with_packages(found: Iterable[Edge], services: Collection[str], settings: Settings) -> Iterator[Edge]:
    """Return the edges, and for a hub that runs one to each service whose packages it serves (`HUB_PACKAGES`)."""
    for edge in found:
        yield edge
        for entry in settings.hub_packages if edge.kind == "running" else ():
            if entry.target.service == edge.name and entry.source and entry.source.service in services:
                yield Edge(name=entry.source.service, kind="packages", where=edge.where)


def refuse_unknown(found: Iterable[Edge], services: Collection[str], settings: Settings) -> None:
    """Refuse names in the compose files and in BUILD_WITH that no service has.

    Raises:
        BuildError: there is no such service; the hint names similar ones.
    """
    named = [(name, "BUILD_WITH") for name, _ in settings.build_with] + [(edge.name, edge.where) for edge in found]
    for name, where in named:
        if name not in services:
            raise BuildError(f"{where}: there is no service {name!r}", hint=similar(name, services))


def refuse_circle(services: Mapping[str, Sequence[Edge]]) -> None:
    """Refuse services that depend on each other; `services` are the edges of each.

    Raises:
        BuildError: there is a circle; with the place of each of its edges.
    """
    try:
        TopologicalSorter({name: [edge.name for edge in found] for name, found in services.items()}).prepare()
    except CycleError as error:
        names = list(reversed(error.args[1]))
        edges = [next(edge for edge in services[name] if edge.name == other) for name, other in pairwise(names)]
        why = "; ".join(f"{name} {edge}" for name, edge in zip(names, edges, strict=False))
        raise BuildError(
            f"services depend on each other in a circle: {' -> '.join(names)} ({why})",
            hint="change one of these places, so that one of the services no longer needs the other",
        ) from None


def similar(name: str, services: Collection[str]) -> str:
    """Return a hint for a name that no service has: similar names, or else all."""
    listed = f"the services are {', '.join(sorted(services))}" if services else "this repository has no services"
    return nearest(name, services) or listed
