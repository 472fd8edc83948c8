"""The simple commands of a shell script: POSIX, Shell Command Language, and what bash adds to it.

Read are words with their quotes, operators, redirections, here-documents, comments, the patterns of `case`, and the
commands in `$(…)` and backquotes. The words keep their variables. A text that no shell accepts is read as far as it
makes sense.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from build_lib.dockerfile.script import Script
from build_lib.dockerfile.shell_tokens import QUOTED, SUBSTITUTION, TOKEN, WORD, closing

_DEEPEST = 12  # commands within commands; what is deeper is not read
# words that may stand in front of a command
LEADING = frozenset(["!", "coproc", "do", "elif", "else", "if", "then", "time", "until", "while", "{"])


class Word(NamedTuple):
    """A word without its quotes, and the pieces of the script that it is made of (`Script.part`)."""

    text: str
    pieces: tuple[tuple[int, int], ...]


@dataclass(kw_only=True, slots=True)
class Command:
    """The words of a simple command as written, with the words in front of it such as `then` and `A=1`."""

    script: Script  # that it is in
    words: list[Word] = field(default_factory=list)
    targets: list[tuple[str, Word]] = field(default_factory=list)  # the operators and words of its redirections
    documents: list[Script] = field(default_factory=list)  # its here-documents
    lists: dict[str, list[Word]] = field(default_factory=dict)  # the arrays that it assigns: `a=(b c)`


def commands(script: Script, depth: int = 0) -> list[Command]:
    """Return all commands of a script, those in substitutions before those that use what these print."""
    return _Reader(script, depth).read() if depth < _DEEPEST else []


def substituted(script: Script, depth: int = 0) -> Iterator[Command]:
    """Return the commands in the substitutions of a text, such as a here-document's."""
    at = 0
    while found := SUBSTITUTION.search(script.text, at):
        at = found.end()
        if found[1]:
            begin, end, at = at, *closing(script.text, at, found[1])
            yield from commands(_slice(script, begin, end), depth + 1)


def _slice(script: Script, begin: int, end: int) -> Script:
    return script.part(script.text[begin:end], [(0, begin)])


