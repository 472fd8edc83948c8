"""Variables in compose files and in `.env` files: `$NAME`, `${NAME}`, `${NAME:-default}` and similar forms.

The rules are those of the compose specification, section "Interpolation". Where it is silent, compose-go decides
(`template/template.go`): braces inside a default are balanced, and a dollar sign that does not begin a variable is
kept.
"""

import re
from collections.abc import Mapping

from build_lib.errors import BuildError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?:(?P<name>{_NAME})(?P<operator>:?[-+?])?)?)")
_BRACE = re.compile(r"[{}]")
_DEEPEST = 50  # defaults inside defaults
_GROWTH = 1 << 16  # characters by which values may lengthen a text: variables made of variables grow exponentially


class InvalidInterpolation(BuildError):
    """A text's variables cannot be substituted: a required one is not set, or the text is malformed."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its variables substituted; one that is not set and has no default is empty.

    Only the branch taken is evaluated: a variable that an unused default requires need not be set.

    Raises:
        InvalidInterpolation: the variable in `${NAME:?message}` has no value, braces do not hold a variable, or
            variables are nested too deeply or make the text too long.
    """
    return _Expansion(text, variables).between(0, len(text), 0) if "$" in text else text


class _Expansion:
    """The expansion of one text, which is read once from left to right, whatever it contains."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._closing = _closing_braces(text)

    def between(self, start: int, end: int, depth: int) -> str:
        """The part from `start` to `end` with its variables substituted."""
        if depth > _DEEPEST:
            raise InvalidInterpolation(f"variables are nested more than {_DEEPEST} deep")
        pieces: list[str] = []
        size = 0
        while token := _TOKEN.search(self._text, start, end):
            value, after = self._value(token, end, depth)
            pieces += (self._text[start : token.start()], value)
            size += len(value) - (after - token.start())
            if size > _GROWTH:
                raise InvalidInterpolation(f"variables make the text longer by more than {_GROWTH} characters")
            start = after
        return "".join((*pieces, self._text[start:end]))

    def _value(self, token: re.Match[str], end: int, depth: int) -> tuple[str, int]:
        """The token's value, and the position where the text continues."""
        if token["dollar"]:
            return "$", token.end()
        if token["plain"]:
            return self._variables.get(token["plain"], ""), token.end()
        closing = self._closing_brace(token.start() + 1, end)
        if not token["name"] or closing < 0 or (not token["operator"] and closing != token.end()):
            raise InvalidInterpolation(
                f"{_shortened(self._text[token.start() : end])!r} is not a variable",
                hint="write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+value}, and $$ for a dollar sign",
            )
        return self._braced(token, closing, depth), closing + 1

    def _closing_brace(self, opening: int, end: int) -> int:
        """The position of the brace that ends the variable; the last one if a brace in its default is not closed."""
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
