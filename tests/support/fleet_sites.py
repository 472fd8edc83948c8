"""Projects that BuildKit daemons and a registry build, without an engine; and gates at which their steps wait."""

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import socketserver
import subprocess
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from build_lib.reference import Reference
from build_lib.registry import Manifest, Registries
from build_lib.settings import Settings
from tests.support import images
from tests.support.commands import run_inv, start_inv, until
from tests.support.engines import OwnEngine, install
from tests.support.fleets import Daemon, StartDaemon
from tests.support.projects import needs
from tests.support.registries import Registry

NAMES = ("a", "b", "c", "d")  # services whose steps come to a gate
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere"}
_TOOLS = ("sh", "cat", "cp", "dd", "echo", "grep", "ln", "mkdir", "nc", "rm", "sleep", "true", "false", "wc")


class Gate:
    """Steps of builds come to it and wait until it is open. It tells how many came under each name."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.came: Counter[str] = Counter()
        self.open = threading.Event()
        self._server = _GateServer((address, 0), _Passing)
        self._server.gate = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def step(self, name: str) -> str:
        """The instruction of a Dockerfile that comes to the gate under this name."""
        host, port = self._server.server_address[:2]
        return f"RUN echo {name} | nc {host!s} {port}"

    def wait_for(self, name: str, times: int = 1) -> None:
        until(lambda: self.came[name] >= times, f"{name} never came to the gate: {self.came}")

    def wait_for_two(self) -> None:
        """Wait until two steps are there: with one place each, on two daemons."""
        until(lambda: self.came.total() == 2, f"not both daemons build: {self.came}")

    def wait_for_all(self) -> None:
        """Wait until the steps of all `NAMES` have come."""
        until(lambda: all(self.came[name] for name in NAMES), f"not all came to the gate: {self.came}")

    def close(self) -> None:
        """Let all through, and listen no longer."""
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _GateServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    gate: Gate


class _Passing(socketserver.StreamRequestHandler):
    server: _GateServer

    def handle(self) -> None:
        gate = self.server.gate
        gate.came[self.rfile.readline().decode().strip()] += 1
        gate.open.wait()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.close()


class Site:
    """A project, a registry that alone has the image `tiny:1`, and what `inv` is told of both and of the daemons."""

    def __init__(self, top: Path, registry: Registry, machine: Settings, tools: dict[str, str]) -> None:
        self.project = top
        self.registry = f"{registry.host}/site"
        self.prefix = "site-"
        self.machine = machine
        self.environment = {
            **tools,
            **NO_ENGINE,
            "PRIVATE_REGISTRY": self.registry,
            "IMAGE_PREFIX": self.prefix,
            "IMAGE_TAG": "v1",
            "BUILDER_JOBS": "1",
        }
        (top / "src").mkdir(parents=True)

    def use(self, *builders: Daemon | OwnEngine) -> None:
        """Let these daemons and engines build."""
        self.environment["BUILDERS"] = " ".join(builder.address for builder in builders)

    def service(self, name: str, *lines: str, on: str = "tiny:1") -> Path:
        """Write the Dockerfile of a service, with these lines; its directory."""
        needs(self.project, name, on, *lines)
        return self.project / "src" / name

    def inv(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.project, arguments, {**self.environment, **environment})

    def done(self, *arguments: str, **environment: str) -> str:
        """What the command printed, which succeeded."""
        done = self.inv(*arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout + done.stderr

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return start_inv(self.project, arguments, {**self.environment, **environment})

    def log(self, name: str) -> str:
        """The log of a service; "" if it has none yet."""
        path = self.project / f".build/logs/{name}.log"
        return path.read_text() if path.exists() else ""

    def logs(self) -> str:
        """All logs, for the message of a failed test."""
        return "".join(f"\n{path}:\n{path.read_text()}" for path in self.project.glob(".build/logs/*.log"))

    def record(self) -> dict[str, Any]:
        """The record of the last run."""
        found: dict[str, Any] = json.loads((self.project / ".build/last-run.json").read_text())
        return found

    def builders(self) -> dict[str, str]:
        """Where each service was built in the last run; "" if it was not."""
        return {service["name"]: service["builder"] or "" for service in self.record()["services"]}

    def states(self) -> dict[str, str]:
        return {service["name"]: service["state"] for service in self.record()["services"]}

    def status(self) -> dict[str, str]:
        """What `status` says of each service."""
        return {service["service"]: service["state"] for service in json.loads(self.inv("status", "--json").stdout)}

    def digest(self, name: str) -> str | None:
        """What the name of a service stands for in the registry."""
        with Registries(self.machine) as registries:
            found = registries.resolve(self.place(name))
        return found.digest if found else None

    def place(self, name: str) -> Reference:
        return Reference.parse(f"{self.registry}/{self.prefix}{name}:v1")

    def config(self, name: str, platform: str = "") -> dict[str, Any]:
        """The config of a service's image, for one platform if there are several."""
        with Registries(self.machine) as registries:
            [config, *_] = self._manifest(registries, name, platform).blobs
            found: dict[str, Any] = json.loads(b"".join(registries.blob(self.place(name), config)))
        return found

    def platforms(self, name: str) -> list[str]:
        """The platforms that an index lists under a service's name."""
        with Registries(self.machine) as registries:
            found = registries.manifest(self.place(name), self.digest(name) or "")
        return [listed.platform for listed in found.manifests]

    def files(self, name: str, platform: str = "") -> dict[str, tuple[str, bytes]]:
        """The files and links of a service's image, with mode and target, and content."""
        found: dict[str, tuple[str, bytes]] = {}
        with Registries(self.machine) as registries:
            _config, *layers = self._manifest(registries, name, platform).blobs
            for layer in layers:
                found |= _files(gzip.decompress(b"".join(registries.blob(self.place(name), layer))))
        return found

    def _manifest(self, registries: Registries, name: str, platform: str) -> Manifest:
        digest = self.digest(name)
        assert digest, f"{self.place(name)} is not there"
        top = registries.manifest(self.place(name), digest)
        if not platform:
            return top
        [listed] = [item for item in top.manifests if item.platform == platform]
        return registries.manifest(self.place(name), listed.digest)

    def text(self, name: str, path: str, platform: str = "") -> str:
        """The content of a file in a service's image."""
        return self.files(name, platform)[path][1].decode()

    def same_elsewhere(self, top: Path) -> "Site":
        """The project on another machine: its files, without what runs have left."""
        shutil.copytree(self.project, top, ignore=shutil.ignore_patterns(".build"))
        other = Site.__new__(Site)
        other.__dict__ |= {**self.__dict__, "project": top, "environment": dict(self.environment)}
        return other


