"""Child processes: what they say is read to its end, and nothing of them outlives us."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.process import TAIL_LINES, run, started, tail


def test_what_a_process_says_is_read_to_its_end() -> None:
    with started(["sh", "-c", "cat; echo said"], Cancel(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with process.stdout as out:
            assert out.read() == b"said\n"


def test_a_process_s_exit_code_comes_back(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        assert run(["sh", "-c", "echo out; echo err >&2; exit 7"], log=log, cancel=Cancel()) == 7
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_the_end_of_a_log_has_what_a_step_said_and_not_the_step_s_own_text(tmp_path: Path) -> None:
    """As BuildKit writes it since Docker 23."""
    step = [f"  {number} | >>>     --mount=type=cache,target=/{number} \\" for number in range(10, 40)]
    dashes = "-" * 20
    end = ["------", " > [2/2] RUN sh /x:", "0.1 this is why", "------", "Dockerfile:10"]
    last = "ERROR: failed to solve: process did not complete successfully: exit code: 1"
    log = tmp_path / "log"
    log.write_text("\n".join([*map(str, range(99)), *end, dashes, *step, dashes, last]) + "\n")
    assert tail(log).splitlines() == [*map(str, range(99)), *end, last][-TAIL_LINES:]


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(BuildError, match="there is no program 'no-such-program'"):
        run(["no-such-program"], log=subprocess.DEVNULL, cancel=Cancel())


def test_a_process_and_what_it_started_end_with_us_also_when_we_are_killed() -> None:
    code = (
        "from build_lib.graph import Cancel; from build_lib.process import run; import sys\n"
        "run(['sh', '-c', 'sleep 600 & echo begun; wait'], log=sys.stdout.fileno(), cancel=Cancel())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        began = time.monotonic()
        process.kill()
        assert process.stdout.read() == b""  # which ends when the last of them does
    assert time.monotonic() - began < 60
