"""The Slurm packages: from the image that built them into the image that serves them.

apphub as it was built keeps a name of its own, `TAG-without-slurm`: each copy begins from there, so that no
package of an earlier copy stays behind, in the repository or in a layer below.
"""

import hashlib
import io
import re
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from build_lib import state
from build_lib.engine import Container, Engine, owner
from build_lib.errors import PackagesError
from build_lib.reference import Reference
from build_lib.services import WITHOUT_SLURM, Repository, Service
from build_lib.settings import Settings

SOURCE = "slurm-build"
TARGET = "apphub"
OUT = "/out"
PUBLISHED = "/usr/share/nginx/html/pkgs/slurm-deb"
INDEXER = "/usr/local/bin/apphub-index"
_CHUNK = 1 << 20
_STANZA = re.compile(r"^Filename: (?:\./)?(\S+)$.*?^SHA256: ([0-9a-f]{64})$", re.MULTILINE | re.DOTALL)

Packages = Mapping[str, str]  # file name -> sha256 in hex


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What an image really holds: its packages, and what its apt index says that it holds."""

    packages: Packages
    indexed: Packages


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """The packages of slurm-build that apphub now has, and whether anything had to be done for it."""

    packages: tuple[str, ...]
    changed: bool

    @property
    def summary(self) -> str:
        """What was done, in words."""
        count = f"{len(self.packages)} packages"
        return f"{count} copied and read back" if self.changed else f"nothing to do: apphub has all {count}"


def applies(repository: Repository) -> bool:
    """Whether the repository has both services."""
    return SOURCE in repository.services and TARGET in repository.services


def copy(repository: Repository, engine: Engine, settings: Settings, *, dry: bool = False) -> Copied:
    """Put slurm-build's packages into apphub, under apphub's own name; twice is no more than once.

    With `dry`, nothing is changed, and the result says what would be.

    Raises:
        PackagesError: an image is missing, there are no packages, or the result is not what it should be;
            apphub stays as it was.
    """
    source, target = (_service(repository, name) for name in (SOURCE, TARGET))
    with state.lock(settings.state_dir / "copy-slurm.lock", "copy-slurm"):
        engine.remove_leftovers(owner(settings))
        work = _Copy(source.image, target.image, engine, owner(settings))
        return work.run(dry=dry)


def difference(repository: Repository, engine: Engine) -> str:
    """What is wrong with apphub's packages as they are, in words; "" if they are slurm-build's."""
    source, target = (_service(repository, name) for name in (SOURCE, TARGET))
    wanted = _published(engine, source.image, OUT, "verify").packages
    held = _published(engine, target.image, PUBLISHED, "verify")
    return _difference(wanted, held)


def _service(repository: Repository, name: str) -> Service:
    if name not in repository.services:
        raise PackagesError(f"this repository has no service {name}", hint="./inv services lists those there are")
    return repository.services[name]


class _Copy:
    def __init__(self, source: Reference, target: Reference, engine: Engine, owner: str) -> None:
        self.source = source
        self.target = target
        self.without = target.with_tag(f"{target.tag}{WITHOUT_SLURM}")
        self.engine = engine
        self.owner = owner

    def run(self, *, dry: bool) -> Copied:
        wanted = self._wanted()
        base = self._base()
        held = _published(self.engine, self.target, PUBLISHED, self.owner)
        own = held if base == self.target else _published(self.engine, base, PUBLISHED, self.owner)
        expected = {**own.packages, **wanted}
        if held.packages == expected and not _difference(wanted, held):
            return Copied(packages=tuple(wanted), changed=False)
        if not dry:
            if base == self.target:
                self.engine.tag(str(self.target), self.without)
            self._make(expected)
        return Copied(packages=tuple(wanted), changed=True)

    def _wanted(self) -> Packages:
        images = self.engine.images()
        for image, name in ((self.source, SOURCE), (self.target, TARGET)):
            if image.identity not in images:
                raise PackagesError(f"{image} is not built", hint=f"./inv build -s {name} -t {image.tag}")
        wanted = _published(self.engine, self.source, OUT, self.owner).packages
        if not wanted:
            raise PackagesError(
                f"{self.source} has no .deb in {OUT}; {self.target} stays as it is",
                hint=f"./inv build -s {SOURCE} -t {self.source.tag} --force builds it again",
            )
        return wanted

    def _base(self) -> Reference:
        """The apphub that was built: what bears that name if the present image stands on it, else the image itself."""
        if self.without.identity not in self.engine.images():
            return self.target
        below, layers = self.engine.layers(str(self.without)), self.engine.layers(str(self.target))
        return self.without if below != layers and layers[: len(below)] == below else self.target

    def _make(self, expected: Packages) -> None:
        """Make the new image, look at what it holds, and only then give it apphub's name."""
        with tempfile.TemporaryFile() as context:
            self._write_context(context)
            id = self.engine.build(fileobj=context, custom_context=True, use_config_proxy=False)
        held = _published(self.engine, id, PUBLISHED, self.owner)
        extra = sorted(held.packages.keys() - expected.keys())
        wrong = _difference(expected, held) or (f"it also has {', '.join(extra)}" if extra else "")
        if wrong:
            self.engine.remove(id)
            raise PackagesError(f"the new {self.target} is wrong: {wrong}; the old one stays")
        self.engine.tag(id, self.target)

    def _write_context(self, context: IO[bytes]) -> None:
        """A build context: the packages and their index, made by apphub's own indexer, and how to add them."""
        with tempfile.TemporaryFile() as packages, self._indexing() as container:
            self._take_packages(packages)
            container.put(PUBLISHED, packages)
            code, log = container.run()
            if code:
                raise PackagesError(f"{INDEXER} failed with exit code {code}; the old apphub stays:\n{log.strip()}")
            _write_context(container, context, f"FROM {self.without}\nCOPY packages/ {PUBLISHED}/\n")

    def _indexing(self) -> AbstractContextManager[Container]:
        return self.engine.container(
            str(self.without), owner=self.owner, entrypoint=[INDEXER], command=[PUBLISHED], user="0"
        )

    def _take_packages(self, into: IO[bytes]) -> None:
        with (
            tarfile.open(fileobj=into, mode="w") as tar,
            self.engine.container(str(self.source), owner=self.owner) as container,
        ):
            for member, content in container.files(OUT):
                if content is not None and member.name.endswith(".deb"):
                    tar.addfile(_plain(member, member.name.rpartition("/")[2]), content)
        into.seek(0)