def with_engine(site: Site, prefix: str) -> None:
    """Let the site use the machine's engine too, with a prefix of its own for names there."""
    host = os.environ.get("DOCKER_HOST")
    if host:
        site.environment["DOCKER_HOST"] = host
    else:
        del site.environment["DOCKER_HOST"]
    site.prefix = site.environment["IMAGE_PREFIX"] = prefix


def four_levels(site: Site, width: int, step: str = "true") -> list[str]:
    """Services in four levels, each on two of the level below, whose builds also run a step; their names."""
    names = [[f"s{level}-{number}" for number in range(width)] for level in range(4)]
    for name in names[0]:
        site.service(name, f"RUN {step} && echo {name} > /in-{name}")
    for below, level in pairwise(names):
        for number, name in enumerate(level):
            beside = below[(number + 1) % width]
            lines = [f"COPY --from={site.prefix}{beside}:v1 /in-{beside} /"]
            lines.append(f"RUN {step} && cat /in-* > /of-{name} && echo {name} > /in-{name}")
            site.service(name, *lines, on=f"{site.prefix}{below[number]}:v1")
    return [name for level in names for name in level]


def _files(layer: bytes) -> dict[str, tuple[str, bytes]]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for info in archive:
            assert not Path(info.name).name.startswith(".wh."), "a layer of these tests removes nothing"
            if not info.isdir():
                content = archive.extractfile(info) if info.isreg() else None
                found[info.name.removeprefix("./")] = (
                    f"{info.mode:o} {info.linkname}",
                    content.read() if content else b"",
                )
    return found


def busybox_layer(machine: Settings) -> bytes:
    """A layer with a static busybox, and links to it for the tools that the tests use."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(install("busybox", "busybox-static", machine), "bin/busybox")
        for link in _TOOLS:
            info = tarfile.TarInfo(f"bin/{link}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    return gzip.compress(archive.getvalue(), 1, mtime=0)


@pytest.fixture(scope="session")
def busybox(machine: Settings) -> bytes:
    return busybox_layer(machine)


def write_tiny(machine: Settings, registry: str, busybox: bytes, name: str = "tiny:1", **files: str) -> str:
    """Write a tiny image into a registry, by our own client; its digest."""
    with Registries(machine) as registries:
        return images.write(registries, f"{registry}/{name}", images.make([busybox, images.layer(**files)]))


@pytest.fixture
def site(registry: Registry, machine: Settings, fleet_tools: dict[str, str], busybox: bytes, tmp_path: Path) -> Site:
    """A project without services, and the registry with the image to begin with."""
    made = Site(tmp_path / "project", registry, machine, fleet_tools)
    write_tiny(machine, made.registry, busybox)
    return made


@pytest.fixture
def pair(site: Site, daemon: StartDaemon) -> tuple[Daemon, Daemon]:
    """Two daemons that build the site."""
    found = daemon("one"), daemon("two")
    site.use(*found)
    return found


@pytest.fixture
def gated(site: Site, pair: tuple[Daemon, Daemon], gate: Gate) -> Site:
    """A site of services whose steps come to the gate, and of one on each of them."""
    for name in NAMES:
        site.service(name, gate.step(name), f"RUN echo {name} > /{name}")
        site.service(f"on-{name}", f"RUN cat /{name} > /copy", on=f"site-{name}:v1")
    return site


def left_out(said: str) -> dict[str, str]:
    """Why builders were left out, by their names, as a run tells it."""
    return dict(re.findall(r"^  builder (\S+?):? (.+): it is left out from now on$", said, re.MULTILINE))


def commands_with(text: str) -> list[str]:
    """The command lines of this machine's processes that contain it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # of one that has ended
            found.append(path.read_text(errors="replace").replace("\0", " "))
    return [line for line in found if text in line]
