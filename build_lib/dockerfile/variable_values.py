"""What variables in a RUN stand for, as far as the Dockerfile tells, and which ARGs that comes from.

Unlike in `shell_word`, a variable that is not known stays as written, one may have several values (a `for`, branches of
an `if`), and of each piece of a value it is known which build arguments change it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from build_lib.dockerfile.shell_pattern import LIMIT, Refused
from build_lib.dockerfile.shell_word import Variable, expand

_MOST = 8  # values of one word
_DEEPEST = 8  # variables in the values of variables
_LONGEST = 64  # pieces of a value
_NAME = re.compile(r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*))")
_OPERATOR = re.compile(r":?([-=?+])")
_BRACES = re.compile(r"\\.|(?P<open>\$\{)|(?P<close>\})", re.DOTALL)


class Piece(NamedTuple):
    """A piece of a text, and the ARGs that change it."""

    text: str
    arguments: frozenset[str] = frozenset()


Value = tuple[Piece, ...]


class _Reference(NamedTuple):
    """A variable in a text: its name, what follows the name in braces, and the whole as written."""

    name: str
    rest: str
    written: str


@dataclass(slots=True)
class Values:
    """The values of the ARGs and ENVs of a stage up to an instruction, and of the shell variables in it."""

    stage: dict[str, Value] = field(default_factory=dict)
    unset: set[str] = field(default_factory=set)  # ARGs without a value
    shell: Mapping[str, Sequence[str]] = field(default_factory=dict)  # every text that is assigned; "$" is any

    def copy(self) -> "Values":
        """Return the values for a stage that is based on this one."""
        return Values(dict(self.stage), set(self.unset))

    def within(self, shell: Mapping[str, Sequence[str]]) -> "Values":
        """Return the values for an instruction that assigns these shell variables."""
        return Values(self.stage, self.unset, shell)

    def declare(self, name: str, value: Value | None) -> None:
        """Note an ARG. Without a value it keeps the one that it has, for example from an ENV."""
        if value is not None:
            self.stage[name] = _changed_by(value, frozenset([name]))
            self.unset.discard(name)
        elif name not in self.stage:
            self.unset.add(name)

    def set(self, name: str, value: Value) -> None:
        """Note an ENV."""
        self.stage[name] = value

    def arguments(self, names: Iterable[str]) -> frozenset[str]:
        """Return the ARGs among these variables, and those that the values of the others come from."""
        found: set[str] = set()
        for name in names:
            found |= {name} & self.unset
            found.update(*(piece.arguments for piece in self.stage.get(name, ())))
        return frozenset(found)

    def only(self, text: str) -> Value:
        """Return the text with every variable expanded that has one value."""
        return self._expand(text, 0, frozenset(), several=False)[0]

    def all(self, text: str) -> list[Value]:
        """Return the text with its variables expanded, once for each of their values."""
        return self._expand(text, 0, frozenset(), several=True)

    def _expand(self, text: str, depth: int, within: frozenset[str], *, several: bool) -> list[Value]:
        if "$" not in text:
            return [(Piece(text),)]
        choices: list[list[Value]] = []
        for part in _parts(text):
            if isinstance(part, str):
                choices.append([(Piece(part),)])
            else:
                found = self._values(part, depth, within, several=several)
                choices.append(found if several or len(found) == 1 else [(Piece(part.written),)])
        combined = (tuple(piece for value in chosen for piece in value) for chosen in product(*choices))
        return [_short(value) for value, _ in zip(combined, range(_MOST), strict=False)]

    def _values(self, part: _Reference, depth: int, within: frozenset[str], *, several: bool) -> list[Value]:
        """The values of a variable with what its braces make of them; as written if there is none."""
        written = (Piece(part.written, self.arguments([part.name])),)
        if depth > _DEEPEST or (part.name in within and part.name not in self.stage):
            return [written]
        found = self._plain(part.name, depth, within, several=several)
        operator = _OPERATOR.match(part.rest)
        if operator and operator[1] in "-=":
            word = part.rest[operator.end() :]
            absent = not found or not any(piece.text for value in found for piece in value)
            if not absent:
                return found
            names = self.arguments([part.name])
            return [_changed_by(value, names) for value in self._expand(word, depth + 1, within, several=several)]
        if not part.rest or (operator and operator[1] == "?"):
            return found or [written]
        if operator and not found:
            return [(Piece("", self.arguments([part.name])),)]
        return [_after(part, value) or written for value in found] or [written]

    def _plain(self, name: str, depth: int, within: frozenset[str], *, several: bool) -> list[Value]:
        """The values of a variable without regard to its braces."""
        found = [self.stage[name]] if name in self.stage else []
        if name in within:
            return found
        texts = self.shell.get(name, ())
        if "$" in texts and not found:
            return []
        inner = within | {name}
        for text in texts[:_MOST]:
            if text == "$":
                found.append((Piece(f"${{{name}}}", self.arguments([name])),))
            else:
                found += self._expand(text, depth + 1, inner, several=several)
        return list(dict.fromkeys(found))[:_MOST]


def _changed_by(value: Value, names: frozenset[str]) -> Value:
    return tuple(Piece(piece.text, piece.arguments | names) for piece in value)


def _after(part: _Reference, value: Value) -> Value | None:
    """The value after what the braces do with it, such as removing a prefix; None if BuildKit does not know that."""
    text = "".join(piece.text for piece in value)
    names = frozenset().union(*(piece.arguments for piece in value))
    try:
        return (Piece(expand(f"${{{part.name}{part.rest}}}", {part.name: Variable(text=text)}, "\\").text, names),)
    except Refused:
        return None


def _short(value: Value) -> Value:
    """The value with a bounded number of pieces and characters, so that values made of values do not grow."""
    if len(value) > _LONGEST or sum(len(piece.text) for piece in value) > LIMIT:
        text = "".join(piece.text for piece in value)[:LIMIT]
        return (Piece(text, frozenset().union(*(piece.arguments for piece in value))),)
    return value


def _parts(text: str) -> Iterator[str | _Reference]:
    """The text between variables, and the variables."""
    at = begin = 0
    while found := _NAME.search(text, at):
        end, rest = found.end(), ""
        if found["braced"]:
            close = _closing(text, end)
            rest, end = text[end:close], close + 1
        if begin < found.start():
            yield text[begin : found.start()]
        yield _Reference(found["plain"] or found["braced"], rest, text[found.start() : end])
        at = begin = end
    if begin < len(text):
        yield text[begin:]


def _closing(text: str, at: int) -> int:
    """Where the brace that is open at this place is closed; the end if it is not."""
    depth = 1
    for found in _BRACES.finditer(text, at):
        depth += bool(found["open"]) - bool(found["close"])
        if not depth:
            return found.start()
    return len(text)