class _Reader:
    """Reads one script from left to right, once."""

    def __init__(self, script: Script, depth: int) -> None:
        self.script = script
        self.text = script.text
        self.depth = depth
        self.at = 0
        self.found: list[Command] = []
        self.command = Command(script=script)
        self.parts: list[str] = []  # of the word that is being read
        self.pieces: list[tuple[int, int]] = []
        self.size = 0
        self.in_word = self.quoted = False
        self.redirect = ""  # the operator whose word comes next
        self.documents: list[tuple[Command, str, bool, bool]] = []  # that begin after this line
        self.depths = 0  # of parentheses
        self.cases: list[int] = []  # the depths of `case`s
        self.pattern = -1  # where in `found` the pattern of a case begins; -1 outside of one
        self.test = False  # within `[[ ]]`
        self.array = ""  # the name of the array that is being assigned
        self.groups: list[int] = []  # where in `found` each group begins that is open
        self.closed = -1  # where the one begins that was closed just now; -1 if there is none

    def read(self) -> list[Command]:
        while self.at < len(self.text):
            if not self.in_word:
                found = WORD.match(self.text, self.at)
                if found:
                    self.at = found.end()
                    self._whole_word(found)
                    continue
                if self.text[self.at] == "#":
                    end = self.text.find("\n", self.at)
                    self.at = len(self.text) if end < 0 else end
                    continue
            found = TOKEN.match(self.text, self.at)
            assert found
            self.at = found.end()
            self._token(found)
        self._end_command()
        return self.found

    def _token(self, found: re.Match[str]) -> None:
        match found.lastgroup:
            case "space":
                self._end_word()
            case "newline":
                self._newline()
            case "redirect":
                self._redirect(found[0])
            case "operator":
                self._operator(found[0])
            case "single":
                self._add(found["quoted"], found.start("quoted"), quoted=True)
            case "double":
                self._double()
            case "escaped":
                self._add(found["char"], found.start("char"), quoted=True)
            case "substitution" | "brace":
                self._nested(found[0], found.start())
            case _:
                self._add(found[0], found.start())

    def _add(self, text: str, offset: int, *, quoted: bool = False) -> None:
        self.in_word = True
        self.quoted |= quoted
        if text:
            self.pieces.append((self.size, offset))
            self.parts.append(text)
            self.size += len(text)

    def _double(self) -> None:
        self._add("", self.at, quoted=True)
        while found := QUOTED.match(self.text, self.at):
            self.at = found.end()
            if found["end"]:
                return
            if found["char"]:
                self._add(found["char"], found.start("char"))
            elif found["substitution"] or found["brace"]:
                self._nested(found[0], found.start())
            elif found["plain"]:
                self._add(found["plain"], found.start())

    def _nested(self, opened: str, start: int) -> None:
        """Read `$(…)`, a backquoted command, or `${…}`, which become a part of the word as they are."""
        end, self.at = closing(self.text, self.at, opened)
        inner = _slice(self.script, start + len(opened), end)
        self.found += substituted(inner, self.depth) if opened == "${" else commands(inner, self.depth + 1)
        self._add(self.text[start : self.at], start)

    def _end_word(self) -> None:
        if not self.in_word:
            return
        word, quoted = Word("".join(self.parts), tuple(self.pieces)), self.quoted
        self.parts, self.pieces, self.size = [], [], 0
        self.in_word = self.quoted = False
        self._complete(word, quoted=quoted)

    def _whole_word(self, found: re.Match[str]) -> None:
        kind = found.lastgroup or ""
        word = Word(found[kind], ((0, found.start(kind)),) if found[kind] else ())
        self._complete(word, quoted=kind != "plain")

    def _complete(self, word: Word, *, quoted: bool) -> None:
        redirect, self.redirect = self.redirect, ""
        if redirect in ("<<", "<<-"):
            self.documents.append((self.command, word.text, redirect == "<<-", quoted))
        elif redirect:
            self.command.targets.append((redirect, word))
        elif self.array:
            self.command.lists[self.array].append(word)
        else:
            self._word(word)

    def _word(self, word: Word) -> None:
        self.command.words.append(word)
        if word.text in ("[[", "]]"):
            self.test = word.text == "[["
        elif word.text in ("in", "esac"):
            said = [item.text for item in self.command.words]
            while said and said[0] in LEADING:
                del said[0]
            if said[0] == "case" and len(said) == 3:
                self.cases.append(self.depths)
                self._begin_pattern()
            elif said[0] == "esac" and self.cases:
                self.cases.pop()
                self.pattern = -1

    def _begin_pattern(self) -> None:
        self.command = Command(script=self.script)
        self.pattern = len(self.found)

    def _redirect(self, operator: str) -> None:
        self._end_word()
        if not self.test:
            self.redirect = operator.lstrip("0123456789")

    def _operator(self, operator: str) -> None:
        if operator == "(" and self.in_word and self.parts and self.parts[-1].endswith("="):
            self.array = "".join(self.parts).rstrip("+=")
            self.command.lists[self.array] = []
            self.parts, self.pieces, self.size, self.in_word = [], [], 0, False
            return
        self._end_word()
        if self.array:
            self.array = "" if operator == ")" else self.array
        elif self.test:
            self.test = operator != ";"
        elif operator == "(":
            self.depths += 1
            self.groups.append(len(self.found))
            if not (self.pattern >= 0 and self.cases and self.cases[-1] == self.depths - 1):
                self._open()
        elif operator == ")":
            self._close()
        else:
            self._end_command()
            if operator.startswith(";;") or operator == ";&":
                self.pattern = len(self.found) if self.cases else -1

    def _open(self) -> None:
        """Begin a subshell, or the body of a function, whose name is no command."""
        said = [word.text for word in self.command.words if word.text not in LEADING]
        if said and said[0] not in ("for", "export", "local", "declare"):
            self.command = Command(script=self.script)
        self._end_command()

    def _close(self) -> None:
        """End a subshell, or a pattern of a case, which is no command."""
        if self.pattern >= 0 and self.cases:
            self._end_word()
            del self.found[self.pattern :]
            self.command = Command(script=self.script)
            self.pattern = -1
            self.depths = self.cases[-1]
        else:
            self._end_command()
            self.depths = max(self.depths - 1, 0)
            self.closed = self.groups.pop() if self.groups else -1

    def _end_command(self) -> None:
        self._end_word()
        self.redirect = self.array = ""
        self._group()
        if self.command.words or self.command.lists or self.command.targets:
            self.found.append(self.command)
            self.command = Command(script=self.script)

    def _group(self) -> None:
        """Note where `{ …; }` begins; where a group writes to, its commands do."""
        words = self.command.words
        for word in words[2:] if words and words[0].text == "function" else words:
            if word.text not in LEADING:
                break
            if word.text == "{":
                self.groups.append(len(self.found))
        if self.command.words and self.command.words[0].text == "}":
            self.closed = self.groups.pop() if self.groups else -1
        elif self.command.words:
            self.closed = -1
        if self.closed >= 0 and self.command.targets:
            for command in self.found[self.closed :]:
                command.targets += self.command.targets
            self.closed = -1

    def _newline(self) -> None:
        self._end_word()
        if not self.array:
            self._end_command()
        self.test = False
        for command, name, tabs, quoted in self.documents:
            body = self._document(name, tabs=tabs)
            command.documents.append(body)
            if not quoted:
                self.found += substituted(body, self.depth)
        self.documents = []

    def _document(self, name: str, *, tabs: bool) -> Script:
        """The body of a here-document, which ends with a line of this name; or at the end."""
        begin = self.at
        while self.at < len(self.text):
            start = self.at
            end = self.text.find("\n", start)
            self.at = len(self.text) if end < 0 else end + 1
            line = self.text[start : self.at].rstrip("\r\n")
            if (line.lstrip("\t") if tabs else line) == name:
                return _slice(self.script, begin, start)
        return _slice(self.script, begin, self.at)
