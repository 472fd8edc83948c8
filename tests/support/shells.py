"""Interactive shells at a terminal: a line is typed, and completed with TAB."""

import os
import pty
import shlex
import subprocess
import termios
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pexpect.fdpexpect import fdspawn

from build_lib.settings import Settings
from tests.support.commands import until
from tests.support.engines import install

_PATIENCE_SECONDS = 60
_PROMPT = "ready:"
_LINE_START, _TAB, _ENTER = "\x01", "\t", "\r"
_COMMANDS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["--no-rcs", "-i"],
    "fish": ["--no-config", "--interactive"],
}
_READ = {
    "bash": 'eval "$({inv} --print-completion-script bash)"',
    "zsh": 'bindkey -e; eval "$({inv} --print-completion-script zsh)"; autoload -Uz compinit; compinit -u',
    "fish": "{inv} --print-completion-script fish | source",
}
# instead of running the line, write its words to a file: so the shell itself says what it has made of it
_RECORD = {
    "bash": "record() {{ printf '%s\\n' \"$@\" >{file}.new; mv {file}.new {file}; }}; PS1={prompt}",
    "zsh": "record() {{ printf '%s\\n' \"$@\" >{file}.new; mv {file}.new {file}; }}; PS1={prompt}",
    "fish": "function record; printf '%s\\n' $argv >{file}.new; mv {file}.new {file}; end; "
    "function fish_prompt; echo {prompt}; end",
}


class Shell:
    """A shell that has read the completion script."""

    def __init__(self, terminal: "fdspawn[str]", file: Path) -> None:
        self._terminal = terminal
        self._file = file

    def enter(self, line: str) -> None:
        """Run a line, and wait until it has ended."""
        self._terminal.send(f"{line}{_ENTER}")
        self._terminal.expect_exact(_PROMPT)

    def completed(self, text: str) -> list[str]:
        """The words of the line after TAB at its end, and a + that is typed then: where the cursor was left."""
        self._file.unlink(missing_ok=True)
        self._terminal.send(f"{text}{_TAB}+{_LINE_START}record {_ENTER}")
        until(self._file.exists, "the line was not entered")
        self._terminal.expect_exact(_PROMPT)
        return self._file.read_text().splitlines()


@contextmanager
def shell(name: str, inv: Path, cwd: Path, **environment: str) -> Iterator[Shell]:
    """A shell in a directory, with the completion script of this `inv`; it is installed if it is not there."""
    program = install(name, name, Settings.load(cwd, environ=dict(os.environ)))
    own = {key: text for key, text in os.environ.items() if key not in ("PROJECT_ROOT", "BUILD_LIB", "EDITOR")}
    env = {**own, "TERM": "dumb", "HOME": str(cwd), **environment}
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 400))
    command = ["setsid", "--ctty", program, *_COMMANDS[name]]  # pexpect.spawn forks, which Python warns of in threads
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    with process, closing(fdspawn(ours, encoding="utf-8", timeout=_PATIENCE_SECONDS)) as terminal:
        file = cwd / ".recorded"
        # the prompt is quoted, so that only the prompt itself is read as one
        setup = _RECORD[name].format(file=shlex.quote(str(file)), prompt="'rea''dy:'")
        started = Shell(terminal, file)
        started.enter(f"{_READ[name].format(inv=shlex.quote(str(inv)))}; {setup}")
        yield started
