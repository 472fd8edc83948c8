"""What a hub's image has, as built and now, and what it should have."""

from collections.abc import Mapping
from dataclasses import dataclass

from build_lib.engine import Engine, owner
from build_lib.errors import PackagesError
from build_lib.hub import packages
from build_lib.hub.hubs import Directory, Hub
from build_lib.hub.packages import Packages, Published
from build_lib.reference import Reference
from build_lib.repository import WITHOUT_SLURM, Repository
from build_lib.settings import ServicePath, Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What there is and should be, by directory, and how that differs, in words ("" if it does not)."""

    base: Reference  # the image as built
    wanted: Mapping[str, Packages]  # of the sources
    own: Mapping[str, Published]  # of the image as built
    expected: Mapping[str, Packages]
    difference: str


def compare(hub: Hub, repository: Repository, engine: Engine, settings: Settings) -> Comparison:
    """Compare what the hub's image has with what its own build and its sources give.

    Raises:
        PackagesError: an image is missing, or a source has no packages.
    """
    _require_built(hub, repository, engine)
    target = hub.service.image
    base = as_built(target, engine)
    wanted = {directory.path: _wanted(directory, hub, repository, engine, settings) for directory in hub.directories}
    held = read(hub, target, engine, settings)
    own = held if base == target else read(hub, base, engine, settings)
    expected = {path: {**own[path].packages, **files} for path, files in wanted.items()}
    wrong = (packages.difference(expected[path], held[path], settings) for path in expected)
    return Comparison(base=base, wanted=wanted, own=own, expected=expected, difference="; ".join(filter(None, wrong)))


def read(hub: Hub, image: Reference, engine: Engine, settings: Settings) -> dict[str, Published]:
    """What an image has in each of the hub's directories."""
    return {
        directory.path: packages.read(engine, image, directory.path, owner(settings), directory.holds)
        for directory in hub.directories
    }


def as_built(image: Reference, engine: Engine) -> Reference:
    """The hub's image as built: the one tagged so, if the present image is based on it; else the present image."""
    without = image.with_tag(f"{image.tag}{WITHOUT_SLURM}")
    if without.identity not in engine.images.by_name():
        return image
    below, layers = engine.images.layers(str(without)), engine.images.layers(str(image))
    return without if below != layers and layers[: len(below)] == below else image


def _require_built(hub: Hub, repository: Repository, engine: Engine) -> None:
    images = engine.images.by_name()
    for name in (*hub.sources, hub.name):
        image = repository.services[name].image
        if image.identity not in images:
            raise PackagesError(f"{image} is not built", hint=f"./inv build -s {name} -t {image.tag}")


def _wanted(
    directory: Directory, hub: Hub, repository: Repository, engine: Engine, settings: Settings
) -> dict[str, str]:
    """The files of all sources of a directory."""
    found: dict[str, str] = {}
    for source in directory.sources:
        image = repository.services[source.service].image
        files = _of(source, image, hub, engine, settings)
        twice = sorted(name for name in files if found.get(name, files[name]) != files[name])
        if twice:
            raise PackagesError(
                f"{image} has another {twice[0]} in {source} than another source of {directory.path}; "
                f"{hub.service.image} is unchanged",
                hint="give each a directory of its own in HUB_PACKAGES",
            )
        found |= files
    return found


def _of(source: ServicePath, image: Reference, hub: Hub, engine: Engine, settings: Settings) -> Packages:
    found = packages.read(engine, image, source.directory, owner(settings), source.takes)
    if found.odd:
        raise PackagesError(
            f"{image} has {source.directory}/{found.odd[0]}, which is not a regular file; "
            f"{hub.service.image} is unchanged",
            hint="copy the package itself there, not a link or a directory",
        )
    if not found.packages:
        what = f"file that matches {source}" if source.pattern else f".deb or .rpm in {source}"
        raise PackagesError(
            f"{image} has no {what}; {hub.service.image} is unchanged",
            hint=f"./inv build -s {source.service} -t {image.tag} --force builds it again; "
            "HUB_PACKAGES names the directory",
        )
    return found.packages
