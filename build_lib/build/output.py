"""What a builder prints, while it prints it: written to the log, and known as steps with their last lines.

A builder prints in one of three forms. BuildKit's structured progress is JSON objects (client/graph.go, SolveStatus);
its plain progress has `#7 ` before each line (util/progress/progressui/printer.go), and the classic builder prints
`Step 2/5 : RUN make` and then what that prints.
"""

import base64
import json
import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from build_lib.process import TAIL_LINES

Form = Literal["rawjson", "plain", "classic"]

_PLAIN = re.compile(r"#(?P<id>\d+) (?P<text>.*)")
_TIMED = re.compile(r"\d+\.\d+ (?P<text>.*)")  # the output of a command, after the seconds since it began
_CLASSIC_STEP = re.compile(r"Step \d+/\d+ : ")
_CLASSIC_DETAIL = re.compile(r" ---> |Removing intermediate container ")
_PLACE = re.compile(r".*:(?P<line>\d+)")  # before BuildKit's excerpt of the Dockerfile
_RULE = "-" * 20  # around it
_ERROR = "ERROR: "  # before the word that decides; advice may follow it
_REPEATED = "-" * 6  # around what plain progress repeats of a failed step
_OPTIONAL = "importing cache manifest"  # a step that may fail: there may be no cache yet
CANCELED = "context canceled"  # the error of a step that ended because another one failed
_LONGEST_LINE = 1 << 16  # characters that are kept of a line that does not end
_HIDDEN = "***"
_COLOR = re.compile(r"\x1b\[[\d;]*m")


@dataclass(kw_only=True, slots=True)
class Step:
    """A step of a build. `name` is as the builder prints it, such as `[build 3/7] RUN make`."""

    name: str
    lines: "deque[str]" = field(default_factory=lambda: deque(maxlen=TAIL_LINES))  # the last ones that it printed
    error: str = ""  # why it failed
    began: float = 0.0  # when it began to run, as the builder says, or else when it said so (time.time)
    ended: float = math.inf
    partial: str = ""  # a line that has not ended

    @property
    def last_line(self) -> str:
        """The last line that it printed, also one that has not ended, such as a progress bar; "" if it printed none."""
        return _shown(self.partial) or (self.lines[-1] if self.lines else "")


class Output:
    """Receives a builder's output, as a file does, and writes the log.

    Only one thread writes. Others may read `current`, the step that began last of those that have not ended. After the
    end, `failed` is the step that failed, `error` the builder's last word, and `line` the line of the Dockerfile that
    it names; None, "" and 0 if there is none. `steps` are all that began. `secrets` are replaced in all of it.
    """

    def __init__(self, path: Path, form: Form, secrets: Sequence[str] = ()) -> None:
        self.path = path
        self.current: Step | None = None
        self.failed: Step | None = None
        self.error = ""
        self.line = 0
        self._log = path.open("w", encoding="utf-8", errors="backslashreplace", buffering=1)  # line by line
        self._form = form
        self._secrets = secrets
        self._read = self._reader()
        self._partial = ""
        self._steps: dict[str, Step] = {}
        self._running: dict[str, Step] = {}
        self._shown = ""  # the step whose lines are the last ones in the log
        self._before = ""  # the line before

    def __enter__(self) -> "Output":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._log:
            self.flush()
        self.current = None

    def again(self, why: str) -> None:
        """The builder is started once more: what it printed so far counts no longer, but stays in the log."""
        self.flush()
        self._log.write(f"\n{why}\n\n")
        self._read = self._reader()
        self.current, self.failed, self.error, self.line = None, None, "", 0
        self._steps, self._running, self._shown, self._before = {}, {}, "", ""

    def write(self, text: str) -> None:
        """Take the next piece of the output."""
        *lines, self._partial = _divided(self._partial, text)
        for line in lines:
            self._read(line)

    def flush(self) -> None:
        """Take what has come as complete."""
        rest, self._partial = self._partial, ""
        if rest:
            self._read(rest)

    @property
    def steps(self) -> list[Step]:
        """All steps that began, in this order."""
        return list(self._steps.values())

    def begin(self, id: str, name: str, at: float | None = None) -> None:
        """A step begins, or goes on; `at` is when, if the builder says so."""
        if id not in self._steps:
            self._steps[id] = Step(name=self._without_secrets(name), began=at or time.time())
        self._running[id] = self.current = self._steps[id]
        self._heading(id)

    def printed(self, id: str, text: str) -> None:
        """A step printed something, which may end within a line."""
        step = self._steps.get(id)
        if step is None:
            return
        *lines, rest = _divided(step.partial, text)
        step.partial = self._without_secrets(rest)
        for line in map(_shown, map(self._without_secrets, lines)):
            step.lines.append(line)
            self._heading(id)
            self._log.write(f"{line}\n")

    def end(self, id: str, word: str = "", error: str = "", at: float | None = None) -> None:
        """A step ended; `at` is when, if the builder says so."""
        step = self._steps.get(id)
        if step is None:
            return
        error = self._without_secrets(error)
        step.ended = at or time.time()
        if step.partial:
            self.printed(id, "\n")
        self._running.pop(id, None)
        self.current = next(reversed(self._running.values()), None)
        if word or error:
            self._heading(id)
            self._log.write(f"ERROR: {error}\n" if error else f"{word}\n")
        if error and not step.name.startswith(_OPTIONAL):
            step.error = error
            if self.failed is None or CANCELED in self.failed.error:
                self.failed = step

    def fail(self, error: str) -> None:
        """The builder ended with an error; it is that of the step that is running, if any."""
        self.flush()
        running = [id for id, step in self._running.items() if step is self.current]
        for id in running:
            self.end(id, error=error)
        if not running:
            self.other(error)
        self.error = self._without_secrets(error)

    def other(self, line: str) -> None:
        """The builder itself printed a line."""
        line = self._without_secrets(line)
        place = _PLACE.fullmatch(self._before)
        if line.startswith(_RULE) and place:
            self.line = int(place["line"])
        if line.strip() and (line.startswith(_ERROR) or not self.error.startswith(_ERROR)):
            self.error = line.strip()
        self._before = line
        self._shown = ""
        self._log.write(f"{line}\n")

    def _reader(self) -> Callable[[str], None]:
        if self._form == "rawjson":
            return _RawJson(self).line
        return _Plain(self).line if self._form == "plain" else _Classic(self).line

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def _heading(self, id: str) -> None:
        """Write which step the next lines are from, unless the log says so already."""
        if id != self._shown:
            self._log.write(f"\n{self._steps[id].name}\n" if self._shown else f"{self._steps[id].name}\n")
            self._shown = id


