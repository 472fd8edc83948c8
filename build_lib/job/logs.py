"""The logs of builds, also while they grow."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from build_lib import state
from build_lib.errors import BuildError
from build_lib.repository import Repository
from build_lib.settings import Settings

_POLL_SECONDS = 0.2


def read(
    repository: Repository, names: Sequence[str], settings: Settings, *, follow: bool
) -> Iterator[tuple[str, str]]:
    """The lines of the named services' logs, each with the service's name.

    With `follow`, also those that are still to come, of builds that another process does in this repository, until it
    ends. In that time there may be no log yet.

    Raises:
        BuildError: there is no such service, or no log of it.
    """
    repository.require(names)
    logs = [_Log(name, _path(name, settings)) for name in names]
    running = follow and _is_building(settings)
    for log in logs:
        if not running and not log.path.exists():
            raise BuildError(f"there is no log of {log.name}", hint=f"./inv build -s {log.name}")
    with ExitStack() as stack:
        for log in logs:
            stack.callback(log.close)
        yield from _lines(logs)
        while running:
            time.sleep(_POLL_SECONDS)
            running = _is_building(settings)  # what it writes before its end is read below
            yield from _lines(logs)
        yield from ((log.name, log.partial) for log in logs if log.partial)


def names(repository: Repository, settings: Settings) -> list[str]:
    """The services that have a log.

    Raises:
        BuildError: there is none.
    """
    found = [name for name in repository.services if _path(name, settings).exists()]
    if not found:
        raise BuildError("there are no logs: nothing was built yet", hint="./inv build-all")
    return found


def _path(name: str, settings: Settings) -> Path:
    return settings.state_dir / "logs" / f"{name}.log"


def _lines(logs: Sequence["_Log"]) -> Iterator[tuple[str, str]]:
    for log in logs:
        for line in log.new_lines():
            yield log.name, line


def _is_building(settings: Settings) -> bool:
    return bool(state.holder(settings.build_lock))


class _Log:
    """A log, and how far it was read. A new build's log is another file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self._file: IO[bytes] | None = None  # kept open, so that a new file cannot have its inode
        self._partial = b""

    def new_lines(self) -> list[str]:
        """The lines that were written since the last call."""
        lines = self._rest()
        if self._is_replaced():
            self.close()
            self._file = self.path.open("rb")
            lines += self._rest()
        return lines

    @property
    def partial(self) -> str:
        """What was read of a line that has not ended."""
        return self._partial.decode(errors="replace")

    def close(self) -> None:
        """Read no further."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _rest(self) -> list[str]:
        content = self._file.read() if self._file is not None else b""
        *lines, self._partial = (self._partial + content).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _is_replaced(self) -> bool:
        """Whether there is a log, and it is not the open file."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(there, os.fstat(self._file.fileno()))
