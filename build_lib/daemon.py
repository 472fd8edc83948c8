"""A Docker Engine on this machine: installed and started where none runs, and ended again."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from build_lib import apt
from build_lib.engine import Engine, endpoint
from build_lib.errors import BuildError, EngineError
from build_lib.graph import Cancel
from build_lib.process import tail
from build_lib.settings import Settings

_SOCKET = "unix:///var/run/docker.sock"
_PACKAGES = ("docker.io",)
_PACKAGES_IF_KNOWN = ("docker-cli", "docker-buildx")  # newer releases split them from docker.io
_START_SECONDS = 60
_STOP_SECONDS = 60
_POLL_SECONDS = 0.1
_BY_HAND = "install and start one by hand: https://docs.docker.com/engine/install/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """An engine that this program started: by the service manager, or as a process with its start time."""

    by: Literal["systemd", "process"]
    pid: int = 0
    born: int = 0  # clock ticks after boot; with the pid it names one process for ever


@dataclass(frozen=True, kw_only=True, slots=True)
class Up:
    """What `up` found or did."""

    version: str  # "" if none runs yet, in a dry run
    address: str
    installed: bool
    started: Started | None


def up(settings: Settings, *, dry: bool = False) -> Up:
    """Make sure that an engine answers: use the one that runs, else start this machine's, installed if need be.

    With `dry`, nothing is installed or started, and the result says what would be.

    Raises:
        BuildError: there is none and none can be had; with what to do by hand.
    """
    address = endpoint(settings)
    with suppress(EngineError), Engine.connect(settings) as engine:
        return Up(version=engine.version(), address=address, installed=False, started=None)
    if address != _SOCKET:
        raise EngineError(
            f"no Docker Engine answers at {address}, which DOCKER_HOST or the docker context names",
            hint="start it there, or unset DOCKER_HOST and `docker context use default`",
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
    """End the engine that `up` started; None if it started none that still runs. With `dry`, only say which."""
    record = _record(settings)
    if not record.is_file():
        return None
    started = Started(**json.loads(record.read_text()))
    gone = started.by == "process" and _born(started.pid) != started.born
    if not dry:
        _end(started, gone=gone)
        record.unlink()
    return None if gone else started


def _end(started: Started, *, gone: bool) -> None:
    if started.by == "systemd":
        subprocess.run(["systemctl", "stop", "docker.service", "docker.socket"], check=True)
    elif not gone:
        _stop_process(started)


def _installable() -> bool:
    """Whether the engine has to be installed first, rather than only started.

    Raises:
        BuildError: this program can do neither here.
    """
    if shutil.which("dockerd"):
        if os.geteuid() != 0:
            raise BuildError("a Docker Engine is installed but does not run", hint="sudo systemctl start docker")
        return False
    if shutil.which("apt-get") is None:
        raise BuildError("no Docker Engine runs here, and this is no Debian or Ubuntu", hint=_BY_HAND)
    if os.geteuid() != 0:
        raise BuildError(
            "no Docker Engine runs here, and installing one needs root",
            hint=f"sudo apt-get install {' '.join(_PACKAGES)} && sudo systemctl start docker",
        )
    return True


def _start(settings: Settings) -> Started:
    """Start it, remember that it was us, and wait until it answers."""
    log = settings.state_dir / "logs" / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker.service"], check=True)
        started = Started(by="systemd")
    else:
        started = _spawn(settings, log)
    _record(settings).write_text(json.dumps(asdict(started)))
    _wait(settings, started, log)
    return started


def _spawn(settings: Settings, log: Path) -> Started:
    """A dockerd that outlives this program."""
    program = shutil.which("dockerd") or "/usr/sbin/dockerd"
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(program, [program], settings.environment, file_actions=files, setsid=True)
    return Started(by="process", pid=pid, born=_born(pid) or 0)


def _wait(settings: Settings, started: Started, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(EngineError), Engine.connect(settings):
            return
        ours = started.by == "process"
        if (ours and _born(started.pid) != started.born) or time.monotonic() > deadline:
            last = f":\n{tail(log)}" if ours else ""
            hint = f"its log: {log}" if ours else "its log: journalctl --unit docker"
            raise EngineError(f"the Docker Engine did not come up{last}", hint=hint)
        time.sleep(_POLL_SECONDS)


def _stop_process(started: Started) -> None:
    os.kill(started.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _born(started.pid) == started.born:
        if time.monotonic() > deadline:
            raise EngineError(f"the Docker Engine, process {started.pid}, does not end", hint=f"kill {started.pid}")
        time.sleep(_POLL_SECONDS)


def _born(pid: int) -> int | None:
    """When the process started, in clock ticks after boot (proc(5), field 22 of stat), or None if it is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] == "Z" else int(after_name[19])


def _record(settings: Settings) -> Path:
    return settings.state_dir / "engine.json"
