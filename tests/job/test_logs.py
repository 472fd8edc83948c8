"""`logs`: those of builds that have ended, and of builds that go on."""

import os
import subprocess
from pathlib import Path

import pytest

from build_lib import state
from build_lib.job import logs
from build_lib.repository import discover
from build_lib.settings import Settings
from tests.support.commands import Inv, inv_command, until


def service(project: Path, name: str, log: str | None) -> Path:
    (project / "src" / name).mkdir(parents=True)
    (project / "src" / name / "Dockerfile").write_text("FROM debian\n")
    path = project / f".build/logs/{name}.log"
    if log is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(log)
    return path


def test_a_log_is_printed_as_it_is(project: Path, inv: Inv) -> None:
    service(project, "web", "[1/2] FROM debian\ndone 0.1s\n\n[2/2] RUN make\nä\n")
    service(project, "api", None)
    done = inv("logs", "web")
    assert (done.returncode, done.stdout) == (0, "[1/2] FROM debian\ndone 0.1s\n\n[2/2] RUN make\nä\n")
    assert inv("logs", "-f", "web").stdout == done.stdout, "no build is running"


def test_of_several_logs_each_line_has_its_service(project: Path, inv: Inv) -> None:
    service(project, "web", "one\n")
    service(project, "app-hub", "two\nthree\n")
    service(project, "api", None)
    assert inv("logs").stdout == "app-hub | two\napp-hub | three\nweb     | one\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wbe",), "error: there is no service 'wbe'\n  next: did you mean web?\n"),
        (("web",), "error: there is no log of web\n  next: ./inv build -s web\n"),
        ((), "error: there are no logs: nothing was built yet\n  next: ./inv build-all\n"),
    ],
)
def test_what_is_not_there_is_said(arguments: tuple[str, ...], said: str, project: Path, inv: Inv) -> None:
    service(project, "web", None)
    done = inv("logs", *arguments)
    assert (done.returncode, done.stderr) == (1, said)


def test_a_log_is_followed_while_a_build_goes_on_and_into_the_next_one(project: Path, tmp_path: Path) -> None:
    log = service(project, "web", "old\n")
    printed = tmp_path / "printed"
    settings = Settings.load(project, environ={})
    with state.lock(settings.build_lock, "build"), printed.open("wb") as file:
        process = subprocess.Popen(
            inv_command("logs", "web", "--follow"),
            env={**os.environ, "PROJECT_ROOT": str(project)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        until(lambda: printed.read_text() == "old\n", "what is there is not printed")
        log.unlink()
        log.write_text("new ")
        with log.open("a") as more:
            more.write("line\nhalf a ")
            more.flush()
            until(lambda: printed.read_text() == "old\nnew line\n", "the new log is not printed")
            more.write("line\nä")
            more.flush()
            more.buffer.write("ö".encode()[:1])  # half of a letter
            more.buffer.flush()
            until(lambda: "half a line" in printed.read_text(), "the rest of a line is not printed")
            more.buffer.write("ö".encode()[1:] + b"\nlast")
    assert process.wait(60) == 0
    assert printed.read_text() == "old\nnew line\nhalf a line\näö\nlast\n"


def test_a_lock_is_held_only_as_long_as_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert state.holder(path) == ""
    with state.lock(path, "build"):
        assert state.holder(path) == f"build (pid {os.getpid()})"
    assert state.holder(path) == ""
    ended = subprocess.Popen(["true"])
    ended.wait()
    for text in (f"build (pid {ended.pid})", "build (pid )", "\n", "7", "build (pid 0)", f"build (pid {10**30})"):
        path.write_text(text)
        assert state.holder(path) == ""
    path.write_bytes(b"\xff")
    assert state.holder(path) == ""


def test_no_lines_are_lost_at_the_end(project: Path) -> None:
    service(project, "web", "one\ntwo")
    settings = Settings.load(project, environ={})
    found = list(logs.read(discover(settings), ["web"], settings, follow=False))
    assert found == [("web", "one"), ("web", "two")]
