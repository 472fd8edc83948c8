"""Variables in compose files and in `.env` files: `$NAME`, `${NAME}`, `${NAME:-default}` and their like.

The rules are those of the compose specification, sections "Interpolation" and "Env_file format". Where they are
silent, compose-go decides (`template/template.go`, `dotenv/parser.go`): braces inside a default are balanced, and
a dollar that begins no variable stays as it is.
"""

import io
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass

from dotenv.parser import Binding, parse_stream

from build_lib.errors import BuildError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?:(?P<name>{_NAME})(?P<operator>:?[-+?])?)?)")
_BRACE = re.compile(r"[{}]")
_SINGLE_QUOTED = re.compile(r"[^=]*=[^\S\r\n]*'")
_DEEPEST = 50  # defaults inside defaults
_GROWTH = 1 << 16  # characters by which values may lengthen a text: variables made of variables grow exponentially
_LARGEST = 1 << 22  # characters of all values of an env file


class InvalidInterpolation(BuildError):
    """A text's variables cannot be put in: one is required and missing, or the text is wrongly written."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables put in; one that is not set and has no default is empty.

    Only the branch that is taken is looked at: what a default that is not needed requires, is not required.

    Raises:
        InvalidInterpolation: `${NAME:?message}` without a value, braces that hold no variable, or a result that is
            out of all proportion.
    """
    return _Expansion(text, variables).between(0, len(text), 0) if "$" in text else text


class _Expansion:
    """One text in expansion. It is read once, from left to right, whatever stands in it."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._closing = _closing_braces(text)

    def between(self, start: int, end: int, depth: int) -> str:
        """The part from `start` to `end` with its variables put in."""
        if depth > _DEEPEST:
            raise InvalidInterpolation(f"variables are nested more than {_DEEPEST} deep")
        pieces: list[str] = []
        size = 0
        while token := _TOKEN.search(self._text, start, end):
            value, after = self._value(token, end, depth)
            pieces += (self._text[start : token.start()], value)
            size += len(value) - (after - token.start())
            if size > _GROWTH:
                raise InvalidInterpolation(f"the variables' values lengthen it by more than {_GROWTH} characters")
            start = after
        return "".join((*pieces, self._text[start:end]))

    def _value(self, token: re.Match[str], end: int, depth: int) -> tuple[str, int]:
        """What stands for the token, and where the text goes on."""
        if token["dollar"]:
            return "$", token.end()
        if token["plain"]:
            return self._variables.get(token["plain"], ""), token.end()
        closing = self._closing_brace(token.start() + 1, end)
        if not token["name"] or closing < 0 or (not token["operator"] and closing != token.end()):
            raise InvalidInterpolation(
                f"{_shortened(self._text[token.start() : end])!r} is no variable",
                hint="write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+value}, and $$ for a dollar",
            )
        return self._braced(token, closing, depth), closing + 1

    def _closing_brace(self, opening: int, end: int) -> int:
        """Where the variable ends; a brace that another one in its default keeps open ends at the last one."""
        closing = self._closing.get(opening, end)
        return closing if closing < end else self._text.rfind("}", opening, end)

    def _braced(self, token: re.Match[str], closing: int, depth: int) -> str:
        name, operator = token["name"], token["operator"] or ""
        value = self._variables.get(name)
        given = value is not None and not (value == "" and ":" in operator)
        if operator.endswith("+") if given else operator.endswith(("-", "?")):
            word = self.between(token.end(), closing, depth + 1)
            if not operator.endswith("?"):
                return word
            raise InvalidInterpolation(f"the variable {name} is required and not set" + (f": {word}" if word else ""))
        return value or ""


def _closing_braces(text: str) -> dict[int, int]:
    """Each opening brace's partner, by its position."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            pairs[opened.pop()] = brace.start()
    return pairs


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvFile:
    """An env file's variables, and what is wrong in it, by line."""

    variables: Mapping[str, str]
    problems: tuple[tuple[int, str], ...] = ()


def read_env_file(text: str, variables: Mapping[str, str]) -> EnvFile:
    """The variables that a file's text sets, in terms of `variables` and of those above them in the file.

    A name without an equals sign sets nothing, and what is in single quotes is literal.
    """
    found: dict[str, str] = {}
    known = ChainMap(dict(variables), found)
    problems: list[tuple[int, str]] = []
    size = 0
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            problems.append((_line(binding), "this is not of the form NAME=VALUE"))
        elif binding.key is not None and binding.value is not None and size < _LARGEST:
            try:
                found[binding.key] = _value(binding, known)
                size += len(found[binding.key])
            except InvalidInterpolation as error:
                problems.append((_line(binding), f"{binding.key}: {error.message}"))
    if size >= _LARGEST:
        problems.append((0, f"the values are longer than {_LARGEST} characters"))
    return EnvFile(variables=found, problems=tuple(problems))


def _value(binding: Binding, known: Mapping[str, str]) -> str:
    value = binding.value or ""
    return value if _SINGLE_QUOTED.match(binding.original.string) else expand(value, known)


def _line(binding: Binding) -> int:
    """The line of what is bound: the parser counts from the blank lines above it."""
    string = binding.original.string
    blank = string[: len(string) - len(string.lstrip())]
    return binding.original.line + blank.count("\n")
