"""Copy the Slurm packages from the image that built them into the image that serves them.

The index is made here (`apt_index`), so any image that serves a directory will do. In a repository with a service
apphub-indexer, a container of that makes the index, and a page too.

The apphub image as built keeps the tag `TAG-without-slurm`. Each copy starts from it, so that no package of an earlier
copy remains in a lower layer. The result of a copy is also tagged `TAG-with-slurm`, and keeps that tag when apphub is
rebuilt: the next copy takes old versions from it, and the indexer decides which of them are kept.

An apphub whose build copies slurm-build's packages, or has Slurm as a stage, only gets an index, if it has none.
"""

import tarfile
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build_lib import state
from build_lib.engine import Container, Engine, add_layer, built_here, owner
from build_lib.errors import PackagesError
from build_lib.hub import packages
from build_lib.hub.layer import Layer
from build_lib.hub.packages import Packages, Published
from build_lib.hub.repository_layer import Staged, is_earlier, is_package, stage, write
from build_lib.reference import Reference
from build_lib.repository import HUB, PACKAGES_FROM, WITH_SLURM, WITHOUT_SLURM, Repository
from build_lib.settings import Settings
from build_lib.units import number

SOURCE = PACKAGES_FROM
INDEXER = "apphub-indexer"
TARGET = HUB
OUT = "/out"
PAGES = "/usr/share/nginx/html/pkgs"
DEB = "slurm-deb"
PUBLISHED = f"{PAGES}/{DEB}"
PUBLISH = "apphub-publish"  # the indexer's program
WORK = "/pkgs"  # its working directory, whose content becomes that of PAGES
_BY_HASH = "by-hash/"  # the indexes of earlier copies, for clients that still read them
_OLD = "old/"  # where the indexer looks for earlier versions


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """The packages that apphub now has, and whether apphub had to be changed for it.

    They are slurm-build's, or, without that service, those that apphub has as built (`own`).
    """

    packages: tuple[str, ...]
    changed: bool
    own: bool = False

    @property
    def summary(self) -> str:
        """What was done, in words."""
        if not self.packages:
            return f"nothing to do: {TARGET} has no packages in {PUBLISHED}, and there is no service {SOURCE}"
        count = number(len(self.packages), "package")
        if self.changed:
            return f"{count} {'indexed' if self.own else 'copied'} and read back"
        return f"nothing to do: {count} already present in {TARGET}"


def applies(repository: Repository) -> bool:
    """Whether the repository has both services."""
    return SOURCE in repository.services and TARGET in repository.services


def why_not(repository: Repository) -> str:
    """Why step 3 of build-all has nothing to do in this repository, in words; "" if it has."""
    if TARGET not in repository.services:
        missing = "is no service" if SOURCE in repository.services else f"are no services {SOURCE} and"
        return f"not needed: there {missing} {TARGET}"
    if complete_as_built(repository):
        return f"not needed: {TARGET} is built with {SOURCE}'s packages (APPHUB_MODE=unified)"
    return ""


def copy(repository: Repository, engine: Engine, settings: Settings, *, dry: bool = False) -> Copied:
    """Copy slurm-build's packages into the apphub image; copying the same packages again changes nothing.

    Without a service slurm-build, the packages that apphub has as built are indexed, if they are not. With `dry`,
    nothing is changed, and the result says what would be.

    Raises:
        PackagesError: a service or an image is missing, there are no packages, or the new image is not as expected;
            apphub is unchanged.
    """
    if TARGET not in repository.services:
        raise PackagesError(f"this repository has no service {TARGET}", hint="./inv services lists the services")
    if complete_as_built(repository):
        return _verify_unified(repository, engine, settings)
    with state.lock(settings.state_dir / "copy-slurm.lock", "copy-slurm"):
        engine.containers.remove_leftovers(owner(settings))
        kind = _CopyByIndexer if INDEXER in repository.services else _Copy
        return kind(repository, engine, settings).run(dry=dry)


def complete_as_built(repository: Repository) -> bool:
    """Whether apphub's build takes slurm-build's packages and has an indexer that makes their index."""
    return INDEXER in repository.services and SOURCE in repository.services[TARGET].needs


def difference(repository: Repository, engine: Engine, settings: Settings) -> str:
    """How apphub's packages differ from slurm-build's, in words; "" if they do not."""
    source, target = _images(repository, SOURCE, TARGET)
    wanted = packages.read(engine, source, OUT, "verify").packages
    held = packages.read(engine, target, PUBLISHED, "verify")
    return packages.difference(wanted, held, settings)


