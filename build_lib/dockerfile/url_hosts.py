"""The host that a URL names, and the ARGs that can change it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from build_lib.dockerfile.arguments import PREDEFINED
from build_lib.dockerfile.variable_values import Piece, Value

_HOST = r"(?P<host>(?:\$\{[^}]*+\}|\$\([^)]*+\)|\[[0-9a-fA-F:.]++\]|[^/:?#\s\"'<>,|])++)"
_URL = re.compile(rf"(?P<scheme>(?:[a-z][a-z0-9+.-]*+)?://)(?:[^/@\s]*+@)?{_HOST}", re.IGNORECASE)
_SSH = re.compile(rf"(?:git\+)?[\w.-]++@{_HOST}:")
_BARE = re.compile(r"(?P<host>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+)(?::\d+)?(?=/|\Z|\?)")
_HERE = re.compile(r"localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\]|", re.IGNORECASE)
_UNKNOWN = re.compile(r"\$(?:\w|\{|\()")


class Place(NamedTuple):
    """A URL as it is shown, its host, and the ARGs that change where it leads."""

    url: str
    host: str  # "" if it cannot be told
    arguments: frozenset[str]


def place(value: Value) -> Place | None:
    """Return where a value leads; None if that is this machine or no place at all."""
    text = text_of(value)
    found = _URL.search(text) or _SSH.match(text) or _BARE.match(text)
    if found is None:
        arguments = _arguments(value, 1)
        return Place(text, "", arguments) if arguments or _UNKNOWN.match(text) else None
    if found[0].lower().startswith("file:") or _HERE.fullmatch(found["host"]):
        arguments = _leading(value, found)
        return Place(text, "", arguments) if arguments else None
    return Place(text, found["host"], _leading(value, found))


def places(value: Value) -> Iterator[Place]:
    """Return the places of all URLs in a text, such as a list of proxies or a file."""
    text = text_of(value)
    begin = 0
    for found in _URL.finditer(text):
        if not _HERE.fullmatch(found["host"]):
            yield Place(_one_url(text, found.start()), found["host"], _leading(value, found, begin))
        begin = found.end()


def found_in(value: Value) -> list[Place]:
    """Return the places of all URLs in a text, or where the text leads that has none, such as a host alone."""
    one = place(value)
    return list(places(value)) or ([one] if one else [])


def text_of(value: Value) -> str:
    """Return the whole text of a value."""
    return "".join(piece.text for piece in value)


def from_place(value: Value, at: int) -> Value:
    """Return what is left of a value without its first characters."""
    left: list[Piece] = []
    for piece in value:
        if at < len(piece.text) or (not piece.text and at <= 0):
            left.append(Piece(piece.text[max(at, 0) :], piece.arguments))
        at -= len(piece.text)
    return tuple(left)


def names(arguments: Iterable[str]) -> str:
    """Return the ARGs as they are shown; those that a builder sets by itself are no way to a mirror."""
    return ", ".join(sorted(set(arguments) - PREDEFINED))


def hosts(found: Sequence[Place]) -> tuple[str, ...]:
    """Return the hosts that are known, each once."""
    return tuple(dict.fromkeys(item.host for item in found if item.host))


def _one_url(text: str, start: int) -> str:
    return re.split(r"[\s,|\"'<>]", text[start:], maxsplit=1)[0]


def _leading(value: Value, found: re.Match[str], begin: int = 0) -> frozenset[str]:
    """The ARGs that change the host of a URL; the login in front of the host does not."""
    host = _arguments(value, found.end("host"), found.start("host"))
    before = found.end("scheme") if found.re is _URL else found.start("host")
    return host | _arguments(value, before, begin)


def _arguments(value: Value, end: int, begin: int = 0) -> frozenset[str]:
    """The ARGs in a part of the text, which may also be empty ones."""
    found: set[str] = set()
    at = 0
    for piece in value:
        if begin <= at + len(piece.text) and at < end:
            found |= piece.arguments
        at += len(piece.text)
    return frozenset(found)
