"""Words as BuildKit's shell lexer reads them: quotes, escapes, `$name` and `${name…}`.

The rules are those of BuildKit's `frontend/dockerfile/shell/lex.go`, which supports fewer forms than a shell and treats
some of them differently. Nested forms are kept on an explicit stack instead of Python's, so that they can have any
depth. Substituted values are cut at `LIMIT` characters, so that arguments made of arguments cannot grow without bound.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from build_lib.dockerfile.shell_pattern import LIMIT, Refused, replaced, shortened, trimmed

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

_SPACES = re.compile(f"[{SPACE}]+")
_PLAIN = re.compile(r"""[^$'"\\`}/<]+""")
_NAME = re.compile(r"\d+|[@*#?\-$!]|\w+|")
_OPENS_HEREDOC = re.compile(r"<<[\t\r ]*|<")
_OPERATORS = ("-", ":-", "+", ":+", "?", ":?", "#", "%", "/", "//")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A value, and the unset variable that is missing from it, if there is one."""

    text: str
    missing: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expansion:
    """A word with its variables expanded, the names of those that are not set, and of those that are empty."""

    text: str
    missing: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()


def expand(word: str, variables: Mapping[str, Variable], escape: str) -> Expansion:
    """Return the word without its quotes and with its variables expanded.

    Raises:
        Refused: BuildKit cannot read the word, or a variable that it requires with `?` is not set.
    """
    if _PLAIN.fullmatch(word.replace("/", "")):
        return Expansion(text=word)
    lexer = _Lexer(word, variables, escape)
    text = lexer.read()[:LIMIT]
    names = dict.fromkeys(lexer.notes)
    return Expansion(
        text=text,
        missing=tuple(name for name, is_set in names if not is_set),
        blank=tuple(name for name, is_set in names if is_set),
    )


def split(text: str, *, keep_quotes: bool) -> list[str]:
    """Return the words of a text, with variables as written, and with or without quotes and escapes.

    Raises:
        Refused: BuildKit cannot read the text.
    """
    return [word for word in _Splitter(text, keep_quotes).read().split("\n") if word]


@dataclass(slots=True)
class _Frame:
    """The text that is being read up to `stop`: the whole text, double quotes, or the word in `${name…word}`."""

    stop: str = ""
    raw: bool = False  # an escape stays in the text
    quoted: bool = False
    name: str = ""
    operator: str = ""
    pattern: str = ""
    notes: int = 0  # the lexer's number of notes when the frame began
    parts: list[str] = field(default_factory=list)
    size: int = 0


class _Lexer:
    """Reads one text from left to right, once."""

    def __init__(self, text: str, variables: Mapping[str, Variable], escape: str, *, raw: bool = False) -> None:
        self.text = text
        self.at = 0
        self.variables = variables
        self.escape = escape
        self.raw = raw
        self.frames = [_Frame(raw=raw)]
        self.notes: list[tuple[str, bool]] = []  # each unset or empty variable, and whether it is set

    def read(self) -> str:
        while self.at < len(self.text):
            frame = self.frames[-1]
            char = self.text[self.at]
            if char == frame.stop:
                self.at += 1
                self._close(self.frames.pop())
            elif char == "$":
                self._dollar()
            elif char == self.escape:
                self._escaped(frame)
            elif char in "'\"" and not frame.quoted:
                self._quote(frame, char)
            else:
                self._literal()
        if len(self.frames) > 1:
            raise Refused(f"{self.frames[-1].stop!r} is missing in {shortened(self.text)}")
        return "".join(self.frames[0].parts)

    def _add(self, text: str, *, solid: bool = False) -> None:  # noqa: ARG002 - used by _Splitter
        frame = self.frames[-1]
        if frame.size < LIMIT:
            frame.size += len(text)
            frame.parts.append(text)

    def _literal(self) -> None:
        found = _PLAIN.match(self.text, self.at)
        end = found.end() if found else self.at + 1
        self._add(self.text[self.at : end])
        self.at = end

    def _escaped(self, frame: _Frame) -> None:
        """Outside quotes any character can be escaped; within double quotes, only those that have a meaning there."""
        following = self.text[self.at + 1 : self.at + 2]
        if frame.raw:
            self._add(self.escape, solid=True)
        if frame.quoted and following not in ('"', "$", self.escape):
            self._add(self.escape if following else "", solid=True)
            self.at += 1
        else:
            self._add(following, solid=True)
            self.at += 2

    def _quote(self, frame: _Frame, quote: str) -> None:
        mark = quote if self.raw else ""
        if quote == '"':
            self.at += 1
            self.frames.append(_Frame(stop=quote, raw=frame.raw, quoted=True, parts=[mark]))
            return
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise Refused(f"{quote!r} is missing in {shortened(self.text)}")
        self._add(mark + self.text[self.at + 1 : end] + mark, solid=True)
        self.at = end + 1

    def _dollar(self) -> None:
        if self.text.startswith("${", self.at):
            self._brace()
            return
        name = self._name(self.at + 1)
        self.at += 1 + len(name)
        self._add(self._value(name) if name else "$")

    def _name(self, start: int) -> str:
        found = _NAME.match(self.text, start)
        return found[0] if found else ""

    def _brace(self) -> None:
        """Read `${name}`, or the beginning of `${name…`, which `_close` completes."""
        name = self._name(self.at + 2)
        self.at += 2 + len(name)
        operator = self.text[self.at : self.at + 1]
        if not name and operator in ("", "{", "}", ":"):
            raise Refused(f"there is no name after '${{' in {shortened(self.text)}")
        self.at += 1
        if operator == "}":
            self._add(self._value(name, braces=True))
            return
        if operator == ":" or (operator == "/" and self.text.startswith("/", self.at)):
            operator += self.text[self.at : self.at + 1]
            self.at += 1
        if not operator:
            raise Refused(f"'}}' is missing in {shortened(self.text)}")
        if operator in (":#", ":%") or operator[:1] not in tuple(":+-?#%/"):
            raise Refused(f"unknown operator {operator!r} after '${{{name}' in {shortened(self.text)}")
        stop = "/" if operator[0] == "/" else "}"
        raw = operator[0] in "#%/"
        self.frames.append(_Frame(stop=stop, raw=raw, name=name, operator=operator, notes=len(self.notes)))

    def _close(self, frame: _Frame) -> None:
        text = "".join(frame.parts)
        if frame.quoted:
            self._add(text + ('"' if self.raw else ""), solid=True)
        elif frame.stop == "/":
            self.frames.append(
                _Frame(stop="}", raw=True, name=frame.name, operator=frame.operator, pattern=text[:LIMIT])
            )
        else:
            self._add(self._substitute(frame, text[:LIMIT]))

    def _value(self, name: str, *, braces: bool = False) -> str:  # noqa: ARG002 - used by _Splitter
        variable = self.variables.get(name)
        if variable is None or variable.missing:
            self.notes.append((variable.missing if variable and variable.missing else name, False))
        elif not variable.text:
            self.notes.append((name, True))
        return variable.text[:LIMIT] if variable else ""

    def _substitute(self, frame: _Frame, word: str) -> str:
        if frame.operator not in _OPERATORS:
            raise Refused(f"unknown operator {frame.operator!r} after '${{{frame.name}' in {shortened(self.text)}")
        match frame.operator[-1]:
            case "-" | "+" | "?" as operator:
                return self._chosen(frame, operator, word)
            case "#" | "%" as operator:
                return trimmed(self._value(frame.name), operator, word)
        return replaced(self._value(frame.name), frame.pattern, word, every=frame.operator == "//")

    def _chosen(self, frame: _Frame, operator: str, word: str) -> str:
        """Return the variable's value, the word or "", by whether the variable is set, or with `:` not empty."""
        variable = self.variables.get(frame.name)
        absent = variable is None or (frame.operator[0] == ":" and not variable.text)
        if absent and operator == "?":
            raise Refused(f"{frame.name}: {word or 'is not set'}", frame.name)
        if operator != "?" and absent is (operator == "-"):
            return word
        del self.notes[frame.notes :]  # they belong to the word, which is not used
        return "" if operator == "+" else self._value(frame.name)


class _Splitter(_Lexer):
    """Keeps variables as written, and puts a line feed between words, since a logical line contains none."""

    def __init__(self, text: str, keep_quotes: bool) -> None:
        super().__init__(text, {}, "\\", raw=keep_quotes)

    def _add(self, text: str, *, solid: bool = False) -> None:
        if len(self.frames) == 1 and not solid:
            text = _SPACES.sub("\n", text)
        self.frames[-1].parts.append(text)

    def _literal(self) -> None:
        found = _OPENS_HEREDOC.match(self.text, self.at)
        if not found:
            super()._literal()
            return
        self._add(found[0], solid=True)  # `<<` and the name of a here-document are one word
        self.at = found.end()

    def _value(self, name: str, *, braces: bool = False) -> str:
        return f"${{{name}}}" if braces else f"${name}"

    def _substitute(self, frame: _Frame, word: str) -> str:
        pattern = f"{frame.pattern}/" if frame.operator[0] == "/" else ""
        return f"${{{frame.name}{frame.operator}{pattern}{word}}}"
