"""What a copy adds to a directory of a hub: the packages, and the index of all that are there then."""

import hashlib
import io
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build_lib.errors import PackagesError
from build_lib.hub import apt_index, deb, rpm_index
from build_lib.hub.images import Files
from build_lib.hub.layer import Layer
from build_lib.hub.packages import KEY_DIGEST
from build_lib.hub.signature import PUBLIC_KEY, Key
from build_lib.settings import Settings

_READERS = 2  # packages that are read at once: decompressing leaves Python's lock alone
_SIGNATURES = (apt_index.IN_RELEASE, apt_index.DETACHED, PUBLIC_KEY, rpm_index.DETACHED)
_TIMES = (apt_index.RELEASE, rpm_index.REPOMD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """A file out of an image, on this machine's disk, and its time there."""

    path: Path
    mtime: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The files of a directory, by their paths in it: the hub's `own`, those to be `added`, those of the last copy."""

    own: Mapping[str, Staged]
    added: Mapping[str, Staged]
    earlier: Mapping[str, Staged]

    @property
    def present(self) -> dict[str, Staged]:
        """What the directory has after the copy."""
        return {**self.own, **self.added}

    @property
    def former(self) -> dict[str, Staged]:
        """The Debian packages of the last copy that are not there any more, by their names."""
        found = {name.removeprefix(apt_index.OLD): item for name, item in self.earlier.items()}
        return {name: item for name, item in found.items() if apt_index.is_package(name) and name not in self.present}


@dataclass(frozen=True, kw_only=True, slots=True)
class Remarks:
    """The packages that are `not_newer` than the last copy's, and the `damaged` ones of the last copy, in words."""

    not_newer: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def stage(files: Files, directory: str, into: Path, wanted: Callable[[str], bool]) -> dict[str, Staged]:
    """Copy the wanted regular files of a directory of the image to disk, by their paths in the directory.

    An image that has no such directory has none.
    """
    found: dict[str, Staged] = {}
    into.mkdir(parents=True)
    if files.entry(directory) is None:
        return found
    for member, content in files.files(directory):
        name = member.name.partition("/")[2]
        if content is not None and wanted(name):
            path = into / str(len(found))
            _write(path, content)
            os.utime(path, (member.mtime, member.mtime))
            found[name] = Staged(path=path, mtime=member.mtime)
    return found


def is_earlier(name: str) -> bool:
    """Whether a path is that of a package, or of a part of an index, that a next copy may keep."""
    indexes = (apt_index.BY_HASH, rpm_index.DATA)
    return apt_index.is_package(name.removeprefix(apt_index.OLD)) or name.startswith(indexes) or name in _TIMES


def write(layer: Layer, hub: Files, directory: str, content: Content, settings: Settings) -> Remarks:
    """Add the new packages and the index; packages of the last copy that are damaged do not stay.

    Raises:
        PackagesError: a package that the hub is to have is damaged, or the signing key cannot be used.
    """
    key = Key(settings.apt_signing_key) if settings.apt_signing_key else None
    now = _now(content.earlier)
    wanted = {name: item for name, item in {**content.former, **content.present}.items() if name.endswith(".deb")}
    debs, damaged = _read(wanted)
    for name in content.present:
        if name in damaged:
            raise damaged[name]
    old = _kept(content, debs, settings.apphub_keep_versions)
    index = _index(directory, content, debs, old, settings, now=now, key=key)
    if index:
        index[KEY_DIGEST] = settings.apt_signing_key_digest.encode()
    for name, item in {**content.added, **old, **_replaced(content.earlier, now)}.items():
        if name not in index:
            _add(layer, directory, name, item)
    for name, text in index.items():
        layer.add(*_split(directory, name), io.BytesIO(text), size=len(text), mtime=now)
    for name in _SIGNATURES:
        if index and name not in index and hub.entry(f"{directory}/{name}") is not None:
            layer.remove(directory, name)
    return Remarks(not_newer=_not_newer(content, debs), damaged=tuple(error.message for error in damaged.values()))


def _kept(content: Content, debs: Mapping[str, deb.Package], versions: int) -> dict[str, Staged]:
    """The former packages that stay, by their paths."""
    present = [debs[name] for name in content.present if name in debs]
    stay = apt_index.kept(present, [debs[name] for name in content.former if name in debs], versions)
    return {f"{apt_index.OLD}{package.file}": content.former[package.file] for package in stay}


def _index(
    directory: str,
    content: Content,
    debs: Mapping[str, deb.Package],
    old: Mapping[str, Staged],
    settings: Settings,
    *,
    now: int,
    key: Key | None,
) -> dict[str, bytes]:
    """The files of the indexes, by their paths; none if there are no packages."""
    made: dict[str, bytes] = {}
    rpms = {name: item.path for name, item in sorted(content.present.items()) if rpm_index.is_package(name)}
    if rpms:
        made |= rpm_index.files(rpms, now=now, key=key, environment=settings.environment)
    listed = {name: debs[name] for name in content.present if name in debs}
    if listed:
        listed |= {path: debs[path.removeprefix(apt_index.OLD)] for path in old}
        made |= apt_index.files(listed, origin="apphub", label=Path(directory).name, now=now, key=key)
    return made


def _not_newer(content: Content, debs: Mapping[str, deb.Package]) -> tuple[str, ...]:
    """The added packages of no later version than the last copy's: clients that have those are not offered them."""
    added = {name: debs[name] for name in content.added if name in debs}
    same_path = {name: item for name, item in content.earlier.items() if name in added}
    replaced = {name: item for name, item in same_path.items() if _sha256(item.path) != added[name].sha256}
    read, _damaged = _read(replaced)  # what is damaged, no client has
    removed = [debs[name] for name in content.former if name in debs and name in content.earlier]
    before = [*read.values(), *removed]
    found = []
    for package in added.values():
        same = [each for each in before if (each.name, each.architecture) == (package.name, package.architecture)]
        last = max(same, key=lambda each: each.version, default=package)
        if last.sha256 != package.sha256 and last.version >= package.version:
            how = f", after {last.version}" if last.version > package.version else ", whose content differs"
            found.append(f"{package.name} {package.version}{how}")
    return tuple(sorted(found))


def _replaced(earlier: Mapping[str, Staged], now: int) -> dict[str, Staged]:
    """The indexes of the earlier copies that are kept; for those that are replaced now, the day begins."""
    current = _current(earlier)
    found = {}
    for name, item in earlier.items():
        if name.startswith((apt_index.BY_HASH, rpm_index.DATA)) and name not in (rpm_index.REPOMD, rpm_index.DETACHED):
            began = now if name in current else item.mtime
            if began > now - apt_index.KEPT_SECONDS:
                found[name] = Staged(path=item.path, mtime=began)
    return found


def _current(earlier: Mapping[str, Staged]) -> set[str]:
    """The paths of the indexes that were in use until now."""
    release, repomd = earlier.get(apt_index.RELEASE), earlier.get(rpm_index.REPOMD)
    found = set(rpm_index.current(repomd.path.read_bytes())) if repomd else set()
    hashes = apt_index.listed_hashes(release.path.read_text(errors="replace")) if release else ()
    return found | {f"{apt_index.BY_HASH}{digest}" for digest in hashes}


def _read(staged: Mapping[str, Staged]) -> tuple[dict[str, deb.Package], dict[str, PackagesError]]:
    """The packages, and the errors of those that are damaged."""

    def attempt(name: str) -> deb.Package | PackagesError:
        try:
            return deb.read(staged[name].path, name)
        except PackagesError as error:
            return error

    with ThreadPoolExecutor(_READERS) as pool:
        found = dict(zip(staged, pool.map(attempt, staged), strict=True))
    read = {name: package for name, package in found.items() if isinstance(package, deb.Package)}
    return read, {name: error for name, error in found.items() if isinstance(error, PackagesError)}


def _now(earlier: Mapping[str, Staged]) -> int:
    """The time of the new indexes: clients ask by the second whether one changed, so no two have the same."""
    before = [int(earlier[name].mtime) for name in _TIMES if name in earlier]
    return max(int(time.time()), *(second + 1 for second in before), 0)


def _add(layer: Layer, directory: str, name: str, item: Staged) -> None:
    with item.path.open("rb") as file:
        layer.add(*_split(directory, name), file, size=item.path.stat().st_size, mtime=item.mtime)


def _split(directory: str, name: str) -> tuple[str, str]:
    below, _, file = name.rpartition("/")
    return (f"{directory}/{below}" if below else directory), file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: IO[bytes]) -> None:
    with path.open("wb") as file:
        while chunk := content.read(1 << 20):
            file.write(chunk)
