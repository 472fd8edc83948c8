"""What an npm registry says about a package: several documents made one, which has what a mirror has."""

import json
from collections.abc import Callable, Sequence
from typing import Any

To = Callable[[str], str | None]


def read(content: bytes) -> dict[str, Any] | None:
    """The document about a package, or a version of one; None if it is something else."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "name" not in found:
        return None
    return found if isinstance(found.get("versions"), dict) or _tarball(found) else None


def merged(documents: Sequence[dict[str, Any]], to: To) -> bytes:
    """The first document, with the versions of all of them whose tarballs `to` has a replacement for.

    A tag whose version is left out is left out: npm then takes the newest version.
    """
    first = dict(documents[0])
    if "versions" not in first:
        first = _moved(first, to) or first
        return json.dumps(first).encode()
    every = [document["versions"] for document in documents if isinstance(document.get("versions"), dict)]
    known = {name: version for versions in reversed(every) for name, version in versions.items()}
    first["versions"] = {name: moved for name, version in known.items() if (moved := _moved(version, to))}
    tags = first.get("dist-tags")
    if isinstance(tags, dict):
        first["dist-tags"] = {tag: name for tag, name in tags.items() if name in first["versions"]}
    return json.dumps(first).encode()


def _moved(version: Any, to: To) -> dict[str, Any] | None:
    target = to(_tarball(version))
    return None if target is None else {**version, "dist": {**version["dist"], "tarball": target}}


def _tarball(version: Any) -> str:
    dist = version.get("dist") if isinstance(version, dict) else None
    tarball = dist.get("tarball") if isinstance(dist, dict) else None
    return tarball if isinstance(tarball, str) else ""