def _verify_unified(repository: Repository, engine: Engine, settings: Settings) -> Copied:
    [target] = _images(repository, TARGET)
    wanted = _wanted(repository, (SOURCE, TARGET), engine, owner(settings))
    wrong = difference(repository, engine, settings)
    if wrong:
        raise PackagesError(
            f"{target} does not have slurm-build's packages: {wrong}",
            hint=f"./inv build -s {TARGET} -t {target.tag} builds it again, with the packages",
        )
    return Copied(packages=tuple(wanted), changed=False)


def _images(repository: Repository, *names: str) -> tuple[Reference, ...]:
    return tuple(repository.services[name].image for name in names)


def _wanted(repository: Repository, built: Sequence[str], engine: Engine, owner: str) -> Packages:
    """slurm-build's packages, none without that service; the services in `built` must have images."""
    images = engine.images.by_name()
    for name, image in zip(built, _images(repository, *built), strict=True):
        if image.identity not in images:
            raise PackagesError(f"{image} is not built", hint=f"./inv build -s {name} -t {image.tag}")
    if SOURCE not in repository.services:
        return {}
    source, target = _images(repository, SOURCE, TARGET)
    found = packages.read(engine, source, OUT, owner)
    if found.odd:
        raise PackagesError(
            f"{source} has {OUT}/{found.odd[0]}, which is not a regular file; {target} is unchanged",
            hint="copy the package itself there, not a link or a directory",
        )
    if not found.packages:
        raise PackagesError(
            f"{source} has no .deb in {OUT}; {target} is unchanged",
            hint=f"./inv build -s {SOURCE} -t {source.tag} --force builds it again",
        )
    return found.packages


class _Copy:
    """A copy whose index is made here: nothing of the hub runs, and only what it serves is read."""

    def __init__(self, repository: Repository, engine: Engine, settings: Settings) -> None:
        self.repository = repository
        self.own = SOURCE not in repository.services
        [self.target] = _images(repository, TARGET)
        self.without = self.target.with_tag(f"{self.target.tag}{WITHOUT_SLURM}")
        self.before = self.target.with_tag(f"{self.target.tag}{WITH_SLURM}")
        self.engine = engine
        self.settings = settings
        self.owner = owner(settings)

    def needed(self) -> tuple[str, ...]:
        """The services whose images a copy reads."""
        return (TARGET,) if self.own else (SOURCE, TARGET)

    def run(self, *, dry: bool) -> Copied:
        """Copy the packages, unless the image has them; with `dry`, only compare."""
        wanted = _wanted(self.repository, self.needed(), self.engine, self.owner)
        base = self._base()
        held = packages.read(self.engine, self.target, PUBLISHED, self.owner)
        own = held if base == self.target else packages.read(self.engine, base, PUBLISHED, self.owner)
        expected = {**own.packages, **wanted}
        checked = expected if self.own else wanted
        if held.packages == expected and not (checked and self._wrong(checked, held)):
            return Copied(packages=tuple(checked), changed=False, own=self.own)
        if not dry:
            if base == self.target:
                self.engine.images.tag(str(self.target), self.without)
            self._make(checked, expected)
        return Copied(packages=tuple(checked), changed=True, own=self.own)

    def _wrong(self, wanted: Packages, held: Published) -> str:
        return packages.difference(wanted, held, self.settings)

    def _base(self) -> Reference:
        """The apphub image as built: the one tagged so, if the present image is based on it; else the present image."""
        if self.without.identity not in self.engine.images.by_name():
            return self.target
        below, layers = self.engine.images.layers(str(self.without)), self.engine.images.layers(str(self.target))
        return self.without if below != layers and layers[: len(below)] == below else self.target

    def _make(self, wanted: Packages, expected: Packages) -> None:
        """Make the new image, verify what it has, and only then tag it as apphub."""
        new = self.target.with_tag(f"copying-{uuid.uuid4().hex}")
        with tempfile.TemporaryFile() as layer, tempfile.TemporaryDirectory(prefix="build-lib-hub-") as scratch:
            self._write_layer(expected, layer, Path(scratch))
            add_layer(self.without, layer, new, self.engine, created_by="build-lib copy-slurm")
        try:
            held = packages.read(self.engine, new, PUBLISHED, self.owner)
            extra = sorted(held.packages.keys() - expected.keys())
            wrong = self._wrong(wanted, held) or (f"it also has {', '.join(extra)}" if extra else "")
            if wrong:
                raise PackagesError(f"the new {self.target} failed verification: {wrong}; the old image is kept")
            in_compose = self.repository.services[TARGET].in_compose
            for name in (self.target, self.before, *((in_compose,) if in_compose else ())):
                self.engine.images.tag(str(new), name)
            built_here.remember(self.engine.images.by_name()[new.canonical].id, self.settings)
        finally:
            self.engine.images.remove(new)

    def _write_layer(self, _expected: Packages, layer: IO[bytes], scratch: Path) -> None:
        """Write the packages and their index as a layer for apphub as built."""
        added = (
            {} if self.own else self._staged(_images(self.repository, SOURCE)[0], OUT, scratch / "added", is_package)
        )
        earlier: dict[str, Staged] = {}
        if self.before.identity in self.engine.images.by_name():
            earlier = self._staged(self.before, PUBLISHED, scratch / "earlier", is_earlier)
        own = self._staged(self.without, PUBLISHED, scratch / "own", is_package)
        with self._of(self.without) as hub:
            write(layer, hub, PUBLISHED, own=own, added=added, earlier=earlier, settings=self.settings)

    def _staged(self, image: Reference, directory: str, into: Path, wanted: Callable[[str], bool]) -> dict[str, Staged]:
        with self._of(image) as container:
            return stage(container, directory, into, wanted)

    def _of(self, image: Reference) -> AbstractContextManager[Container]:
        return self.engine.containers.temporary(str(image), owner=self.owner)