def _write_context(container: Container, context: IO[bytes], dockerfile: str) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        for member, content in container.files(PUBLISHED):
            if content is not None:
                tar.addfile(_plain(member, f"packages/{member.name.partition('/')[2]}"), content)
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    context.seek(0)


def _plain(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """A member for a regular file that everyone may read and root owns, whatever it was."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = member.size, member.mtime, 0o644
    return info


def _published(engine: Engine, image: Reference | str, directory: str, owner: str) -> Published:
    """Read back what the image holds in the directory itself, not below it."""
    packages: dict[str, str] = {}
    index = ""
    with engine.container(str(image), owner=owner) as container:
        for member, content in container.files(directory):
            name = member.name.partition("/")[2]
            if content is None or "/" in name:
                continue
            if name.endswith(".deb"):
                packages[name] = _sha256(content)
            elif name == "Packages":
                index = content.read().decode(errors="replace")
    return Published(packages=dict(sorted(packages.items())), indexed=dict(_STANZA.findall(index)))


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _difference(wanted: Packages, held: Published) -> str:
    """What of `wanted` is not there as it should be, or not in the index; "" if all is well."""
    missing = [name for name in wanted if name not in held.packages]
    other = [name for name in wanted if name in held.packages and held.packages[name] != wanted[name]]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if other:
        return f"its {', '.join(other)} has another content than slurm-build's"
    if held.indexed != held.packages:
        wrong = sorted(dict(held.indexed.items() ^ held.packages.items()))
        return f"its apt index does not fit its packages: {', '.join(wrong)}"
    return ""
