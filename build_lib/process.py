"""Child processes that can be ended together with all processes that they started."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from build_lib.errors import BuildError
from build_lib.graph import Cancel

_GRACE_SECONDS = 5
# Runs the command, and in the same process group a reader of a pipe from this process. If this process is killed, the
# pipe is closed, and the reader ends the group.
_GUARDED = 'exec 3<&0 </dev/null; (read -r _ <&3; kill -TERM 0) >/dev/null 2>&1 & exec "$@" 3<&-'
TAIL_LINES = 12  # of a log in an error message
# BuildKit's excerpt of the Dockerfile. A long step in it would leave no room for the output of the step.
_EXCERPT = re.compile(r"^-{20}\n(?: *\d+ \|.*\n)+-{20}\n", re.MULTILINE)


class Sink(Protocol):
    """Takes text as it comes."""

    def write(self, text: str, /) -> object:
        """Take the next piece."""


@contextlib.contextmanager
def started(command: Sequence[str], cancel: Cancel, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process in its own group. Cancelling, leaving the block, and the end of this process end the whole group.

    Raises:
        BuildError: there is no such program.
    """
    if shutil.which(command[0]) is None:
        raise BuildError(f"there is no program {command[0]!r} on this machine")
    guarded = ["/bin/sh", "-c", _GUARDED, "sh", *command]
    process = subprocess.Popen(guarded, stdin=subprocess.PIPE, start_new_session=True, **options)
    try:
        with cancel.calling(lambda: _terminate(process)):
            yield process
    finally:
        _end(process)


def run(
    command: Sequence[str],
    *,
    log: IO[str] | int,
    cancel: Cancel,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Run a command with all output to `log`, and return its exit code."""
    with started(command, cancel, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=cwd) as process:
        return process.wait()


def read_all(command: Sequence[str], output: Sink, *, cancel: Cancel, env: Mapping[str, str] | None = None) -> int:
    """Run a command, write each line that it prints to `output` as it comes, and return its exit code."""
    with started(command, cancel, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env) as process:
        assert process.stdout is not None
        with io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                output.write(line)
        return process.wait()


def tail(path: Path) -> str:
    """The last lines of a log file, without BuildKit's excerpts of the Dockerfile."""
    lines = _EXCERPT.sub("", path.read_text(errors="replace")).splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """Ask the process to end, and make it end if it does not: buildx waits for its builder, which may hang."""
    _signal(process, signal.SIGTERM)

    def kill() -> None:
        if process.poll() is None:
            _signal(process, signal.SIGKILL)

    timer = threading.Timer(_GRACE_SECONDS, kill)
    timer.daemon = True
    timer.start()


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    if process.stdin is not None:
        process.stdin.close()
