"""The Slurm packages: from the image that built them into the image that serves them.

apphub only serves: a container of apphub-indexer makes the index and the page.

apphub as it was built keeps a name of its own, `TAG-without-slurm`: each copy begins from there, so that no
package of an earlier copy stays behind in a layer below. What a copy made keeps another, `TAG-with-slurm`, also when
apphub is built again: the next copy takes old versions from there, and the indexer says which of them stay.

An apphub that stands on slurm-build (APPHUB_MODE=unified) has the packages as it is built, and nothing is copied.
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
WORK = "/pkgs"  # where it works: what is to be in PAGES
_BY_HASH = "by-hash/"  # the indexes of earlier copies, for clients that are reading them
_OLD = "old/"  # where the indexer looks for former versions


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """The packages of slurm-build that apphub now has, and whether anything had to be done for it."""

    packages: tuple[str, ...]
    changed: bool

    @property
    def summary(self) -> str:
        """What was done, in words."""
        count = number(len(self.packages), "package")
        return f"{count} copied and read back" if self.changed else f"nothing to do: apphub has all {count}"


def applies(repository: Repository) -> bool:
    """Whether the repository has both services."""
    return SOURCE in repository.services and TARGET in repository.services


def copy(repository: Repository, engine: Engine, settings: Settings, *, dry: bool = False) -> Copied:
    """Put slurm-build's packages into apphub, under apphub's own name; twice is no more than once.

    With `dry`, nothing is changed, and the result says what would be. An apphub that stands on slurm-build is only
    looked at.

    Raises:
        PackagesError: a service or an image is missing, there are no packages, or the result is not what it should be;
            apphub stays as it was.
    """
    for name in (SOURCE, TARGET):
        _require(repository, name)
    if unified(repository):
        return _look(repository, engine, settings)
    _require(repository, INDEXER)
    with state.lock(settings.state_dir / "copy-slurm.lock", "copy-slurm"):
        engine.containers.remove_leftovers(owner(settings))
        return _Copy(repository, engine, settings).run(dry=dry)


def unified(repository: Repository) -> bool:
    """Whether apphub stands on slurm-build, and so has its packages when it is built."""
    return SOURCE in repository.services[TARGET].needs


def difference(repository: Repository, engine: Engine, settings: Settings) -> str:
    """What is wrong with apphub's packages as they are, in words; "" if they are slurm-build's."""
    source, target = _images(repository, SOURCE, TARGET)
    wanted = packages.read(engine, source, OUT, "verify").packages
    held = packages.read(engine, target, PUBLISHED, "verify")
    return packages.difference(wanted, held, settings)


def _look(repository: Repository, engine: Engine, settings: Settings) -> Copied:
    [target] = _images(repository, TARGET)
    wanted = _wanted(repository, (SOURCE, TARGET), engine, owner(settings))
    wrong = difference(repository, engine, settings)
    if wrong:
        raise PackagesError(
            f"{target} is not what slurm-build gives: {wrong}",
            hint=f"it gets its packages as it is built: ./inv build -s {TARGET} -t {target.tag}",
        )
    return Copied(packages=tuple(wanted), changed=False)


def _require(repository: Repository, name: str) -> None:
    if name not in repository.services:
        raise PackagesError(f"this repository has no service {name}", hint="./inv services lists those there are")


def _images(repository: Repository, *names: str) -> tuple[Reference, ...]:
    return tuple(repository.services[name].image for name in names)


def _wanted(repository: Repository, built: Sequence[str], engine: Engine, owner: str) -> Packages:
    """slurm-build's packages; these services must be built."""
    images = engine.images.by_name()
    for name, image in zip(built, _images(repository, *built), strict=True):
        if image.identity not in images:
            raise PackagesError(f"{image} is not built", hint=f"./inv build -s {name} -t {image.tag}")
    source, target = _images(repository, SOURCE, TARGET)
    wanted = packages.read(engine, source, OUT, owner).packages
    if not wanted:
        raise PackagesError(
            f"{source} has no .deb in {OUT}; {target} stays as it is",
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
        """The apphub that was built: what bears that name if the present image stands on it, else the image itself."""
        if self.without.identity not in self.engine.images.by_name():
            return self.target
        below, layers = self.engine.images.layers(str(self.without)), self.engine.images.layers(str(self.target))
        return self.without if below != layers and layers[: len(below)] == below else self.target

    def _make(self, wanted: Packages, expected: Packages) -> None:
        """Make the new image, look at what it holds, and only then give it apphub's name."""
        with tempfile.TemporaryFile() as context:
            self._write_context(expected, context)
            id = self.engine.streams.build(fileobj=context, custom_context=True, use_config_proxy=False)
        held = packages.read(self.engine, id, PUBLISHED, self.owner)
        extra = sorted(held.packages.keys() - expected.keys())
        wrong = self._wrong(wanted, held) or (f"it also has {', '.join(extra)}" if extra else "")
        if wrong:
            self.engine.images.remove(id)
            raise PackagesError(f"the new {self.target} is wrong: {wrong}; the old one stays")
        self.engine.images.tag(id, self.target)
        self.engine.images.tag(id, self.before)
        built_here.remember(id, self.settings)

    def _write_context(self, expected: Packages, context: IO[bytes]) -> None:
        """A build context: the packages, their index and the page, made by the indexer, and how to add them."""
        with tempfile.TemporaryFile() as archive, self._indexing() as container:
            self._take_packages(expected, archive)
            container.put(WORK, archive)
            code, log = container.run(self._key())
            if code:
                raise PackagesError(f"{PUBLISH} failed with exit code {code}; the old apphub stays:\n{log.strip()}")
            _write_context(container, context, f"FROM {self.without}\nCOPY pkgs/ {PAGES}/\n")

    def _key(self) -> bytes:
        """The signing key: by the container's standard input, for whatever is put into a container is on a disk."""
        return self.settings.apt_signing_key.read_bytes() if self.settings.apt_signing_key else b""

    def _indexing(self) -> AbstractContextManager[Container]:
        digest = self.settings.apt_signing_key_digest
        signing = {"APT_SIGNING_KEY": "-", "APT_SIGNING_KEY_DIGEST": digest} if digest else {}
        keep = {"APPHUB_KEEP_VERSIONS": str(self.settings.apphub_keep_versions)}
        return self.engine.containers.temporary(
            str(self.indexer), owner=self.owner, command=[PUBLISH], environment=keep | signing
        )

    def _take_packages(self, expected: Packages, into: IO[bytes]) -> None:
        with tarfile.open(fileobj=into, mode="w") as tar:
            # of what is published as *.rpm, the page needs but the index
            self._take(self.without, PAGES, lambda name: "" if name.endswith(".rpm") else name, tar)
            if self.before.identity in self.engine.images.by_name():
                self._take(self.before, PUBLISHED, lambda name: _former(name, expected), tar)
            self._take(self.source, OUT, lambda name: f"{DEB}/{name}" if name.endswith(".deb") else "", tar)
        into.seek(0)

    def _take(self, image: Reference, directory: str, place: Callable[[str], str], tar: tarfile.TarFile) -> None:
        """Take the files of a directory of the image to the places that they have in PAGES; "" for none."""
        with self.engine.containers.temporary(str(image), owner=self.owner) as container:
            for member, content in container.files(directory):
                name = place(member.name.partition("/")[2])
                if content is not None and name:
                    tar.addfile(_plain(member, name), content)


def _former(name: str, expected: Packages) -> str:
    """Where a file of the copy before has its place in the new one: what may be an old version, and indexes by hash."""
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
    """A member for a regular file that everyone may read and root owns, whatever it was."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = member.size, member.mtime, 0o644
    return info
