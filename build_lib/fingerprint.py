"""What a build depends on, as named parts with a hash each, kept as a label on the image that it made."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from build_lib import dockerignore
from build_lib.errors import BuildError
from build_lib.services import Service

LABEL = "build-lib.fingerprint"
_CHUNK = 1 << 20  # bytes read at once
_NAMED = 2  # files of a context that are named when they changed

Parts = Mapping[str, str]


def parts(
    service: Service, *, files: Parts, platform: str, bases: Mapping[str, str], siblings: Mapping[str, Parts]
) -> dict[str, str]:
    """What the service's image is made of, each part under a name that people know.

    `files` are those of its context, as `context` gives them; `bases` are the engine's ids of the images from
    outside, `siblings` the parts of the services it stands on.
    """
    found = {
        "Dockerfile": _hash(service.text),
        "context": _hash(as_label(files)),
        "target": service.target or "",
        "platform": platform,
    }
    found |= {f"argument {name}": _hash(value) for name, value in service.args.items()}
    found |= {f"base image {name}": _hash(id) for name, id in bases.items()}
    found |= {f"service {name}": _hash(as_label(of)) for name, of in siblings.items()}
    return found


def as_label(found: Parts) -> str:
    """The label's value."""
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def from_label(text: str | None) -> Parts | None:
    """The parts that a label tells, or None if it is none of ours."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def changes(old: Parts, new: Parts) -> list[str]:
    """The names of the parts that differ, in the order of their names."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def words(changed: Sequence[str], before: Parts | None, files: Parts) -> str:
    """What has changed, for people; `before` are the context's files at the last build, if they are known."""
    return "; ".join(_words(name, before, files) for name in changed)


def _words(name: str, before: Parts | None, files: Parts) -> str:
    if name.startswith("base image "):
        return f"{name} is another one now"
    names = changes(before, files) if name == "context" and before is not None else []
    if not names:
        return f"{name} changed"
    more = f", {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"context changed: {', '.join(names[:_NAMED])}{more}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def context(service: Service) -> Parts:
    """All that the builder would be sent, by path: a hash of its kind, executable bit, content or link's target.

    Raises:
        BuildError: it cannot be read.
    """
    try:
        return {path: _described(entry) for path, entry in _entries(service)}
    except OSError as error:
        raise BuildError(f"service {service.name}: the context cannot be read: {error}") from None


def _described(entry: os.DirEntry[str]) -> str:
    return hashlib.sha256(_describe(entry)).hexdigest()[:16]


def _entries(service: Service) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What is not ignored, by path in a fixed order; the Dockerfile is a part of its own."""
    rules = dockerignore.rules(service.context, service.dockerfile)
    found = (item for item in _walk(service.context, "", rules) if Path(item[1].path) != service.dockerfile)
    return iter(sorted(found, key=lambda item: item[0]))


def _walk(directory: Path | str, prefix: str, rules: dockerignore.Rules) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            path = prefix + entry.name
            ignored = rules.ignores(path)
            if not ignored:
                yield path, entry
            if entry.is_dir(follow_symlinks=False) and (not ignored or rules.brings_back):
                yield from _walk(entry.path, f"{path}/", rules)


def _describe(entry: os.DirEntry[str]) -> bytes:
    """What of an entry makes a difference to a build. Sockets and pipes are only named: reading them would hang."""
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return b"link " + os.fsencode(Path(entry.path).readlink())
    if stat.S_ISREG(status.st_mode):
        executable = b"x" if status.st_mode & 0o111 else b"-"
        return b"file " + executable + _file(entry.path)
    return b"directory" if stat.S_ISDIR(status.st_mode) else b"special"


def _file(path: str) -> bytes:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
