"""Real registries on loopback."""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.engines import install, tiny_image

_READY_SECONDS = 60


@dataclass(frozen=True)
class Registry:
    host: str
    log: Path
    pid: int = 0


def free_place() -> str:
    """A free port of the loopback, with its host."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def listens(host: str) -> bool:
    """Whether somebody listens there."""
    name, _, port = host.partition(":")
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex((name, int(port))) == 0


def wait_for_port(host: str) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + _READY_SECONDS
    while not listens(host):
        assert time.monotonic() < deadline, f"nobody listens at {host}"
        time.sleep(0.05)


@contextlib.contextmanager
def running_registry(
    machine: Settings, directory: Path, *, host: str = "", tls: dict[str, str] | None = None, **config: Any
) -> Iterator[Registry]:
    """A registry with what it holds in `directory`; `config` adds to its config. By default, its port is free."""
    program = install("docker-registry", "docker-registry", machine)
    host = host or free_place()
    directory.mkdir(parents=True, exist_ok=True)
    storage = {"filesystem": {"rootdirectory": str(directory / "data")}}
    http: dict[str, Any] = {"addr": host, **({"tls": tls} if tls else {})}
    content = {"version": "0.1", "storage": storage, "http": http, **config}
    (directory / "config.json").write_text(json.dumps(content))
    log = directory / "log"
    with log.open("w") as file:
        command = [program, "serve", str(directory / "config.json")]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://{host}/v2/", process)
        yield Registry(host, log, process.pid)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def registry(machine: Settings, tmp_path: Path) -> Iterator[Registry]:
    """An empty registry: the one that images name."""
    with running_registry(machine, tmp_path / "registry") as running:
        yield running


@pytest.fixture
def private(machine: Settings, tmp_path: Path) -> Iterator[Registry]:
    """Another one: the user's own."""
    with running_registry(machine, tmp_path / "private") as running:
        yield running


def _wait_for(url: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urlopen(url, timeout=5):
                return
        except HTTPError:
            return
        except (URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def push(engine: Engine, settings: Settings, place: str, **files: str) -> None:
    """Put a tiny image into a registry, and leave nothing of it in the engine."""
    tiny_image(engine, place, settings, **files)
    subprocess.run(["docker", "push", place], check=True, capture_output=True)
    engine.images.remove(Reference.parse(place))
