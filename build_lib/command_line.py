"""The words of a command line, checked before invoke parses them.

invoke stops at the first word that it does not know, and says only which. Here, a mistake is reported with what is
near to it. A word that is neither a task nor a flag is a service of the task before it, if that task takes services.
"""

import shlex
from collections import deque
from collections.abc import Iterable, Mapping
from typing import cast

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from build_lib.errors import UsageError, nearest

_SERVICE, _FILE = "--service", "--file"
# flags of the program itself that have no effect after a task, because invoke reads them before it knows the tasks
_BEFORE_TASKS = {"collection", "debug", "print-completion-script", "search-root", "version", "write-pyc"}


def read(words: Iterable[str], tasks: Mapping[str, ParserContext], program: ParserContext) -> list[str]:
    """Return the words as invoke understands them: with the flag in front of each service.

    `program` has the flags of the program itself, which come before the first task, or after one.

    Raises:
        UsageError: a word is no task, no flag or no value; the hint says what is near to it.
    """
    return _Reader(words, tasks, program).read()


def check_own_flags(words: Iterable[str], program: ParserContext) -> None:
    """Check the values of the program's own flags, which come before the first task.

    Raises:
        UsageError: one is not valid.
    """
    reader = _Reader(words, {}, program)
    while reader.ahead and reader.flag(reader.ahead[0]):
        reader.read_flag(reader.ahead.popleft())


class _Reader:
    def __init__(self, words: Iterable[str], tasks: Mapping[str, ParserContext], program: ParserContext) -> None:
        self.ahead = deque(words)
        self._tasks = tasks
        self._program = self._task = program
        self._missing: list[Argument] = []  # the task's arguments that need no flag, and have no value yet

    def read(self) -> list[str]:
        read: list[str] = []
        while self.ahead:
            word = self.ahead.popleft()
            if word.startswith("-"):
                read += self.read_flag(word)
            elif self._missing:
                self._missing.pop(0)
                read.append(word)
            elif word in self._tasks:
                self._task = self._tasks[word]
                self._missing = list(self._task.positional_args)
                read.append(word)
            elif _SERVICE in self._task.flags:
                read += [_SERVICE, word]
            else:
                raise self._unknown_task(word)
        return read

    def read_flag(self, word: str) -> list[str]:
        """The words of a flag and its value."""
        name, flag = _name(word), self.flag(word)
        if flag is None:
            raise self._unknown_flag(name)
        if not flag.takes_value:
            if "=" in word:
                raise UsageError(f"{name} takes no value", hint=self._help())
            return [word]
        if flag in self._missing:
            self._missing.remove(flag)
        if not flag.optional:
            return self._with_value(word, flag)
        valued = flag.kind is list and word == name and self.ahead and not self._is_flag_or_task(self.ahead[0])
        return [word, self.ahead.popleft()] if valued else [word]

    def _is_flag_or_task(self, word: str) -> bool:
        return word.startswith("-") or word in self._tasks

    def flag(self, word: str) -> Argument | None:
        """The flag that the word names, of the task or of the program; None if it cannot be given here."""
        name = _name(word)
        name = self._task.inverse_flags.get(name, name)
        own, others = self._task.flags, self._program.flags
        if name in own:
            return cast(Argument, own[name])
        if name not in others or (self._task.name and (others[name].name in _BEFORE_TASKS or self._tasks_with(name))):
            return None
        return cast(Argument, others[name])

    def _with_value(self, word: str, flag: Argument) -> list[str]:
        name = _name(word)
        words, value = [word], word.removeprefix(name).removeprefix("=")
        if word == name:
            if not self.ahead or self.flag(self.ahead[0]):
                hint = f"{name} takes {flag.help}" if flag.help else self._help()
                raise UsageError(f"{name} has no value", hint=hint)
            value = self.ahead.popleft()
            words.append(value)
        if flag.kind is int and not value.removeprefix("-").isdecimal():
            raise UsageError(f"{name} is {value!r}", hint="allowed: a whole number")
        return words

    def _unknown_task(self, word: str) -> UsageError:
        hint = nearest(word, self._tasks) or "./inv --list shows the tasks"
        if _FILE in self._task.flags and "." in word:
            hint = f"-f names a file: ./inv {self._task.name} -f {shlex.quote(word)}"
        return UsageError(f"there is no task {word!r}", hint=hint)

    def _unknown_flag(self, name: str) -> UsageError:
        having = self._tasks_with(name)
        if not self._task.name:
            task = next((word for word in self.ahead if word in having), next(iter(having), ""))
            hint = f"flags of a task come after it: ./inv {task} {name}" if task else ""
            hint = hint or nearest(name, self._program.flags) or self._help()
            return UsageError(f"there is no flag {name} before a task", hint=hint)
        if having:
            hint = f"it is a flag of {', '.join(having)}"
        elif name in self._program.flags:
            hint = f"it comes before the task: ./inv {name}"
        else:
            hint = nearest(name, [*self._task.flags, *self._task.inverse_flags]) or self._help()
        return UsageError(f"{self._task.name} has no flag {name}", hint=hint)

    def _tasks_with(self, flag: str) -> list[str]:
        return [name for name, task in self._tasks.items() if flag in task.flags]

    def _help(self) -> str:
        task = f"{self._task.name} " if self._task.name else ""
        return f"./inv {task}--help shows the flags"


def _name(word: str) -> str:
    """The flag's name in `--name=value`, `-n=value` and `-nvalue`."""
    name = word.partition("=")[0]
    return name if name.startswith("--") else name[:2]
