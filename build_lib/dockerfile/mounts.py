"""The options of `RUN --mount=`: BuildKit's `instructions/commands_runmount.go`.

BuildKit reads them twice. When it parses the file, it only looks for `from=`. When it builds the stage, it expands
variables in the values, and checks keys and values.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from build_lib.dockerfile.shell_pattern import Refused, shortened

_VARIABLE = re.compile(r"\$.")
_EXPANDED = re.compile(r"[$'\"\\`]")  # such a value is known only when the stage is built

_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}  # synonyms
_KEYS = frozenset(
    "env from gid id mode readonly readwrite required sharing size source target type uid".split()  # noqa: SIM905
)
_SWITCHES = frozenset(["readonly", "readwrite", "required"])
_TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_ONLY = {"required": ("secret", "ssh"), "size": ("tmpfs",)}  # refused at once for other types
_ONLY_AT_THE_END = dict.fromkeys(("mode", "uid", "gid"), ("secret", "ssh", "cache")) | {"sharing": ("cache",)}

_BOOL = (re.compile("1|0|[tTfF]|TRUE|True|true|FALSE|False|false"), "true or false")
_NUMBER = (re.compile("[0-9]+"), "a whole number")
_VALUES = {
    "gid": _NUMBER,
    "mode": (re.compile("[0-7]+"), "an octal number"),
    "readonly": _BOOL,
    "readwrite": _BOOL,
    "required": _BOOL,
    "sharing": (re.compile("shared|private|locked", re.IGNORECASE), "shared, private or locked"),
    "size": (re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+) ?([kmgtp](i?b)?|b)?", re.IGNORECASE), "a size such as 64m"),
    "type": (re.compile("|".join(_TYPES), re.IGNORECASE), ", ".join(_TYPES[:-1]) + f" or {_TYPES[-1]}"),
    "uid": _NUMBER,
}
_BASES = {"gid": 10, "mode": 8, "uid": 10}
_LIMIT = 1 << 32  # Go's ParseUint with 32 bits
_LONGEST = 20  # digits of a number that may be below it


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """What a mount says: the stage or image in `from=`, or ""; why BuildKit refuses to build with it, or "".

    `source` is the path that it takes from the build context: "" is all of it, None is nothing.
    """

    name: str
    wrong: str
    source: str | None


def read_mount(value: str) -> Mount:
    """Read the value of the flag.

    Raises:
        Refused: BuildKit refuses to parse the file.
    """
    fields = _fields(value)
    name = _from(fields)
    return Mount(name=name, wrong=_wrong(fields), source=None if name else _source(fields))


def _fields(value: str) -> list[str]:
    if not value:
        raise Refused("the flag --mount has no value")
    try:
        return next(csv.reader([value], strict=True)) if '"' in value else value.split(",")
    except csv.Error as error:
        raise Refused(f"--mount: {error}") from error


def _from(fields: Iterable[str]) -> str:
    name = ""
    for field in fields:
        key, _, text = field.partition("=")
        if key.lower() == "from":
            name = text
            if _VARIABLE.search(name):
                raise Refused("--mount does not expand variables in from=: write FROM ${…} AS name, and mount that")
    return name


def _source(fields: Iterable[str]) -> str | None:
    """What a mount without `from=` takes from the context: convert_runmount.go's dispatchRunMounts."""
    given = {"type": "bind", "source": ""}
    for field in fields:
        key, _, text = field.partition("=")
        given[_NAMES.get(key.lower(), key.lower())] = text
    kind, source = given["type"].lower(), given["source"]
    if _EXPANDED.search(kind) or (kind == "bind" and _EXPANDED.search(source)):
        return ""  # older front ends don't expand these, so it may be anything
    return source if kind == "bind" else None


def _wrong(fields: Iterable[str]) -> str:
    try:
        _check(fields)
    except Refused as refused:
        return refused.reason
    return ""


def _check(fields: Iterable[str]) -> None:
    """Refuse what BuildKit refuses; it reads the fields in their order."""
    given: dict[str, str] = {}
    for field in fields:
        key, equals, text = field.partition("=")
        name = _NAMES.get(key.lower(), key.lower())
        if not equals and name not in _SWITCHES:
            raise Refused(f"{shortened(field)} is not of the form key=value")
        if name not in _KEYS:
            raise Refused(f"unexpected key {shortened(key)} in {shortened(field)}")
        _check_type(name, given, _ONLY)
        if equals and not _is_valid(name, text):
            raise Refused(f"{shortened(field)} is not allowed: the value has to be {_VALUES[name][1]}")
        given[name] = text if equals else "true"
    _check_together(given)


def _check_type(name: str, given: Mapping[str, str], only: Mapping[str, tuple[str, ...]]) -> None:
    kind = given.get("type", "bind").lower()
    if name in only and kind not in only[name] and not _EXPANDED.search(kind):
        raise Refused(f"a mount of type {kind} does not take {name}")


def _is_valid(name: str, text: str) -> bool:
    if name not in _VALUES or _EXPANDED.search(text):
        return True
    if not _VALUES[name][0].fullmatch(text):
        return False
    digits = text.lstrip("0") or "0"
    return name not in _BASES or (len(digits) < _LONGEST and int(digits, _BASES[name]) < _LIMIT)


def _check_together(given: Mapping[str, str]) -> None:
    """The rules of validateMount."""
    for name in given:
        _check_type(name, given, _ONLY_AT_THE_END)
    if given.get("type", "").lower() != "secret":
        return
    if given.get("from"):
        raise Refused("a mount of type secret does not take from")
    if not any(given.get(name) for name in ("env", "id", "source", "target")):
        raise Refused("a mount of type secret needs an id, a source or a target")
    if all(given.get(name) and not _EXPANDED.search(given[name]) for name in ("id", "source")):
        raise Refused("a mount of type secret takes either an id or a source")
