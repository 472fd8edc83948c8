"""A `watch` that runs while a test changes files."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import inv_command, until

WAITING = "waiting for changes of "


class Watching:
    """A running `watch`, and what it has printed."""

    def __init__(self, log: Path, process: "subprocess.Popen[bytes]") -> None:
        self._log = log
        self._process = process
        self._seen = 0

    def printed(self) -> str:
        """What was printed since the last call, up to when it waits again."""

        def waits() -> bool:
            assert self._process.poll() is None, self._log.read_text()
            return WAITING in self._log.read_text()[self._seen :]

        until(waits, "it does not come to wait")
        text = self._log.read_text()[self._seen :]
        self._seen += len(text)
        return text

    def end(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)


@contextmanager
def started(project: Path, log: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[Watching]:
    """Watch the project; what is printed goes to `log`, which must be outside of it."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            inv_command("watch", *arguments),
            cwd=project,
            env={**os.environ, "PROJECT_ROOT": str(project), **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Watching(log, process)
    finally:
        process.kill()
        process.wait()


def built(text: str) -> list[str]:
    """The services that were built, as `watch` prints them."""
    return re.findall(r"^  (\S+): built(?: on \S+)?, ", text, re.MULTILINE)
