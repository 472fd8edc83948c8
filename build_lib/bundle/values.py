"""Values of the JSON documents of bundles and inventories. They are checked one by one, and the documents have limits.

A text in JSON can take several times its bytes in memory, and a small list or object 30 times. The limits are what a
bundle of 10,000 images needs, and keep the memory for a document below 250 MB (tests/hostile/test_bundles.py).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from build_lib.errors import BadBundle, BuildError
from build_lib.foreign import on_one_line
from build_lib.registry import is_sha256
from build_lib.units import shortened

LARGEST_DOCUMENT = 20 << 20  # bytes
LARGEST_RECORDINGS = 100 << 20  # bytes of all recordings of a bundle, of which each is a document
_MOST_VALUES = 500_000
_LARGEST_SIZE = 1 << 50  # bytes of a blob or an image
WRITERS = "./inv deps-inventory writes inventories, ./inv deps-save writes bundles"
SMALLER = "save its images in several bundles, with the services of each named by -s"


def to_bytes(content: Mapping[str, Any], what: str) -> bytes:
    """A document as JSON. `what` names it in messages.

    Raises:
        BuildError: it exceeds the limits, so that it could not be read.
    """
    made = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    if excess := too_large(made):
        raise BuildError(f"{what} would be too large: {excess}", hint=SMALLER)
    return made


def read(content: bytes, where: str) -> Any:
    """The value of a document, None if it is not JSON. `where` names it in messages.

    Raises:
        BadBundle: it exceeds the limits.
    """
    if excess := too_large(content):
        raise BadBundle(f"{where} is too large: {excess}")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def read_object(content: bytes, where: str) -> dict[str, Any]:
    """The value of a document that is an object.

    Raises:
        BadBundle: it exceeds the limits, or is something else.
    """
    found = read(content, where)
    if not isinstance(found, dict):
        raise BadBundle(f"{where} is not a JSON object", hint=WRITERS)
    return found


def too_large(content: bytes) -> str:
    """By how much the content of a document exceeds the limits; "" if it does not."""
    if len(content) > LARGEST_DOCUMENT:
        return f"{len(content)} bytes, and at most {LARGEST_DOCUMENT} are possible"
    values = sum(map(content.count, (b",", b"[", b"{")))  # at least as many as there are
    return f"{values} values, and at most {_MOST_VALUES} are possible" if values > _MOST_VALUES else ""


def list_of(value: Any) -> Sequence[Any]:
    """The value, if it is a list.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, list):
        raise TypeError(f"{shown(value)} is not a list")
    return value


def text(value: Any) -> str:
    """The value, if it is a text on one line.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, str) or value != on_one_line(value):
        raise TypeError(f"{shown(value)} is not a printable text")
    return value


def digest(value: Any) -> str:
    """The value, if it is a digest.

    Raises:
        TypeError, ValueError: it is not.
    """
    if not is_sha256(text(value)):
        raise ValueError(f"{shown(value)} is not a digest")
    return str(value)


def size(value: Any) -> int:
    """The value, if it is a size in bytes.

    Raises:
        ValueError: it is not.
    """
    if type(value) is not int or not 0 <= value <= _LARGEST_SIZE:
        raise ValueError(f"{shown(value)} is not a size")
    return value


def shown(value: Any) -> str:
    """A value for a message. Objects and lists are not shown: they may be nested too deeply for repr."""
    return shortened(repr(value), 100) if isinstance(value, str | int | float | None) else type(value).__name__