def _divided(before: str, text: str) -> list[str]:
    """The lines of a text that goes on after `before`; the last one has not ended. One without an end is cut."""
    *lines, partial = (before + text).split("\n")
    return [*lines, partial[-_LONGEST_LINE:]]


def _shown(line: str) -> str:
    """What a terminal would show of a line."""
    return _COLOR.sub("", line.rstrip("\r").rpartition("\r")[2])


class _RawJson:
    """Reads BuildKit's structured progress: objects of one line or of several, and lines of buildx's own."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._object: list[str] = []
        self._names: dict[str, str] = {}
        self._ended: set[str] = set()

    def line(self, line: str) -> None:
        """Read a line."""
        if self._object or line == "{":
            self._object.append(line)
            if line == "}":
                text, self._object = "\n".join(self._object), []
                self._status(text)
        elif line.startswith("{"):
            self._status(line)
        else:
            self._output.other(line)

    def _status(self, text: str) -> None:
        try:
            self._take(json.loads(text))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):  # it is of no known shape
            self._output.other(text)

    def _take(self, status: Mapping[str, Any]) -> None:
        for vertex in status.get("vertexes") or ():
            self._vertex(vertex)
        for log in status.get("logs") or ():
            self._output.printed(log["vertex"], _text(log["data"]))
        for warning in status.get("warnings") or ():
            self._output.other(f"warning: {_text(warning['short'])}")

    def _vertex(self, vertex: Mapping[str, Any]) -> None:
        id = vertex["digest"]
        if not vertex.get("started") or id in self._ended:
            return
        if id not in self._names:
            self._names[id] = vertex["name"]
            self._output.begin(id, vertex["name"], _moment(vertex["started"]))
        if vertex.get("completed"):
            self._ended.add(id)
            word = "cached" if vertex.get("cached") else _took(vertex)
            self._output.end(id, word, vertex.get("error", ""), _moment(vertex["completed"]))


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")


def _took(vertex: Mapping[str, Any]) -> str:
    return f"done {_moment(vertex['completed']) - _moment(vertex['started']):.1f}s"


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class _Plain:
    """Reads BuildKit's plain progress."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._names: dict[str, str] = {}
        self._repeating = False

    def line(self, line: str) -> None:
        """Read a line."""
        found = _PLAIN.fullmatch(line)
        if line == _REPEATED:
            self._repeating = not self._repeating
        elif found and not self._repeating:
            self._of_step(found["id"], found["text"])
        elif line and not self._repeating:
            self._output.other(line)

    def _of_step(self, id: str, text: str) -> None:
        timed = _TIMED.fullmatch(text)
        if self._names.setdefault(id, text) == text:
            self._output.begin(id, text)
        elif timed:
            self._output.printed(id, f"{timed['text']}\n")
        elif text.startswith("DONE ") or text in ("CACHED", "CANCELED"):
            self._output.end(id, text.lower())
        elif text.startswith("ERROR: "):
            self._output.end(id, error=text.removeprefix("ERROR: "))


class _Classic:
    """Reads what the classic builder prints."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._id = ""

    def line(self, line: str) -> None:
        """Read a line."""
        if _CLASSIC_STEP.match(line):
            self._output.end(self._id)
            self._id = line
            self._output.begin(line, line)
        elif not _CLASSIC_DETAIL.match(_COLOR.sub("", line)):
            self._output.printed(self._id, f"{line}\n")
