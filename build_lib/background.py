"""Processes that outlive this program: started in one run, ended in another."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_lib.errors import BuildError

_STOP_SECONDS = 60
POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process for ever: its id, and when it started, in clock ticks after boot."""

    pid: int
    born: int

    def runs(self) -> bool:
        """Whether it is still there, and no other of the same id."""
        return _born(self.pid) == self.born

    def stop(self, what: str) -> None:
        """Ask it to end, and wait until it has.

        Raises:
            BuildError: it does not.
        """
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self.runs():
            if time.monotonic() > deadline:
                raise BuildError(f"{what}, process {self.pid}, does not end", hint=f"kill {self.pid}")
            time.sleep(POLL_SECONDS)


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """Start a program in a session of its own, all its output into `log`."""
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(command[0], list(command), environment, file_actions=files, setsid=True)
    return Process(pid=pid, born=_born(pid) or 0)


def _born(pid: int) -> int | None:
    """proc(5), field 22 of stat; None if it is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] == "Z" else int(after_name[19])
