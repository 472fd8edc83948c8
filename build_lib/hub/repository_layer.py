"""The layer that a copy adds to a hub: the packages, and the index of all that are there then."""

import io
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build_lib.engine import Container
from build_lib.hub import apt_index, deb
from build_lib.hub.layer import Layer
from build_lib.hub.packages import KEY_DIGEST
from build_lib.hub.signature import Key
from build_lib.settings import Settings

_READERS = 2  # packages that are read at once: decompressing leaves Python's lock alone
_STALE = (apt_index.IN_RELEASE, apt_index.DETACHED, apt_index.PUBLIC_KEY)  # of an index that was signed before


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """A file out of an image, on this machine's disk, and its time there."""

    path: Path
    mtime: float


def stage(container: Container, directory: str, into: Path, wanted: Callable[[str], bool]) -> dict[str, Staged]:
    """Copy the wanted regular files of a directory of the image to disk, by their paths in the directory.

    An image that has no such directory has none.
    """
    found: dict[str, Staged] = {}
    into.mkdir()
    if container.entry(directory) is None:
        return found
    for member, content in container.files(directory):
        name = member.name.partition("/")[2]
        if content is not None and wanted(name):
            path = into / str(len(found))
            _write(path, content)
            found[name] = Staged(path=path, mtime=member.mtime)
    return found


def is_package(name: str) -> bool:
    """Whether a path is that of a package in the directory itself."""
    return name.endswith(".deb") and "/" not in name


def is_earlier(name: str) -> bool:
    """Whether a path is that of a package, or an index by its hash, that a next copy may keep."""
    return is_package(name.removeprefix(apt_index.OLD)) or name.startswith(apt_index.BY_HASH) or name == "Release"


def write(
    archive: IO[bytes],
    hub: Container,
    directory: str,
    *,
    own: Mapping[str, Staged],
    added: Mapping[str, Staged],
    earlier: Mapping[str, Staged],
    settings: Settings,
) -> None:
    """Write the layer: `added` packages beside the hub's `own`, and what of the `earlier` copy stays.

    Raises:
        PackagesError: a package is damaged, or the signing key cannot be used.
    """
    key = Key(settings.apt_signing_key) if settings.apt_signing_key else None
    present = {**own, **added}
    former = {
        name.removeprefix(apt_index.OLD): item
        for name, item in earlier.items()
        if is_package(name.removeprefix(apt_index.OLD)) and name.removeprefix(apt_index.OLD) not in present
    }
    packages = _read({**former, **present})
    _, stay = apt_index.kept(
        [packages[name] for name in present], [packages[name] for name in former], settings.apphub_keep_versions
    )
    old = {f"{apt_index.OLD}{package.file}": package for package in stay}
    now = _now(earlier)
    index = apt_index.files(
        {name: packages[name] for name in present} | old, origin="apphub", label=Path(directory).name, now=now, key=key
    )
    index[KEY_DIGEST] = settings.apt_signing_key_digest.encode()
    layer = Layer(archive, hub)
    for name, item in (*added.items(), *((path, former[package.file]) for path, package in old.items())):
        _add(layer, directory, name, item)
    for name, item in _replaced(earlier, now).items():
        if name not in index:
            _add(layer, directory, name, item)
    for name, content in index.items():
        layer.add(*_split(directory, name), io.BytesIO(content), size=len(content), mtime=now)
    for name in _STALE:
        if name not in index and hub.entry(f"{directory}/{name}") is not None:
            layer.remove(directory, name)
    layer.close()


def _replaced(earlier: Mapping[str, Staged], now: int) -> dict[str, Staged]:
    """The indexes of the earlier copies that are kept; for those that are replaced now, the day begins."""
    release = earlier.get(apt_index.RELEASE)
    current = apt_index.listed_hashes(release.path.read_text(errors="replace")) if release else frozenset()
    found = {}
    for name, item in earlier.items():
        if name.startswith(apt_index.BY_HASH):
            began = now if name.removeprefix(apt_index.BY_HASH) in current else item.mtime
            if began > now - apt_index.KEPT_SECONDS:
                found[name] = Staged(path=item.path, mtime=began)
    return found


def _read(staged: Mapping[str, Staged]) -> dict[str, deb.Package]:
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(lambda name: deb.read(staged[name].path, name), staged)
        return dict(zip(staged, read, strict=True))


def _now(earlier: Mapping[str, Staged]) -> int:
    """The time of the new Release: apt asks by the second whether it changed, so no two have the same."""
    before = earlier.get(apt_index.RELEASE)
    return max(int(time.time()), int(before.mtime) + 1 if before else 0)


def _add(layer: Layer, directory: str, name: str, item: Staged) -> None:
    with item.path.open("rb") as file:
        layer.add(*_split(directory, name), file, size=item.path.stat().st_size, mtime=item.mtime)


def _split(directory: str, name: str) -> tuple[str, str]:
    below, _, file = name.rpartition("/")
    return (f"{directory}/{below}" if below else directory), file


def _write(path: Path, content: IO[bytes]) -> None:
    with path.open("wb") as file:
        while chunk := content.read(1 << 20):
            file.write(chunk)
