"""A registry on this machine's loopback interface, as a substitute for a Harbor: Debian's `docker-registry`."""

import json
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from build_lib import background, state
from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.machine import apt
from build_lib.process import tail
from build_lib.settings import Settings

_PORT = 5000
_USER = "build-lib"
_READY_SECONDS = 30
_RECORD = {"host": str, "process": {"pid": int, "born": int}}


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalRegistry:
    """The registry's host, whether it was started just now, and the file with its login, or None."""

    host: str
    started: bool
    login_file: Path | None


def up(settings: Settings, *, password: bool = False, dry: bool = False) -> LocalRegistry:
    """Start the registry, or return the running one. With `password`, it requires a login.

    Raises:
        BuildError: the registry cannot be installed here, or did not start.
    """
    directory = settings.state_dir / "registry"
    login = directory / "login"
    found = _running(directory)
    if found:
        return LocalRegistry(host=found["host"], started=False, login_file=login if login.exists() else None)
    host = f"127.0.0.1:{_PORT if _is_free(_PORT) else _free_port()}"
    if not dry:
        program = _program("docker-registry", "docker-registry", settings)
        config = _write_config(directory, host, write_login(login, settings) if password else None)
        if not password:
            login.unlink(missing_ok=True)
        process = background.start([program, "serve", str(config)], _log(settings), settings.environment)
        state.write(directory / "process.json", {"host": host, "process": asdict(process)})
        _wait(host, process, settings)
    return LocalRegistry(host=host, started=True, login_file=login if password else None)


def down(settings: Settings, *, dry: bool = False) -> bool:
    """Stop the registry that `up` started. Return whether one was running."""
    directory = settings.state_dir / "registry"
    found = _running(directory)
    if found and not dry:
        _process(found).stop("the registry")
        (directory / "process.json").unlink()
    return found is not None


def running(settings: Settings) -> str:
    """Return the host of the registry that `up` started; "" if none is running."""
    found = _running(settings.state_dir / "registry")
    return str(found["host"]) if found else ""


def _running(directory: Path) -> dict[str, Any] | None:
    found = state.read(directory / "process.json", _RECORD)
    return found if found and _process(found).runs() else None


def _process(record: Mapping[str, Any]) -> background.Process:
    return background.Process(pid=record["process"]["pid"], born=record["process"]["born"])


def _program(name: str, package: str, settings: Settings) -> str:
    if shutil.which(name) is None:
        if not apt.available():
            raise BuildError(f"{name} is not installed", hint=f"sudo apt-get install {package}")
        apt.install([package], settings, Cancel())
    found = shutil.which(name)
    if found is None:
        raise BuildError(f"the package {package} does not contain the program {name}")
    return found


def write_login(path: Path, settings: Settings) -> Path:
    """Write a new password to a private file in the format of `.env`. Return the password file for the registry."""
    htpasswd = _program("htpasswd", "apache2-utils", settings)
    password = secrets.token_urlsafe(18)
    with state.writing(path):
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"PRIVATE_REGISTRY_USERNAME={_USER}\nPRIVATE_REGISTRY_PASSWORD={password}\n")
    command = [htpasswd, "-inB", _USER]  # on standard input, because arguments are visible to all users
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=True)
    hashed = path.with_name("htpasswd")
    hashed.write_text(done.stdout)
    return hashed


def _write_config(directory: Path, host: str, htpasswd: Path | None) -> Path:
    content = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "build-lib", "path": str(htpasswd)}} if htpasswd else None,
    }
    path = directory / "config.yml"
    with state.writing(path):
        path.write_text(json.dumps({key: value for key, value in content.items() if value}))  # JSON is YAML
    return path


def _wait(host: str, process: background.Process, settings: Settings) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((name, int(port))) == 0:
                return
        if not process.runs() or time.monotonic() > deadline:
            raise BuildError(f"the registry did not start:\n{tail(_log(settings))}", hint=f"its log: {_log(settings)}")
        time.sleep(background.POLL_SECONDS)


def _log(settings: Settings) -> Path:
    return settings.state_dir / "logs" / "registry.log"


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
