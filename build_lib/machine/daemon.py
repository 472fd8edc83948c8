"""A Docker Engine on this machine: installs and starts one if none is running, and stops it again."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from build_lib import background, state
from build_lib.engine import ELSEWHERE, Engine, endpoint
from build_lib.errors import BuildError, EngineError, NoEngine
from build_lib.graph import Cancel
from build_lib.machine import apt
from build_lib.process import tail
from build_lib.settings import Settings

_SOCKET = "unix:///var/run/docker.sock"
_PACKAGES = ("docker.io",)
_PACKAGES_IF_KNOWN = ("docker-cli", "docker-buildx")  # newer releases split them from docker.io
_START_SECONDS = 60
_RECORD = {"by": lambda by: by in ("systemd", "process"), "pid": int, "born": int}
_BY_HAND = "install and start one by hand: https://docs.docker.com/engine/install/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """An engine that this program started: through systemd, or as a process with its start time."""

    by: Literal["systemd", "process"]
    pid: int = 0
    born: int = 0

    @property
    def process(self) -> background.Process:
        """The process, if `by` is "process"."""
        return background.Process(pid=self.pid, born=self.born)


@dataclass(frozen=True, kw_only=True, slots=True)
class Up:
    """The engine that `up` found or started."""

    version: str  # "" in a dry run if none is running
    address: str
    installed: bool
    started: Started | None


def up(settings: Settings, *, dry: bool = False) -> Up:
    """Ensure that an engine answers: use a running one, or start this machine's, after installing it if necessary.

    With `dry`, nothing is installed or started, and the result says what would be done.

    Raises:
        BuildError: no engine answers, and none can be started; with what to do by hand.
    """
    address = endpoint(settings)
    with suppress(NoEngine), Engine.connect(settings) as engine:
        return Up(version=engine.version(), address=address, installed=False, started=None)
    if address != _SOCKET:
        raise EngineError(
            f"no Docker Engine answers at {address}, which DOCKER_HOST or the docker context names",
            hint=ELSEWHERE,
        )
    installed = _installable()
    if dry:
        return Up(version="", address=address, installed=installed, started=Started(by="process"))
    if installed:
        apt.install(_PACKAGES, settings, Cancel(), wanted=_PACKAGES_IF_KNOWN)
    started = _start(settings)
    with Engine.connect(settings) as engine:
        return Up(version=engine.version(), address=address, installed=installed, started=started)


def down(settings: Settings, *, dry: bool = False) -> Started | None:
    """Stop the engine that `up` started, and return it; None if it is not running. With `dry`, only return it."""
    record = _record(settings)
    found = state.read(record, _RECORD)
    if found is None:
        return None
    started = Started(by=found["by"], pid=found["pid"], born=found["born"])
    gone = started.by == "process" and not started.process.runs()
    if not dry:
        _end(started, gone=gone)
        record.unlink()
    return None if gone else started


def _end(started: Started, *, gone: bool) -> None:
    if started.by == "systemd":
        _systemctl("stop", "docker.service", "docker.socket")
    elif not gone:
        started.process.stop("the Docker Engine")


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], check=False)
    if done.returncode:
        what = f"systemctl {' '.join(arguments)}"
        raise EngineError(f"{what} failed with exit code {done.returncode}", hint="journalctl --unit docker says why")


def _installable() -> bool:
    """Whether the engine has to be installed before it can be started.

    Raises:
        BuildError: this program can neither install nor start one here.
    """
    if shutil.which("dockerd"):
        if os.geteuid() != 0:
            raise BuildError("a Docker Engine is installed but not running", hint="sudo systemctl start docker")
        return False
    if shutil.which("apt-get") is None:
        raise BuildError("no Docker Engine is installed, and this system is not Debian or Ubuntu", hint=_BY_HAND)
    if os.geteuid() != 0:
        raise BuildError(
            "no Docker Engine is installed, and installing one requires root",
            hint=f"sudo apt-get install {' '.join(_PACKAGES)} && sudo systemctl start docker",
        )
    return True


def _start(settings: Settings) -> Started:
    """Start the engine, record that this program started it, and wait until it answers."""
    log = settings.state_dir / "logs" / "dockerd.log"
    with state.writing(log):  # nothing is started that could not be recorded
        log.touch()
    if Path("/run/systemd/system").is_dir():
        _systemctl("start", "docker.service")
        started = Started(by="systemd")
    else:
        started = _spawn(settings, log)
    state.write(_record(settings), asdict(started))
    _wait(settings, started, log)
    return started


def _spawn(settings: Settings, log: Path) -> Started:
    """Start a dockerd that outlives this program."""
    program = shutil.which("dockerd") or "/usr/sbin/dockerd"
    process = background.start([program], log, settings.environment)
    return Started(by="process", pid=process.pid, born=process.born)


def _wait(settings: Settings, started: Started, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(NoEngine), Engine.connect(settings):
            return
        ours = started.by == "process"
        if (ours and not started.process.runs()) or time.monotonic() > deadline:
            last = f":\n{tail(log)}" if ours else ""
            hint = f"its log: {log}" if ours else "its log: journalctl --unit docker"
            raise EngineError(f"the Docker Engine did not start{last}", hint=hint)
        time.sleep(background.POLL_SECONDS)


def _record(settings: Settings) -> Path:
    return settings.state_dir / "engine.json"
