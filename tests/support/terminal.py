"""A command at a terminal, and what can be seen there."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyte

from tests.support.commands import ROOT, inv_command

_PATIENCE_SECONDS = 60


class Terminal:
    """The screen of a running command, as text. `frames` are the different ones, `received` all bytes."""

    def __init__(self, process: "subprocess.Popen[bytes]", keyboard: int, size: tuple[int, int]) -> None:
        self.frames: list[str] = []
        self.received = b""
        self._process = process
        self._keyboard = keyboard
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def cursor_is_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def until(self, condition: Callable[[str], object]) -> str:
        """Read what comes until the screen is as wanted."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), f"it has ended:\n{self.text}"
        return self.text

    def press_ctrl_c(self) -> None:
        os.write(self._keyboard, b"\x03")

    def ended(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._read():
            assert time.monotonic() < deadline, self.text
        return self._process.wait(_PATIENCE_SECONDS)

    def _read(self) -> bool:
        """Read what has come; whether more can come."""
        readable, _, _ = select.select([self._keyboard], [], [], 0.05)
        if readable:
            try:
                content = os.read(self._keyboard, 1 << 16)
            except OSError:  # EIO: nobody has the other end any more
                return False
            self.received += content
            self._stream.feed(content)
            if self.text not in self.frames[-1:]:
                self.frames.append(self.text)
        return True


@contextlib.contextmanager
def at_a_terminal(
    project: Path, *arguments: str, environment: Mapping[str, str], size: tuple[int, int] = (100, 30)
) -> Iterator[Terminal]:
    """The command, at a terminal of this width and height."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    # a process becomes the terminal's own if it opens it: ^C has to reach it
    opening = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", opening, *inv_command(*arguments)],
        cwd=project,
        env={**known, "PROJECT_ROOT": str(project), "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours, size)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


def said_at_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of a command, and every byte that a terminal got from it, with `\n` at the ends of lines."""
    with at_a_terminal(ROOT, *arguments, environment=environment) as terminal:
        code = terminal.ended()
    return code, terminal.received.decode().replace("\r\n", "\n")
