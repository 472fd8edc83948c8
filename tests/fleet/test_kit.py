"""The daemons that the tests of a fleet use: they build, they hand images on, and they end without a trace."""

import contextlib
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.reference import Reference
from build_lib.registry import Registries, digest_of
from build_lib.settings import Settings
from tests.support.engines import install
from tests.support.fleets import Daemon, StartDaemon
from tests.support.registries import Registry, listens

BASE = """\
FROM scratch
COPY busybox /bin/sh
COPY greeting /greeting
"""


class Client:
    """buildx with a configuration of its own, and directories with a static shell for images to begin with."""

    def __init__(self, directory: Path, tools: dict[str, str], busybox: str) -> None:
        state = {"BUILDX_CONFIG": str(directory / "state"), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        self.environment = {**os.environ, **tools, **state}
        self._directory = directory
        self._busybox = busybox

    def context(self, name: str, dockerfile: str) -> None:
        """A directory with a Dockerfile and what `BASE` needs."""
        made = self._directory / name
        made.mkdir(parents=True)
        shutil.copy(self._busybox, made / "busybox")
        (made / "greeting").write_text("hello\n")
        (made / "Dockerfile").write_text(dockerfile)

    def add(self, name: str, daemon: Daemon) -> None:
        done = self.run("create", "--name", name, "--driver", "remote", daemon.address)
        assert done.returncode == 0, done.stderr

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["docker", "buildx", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=self.environment)

    def build(self, builder: str, context: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return self.run("build", "--builder", builder, "--progress=plain", *options, str(self._directory / context))

    @contextlib.contextmanager
    def building(self, builder: str, context: str) -> Iterator["subprocess.Popen[str]"]:
        """A build that goes on, and what it prints."""
        place = str(self._directory / context)
        command = ["docker", "buildx", "build", "--builder", builder, "--progress=plain", place]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def push(self, builder: str, name: str, *options: str) -> str:
        """Build what the directory of the name's last part holds, and push it; its digest."""
        context = name.rpartition("/")[2]
        metadata = self._directory / f"{context}.json"
        output = f"type=image,name={name},push-by-digest=true,push=true"
        done = self.build(builder, context, "--output", output, "--metadata-file", str(metadata), *options)
        assert done.returncode == 0, done.stderr
        return str(json.loads(metadata.read_text())["containerimage.digest"])


@pytest.fixture
def client(fleet_tools: dict[str, str], machine: Settings, tmp_path: Path) -> Client:
    return Client(tmp_path / "client", fleet_tools, install("busybox", "busybox-static", machine))


def test_a_child_is_built_on_another_daemon_than_its_parent(
    client: Client, daemon: StartDaemon, machine: Settings, registry: Registry
) -> None:
    for name in ("one", "two"):
        client.add(name, daemon(name))
    client.context("base", BASE)
    client.context("child", 'FROM base:v1\nRUN read -r line < /greeting && echo "$line again" > /answer\n')
    base, child = (Reference.parse(f"{registry.host}/{name}") for name in ("base", "child"))
    parent = client.push("one", f"{registry.host}/base")
    made = client.push(
        "two", f"{registry.host}/child", "--build-context", f"base:v1=docker-image://{registry.host}/base@{parent}"
    )
    with Registries(machine) as registries:
        below, above = registries.manifest(base, parent), registries.manifest(child, made)
        assert (digest_of(below.body), digest_of(above.body)) == (parent, made)
        assert above.blobs[1:-1] == below.blobs[1:]
        content = b"".join(registries.blob(child, above.blobs[-1]))
    with tarfile.open(fileobj=io.BytesIO(content)) as layer:
        answer = layer.extractfile("answer")
        assert answer is not None
        assert answer.read() == b"hello again\n"


@pytest.mark.parametrize("paused", [False, True])
def test_a_killed_daemon_leaves_no_process_no_mount_and_no_container(
    client: Client, daemon: StartDaemon, paused: bool
) -> None:
    one = daemon("one")
    client.add("one", one)
    mark = secrets.token_hex(8)
    client.context("endless", f"{BASE}RUN echo $((6 * 7)) run && sleep 3600; : {mark}\n")
    with client.building("one", "endless") as build:
        assert build.stdout
        assert any("42 run" in line for line in build.stdout)
        [container] = one.seen_by_itself.glob("root/runc-*/executor/*/rootfs")
        name = container.parent.name
        assert all((_processes_with(mark), _mounts_below(one.directory), _traces_of(name)))
        if paused:
            one.pause()
        one.kill()
        rest = build.stdout.read()
    assert build.returncode == 1
    assert "Unavailable" in rest
    assert not _processes_with(mark)
    assert not _processes_with(str(one.directory))
    assert not _mounts_below(one.directory)
    assert not _traces_of(name)
    assert not listens(one.host)


def test_a_killed_daemon_starts_again_with_what_it_has_built(client: Client, daemon: StartDaemon) -> None:
    one = daemon("one")
    client.add("one", one)
    client.context("base", BASE)
    assert "CACHED" not in client.build("one", "base").stderr
    one.kill()
    one.start()
    done = client.build("one", "base")
    assert done.returncode == 0, done.stderr
    assert "CACHED" in done.stderr


def test_a_daemon_that_is_stopped_finishes_what_runs(client: Client, daemon: StartDaemon) -> None:
    one = daemon("one")
    client.add("one", one)
    client.context("slow", f"{BASE}RUN echo $((6 * 7)) run && sleep 1 && echo $((7 * 7)) done\n")
    with client.building("one", "slow") as build:
        assert build.stdout
        assert any("42 run" in line for line in build.stdout)
        one.stop()
        assert "49 done" in build.stdout.read()
        assert build.wait() == 0
    assert not _processes_with(str(one.directory))
    assert not _mounts_below(one.directory)


def test_a_paused_daemon_still_takes_connections_and_builds_when_it_goes_on(
    client: Client, daemon: StartDaemon
) -> None:
    one = daemon("one")
    client.add("one", one)
    client.context("base", BASE)
    one.pause()
    assert listens(one.host)
    assert one.paused
    one.resume()
    done = client.build("one", "base")
    assert done.returncode == 0, done.stderr


def test_a_daemon_whose_disk_is_full_says_so(client: Client, daemon: StartDaemon) -> None:
    one = daemon("one", disk_megabytes=64)
    client.add("one", one)
    client.context("base", BASE)
    assert client.build("one", "base").returncode == 0
    one.fill()
    client.context("more", f"{BASE}COPY busybox /more\n")
    done = client.build("one", "more")
    assert done.returncode in (1, 102)  # newer versions of buildx tell this error by its number
    assert "no space left on device" in done.stderr


def test_a_daemon_claims_another_platform(client: Client, daemon: StartDaemon) -> None:
    client.add("one", daemon("one", platform="linux/arm64"))
    [platforms] = re.findall(r"^Platforms: +(.+)$", client.run("inspect", "one").stdout, re.MULTILINE)
    assert platforms.split(", ")[0] == "linux/arm64"


def test_a_daemon_reads_the_configuration_that_it_is_given(client: Client, daemon: StartDaemon) -> None:
    client.add("one", daemon("one", config='[worker.oci.labels]\n  "org.example.room" = "attic"\n'))
    assert re.search("org.example.room: +attic", client.run("inspect", "one").stdout)


def _processes_with(text: str) -> list[str]:
    """The command lines that contain it, of the whole machine."""
    return [line for line in _read_all("cmdline") if text in line]


def _mounts_below(directory: Path) -> list[str]:
    """What is mounted there, in any mount namespace of the machine."""
    return [line for mounts in _read_all("mounts") for line in mounts.splitlines() if f" {directory}/" in line]


def _traces_of(container: str) -> list[Path]:
    """What runc and the kernel know of a container: its state, its control groups."""
    places = (Path("/run/runc"), Path("/sys/fs/cgroup"))
    found = (Path(path) for place in places for path, _, _ in os.walk(place))  # in spite of what ends meanwhile
    return [path for path in found if path.name == container]


def _read_all(name: str) -> Iterator[str]:
    """What each process of the machine has in this file of /proc."""
    for path in Path("/proc").glob(f"[0-9]*/{name}"):
        with contextlib.suppress(OSError):  # of one that has ended
            yield path.read_text()
