"""Copy the Slurm packages from the images that built them into the image that serves them, the hub.

The index is made here, so any image that serves a directory will do.

The hub's image as built keeps the tag `TAG-without-slurm`. Each copy starts from it, so that no package of an earlier
copy remains in a lower layer. The result of a copy is also tagged `TAG-with-slurm`, and keeps that tag when the hub is
rebuilt: the next copy takes former versions from it.

A directory whose packages the hub's own build puts there only gets an index, if it has none.
"""

import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build_lib import state
from build_lib.errors import PackagesError
from build_lib.hub import packages
from build_lib.hub.comparison import Comparison, compare, read
from build_lib.hub.hubs import Directory, Hub, no_services, require_mode
from build_lib.hub.images import Images
from build_lib.hub.layer import Layer
from build_lib.hub.repository_layer import Content, Remarks, Staged, is_earlier, stage, write
from build_lib.reference import Reference
from build_lib.repository import WITH_SLURM, WITHOUT_SLURM, Repository
from build_lib.settings import Settings
from build_lib.units import number

_NAMED = 3  # packages that are named in a remark
_NEW = "copying-"  # what the tags of images that are being made begin with


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """The files of its sources that a hub now has, and whether it had to be changed for it.

    `copied` is false if it has no sources: then they are those that its own build put there. `not_newer` are packages
    that clients which have those of the last copy are not offered; `damaged` are packages of the last copy that do not
    stay.
    """

    hub: str
    packages: tuple[str, ...]
    changed: bool
    copied: bool = True
    absent: tuple[str, ...] = ()  # services that the packages would come from
    not_newer: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What was done, in words."""
        if not self.packages:
            absent = f", and {no_services(self.absent)}" if self.absent else ""
            return f"nothing to do: {self.hub} has no packages{absent}"
        if not self.changed:
            return f"nothing to do: {self.count} already present in {self.hub}"
        remarks = {
            "not newer than before, so clients that have them do not upgrade": self.not_newer,
            "not kept from the last copy": self.damaged,
        }
        told = [f"{remark}: {_some(listed)}" for remark, listed in remarks.items() if listed]
        return "; ".join([f"{self.count} {self.done} and read back", *told])

    @property
    def count(self) -> str:
        """How many there are, in words."""
        kind = "package" if all(map(packages.is_listed, self.packages)) else "file"
        return number(len(self.packages), kind)

    @property
    def done(self) -> str:
        """What a change of the hub is, in words."""
        return f"copied into {self.hub}" if self.copied else f"indexed in {self.hub}"


def copy(hub: Hub, repository: Repository, images: Images, settings: Settings, *, dry: bool = False) -> Copied:
    """Copy its sources' packages into the hub's image; copying the same packages again changes nothing.

    Packages that the image has as built are indexed, if they are not. With `dry`, nothing is changed, and the result
    says what would be.

    Raises:
        PackagesError: an image is missing, a source has no packages, or the new image is not as expected; the hub is
            unchanged.
    """
    require_mode(hub, settings)
    with state.lock(settings.state_dir / "copy-slurm.lock", "copy-slurm"):
        copying = _Copy(hub, repository, images, settings)
        if not dry:
            images.remove_leftovers(hub.service.image, _NEW)
        return copying.run(dry=dry)


def difference(hub: Hub, repository: Repository, images: Images, settings: Settings) -> str:
    """How the hub's packages differ from what they should be, in words; "" if they do not.

    Raises:
        PackagesError: an image is missing, or a source has no packages.
    """
    return compare(hub, repository, images, settings).difference


class _Copy:
    """A copy into one hub: nothing of the hub runs, and only the directories that it serves are read."""

    def __init__(self, hub: Hub, repository: Repository, images: Images, settings: Settings) -> None:
        self.hub = hub
        self.repository = repository
        self.target = hub.service.image
        self.without = self.target.with_tag(f"{self.target.tag}{WITHOUT_SLURM}")
        self.before = self.target.with_tag(f"{self.target.tag}{WITH_SLURM}")
        self.images = images
        self.settings = settings

    def run(self, *, dry: bool) -> Copied:
        """Copy the packages, unless the image has them; with `dry`, only compare."""
        found = compare(self.hub, self.repository, self.images, self.settings)
        files = found.wanted if self.hub.sources else found.expected
        names = sorted(name for directory in self.hub.directories for name in files[directory.path])
        changed = bool(found.difference)
        remarks = Remarks()
        if changed and not dry:
            if found.base == self.target:
                self.images.tag(self.target, self.without)
            remarks = self._make(found)
        return Copied(
            hub=self.hub.name,
            packages=tuple(names),
            changed=changed,
            copied=bool(self.hub.sources),
            absent=self.hub.absent,
            not_newer=remarks.not_newer,
            damaged=remarks.damaged,
        )

    def _make(self, found: Comparison) -> Remarks:
        """Make the new image, verify what it has, and only then tag it as the hub."""
        new = self.target.with_tag(f"{_NEW}{uuid.uuid4().hex}")
        with tempfile.TemporaryFile() as layer, tempfile.TemporaryDirectory(prefix="build-lib-hub-") as scratch:
            remarks = self._write_layer(found, layer, Path(scratch))
            self.images.add_layer(self.without, layer, new)
        try:
            self._verify(new, found)
            in_compose = self.hub.service.in_compose
            for name in (self.target, self.before, *((in_compose,) if in_compose else ())):
                self.images.tag(new, name)
            self.images.keep(new)
        finally:
            self.images.remove(new)
        return remarks

    def _verify(self, new: Reference, found: Comparison) -> None:
        for path, held in read(self.hub, new, self.images).items():
            wrong = packages.difference(found.expected[path], held, self.settings)
            if wrong:
                raise PackagesError(f"the new {self.target} failed verification: {wrong}; the old image is kept")

    def _write_layer(self, found: Comparison, archive: IO[bytes], scratch: Path) -> Remarks:
        """Write the packages and their indexes as a layer for the hub's image as built."""
        told = []
        with self.images.opened(self.without) as hub:
            layer = Layer(archive, hub)
            for count, directory in enumerate(self.hub.directories):
                content = self._content(directory, found, scratch / str(count))
                told.append(write(layer, hub, directory.path, content, self.settings))
            layer.close()
        return Remarks(
            not_newer=tuple(line for each in told for line in each.not_newer),
            damaged=tuple(line for each in told for line in each.damaged),
        )

    def _content(self, directory: Directory, found: Comparison, scratch: Path) -> Content:
        own, wanted = found.own[directory.path].packages, found.wanted[directory.path]
        new = {name for name, digest in wanted.items() if own.get(name) != digest}
        added: dict[str, Staged] = {}
        for count, source in enumerate(directory.sources):
            image = self.repository.services[source.service].image
            staged = self._staged(image, source.directory, scratch / f"added-{count}", source.takes)
            added |= {name: item for name, item in staged.items() if name in new}
        earlier: dict[str, Staged] = {}
        if self.images.has(self.before):
            earlier = self._staged(self.before, directory.path, scratch / "earlier", is_earlier)
        as_built = self._staged(self.without, directory.path, scratch / "own", packages.is_listed)
        return Content(own=as_built, added=added, earlier=earlier)

    def _staged(self, image: Reference, directory: str, into: Path, wanted: Callable[[str], bool]) -> dict[str, Staged]:
        with self.images.opened(image) as opened:
            return stage(opened, directory, into, wanted)


def _some(listed: Sequence[str]) -> str:
    more = [f"{len(listed) - _NAMED} more"] if len(listed) > _NAMED else []
    return "; ".join([*listed[:_NAMED], *more])