class _CopyByIndexer(_Copy):
    """A copy whose index and page a container of apphub-indexer makes."""

    def __init__(self, repository: Repository, engine: Engine, settings: Settings) -> None:
        super().__init__(repository, engine, settings)
        [self.indexer] = _images(repository, INDEXER)

    def needed(self) -> tuple[str, ...]:
        """See `_Copy`."""
        return (SOURCE, INDEXER, TARGET)

    def _write_layer(self, expected: Packages, layer: IO[bytes], _scratch: Path) -> None:
        with tempfile.TemporaryFile() as archive, self._indexing() as container:
            self._collect_packages(expected, archive)
            container.put(WORK, archive)
            code, log = container.run(self._key())
            if code:
                raise PackagesError(f"{PUBLISH} failed with exit code {code}; the old apphub is kept:\n{log.strip()}")
            with self._of(self.without) as hub:
                _write_published(container, layer, hub)

    def _key(self) -> bytes:
        """The signing key, for the container's standard input: a file in the container would be on a disk."""
        return self.settings.apt_signing_key.read_bytes() if self.settings.apt_signing_key else b""

    def _indexing(self) -> AbstractContextManager[Container]:
        digest = self.settings.apt_signing_key_digest
        signing = {"APT_SIGNING_KEY": "-", "APT_SIGNING_KEY_DIGEST": digest} if digest else {}
        keep = {"APPHUB_KEEP_VERSIONS": str(self.settings.apphub_keep_versions)}
        return self.engine.containers.temporary(
            str(self.indexer), owner=self.owner, command=[PUBLISH], environment=keep | signing
        )

    def _collect_packages(self, expected: Packages, into: IO[bytes]) -> None:
        with tarfile.open(fileobj=into, mode="w") as tar:
            # for published *.rpm files, the page needs only their index
            self._collect(self.without, PAGES, lambda name: "" if name.endswith(".rpm") else name, tar)
            if self.before.identity in self.engine.images.by_name():
                self._collect(self.before, PUBLISHED, lambda name: _earlier(name, expected), tar)
            [source] = _images(self.repository, SOURCE)
            self._collect(source, OUT, lambda name: f"{DEB}/{name}" if name.endswith(".deb") else "", tar)
        into.seek(0)

    def _collect(self, image: Reference, directory: str, place: Callable[[str], str], tar: tarfile.TarFile) -> None:
        """Add the files of a directory of the image; `place` gives the path of each below PAGES, "" to leave it out."""
        with self._of(image) as container:
            for member, content in container.files(directory):
                name = place(member.name.partition("/")[2])
                if content is not None and name:
                    tar.addfile(_plain(member, name), content)


def _earlier(name: str, expected: Packages) -> str:
    """The path in the new copy of a file of the previous one: for old packages and by-hash indexes; "" for others."""
    package = name.removeprefix(_OLD)
    if package.endswith(".deb") and "/" not in package:
        return f"{DEB}/{_OLD}{package}" if package not in expected else ""
    return f"{DEB}/{name}" if name.startswith(_BY_HASH) else ""


def _write_published(indexer: Container, archive: IO[bytes], hub: Container) -> None:
    """Write what the indexer made as a layer for the hub."""
    layer = Layer(archive, hub)
    for member, content in indexer.files(WORK):
        name = member.name.partition("/")[2]
        if content is not None and name.startswith((f"{DEB}/", "index.html")):
            below, _, file = name.rpartition("/")
            directory = f"{PAGES}/{below}" if below else PAGES
            layer.add(directory, file, content, size=member.size, mtime=member.mtime)
    layer.close()


def _plain(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """A tar member for a regular file that root owns and everyone may read, whatever the original was."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = member.size, member.mtime, 0o644
    return info
