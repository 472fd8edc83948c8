"""A command line up to the cursor: what is being written there.

Nothing in it is a mistake: the line is not finished, and mistakes are reported when it is entered.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

_CURSOR = "\0"  # no argument of a program can contain it
_CLOSING = ("", "'", '"')  # what may have to be added, because a quote is still open
_WITH_VALUE = re.compile(r"(--[^=]+=|-[^-]=?)(.*)", re.DOTALL)  # `--service=web`, `-s=web`, `-sweb`


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the cursor is.

    `task` is the task before it, or the program itself, and `taken` are the words between. `argument` is the one whose
    value is being written, or None. `word` is what is written of it, and `before` the flag in the same word, such as
    `--service=`. `after_dashes` says whether there is a `--` before it.
    """

    task: ParserContext
    taken: tuple[str, ...]
    argument: Argument | None
    before: str
    word: str
    after_dashes: bool


def read(line: str, tasks: Mapping[str, ParserContext], program: ParserContext) -> Place:
    """Read the line, which begins with the name of the program. `program` has the program's own flags."""
    *words, word = _words(line)
    reader = _Reader(tasks, program)
    for each in words[1:]:
        reader.read(each)
    return reader.place(word)


class _Reader:
    def __init__(self, tasks: Mapping[str, ParserContext], program: ParserContext) -> None:
        self._tasks = tasks
        self._program = self._task = program
        self._taken: list[str] = []
        self._flag: Argument | None = None  # a flag whose value is the next word
        self._missing: list[Argument] = []  # arguments that need no flag, and have no value yet
        self._after_dashes = False

    def read(self, word: str) -> None:
        """Read a word before the cursor."""
        self._taken.append(word)
        self._after_dashes = self._after_dashes or word == "--"
        if self._flag:
            self._flag = None
        elif word.startswith("-"):
            flag, _, value = self._named(word)
            self._missing = [argument for argument in self._missing if argument is not flag]
            self._flag = flag if flag and flag.takes_value and not flag.optional and value is None else None
        elif self._missing:
            self._missing.pop(0)
        elif word in self._tasks:
            self._task, self._taken = self._tasks[word], []
            self._missing = list(self._task.positional_args)

    def place(self, word: str) -> Place:
        """The place of the word at the cursor."""
        argument, before = self._flag, ""
        if argument is None and word.startswith("-"):
            flag, name, value = self._named(word)
            if flag and flag.takes_value and value is not None:
                argument, before, word = flag, name, value
        elif argument is None and self._missing:
            argument = self._missing[0]
        return Place(
            task=self._task,
            taken=tuple(self._taken),
            argument=argument,
            before=before,
            word=word,
            after_dashes=self._after_dashes,
        )

    def _named(self, word: str) -> tuple[Argument | None, str, str | None]:
        """The flag of a word, or None; its name as written there; the value in the same word, or None."""
        if flag := self._known(word):
            return flag, word, None
        parts = _WITH_VALUE.fullmatch(word)
        return (self._known(parts[1].rstrip("=")), parts[1], parts[2]) if parts else (None, word, None)

    def _known(self, name: str) -> Argument | None:
        name = self._task.inverse_flags.get(name, name)
        return next((each.flags[name] for each in (self._task, self._program) if name in each.flags), None)


def _words(line: str) -> list[str]:
    """The words of the line as a shell reads them; the last one, at the cursor, may be empty."""
    for closing in _CLOSING:
        try:
            *words, last = shlex.split(f"{line}{_CURSOR}{closing}")
        except ValueError:
            continue  # another quote is open
        return [*words, last.removesuffix(_CURSOR)]
    raise AssertionError(line)
