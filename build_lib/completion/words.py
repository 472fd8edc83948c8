"""What may stand at the cursor of a command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from build_lib.completion.line import Place, read
from build_lib.errors import BuildError
from build_lib.settings import Settings

_EVERYWHERE = ("--dry", "--help")  # the program's own flags that are worth a look after each task


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Words that may stand at the cursor, `written` of which is there; or, without words, `files`: any file.

    The words may begin in another way than what is written, because some shells select from them more freely.
    """

    words: tuple[str, ...] = ()
    written: str = ""
    files: bool = False

    @property
    def any_fits(self) -> bool:
        """Whether one of them, or a file, begins as is written."""
        return self.files or any(word.startswith(self.written) for word in self.words)


def candidates(
    line: str, tasks: Mapping[str, ParserContext], program: ParserContext, load: Callable[[str], Settings]
) -> Candidates:
    """Return what may stand at the end of the line.

    `program` has the program's own flags. `load` reads the settings of the repository that a task works on; it is
    called only for values.
    """
    place = read(line, tasks, program)
    words = _words(place, tasks, program, load)
    if words is None:
        return Candidates(files=True)
    readable = (word for word in words if word.isprintable())  # they are printed at a terminal, one a line
    return Candidates(words=tuple(f"{place.before}{word}" for word in readable), written=f"{place.before}{place.word}")


def _words(
    place: Place, tasks: Mapping[str, ParserContext], program: ParserContext, load: Callable[[str], Settings]
) -> list[str] | None:
    """What may stand there, without the flag before it; None for any file."""
    if place.after_dashes:
        return None
    if place.argument:
        return _values(place.argument, place, tasks, load)
    if place.word.startswith("-"):
        return _flags(place, program)
    services = [each for each in place.task.args.values() if each.name == "service" and each.kind is list]
    return [*_names(tasks), *(name for each in services for name in _values(each, place, tasks, load) or ())]


def _names(tasks: Mapping[str, ParserContext]) -> list[str]:
    """The names of all tasks and their other names, those of groups last."""
    names = {name for task in tasks.values() for name in (task.name or "", *task.aliases)}
    return sorted(names, key=lambda name: (name.count("."), name))


def _flags(place: Place, program: ParserContext) -> list[str]:
    """The flags of the task. A single letter is complete, so it stands alone."""
    names = place.task.flag_names()
    if place.task is not program:
        names = (*names, *(name for name in _EVERYWHERE if name not in names))
    return [name for name in names if name.startswith("--") or place.word in ("-", name)]


def _values(
    argument: Argument, place: Place, tasks: Mapping[str, ParserContext], load: Callable[[str], Settings]
) -> list[str] | None:
    """The values of an argument, without those that were given already; None for any file."""
    from build_lib.completion import values  # noqa: PLC0415  # not imported for the names of tasks, which are to be fast

    if argument.name in ("help", "list"):
        return _names(tasks)
    find = values.of(argument.name or "", (place.task.name or "").rpartition(".")[2])
    if find is None:
        return [] if argument.kind is int else None
    try:
        found = dict.fromkeys(find(place.word, lambda: load(place.task.name or "")))
    except (BuildError, OSError):  # the command itself reports it, when it is entered
        return []
    return [value for value in found if value not in place.taken]
