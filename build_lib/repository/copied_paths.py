"""Which paths of its context a service's build depends on: those that its Dockerfile copies or mounts."""

import errno
import posixpath
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from build_lib.reference import Reference
from build_lib.repository import path_match
from build_lib.repository.service import Service

_MOST_LINKS = 255  # that builders follow for one path
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def patterns(service: Service) -> tuple[str, ...] | None:
    """Return the paths, with wildcards as in Go's filepath.Match, or None if any path may be among them.

    The ONBUILD triggers of its base images are not considered.
    """
    if any("://" in place and not place.startswith("docker-image://") for _, place in service.additional_contexts):
        return None  # such a context may be an image with triggers
    found = {item.path for item in service.reading.context}
    known = sorted(path for path in found if path and path_match.components(path) is not None)
    return tuple(known) if len(known) == len(found) else None


def bases(service: Service) -> list[Reference]:
    """Return the external images that stages are based on, whose ONBUILD triggers its build runs."""
    uses = (use for use in service.external if use.reached and use.kind in ("from", "context"))
    return sorted({use.image for use in uses}, key=str)


def roots(context: Path, patterns: Iterable[str]) -> list[str]:
    """Return the entries that the patterns name, without those that are below another one; "" is the context itself.

    Links are followed as builders do, to what they mean with the context as the root; they are entries themselves, too.

    Raises:
        OSError: an entry cannot be read.
    """
    found: set[str] = set()
    ahead = [_Search("", named) for pattern in patterns if (named := path_match.components(pattern)) is not None]
    while ahead:
        search = ahead.pop()
        if not search.rest:
            found.add(search.above)
            continue
        for path in search.named(context):
            mode = _mode(context / path)
            if stat.S_ISLNK(mode):
                found.add(path)
                ahead += search.followed(path, context)
            elif stat.S_ISDIR(mode) or (mode and len(search.rest) == 1):
                ahead.append(_Search(path, search.rest[1:], search.links))
    return sorted(path for path in found if path == "" or found.isdisjoint(_above(path)))


@dataclass(frozen=True, slots=True)
class _Search:
    """A directory of the context, and what is to be found below it."""

    above: str
    rest: tuple[path_match.Component, ...]
    links: int = 0  # that were followed to come here

    def named(self, context: Path) -> Iterator[str]:
        """The paths that the next component may name."""
        name = self.rest[0]
        if isinstance(name, str):
            yield posixpath.dirname(self.above) if name == ".." else posixpath.join(self.above, name)
        else:
            entries = (entry.name for entry in (context / self.above).iterdir())
            yield from (posixpath.join(self.above, entry) for entry in entries if name.fullmatch(entry))

    def followed(self, link: str, context: Path) -> Iterator["_Search"]:
        """The search for what the link leads to; none after too many links."""
        target = str((context / link).readlink())
        names = tuple(name for name in target.split("/") if name not in ("", "."))
        if self.links < _MOST_LINKS:
            above = "" if target.startswith("/") else self.above
            yield _Search(above, (*names, *self.rest[1:]), self.links + 1)


def _mode(path: Path) -> int:
    """The mode of an entry, or 0 if there is none."""
    try:
        return path.lstat().st_mode
    except OSError as error:
        if error.errno in _NOT_THERE:
            return 0
        raise


def _above(path: str) -> Iterator[str]:
    """The directories that a path is in, with the context itself."""
    yield ""
    for place, character in enumerate(path):
        if character == "/":
            yield path[:place]
