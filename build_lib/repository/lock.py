"""`images.lock`: what the tags of the dependency images stood for when they were locked.

It is TOML, one table for each image, in the order of their names.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from build_lib.compose import Problem
from build_lib.errors import BuildError, InvalidReference, Place
from build_lib.files import kind
from build_lib.reference import Reference
from build_lib.units import shortened

LOCK_NAME = "images.lock"
_VERSION = 1
_SHOWN = 3  # places in a message
_LARGEST = 8 << 20  # bytes
_LONGEST = 512  # characters of a source
_BEGIN = """\
# What the tags of the dependency images stood for when they were locked. Builds take exactly these digests.
# ./inv deps-lock writes this file. Commit it.
"""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLATFORM = re.compile(r"[A-Za-z0-9_.-]{1,64}(/[A-Za-z0-9_.-]{1,64}){0,3}")
_CONFLICT = re.compile(r"(<{7}|>{7}|\|{7})( |$)|={7}$")
_AT_LINE = re.compile(r" ?\(at line ([0-9]+), column [0-9]+\)| ?\(at end of document\)")
_KEYS = {"digest", "source", "date", "platforms"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """What an image's tag stood for."""

    image: Reference  # with a tag, without a digest
    digest: str  # of the index, or of the only manifest
    platforms: tuple[tuple[str, str], ...]  # the manifests of an index: platform, digest
    source: str  # the name by which it was found
    date: date
    line: int = field(default=0, compare=False)  # of the file


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The content of the file; `exists` says whether there is one."""

    path: Path
    images: Mapping[Reference, Locked]
    exists: bool

    def of(self, image: Reference) -> Locked | None:
        """Return what is locked of an image that has no digest of its own, or has the locked one."""
        found = self.images.get(replace(image, digest=None))
        return found if found and image.digest in (None, found.digest) else None

    def digest(self, image: Reference) -> str:
        """Return the digest that is locked for the image; "" if none is, or if it has one of its own."""
        found = None if image.digest else self.of(image)
        return found.digest if found else ""

    def applied(self, image: Reference) -> Reference:
        """Return the image with the digest that is locked for it, if there is one."""
        return replace(image, digest=self.digest(image)) if self.digest(image) else image

    def place(self, locked: Locked) -> Place:
        """Return where an image is locked."""
        return Place(path=self.path, line=locked.line)


def read(root: Path) -> Lock:
    """Read the file at the top of the repository.

    Raises:
        BuildError: it is not such a file; with its line.
    """
    path = root / LOCK_NAME
    odd = kind(path)
    if odd:
        raise BuildError(
            f"{LOCK_NAME} is {odd}", hint=f"remove it; ./inv deps-lock writes {LOCK_NAME}", place=Place(path=path)
        )
    if not path.exists():
        return Lock(path=path, images={}, exists=False)
    return Lock(path=path, images=_Text(path).images(), exists=True)


def not_named(lock: Lock, named: Mapping[Reference, str]) -> Iterator[Problem]:
    """Return the problems of locked images that nothing names; `named` are all images, with one place of each."""
    for image, locked in lock.images.items():
        if image in named:
            continue
        others = [f"{named[each]} names {each}" for each in named if each.repository == image.repository]
        instead = "; ".join(sorted(others)[:_SHOWN]) or "no Dockerfile, compose file, or setting does"
        yield Problem(
            path=lock.path,
            line=locked.line,
            reason=f"{image} is locked, but nothing names it: {instead}",
            hint="./inv deps-lock locks what is named",
        )


def is_platform(text: str) -> bool:
    """Return whether the text is a platform as the file may have it, such as `linux/arm64/v8`."""
    return _PLATFORM.fullmatch(text) is not None


def text(images: Iterable[Locked]) -> str:
    """Return the content of the file. The same images give the same text."""
    blocks = (_block(locked) for locked in sorted(images, key=lambda locked: str(locked.image)))
    return "\n".join([f"{_BEGIN}version = {_VERSION}\n", *blocks])


def _block(locked: Locked) -> str:
    lines = [f'[images."{locked.image}"]', f'digest = "{locked.digest}"', f'source = "{locked.source}"']
    lines.append(f"date = {locked.date.isoformat()}")
    lines += [f'platforms."{platform}" = "{digest}"' for platform, digest in sorted(locked.platforms)]
    return "\n".join(lines) + "\n"


class _Text:
    """The text of a file, to be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        content = path.read_bytes()[: _LARGEST + 1]
        if len(content) > _LARGEST:
            raise self._wrong(0, f"it has more than {_LARGEST} bytes")
        try:
            self._text = content.decode()
        except UnicodeDecodeError:
            line = content.decode("utf-8", "replace").partition("\ufffd")[0].count("\n") + 1
            raise self._wrong(line, "it is not UTF-8") from None
        self._lines = self._text.split("\n")

    def images(self) -> dict[Reference, Locked]:
        found = self._parsed()
        if found.get("version") != _VERSION:
            written = shortened(repr(found.get("version")), 100)
            raise self._wrong(self._line("version"), f"its version is {written}, and this program reads {_VERSION}")
        images = found.get("images", {})
        for name in found.keys() - {"version", "images"}:
            raise self._wrong(self._line(name), f"{shortened(name, 100)!r} is not a key of it")
        if not isinstance(images, dict):
            raise self._wrong(self._line("images"), "images is not a table")
        locked = [self._locked(name, entry) for name, entry in images.items()]
        return {each.image: each for each in locked}

    def _parsed(self) -> dict[str, Any]:
        for number, written in enumerate(self._lines, 1):
            if _CONFLICT.match(written.rstrip("\r")):
                raise self._wrong(number, "it has a conflict of a merge")
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            at = _AT_LINE.search(str(error))
            line = int(at[1]) if at and at[1] else len(self._lines)
            raise self._wrong(line, f"it is not TOML: {_AT_LINE.sub('', str(error))}") from None
        except RecursionError:
            raise self._wrong(0, "it is not TOML: it is nested too deeply") from None

    def _locked(self, name: str, entry: Any) -> Locked:
        line = self._line(name)
        image = self._image(name, line)
        if not isinstance(entry, dict) or not _KEYS - {"platforms"} <= entry.keys() <= _KEYS:
            raise self._wrong(line, f"{name} does not have exactly digest, source, date and platforms")
        platforms = entry.get("platforms", {})
        if not isinstance(platforms, dict):
            raise self._wrong(self._line("platforms", line), f"the platforms of {name} are not a table")
        for platform, digest in platforms.items():
            if not _PLATFORM.fullmatch(platform):
                raise self._wrong(self._line("platforms", line), f"{name} has an invalid platform {platform!r}")
            self._check_digest(digest, name, self._line(f'platforms."{platform}"', line))
        self._check_digest(entry["digest"], name, self._line("digest", line))
        source, day = entry["source"], entry["date"]
        if not (isinstance(source, str) and source.isprintable() and len(source) <= _LONGEST and '"' not in source):
            raise self._wrong(self._line("source", line), f"{name} has an invalid source")
        if not isinstance(day, date) or isinstance(day, datetime):
            raise self._wrong(self._line("date", line), f"{name} has an invalid date")
        return Locked(
            image=image,
            digest=entry["digest"],
            platforms=tuple(sorted(platforms.items())),
            source=source,
            date=day,
            line=line,
        )

    def _image(self, name: str, line: int) -> Reference:
        try:
            image = Reference.parse(name)
        except InvalidReference as error:
            raise self._wrong(line, error.message) from None
        if image.digest or str(image) != name:
            raise self._wrong(line, f"{name} is not written as {image.with_tag(image.tag or 'latest')}")
        return image

    def _check_digest(self, digest: Any, name: str, line: int) -> None:
        if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
            raise self._wrong(line, f"{name} has an invalid digest")

    def _line(self, word: str, after: int = 0) -> int:
        """The line of a table's name, or of a key behind the line `after`; that line itself if there is no other."""
        return next(self._lines_of(word, after), after)

    def _lines_of(self, word: str, after: int) -> Iterator[int]:
        for number, line in enumerate(self._lines[after:], after + 1):
            if after and line.lstrip().startswith("["):
                return
            if line.lstrip().startswith((word, f'[images."{word}"]', f"[{word}", f'"{word}"')):
                yield number

    def _wrong(self, line: int, reason: str) -> BuildError:
        where = f"{LOCK_NAME}:{line}" if line else LOCK_NAME
        return BuildError(
            f"{where}: {reason}",
            hint=f"correct it; or take back its last version, or remove it, and ./inv deps-lock writes {LOCK_NAME}",
            place=Place(path=self._path, line=line),
        )
