"""What a command may take, whatever it is given: memory and time."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import inv_command

MEMORY_LIMIT = 300 << 20  # bytes of a whole command
_GROWTH_LIMIT = 150 << 20  # bytes of this process, which has a server in it as well
_SECONDS = 30


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Within, this process may take neither much memory nor much time."""
    Path("/proc/self/clear_refs").write_text("5")  # from now on, the peak is counted anew (proc(5))
    before, began = _peak(), time.monotonic()
    yield
    assert _peak() - before < _GROWTH_LIMIT
    assert time.monotonic() - began < _SECONDS


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not count the peak")


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit code, all that it said, the bytes of memory and the seconds that it took."""

    code: int
    said: str
    memory: int
    seconds: float

    def check_refused(self, reason: str) -> None:
        """It has failed for this reason, in few words, and has taken neither much memory nor much time."""
        assert self.code == 1, self.said
        assert reason in self.said, self.said
        assert "Traceback" not in self.said
        assert len(self.said) < 2000
        assert self.memory < MEMORY_LIMIT
        assert self.seconds < _SECONDS


def run(project: Path, *arguments: str, **environment: str) -> Ran:
    """Run the command line in a project, under a process that counts what it takes."""
    code = (
        "import json, resource, subprocess, sys, time; began = time.monotonic();"
        "done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,"
        " stderr=subprocess.STDOUT, text=True);"
        "memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024;"
        "print(json.dumps([done.returncode, done.stdout, memory, time.monotonic() - began]))"
    )
    environment = {**os.environ, "PROJECT_ROOT": str(project), **environment}
    command = [sys.executable, "-c", code, *inv_command(*arguments)]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
    return Ran(*json.loads(done.stdout))
