"""Copy the Slurm packages from the image that built them into the image that serves them.

apphub only serves files: a container of apphub-indexer makes the index and the page.

The apphub image as built keeps the tag `TAG-without-slurm`. Each copy starts from it, so that no package of an earlier
copy remains in a lower layer. The result of a copy is also tagged `TAG-with-slurm`, and keeps that tag when apphub is
rebuilt: the next copy takes old versions from it, and the indexer decides which of them are kept.

An apphub that depends on slurm-build (APPHUB_MODE=unified) gets the packages when it is built; nothing is copied.
"""

import io
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from build_lib import state
from build_lib.engine import Container, Engine, built_here, owner
from build_lib.errors import PackagesError
from build_lib.hub import packages
from build_lib.hub.packages import Packages, Published
from build_lib.reference import Reference
from build_lib.repository import WITH_SLURM, WITHOUT_SLURM, Repository
from build_lib.settings import Settings
from build_lib.units import number

SOURCE = "slurm-build"
INDEXER = "apphub-indexer"
TARGET = "apphub"
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
    """The packages of slurm-build that apphub now has, and whether apphub had to be changed for it."""

    packages: tuple[str, ...]
    changed: bool

    @property
    def summary(self) -> str:
        """What was done, in words."""
        count = number(len(self.packages), "package")
        return f"{count} copied and read back" if self.changed else f"nothing to do: {count} already present in apphub"


def applies(repository: Repository) -> bool:
    """Whether the repository has both services."""
    return SOURCE in repository.services and TARGET in repository.services


def copy(repository: Repository, engine: Engine, settings: Settings, *, dry: bool = False) -> Copied:
    """Copy slurm-build's packages into the apphub image; copying the same packages again changes nothing.

    With `dry`, nothing is changed, and the result says what would be. An apphub that depends on slurm-build is only
    verified.

    Raises:
        PackagesError: a service or an image is missing, there are no packages, or the new image is not as expected;
            apphub is unchanged.
    """
    for name in (SOURCE, TARGET):
        _require(repository, name)
    if unified(repository):
        return _verify_unified(repository, engine, settings)
    _require(repository, INDEXER)
    with state.lock(settings.state_dir / "copy-slurm.lock", "copy-slurm"):
        engine.containers.remove_leftovers(owner(settings))
        return _Copy(repository, engine, settings).run(dry=dry)


def unified(repository: Repository) -> bool:
    """Whether apphub depends on slurm-build, and so gets its packages when it is built."""
    return SOURCE in repository.services[TARGET].needs


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


def _require(repository: Repository, name: str) -> None:
    if name not in repository.services:
        raise PackagesError(f"this repository has no service {name}", hint="./inv services lists the services")


def _images(repository: Repository, *names: str) -> tuple[Reference, ...]:
    return tuple(repository.services[name].image for name in names)


def _wanted(repository: Repository, built: Sequence[str], engine: Engine, owner: str) -> Packages:
    """slurm-build's packages; the services in `built` must have images."""
    images = engine.images.by_name()
    for name, image in zip(built, _images(repository, *built), strict=True):
        if image.identity not in images:
            raise PackagesError(f"{image} is not built", hint=f"./inv build -s {name} -t {image.tag}")
    source, target = _images(repository, SOURCE, TARGET)
    wanted = packages.read(engine, source, OUT, owner).packages
    if not wanted:
        raise PackagesError(
            f"{source} has no .deb in {OUT}; {target} is unchanged",
            hint=f"./inv build -s {SOURCE} -t {source.tag} --force builds it again",
        )
    return wanted


class _Copy:
    def __init__(self, repository: Repository, engine: Engine, settings: Settings) -> None:
        self.repository = repository
        self.source, self.indexer, self.target = _images(repository, SOURCE, INDEXER, TARGET)
        self.without = self.target.with_tag(f"{self.target.tag}{WITHOUT_SLURM}")
        self.before = self.target.with_tag(f"{self.target.tag}{WITH_SLURM}")
        self.engine = engine
        self.settings = settings
        self.owner = owner(settings)

    def run(self, *, dry: bool) -> Copied:
        wanted = _wanted(self.repository, (SOURCE, INDEXER, TARGET), self.engine, self.owner)
        base = self._base()
        held = packages.read(self.engine, self.target, PUBLISHED, self.owner)
        own = held if base == self.target else packages.read(self.engine, base, PUBLISHED, self.owner)
        expected = {**own.packages, **wanted}
        if base != self.target and held.packages == expected and not self._wrong(wanted, held):
            return Copied(packages=tuple(wanted), changed=False)
        if not dry:
            if base == self.target:
                self.engine.images.tag(str(self.target), self.without)
            self._make(wanted, expected)
        return Copied(packages=tuple(wanted), changed=True)

    def _wrong(self, wanted: Packages, held: Published) -> str:
        return packages.difference(wanted, held, self.settings)

    def _base(self) -> Reference:
        """The apphub image as built: the one tagged so, if the present image is based on it; else the present image."""
        if self.without.identity not in self.engine.images.by_name():
            return self.target
        below, layers = self.engine.images.layers(str(self.without)), self.engine.images.layers(str(self.target))
        return self.without if below != layers and layers[: len(below)] == below else self.target

    def _make(self, wanted: Packages, expected: Packages) -> None:
        """Build the new image, verify what it has, and only then tag it as apphub."""
        with tempfile.TemporaryFile() as context:
            self._write_context(expected, context)
            id = self.engine.streams.build(fileobj=context, custom_context=True, use_config_proxy=False)
        held = packages.read(self.engine, id, PUBLISHED, self.owner)
        extra = sorted(held.packages.keys() - expected.keys())
        wrong = self._wrong(wanted, held) or (f"it also has {', '.join(extra)}" if extra else "")
        if wrong:
            self.engine.images.remove(id)
            raise PackagesError(f"the new {self.target} failed verification: {wrong}; the old image is kept")
        self.engine.images.tag(id, self.target)
        self.engine.images.tag(id, self.before)
        in_compose = self.repository.services[TARGET].in_compose
        if in_compose is not None:
            self.engine.images.tag(id, in_compose)
        built_here.remember(id, self.settings)

    def _write_context(self, expected: Packages, context: IO[bytes]) -> None:
        """Write a build context: the packages, the index and page that the indexer makes, and a Dockerfile."""
        with tempfile.TemporaryFile() as archive, self._indexing() as container:
            self._collect_packages(expected, archive)
            container.put(WORK, archive)
            code, log = container.run(self._key())
            if code:
                raise PackagesError(f"{PUBLISH} failed with exit code {code}; the old apphub is kept:\n{log.strip()}")
            _write_context(container, context, f"FROM {self.without}\nCOPY pkgs/ {PAGES}/\n")

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
            self._collect(self.source, OUT, lambda name: f"{DEB}/{name}" if name.endswith(".deb") else "", tar)
        into.seek(0)

    def _collect(self, image: Reference, directory: str, place: Callable[[str], str], tar: tarfile.TarFile) -> None:
        """Add the files of a directory of the image; `place` gives the path of each below PAGES, "" to leave it out."""
        with self.engine.containers.temporary(str(image), owner=self.owner) as container:
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


def _write_context(container: Container, context: IO[bytes], dockerfile: str) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        for member, content in container.files(WORK):
            name = member.name.partition("/")[2]
            if content is not None and name.startswith((f"{DEB}/", "index.html")):
                tar.addfile(_plain(member, f"pkgs/{name}"), content)
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    context.seek(0)


def _plain(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """A tar member for a regular file that root owns and everyone may read, whatever the original was."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = member.size, member.mtime, 0o644
    return info
