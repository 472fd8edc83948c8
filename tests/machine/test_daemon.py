import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.errors import EngineError
from build_lib.machine import daemon
from build_lib.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(tmp_path, environ={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stands for an engine."""
    with subprocess.Popen(["sleep", "600"]) as started:
        yield started
        started.kill()


def record(settings: Settings, pid: int, born: int) -> Path:
    path = settings.state_dir / "engine.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"by": "process", "pid": pid, "born": born}))
    return path


def born(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_down_ends_what_up_started(settings: Settings, process: "subprocess.Popen[bytes]") -> None:
    path = record(settings, process.pid, born(process.pid))
    ended = daemon.down(settings)
    assert ended is not None
    assert ended.pid == process.pid
    assert process.wait(10) == -signal.SIGTERM
    assert not path.exists()


def test_down_leaves_a_process_that_only_has_the_same_number(
    settings: Settings, process: "subprocess.Popen[bytes]"
) -> None:
    record(settings, process.pid, born(process.pid) - 1)
    assert daemon.down(settings) is None
    assert process.poll() is None


def test_down_without_up_has_nothing_to_do(settings: Settings) -> None:
    assert daemon.down(settings) is None


def test_a_dry_down_only_tells(settings: Settings, process: "subprocess.Popen[bytes]") -> None:
    path = record(settings, process.pid, born(process.pid))
    ended = daemon.down(settings, dry=True)
    assert ended is not None
    assert process.poll() is None
    assert path.exists()


def test_up_starts_nothing_at_an_address_that_somebody_chose(settings: Settings) -> None:
    with pytest.raises(EngineError, match=r"none\.sock, which DOCKER_HOST") as caught:
        daemon.up(settings)
    assert "unset DOCKER_HOST" in caught.value.hint
