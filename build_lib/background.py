"""Processes that outlive this program: started in one run, stopped in another."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_lib import state
from build_lib.errors import BuildError

_STOP_SECONDS = 60
POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process, identified by its id and its start time in clock ticks after boot."""

    pid: int
    born: int

    def runs(self) -> bool:
        """Whether the process is running, and is not another one with the same id."""
        return _born(self.pid) == self.born

    def stop(self, what: str) -> None:
        """Send SIGTERM, and wait for the process to end. `what` names it in messages.

        Raises:
            BuildError: the process does not end in time.
        """
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self.runs():
            if time.monotonic() > deadline:
                raise BuildError(
                    f"{what} (pid {self.pid}) did not stop in {_STOP_SECONDS} s", hint=f"kill -9 {self.pid}"
                )
            time.sleep(POLL_SECONDS)


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """Start a program in its own session, with all output to the file `log`.

    Raises:
        BuildError: the log cannot be written.
    """
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    with state.writing(log):
        log.touch()
    pid = os.posix_spawn(command[0], list(command), environment, file_actions=files, setsid=True)
    return Process(pid=pid, born=_born(pid) or 0)


def _born(pid: int) -> int | None:
    """The start time, field 22 of stat in proc(5); None if the process has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] == "Z" else int(after_name[19])
