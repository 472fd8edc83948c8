"""Parse a Dockerfile's text into instructions, as BuildKit's `frontend/dockerfile/parser` does.

This covers lines, comments, continuation, parser directives, here-documents and flags. An instruction that can name
neither an image nor a file of the build context is read only as far as is needed to find its end.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from build_lib.dockerfile.directives import escape, frontend
from build_lib.dockerfile.shell_pattern import Refused, shortened
from build_lib.dockerfile.shell_word import SPACE, split

_BLANK = re.compile(r"[\t\v\f\r ]+")  # parser.go splits only at these, and trims all Unicode white space
# instructions that never name an image or a file
_SILENT = frozenset(
    "cmd entrypoint env expose healthcheck label maintainer shell stopsignal user volume workdir".split()  # noqa: SIM905
)
_WITH_SOURCES = frozenset(["add", "copy"])
_WITH_HEREDOC = _WITH_SOURCES | {"run"}
_KNOWN = _SILENT | _WITH_HEREDOC | {"arg", "from", "onbuild"}
_NO_TRIGGER = frozenset(["from", "maintainer", "onbuild"])

_HEREDOC = re.compile(r"\d*+<<(-?)(\s*+)([^<]*)")
_FLAG_PART = re.compile(
    rf"""(?P<end>[{SPACE}])|(?P<plain>[^{SPACE}'"\\]+)|\\(?P<escaped>.?)"""
    r"""|'(?P<single>(?:[^'\\]|\\.)*+)'?|"(?P<double>(?:[^"\\]|\\.)*+)"?""",
    re.DOTALL,
)
_SPACES = re.compile(f"[{SPACE}]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What could not be understood, and where; `argument` is the build argument that is missing, if that is why.

    A remark is about something that BuildKit accepts, but that may not be intended.
    """

    line: int
    reason: str
    argument: str | None = None
    remark: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """An instruction that may affect which images or files are needed."""

    line: int
    keyword: str  # lower-case; for an ONBUILD, that of its trigger
    flags: tuple[str, ...]  # such as `--from=x`, without quotes
    rest: str
    heredoc: bool
    onbuild: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Syntax:
    """The parsed text."""

    instructions: tuple[Instruction, ...]
    environment: tuple[str, ...]  # what each ENV says, as written
    problems: tuple[Problem, ...]
    escape: str
    frontend: tuple[int, str] | None  # the image that `# syntax=` names, and its line


def parse(text: str) -> Syntax:
    """Parse a text. An instruction that BuildKit refuses becomes a problem; the others are returned."""
    text = text.removeprefix("\ufeff")
    reader = _Reader(text)
    return Syntax(
        instructions=tuple(reader.instructions()),
        environment=tuple(reader.environment),
        problems=tuple(reader.problems),
        escape=reader.escape,
        frontend=frontend(reader.lines, text),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an instruction begins."""

    line: int
    keyword: str  # lower-case; for an ONBUILD, `onbuild`
    rest: str
    pieces: tuple[tuple[int, str], ...]  # its lines with their numbers, without what continues them
    bodies: tuple[tuple[int, str], ...] = ()  # the lines of its here-documents, with those that end them


def places(text: str) -> list[Place]:
    """Return the places of all instructions, also of those that name neither an image nor a file."""
    return list(_Reader(text.removeprefix("\ufeff")).places())


def escape_of(text: str) -> str:
    """Return the character that continues lines, which `# escape=` may set."""
    return escape(text.removeprefix("\ufeff").split("\n", 10)[:10])[0]


def is_list(rest: str) -> bool:
    """Return whether arguments are a JSON list of strings, and thus not shell words."""
    return _json_list(rest) is not None


def words(rest: str) -> list[str]:
    """Return the arguments of an instruction that takes words; quotes have no meaning there."""
    return [word for word in _BLANK.split(rest) if word]


def arguments(rest: str) -> list[str]:
    """Return the arguments of an instruction that takes words or a JSON list."""
    listed = _json_list(rest)
    return words(rest) if listed is None else listed


def sources(instruction: Instruction) -> list[str]:
    """Return the sources of a COPY or an ADD, without its here-documents."""
    found = arguments(instruction.rest)[:-1]
    return [word for word in found if not (instruction.heredoc and _HEREDOC.fullmatch(word))]


def _json_list(rest: str) -> list[str] | None:
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    return found if all(isinstance(item, str) for item in found) else None


class _Reader:
    """Goes through the lines once."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        if not self.lines[-1]:
            self.lines.pop()
        self.at = 0  # the number of lines that were read
        self.pieces: list[tuple[int, str]] = []  # as in Place
        self.escape, refused = escape(self.lines)
        self.problems = [Problem(line=line, reason=reason) for line, reason in refused]
        self.environment: list[str] = []
        self._ends: dict[str, list[int]] = {}
        self._tabbed_ends: dict[str, list[int]] = {}

    def instructions(self) -> Iterator[Instruction]:
        """The instructions that may affect which images or files are needed."""
        staged = False
        for line, text in self._logical_lines():
            keyword, rest = _first_word(text)
            if keyword == "env" or (keyword == "onbuild" and _first_word(rest)[0] == "env"):
                self.environment.append(rest)
            if staged and (keyword in _SILENT or (keyword == "run" and "--" not in rest and "<<" not in rest)):
                continue
            try:
                yield self._instruction(line, text, keyword, rest)
            except Refused as refused:
                self._report(line, refused.reason)
            staged = staged or keyword == "from"

    def places(self) -> Iterator[Place]:
        """The places of all instructions."""
        for line, text in self._logical_lines():
            keyword, rest = _first_word(text)
            pieces, begin = tuple(self.pieces), self.at
            if self._may_have_heredoc(keyword, text, rest):
                self._skip_heredocs(line, text)
            bodies = tuple(enumerate(self.lines[begin : self.at], begin + 1))
            yield Place(line=line, keyword=keyword, rest=rest, pieces=pieces, bodies=bodies)

    def _may_have_heredoc(self, keyword: str, text: str, rest: str) -> bool:
        return keyword in _WITH_HEREDOC and "<<" in text and not is_list(rest)

    def _report(self, line: int, reason: str) -> None:
        self.problems.append(Problem(line=line, reason=reason))

    def _logical_lines(self) -> Iterator[tuple[int, str]]:
        """Each instruction's text with its continuation lines, and its first line's number."""
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip("\r").lstrip(SPACE)
            self.at += 1
            if line and line[0] != "#":
                yield self.at, self._continued(line)

    def _continued(self, line: str) -> str:
        """Join a line and its continuation lines; comments and blank lines between them are skipped."""
        before = self._before_escape(line)
        self.pieces = [(self.at, line if before is None else before)]
        if before is None:
            return line
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip("\r")
            self.at += 1
            begin = line.lstrip(SPACE)
            if not begin or begin[0] == "#":
                continue
            before = self._before_escape(line)
            self.pieces.append((self.at, line if before is None else before))
            if before is None:
                break
        return "".join(text for _, text in self.pieces)

    def _before_escape(self, line: str) -> str | None:
        """The line without the escape character at its end; None if it has none there, or an escaped one."""
        kept = line.rstrip("\t ")
        if not kept.endswith(self.escape) or kept.endswith(self.escape * 2):
            return None
        return kept[:-1]

    def _instruction(self, line: int, text: str, keyword: str, rest: str) -> Instruction:
        onbuild = keyword == "onbuild"
        if onbuild:
            if rest.startswith("--"):
                raise Refused("ONBUILD takes no flags")
            keyword, rest = _first_word(rest)
            if not keyword or keyword in _NO_TRIGGER:
                raise Refused(f"ONBUILD does not take {keyword.upper()}" if keyword else "ONBUILD needs an instruction")
        elif keyword not in _KNOWN:
            raise Refused(f"unknown instruction {shortened(keyword.upper())}")
        flags, rest = leading_flags(rest)
        heredoc = self._may_have_heredoc(keyword, text, rest) and self._skip_heredocs(line, text)
        return Instruction(line=line, keyword=keyword, flags=flags, rest=rest, heredoc=heredoc, onbuild=onbuild)

    def _skip_heredocs(self, line: int, text: str) -> bool:
        """Skip the here-documents that a line opens; a text that the shell lexer cannot read opens none."""
        try:
            found_words = split(text, keep_quotes=True)
        except Refused:
            return False
        skipped = False
        for word in found_words:
            found = _HEREDOC.fullmatch(word)
            name = split(found[3], keep_quotes=False) if found else []
            if not found or len(name) != 1:
                continue
            end = self._end_of_heredoc(name[0], tabs=bool(found[1]))
            if end is not None:
                self.at = end
                skipped = True
            elif not found[2]:  # before BuildKit 0.22, `$((1 << 2))` opens none
                self._report(line, f"the here-document {shortened(name[0])} is not terminated")
        return skipped

    def _end_of_heredoc(self, name: str, *, tabs: bool) -> int | None:
        """The number of the next line that consists of the name alone, after tabs if they are allowed."""
        index = self._tabbed_ends if tabs else self._ends
        if not index:
            for number, line in enumerate(self.lines, 1):
                index.setdefault(line.rstrip("\r").lstrip("\t" if tabs else ""), []).append(number)
        places = index.get(name, [])
        place = bisect_left(places, self.at + 1)
        return places[place] if place < len(places) else None


def _first_word(text: str) -> tuple[str, str]:
    """The keyword in lower case, and what follows it."""
    parts = _BLANK.split(text.strip(SPACE), maxsplit=1)
    return parts[0].lower(), parts[1] if len(parts) > 1 else ""


def leading_flags(rest: str) -> tuple[tuple[str, ...], str]:
    """Return the leading words that begin with `--`, without quotes and escapes, and the rest: split_command.go."""
    flags: list[str] = []
    at = _end_of_space(rest, 0)
    while rest.startswith("--", at):
        word, at = _flag(rest, at)
        if word == "--":
            break
        flags.append(word)
        at = _end_of_space(rest, at)
    return tuple(flags), rest[at:].strip(SPACE)


def _end_of_space(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


def _flag(rest: str, at: int) -> tuple[str, int]:
    """The word that begins here, and where it ends."""
    parts: list[str] = []
    while found := _FLAG_PART.match(rest, at):
        if found["end"]:
            break
        at = found.end()
        quoted = found["single"] or found["double"] or ""
        parts.append(found["plain"] or found["escaped"] or _ESCAPED.sub(r"\1", quoted))
    return "".join(parts), at
