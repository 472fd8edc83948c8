"""Output that all commands share: lines, tables, colours and bars for users, JSON documents for programs, failures.

This is the only module that prints, and it makes everything printable that is not `Painted` (`foreign`). The text of
each command is in the module of its group.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from colorama import Fore, Style, just_fix_windows_console

from build_lib import pipes
from build_lib.console import ci, this_run
from build_lib.console.progress import Builds, Downloads, Heartbeat, Region
from build_lib.errors import BuildError, Incomplete, Refusal, Unavailable
from build_lib.foreign import Painted, as_json, on_one_line, printable
from build_lib.invocation import as_typed
from build_lib.settings import masked

if TYPE_CHECKING:  # a failure has to be printed without first importing the Docker SDK
    from build_lib.build import Running
    from build_lib.graph import Outcome
    from build_lib.registry import Progress
    from build_lib.settings import Settings

_LAST_STEP = 5
_said: set[str] = set()  # lines that are printed once in a run
_GAP = "  "  # between the columns of a table
_FURTHER = "\n  | "  # before the further lines of a text, which may be from elsewhere: no line of ours begins so


class Console:
    """Prints text for users: on stdout, or on stderr if stdout is for a JSON document."""

    def __init__(self, settings: Settings, *, json: bool = False, dry: bool = False, strict: bool = False) -> None:
        just_fix_windows_console()
        _show_warnings()
        self.json = json
        self.dry = dry
        self.strict = strict  # whether remarks on the repository's files are errors
        self._stream = sys.stderr if json else sys.stdout
        terminal = _is_terminal(self._stream, settings.environment)
        self._colored = terminal and not settings.environment.get("NO_COLOR")  # no-color.org
        self._root = settings.project_root
        this_run.work_in(self._root)
        region = Region(self._stream, colored=self._colored) if self._stream and terminal else None
        self._downloads = Downloads(region) if region else None
        self._builds = Builds(region) if region else None
        self._heartbeat = Heartbeat()

    @property
    def draws(self) -> bool:
        """Whether running work is drawn at the bottom of the terminal."""
        return self._builds is not None

    def line(self, *parts: str) -> None:
        """Print a line of these parts, and flush it, so that it also appears at once in a pipe."""
        _print(self._stream, *parts, between=_FURTHER)

    def step(self, number: int, title: str) -> None:
        """Print the heading of a step of build-all, which is a section in the log of a service for CI."""
        heading = self._paint(f"step {number}/{_LAST_STEP}: {title}", Style.BRIGHT)
        ci.begin_section(f"step_{number}", heading, self.line)

    def on_start(self, name: str) -> None:
        """Print that the work on an image or a service begins."""
        self.line(f"  {name} ...")

    def on_progress(self, progress: Progress) -> None:
        """Draw a progress bar for each image at a terminal; print nothing elsewhere."""
        if self._downloads:
            self._downloads.show(progress)

    def end_progress(self) -> None:
        """Remove the bars."""
        if self._downloads:
            self._downloads.close()

    def on_tick(self, running: Mapping[str, Running]) -> None:
        """Draw a line for each running build at a terminal; elsewhere, print one once a minute."""
        if self._builds and running:
            self._builds.show(running)
        elif self._builds:
            self._builds.close()
        else:
            for line in self._heartbeat.lines(running):
                self.line(line)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, with each column as wide as its widest cell."""
        shown = [tuple(map(on_one_line, row)) for row in (head, *rows)]
        widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
        for row in shown:
            self.line(_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def document(self, content: Any) -> None:
        """Keep the JSON document of a task, which is printed on stdout when the task has ended (`documents`)."""
        this_run.keep_document(content)

    def text(self, text: str) -> None:
        """Print a text of several lines on stdout."""
        plain(text)

    def refusals(self, refusals: Sequence[Refusal]) -> None:
        """Print why each source did not provide an image."""
        for refusal in refusals:
            self.line(f"    not from {refusal.source}: {refusal.reason}")

    def reason(self, error: BuildError | None) -> None:
        """Print why an image failed: the reason of each source, or else the message of the error."""
        if isinstance(error, Unavailable):
            self.refusals(error.refusals)
        elif error is not None:
            self.line(f"    {error.message}")

    def hints(self, outcomes: Sequence[Outcome[Any]]) -> None:
        """Print the hints of all failures on stderr, each once."""
        for hint in dict.fromkeys(item.error.hint for item in outcomes if item.error and item.error.hint):
            next_line(hint)

    def can_ask(self) -> bool:
        """Return whether the user can be asked: stdin and stdout are terminals."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    def ask(self, question: str) -> bool:
        """Ask the user a question, and return whether the answer is yes."""
        return input(f"{printable(question)} [y/N] ").strip().lower() in ("y", "yes")

    def good(self, text: str) -> Painted:
        """Return the text in green, if colours are enabled."""
        return self._paint(text, Fore.GREEN)

    def bad(self, text: str) -> Painted:
        """Return the text in red, if colours are enabled."""
        return self._paint(text, Fore.RED)

    def below(self, path: Path) -> str:
        """Return the path, relative to the repository if it is inside it."""
        return str(path.relative_to(self._root) if path.is_relative_to(self._root) else path)

    def _paint(self, text: str, style: str) -> Painted:
        shown = on_one_line(text)
        return Painted(f"{style}{shown}{Style.RESET_ALL}" if self._colored else shown)


def failure(error: BuildError) -> None:
    """Print an expected failure and its hint on stderr. A sum of failures is annotated only if none of them is."""
    told(f"error: {error.message}", error.hint)
    if not (isinstance(error, Incomplete) and ci.has_error()):
        ci.annotate("error", error.message, stderr_line, hint=as_typed(error.hint), place=error.place)


def told(text: str, hint: str) -> None:
    """Print on stderr what is wrong, outside of any section, and what to do about it."""
    ci.end_section()
    stderr_line(text)
    if hint:
        next_line(hint)


def json_document(content: Any) -> None:
    """Print a JSON document on stdout."""
    plain(as_json(content))


def last_failure(error: BuildError) -> None:
    """Print the failure that ends the run, after removing what is still drawn."""
    Region.close_all()
    failure(error)


def in_words(result: str, *, dry: bool) -> str:
    """Return the result for an image or a service as it is printed; in a dry run, what the result would be."""
    if result == "there":
        return "already present"
    return f"would be {result}" if dry else result


def plain(text: str) -> None:
    """Print a text on stdout, and flush it."""
    _print(sys.stdout, text)


def stderr_line(text: str) -> None:
    """Print one line on stderr, and flush it."""
    _print(sys.stderr, text, between=_FURTHER)


def working_on(repository: Path) -> None:
    """Print on stderr which repository is worked on, once in a run."""
    _once(f"working on {repository} (PROJECT_ROOT)")


def misspelt(settings: Mapping[str, str]) -> None:
    """Print on stderr, once in a run, the names in `.env` that have no effect, each with its hint."""
    for name, hint in settings.items():
        _once(f"warning: {name} in .env is not a setting: {hint}")


class _Warnings(logging.Handler):
    """Prints the library's warnings on stderr, each once in a run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning."""
        _once(f"warning: {record.getMessage()}")


def _show_warnings() -> None:
    log = logging.getLogger("build_lib")
    log.propagate = False
    log.handlers = [_Warnings(logging.WARNING)]


def not_run(tasks: Sequence[str]) -> None:
    """Print on stderr which tasks are not run because an earlier one failed."""
    if tasks:
        stderr_line(f"not run: {', '.join(tasks)}")


def _once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        stderr_line(line)


def next_line(hint: str) -> None:
    """Print on stderr what to do next."""
    stderr_line(f"  next: {as_typed(hint)}")


def _print(stream: IO[str] | None, *parts: str, between: str = "\n") -> None:
    """Print a text of these parts, with `between` between its lines; print nothing if the caller closed the stream.

    This is the one place where text becomes printable, and loses its passwords.

    Raises:
        BuildError: it cannot be written, for example to a full disk.
        BrokenPipeError: nobody reads it any more.
    """
    if stream is None:
        return
    text = "".join(part if isinstance(part, Painted) else printable(part) for part in parts)
    try:
        with Region.hidden():
            print(masked(text).replace("\n", between), file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise pipes.not_written(error) from None


def _is_terminal(stream: IO[str] | None, environment: Mapping[str, str]) -> bool:
    """Return whether lines can be drawn again and in colours."""
    return bool(stream and stream.isatty()) and environment.get("TERM") != "dumb"
