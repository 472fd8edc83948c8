"""What a build depends on, as named parts with a hash each, kept as a label on the resulting image."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from build_lib.foreign import on_one_line
from build_lib.repository.service import Service

LABEL = "build-lib.fingerprint"
WHOLE, COPIED = "context", "copied files"  # the part about the context: all of it, or what the Dockerfile takes of it
_NAMED = 2  # changed files of a context that are named

Parts = Mapping[str, str]


def parts(
    service: Service,
    *,
    files: Parts,
    whole: bool = True,
    platform: str,
    bases: Mapping[str, str],
    siblings: Mapping[str, str],
) -> dict[str, str]:
    """Return the parts that the service's image depends on, under names that users know.

    `files` are those of its context (`build_context.Context`): all, if `whole`, or those that the Dockerfile copies.
    `bases` are the engine's ids of its external images, and `siblings` the digests of what the images of the services
    that it depends on contain.
    """
    found = {
        "Dockerfile": _hash(service.text),
        WHOLE if whole else COPIED: _hash(as_label(files)),
        "target": service.target or "",
        "platform": platform,
    }
    found |= {f"argument {name}": _hash(value) for name, value in service.args.items()}
    found |= {f"base image {name}": _hash(id) for name, id in bases.items()}
    found |= {f"service {name}": _hash(digest) for name, digest in siblings.items()}
    return found


def of_labels(labels: Mapping[str, str | None]) -> dict[str, str]:
    """Return the parts about siblings in the first form, which had the fingerprints of their images."""
    return {f"service {name}": _hash(label) for name, label in labels.items() if label is not None}


def as_label(found: Parts) -> str:
    """Return the label's value."""
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def from_label(text: str | None) -> Parts | None:
    """Return the parts in a label's value, or None if it has another format."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def context(found: Parts) -> str | None:
    """Return the hash of the context's files."""
    return found.get(COPIED) or found.get(WHOLE)


def changes(old: Parts, new: Parts) -> list[str]:
    """Return the names of the parts that differ, sorted."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def words(old: Parts, new: Parts, before: Parts | None, files: Parts) -> str:
    """Describe the changes for users; `before` are the context's files at the last build, if they are known."""
    said = (
        _base_image(name, old, new)
        if name.startswith("base image ")
        else _context(old, new, before, files)
        if name in (WHOLE, COPIED)
        else f"{name} changed"
        for name in changes(old, new)
    )
    return "; ".join(dict.fromkeys(said))


def unsure(paths: Sequence[str]) -> str:
    """Say that an image may contain files from before or after a change; "" if none changed."""
    return f"context changed during the build: {_first(paths)}" if paths else ""


def _base_image(name: str, old: Parts, new: Parts) -> str:
    if name not in old:
        return f"{name} is new"
    return f"{name} changed" if name in new else f"{name} is no longer used"


def _context(old: Parts, new: Parts, before: Parts | None, files: Parts) -> str:
    if COPIED in old and COPIED not in new:
        return "it copies other files"
    names = changes(before, files) if before is not None else []
    return f"context changed: {_first(names)}" if names else "context changed"


def _first(names: Sequence[str]) -> str:
    """The first names, and how many more there are, on one line whatever bytes they contain."""
    more = f", {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(map(on_one_line, names[:_NAMED]))}{more}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
