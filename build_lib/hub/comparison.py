"""What a hub's image has, as built and now, and what it should have."""

from collections.abc import Mapping
from dataclasses import dataclass

from build_lib.errors import PackagesError
from build_lib.hub import packages
from build_lib.hub.hubs import Directory, Hub
from build_lib.hub.images import Images
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


def compare(hub: Hub, repository: Repository, images: Images, settings: Settings) -> Comparison:
    """Compare what the hub's image has with what its own build and its sources give.

    Raises:
        PackagesError: an image is missing, or a source has no packages.
    """
    _require_built(hub, repository, images)
    target = hub.service.image
    base = as_built(target, images)
    wanted = {directory.path: _wanted(directory, hub, repository, images) for directory in hub.directories}
    held = read(hub, target, images)
    own = held if base == target else read(hub, base, images)
    expected = {path: {**own[path].packages, **files} for path, files in wanted.items()}
    wrong = (packages.difference(expected[path], held[path], settings) for path in expected)
    return Comparison(base=base, wanted=wanted, own=own, expected=expected, difference="; ".join(filter(None, wrong)))


def read(hub: Hub, image: Reference, images: Images) -> dict[str, Published]:
    """What an image has in each of the hub's directories."""
    return {
        directory.path: packages.read(images, image, directory.path, directory.holds) for directory in hub.directories
    }


def as_built(image: Reference, images: Images) -> Reference:
    """The hub's image as built: the one tagged so, if the present image is based on it; else the present image."""
    without = image.with_tag(f"{image.tag}{WITHOUT_SLURM}")
    if not images.has(without):
        return image
    below, layers = images.layers(without), images.layers(image)
    return without if below != layers and layers[: len(below)] == below else image


def _require_built(hub: Hub, repository: Repository, images: Images) -> None:
    for name in (*hub.sources, hub.name):
        image = repository.services[name].image
        if not images.has(image):
            raise PackagesError(f"{image} is not built", hint=f"./inv build -s {name} -t {image.tag}")


def _wanted(directory: Directory, hub: Hub, repository: Repository, images: Images) -> dict[str, str]:
    """The files of all sources of a directory."""
    found: dict[str, str] = {}
    for source in directory.sources:
        image = repository.services[source.service].image
        files = _of(source, image, hub, images)
        twice = sorted(name for name in files if found.get(name, files[name]) != files[name])
        if twice:
            raise PackagesError(
                f"{image} has another {twice[0]} in {source} than another source of {directory.path}; "
                f"{hub.service.image} is unchanged",
                hint="give each a directory of its own in HUB_PACKAGES",
            )
        found |= files
    return found


def _of(source: ServicePath, image: Reference, hub: Hub, images: Images) -> Packages:
    found = packages.read(images, image, source.directory, source.takes)
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
