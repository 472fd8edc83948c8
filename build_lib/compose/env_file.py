"""Env files, as compose reads them: `.env`, and those that `COMPOSE_ENV_FILES` and the `env_file` of an include name.

The rules are those of the compose specification, section "Env_file format"; where it is silent, compose-go's
dotenv/parser.go decides. They differ from python-dotenv's: `$NAME` is a variable, a `#` after a tab begins no comment.
"""

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from build_lib.compose.interpolation import InvalidInterpolation, expand
from build_lib.compose.yaml_nodes import Report

_LARGEST = 1 << 22  # characters of all values of a file
_BLANK = r"\t\v\f\r \x85\xa0"  # white space within a line
_BEFORE = re.compile(r"(?:\s+|#[^\n]*)*")
_NAME = re.compile(rf"(?:export\s+)?(?P<name>[\w.\[\]{_BLANK}-]*)(?:[=:][{_BLANK}]*|(?P<alone>\n|\Z))")
_QUOTED = re.compile(r"""'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)\"""", re.DOTALL)
_LINE = re.compile(r"[^\n]*")
_ESCAPE = re.compile(r'\\(?:(?P<letter>[abfnrtv$"\\])|0(?P<octal>\d{0,3}))')
_BYTE = re.compile(r"[0-3][0-7]{2}")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Statement:
    """A variable and its value, or the reason why there is none; nothing for a name without a value."""

    name: str = ""
    value: str | None = None  # with its variables not yet substituted
    literal: bool = False  # `$` is no variable
    error: str = ""
    end: int  # where the text continues


def read_env_file(text: str, variables: Mapping[str, str], before: Mapping[str, str], report: Report) -> dict[str, str]:
    """Return the variables that a file's text sets; they may use those above them in the file.

    They may also use `variables`, which take precedence over the file's own, and those of the files `before` it. A name
    without a value sets nothing. What is malformed is reported, and left out.
    """
    found: dict[str, str] = {}
    known = ChainMap(dict(variables), found, dict(before))
    size = 0
    for line, statement in _statements(text):
        if statement.error:
            report(line, statement.error)
        elif statement.value is not None:
            try:
                found[statement.name] = statement.value if statement.literal else expand(statement.value, known)
            except InvalidInterpolation:  # its message shows a part of the value, which may be a password
                report(line, f"{statement.name}: a ${{…}} is malformed, or requires a variable that is not set")
                continue
            size += len(found[statement.name])
            if size > _LARGEST:
                report(line, f"the values are longer than {_LARGEST} characters")
                break
    return found


def _statements(text: str) -> Iterator[tuple[int, _Statement]]:
    """The statements, each with its line."""
    position, line = 0, 1
    while (start := _end(_BEFORE, text, position)) < len(text):
        line += text.count("\n", position, start)
        statement = _statement(text, start)
        yield line, statement
        line += text.count("\n", start, statement.end)
        position = statement.end


def _statement(text: str, start: int) -> _Statement:
    name = _NAME.match(text, start)
    if name is None or " " in name["name"].strip():
        return _Statement(error="this is not of the form NAME=VALUE", end=_end(_LINE, text, start))
    if name["alone"] is not None:
        return _Statement(end=name.end())
    if text.startswith(("'", '"'), name.end()):
        return _quoted(name["name"].rstrip(), text, name.end())
    end = _end(_LINE, text, name.end())
    value = text[name.end() : end].partition(" #")[0].rstrip()
    return _Statement(name=name["name"].rstrip(), value=value, end=end)


def _quoted(name: str, text: str, start: int) -> _Statement:
    """The statement whose value in quotes begins at a position; it may extend over several lines."""
    value = _QUOTED.match(text, start)
    if value is None:
        return _Statement(error=f"{name}: the quotes of the value are not closed", end=_end(_LINE, text, start))
    if value["single"] is not None:
        return _Statement(name=name, value=value["single"].replace(r"\'", "'"), literal=True, end=value.end())
    return _Statement(name=name, value=_ESCAPE.sub(_unescaped, value["double"]), end=value.end())


def _unescaped(escape: re.Match[str]) -> str:
    """What an escape sequence stands for; `\\$` is a dollar sign that begins no variable."""
    if escape["letter"]:
        return _LETTERS.get(escape["letter"], escape["letter"])
    octal = escape["octal"]
    return chr(int(octal, 8)) if _BYTE.fullmatch(octal) else f"\\{octal}"


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the pattern, which may match nothing, ends."""
    match = pattern.match(text, start)
    return match.end() if match else start
