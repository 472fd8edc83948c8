"""A real engine, a real registry, real images; everything that is made here is removed here, by name."""

import contextlib
import io
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from build_lib.build import builders
from build_lib.engine import Engine
from build_lib.errors import BuildError, EngineError
from build_lib.graph import Cancel
from build_lib.machine import apt, daemon
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import run_inv
from tests.support.debian_packages import docker_plugin, unpacked
from tests.support.shared import WORKER, one_at_a_time, shared

DEBIAN = "debian:bookworm-slim"
_READY_SECONDS = 60
_LABEL = "build-lib.test"  # on each image that a test makes, and on what is built from it
_RUN = secrets.token_hex(8)
_LINK = "02:42:0a:d5:00:01"  # without one of its own, a bridge takes that of a container, and changes it when that ends
_SUBNETS = (f"10.213.{number}" for number in itertools.count(1 + 50 * WORKER))


@pytest.fixture(scope="session")
def machine(shared_directory: Path) -> Iterator[Settings]:
    """Settings with an engine that answers: the one that runs, else one started for these tests."""
    root = shared_directory / "machine"
    root.mkdir(exist_ok=True)
    settings = Settings.load(root, environ=dict(os.environ))
    up, down = partial(daemon.up, settings), partial(daemon.down, settings)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(shared(shared_directory, "engine", make=up, remove=down))
        except BuildError as error:
            pytest.skip(f"no Docker Engine can be had here: {error.message}")
        yield settings
        _remove_made()


def _remove_made() -> None:
    """All images that stand on a tiny image of this run, also those that have lost their names."""
    command = ["docker", "image", "prune", "--all", "--force", "--filter", f"label={_LABEL}={_RUN}"]
    with one_at_a_time("prune"):  # the engine refuses a second one meanwhile
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="session")
def engine(machine: Settings) -> Iterator[Engine]:
    with Engine.connect(machine) as connected:
        yield connected


def needs_root() -> None:
    if not apt.available():
        pytest.skip("needs root and apt")


def install(program: str, package: str, settings: Settings) -> str:
    """The program's path; its package is installed if it is not there."""
    with one_at_a_time("apt"):
        if shutil.which(program) is None:
            needs_root()
            apt.install([package], settings, Cancel())
    found = shutil.which(program)
    assert found
    return found


def tiny_image(engine: Engine, name: str, settings: Settings, **files: str) -> None:
    """An image of a static busybox, and text files below /: a name's __ stands for /."""
    busybox = install("busybox", "busybox-static", settings)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for link in ("sh", "cat", "ls", "sleep", "touch", "mkdir", "grep", "echo", "true", "false"):
            info = tarfile.TarInfo(f"bin/{link}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        for path, text in files.items():
            info = tarfile.TarInfo(path.replace("__", "/"))
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    archive.seek(0)
    engine.streams.import_root(archive, Reference.parse(name), ['CMD ["sh"]', f"LABEL {_LABEL}={_RUN}"])


@pytest.fixture(scope="session")
def debian(engine: Engine, shared_directory: Path) -> Iterator[str]:
    """A plain Debian that nobody has to download; gone afterwards, unless it was there before."""
    name = Reference.parse(DEBIAN)
    made_here = shared_directory / "debian-was-made"

    def make() -> None:
        if name.canonical not in engine.images.by_name():
            made_here.touch()
        (shared_directory / "debian").mkdir(exist_ok=True)
        done = run_inv(shared_directory / "debian", ("prefetch",), {"EXTRA_IMAGES": DEBIAN})
        assert done.returncode == 0, done.stdout + done.stderr

    def remove() -> None:
        if made_here.exists():
            engine.images.remove(name)

    with shared(shared_directory, "debian", make=make, remove=remove):
        yield DEBIAN


@pytest.fixture
def tiny(engine: Engine, machine: Settings) -> Iterator[str]:
    """The name of a tiny image in the engine."""
    name = f"blt-{secrets.token_hex(4)}/tiny:1"
    tiny_image(engine, name, machine)
    yield name
    engine.images.remove(Reference.parse(name))


@pytest.fixture
def prefix(engine: Engine) -> Iterator[str]:
    """A prefix for images of one test alone; all images that bear it are removed."""
    name = f"blt-{secrets.token_hex(4)}-"
    yield name
    remove_images(engine, name)


@pytest.fixture(scope="session")
def buildx(machine: Settings, shared_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that has the buildx of a newer Debian, unpacked beside what the machine has."""
    found = subprocess.run(["docker", "buildx", "version"], check=False, capture_output=True)
    if found.returncode == 0:
        return {}
    return newer_buildx(machine, shared_directory, tmp_path_factory.mktemp("buildx"))


def newer_buildx(machine: Settings, shared_directory: Path, config: Path) -> dict[str, str]:
    """The environment that has the buildx of Debian trixie, 0.13.1, by a docker config in a directory of its own."""
    plugin = docker_plugin("docker-buildx", "trixie", machine, shared_directory)
    (config / "cli-plugins").mkdir()
    (config / "cli-plugins/docker-buildx").symlink_to(plugin)
    return {"DOCKER_CONFIG": str(config)}


# what a run says of each builder backend
BACKENDS = {"buildx": "with buildx ", "buildkit": "with BuildKit in docker", "classic": "with classic builder"}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, machine: Settings, engine: Engine) -> dict[str, str]:
    """The environment that asks for a builder backend, for each that can be had here."""
    name = request.param
    environment = {"BUILDER_BACKEND": name, **(request.getfixturevalue("buildx") if name == "buildx" else {})}
    if name == "buildkit":  # newer docker CLIs have none
        try:
            builders.choose(Settings.load(machine.project_root, environ={**os.environ, **environment}), engine)
        except BuildError as error:
            pytest.skip(error.message)
    return environment


def remove_images(engine: Engine, prefix: str) -> None:
    for image in engine.images.by_name():
        reference = Reference.parse(image)
        if str(reference).startswith(prefix) and reference.tag:
            engine.images.remove(reference)


class OwnEngine:
    """An engine beside the machine's, without any image, that a test may end; its environment leads to it.

    Its programs are those on the `path`; `config` is its configuration file, if it has one of its own. `before` are the
    words before its command, of a program that becomes it.
    """

    def __init__(
        self, data: Path, bridge: "Bridge", *, path: str = "", config: str = "", before: Sequence[str] = ()
    ) -> None:
        self.data = data
        self.address = f"unix://{data}/docker.sock"
        self.environment = {"DOCKER_HOST": self.address}
        self.gateway = bridge.address
        self._bridge = bridge.name
        self._path = path or os.environ["PATH"]
        self._config = config
        self._before = before
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        data = self.data
        command = ["dockerd", f"--host={self.address}", f"--data-root={data}/data", f"--exec-root={data}/exec"]
        command += [f"--pidfile={data}/pid", f"--bridge={self._bridge}", "--iptables=false", "--ip-masq=false"]
        # where containerd is a service of the machine, the two engines share it
        command += [f"--containerd-namespace={self._bridge}", f"--containerd-plugins-namespace={self._bridge}-plugins"]
        if self._config:
            (data / "daemon.json").write_text(self._config)
            command.append(f"--config-file={data}/daemon.json")
        command[0] = shutil.which("dockerd", path=self._path) or command[0]
        log = data / "log"
        environment = {**os.environ, "PATH": self._path}
        with log.open("a") as file:
            self._process = subprocess.Popen(
                [*self._before, *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        _wait_for_engine({**os.environ, **self.environment}, self._process, log)

    def takes_in(self) -> bool:
        """Whether content is coming in, into a classic store or a containerd one."""
        content = "data/containerd/daemon/io.containerd.content.v1.content/ingest/*"
        return any(found for place in ("data/tmp/docker-import-*", content) for found in self.data.glob(place))

    def kill(self) -> None:
        """As a power cut does; a containerd of its own goes with it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        (self.data / "pid").unlink(missing_ok=True)
        (self.data / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def end(self) -> None:
        """End it as a machine that shuts down does; one that was killed leaves its mounts."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if Path(mount).is_relative_to(self.data)]):
            _run("umount", mount)


@contextlib.contextmanager
def _own_engine(machine: Settings, *, path: str = "", config: str = "") -> Iterator[OwnEngine]:
    needs_root()
    install("ip", "iproute2", machine)
    with _bridge() as bridge, _data_directory(machine) as data:
        made = OwnEngine(data, bridge, path=path, config=config)
        try:
            made.start()
            yield made
        finally:
            made.end()


# a network of its own, with loopback and the bridge alone: $0, its address $1, that of its link $2; then the engine
_ALONE = """
ip link set lo up && ip link add "$0" address "$2" type bridge && ip address add "$1/24" dev "$0" &&
ip link set "$0" up && shift 2 && exec "$@"
"""


class LonelyEngine(OwnEngine):
    """An engine in a network of its own, without any other machine."""

    def __init__(self, data: Path, bridge: "Bridge") -> None:
        before = ("unshare", "--net", "sh", "-c", _ALONE, bridge.name, bridge.address, _LINK)
        super().__init__(data, bridge, before=before)

    def inside(self) -> list[str]:
        """The words before a command that runs in its network."""
        assert self._process is not None
        return ["nsenter", f"--net=/proc/{self._process.pid}/ns/net"]


@contextlib.contextmanager
def lonely_engine(machine: Settings) -> Iterator[LonelyEngine]:
    """A machine's engine that no network reaches; without the rights for that, the test is skipped."""
    needs_root()
    install("ip", "iproute2", machine)
    tried = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no network of its own can be had here: {tried.stderr.strip()}")
    with _data_directory(machine) as data:
        made = LonelyEngine(data, Bridge("lonely0", f"{next(_SUBNETS)}.1"))
        try:
            made.start()
            yield made
        finally:
            made.end()


@pytest.fixture(scope="session")
def empty_engine(machine: Settings) -> Iterator[dict[str, str]]:
    """An engine of its own without any image, beside the machine's; the environment that leads to it."""
    with _own_engine(machine) as made:
        yield made.environment


@pytest.fixture
def mortal_engine(machine: Settings) -> Iterator[OwnEngine]:
    """An engine for one test, which may kill it."""
    with _own_engine(machine) as made:
        yield made


@pytest.fixture(params=[False, True], ids=["classic store", "containerd store"])
def newer_engine(request: pytest.FixtureRequest, machine: Settings, shared_directory: Path) -> Iterator[OwnEngine]:
    """The engine of Debian trixie, 26.1, with either store, for one test, which may kill it."""
    packages = [unpacked(name, "trixie", machine, shared_directory) for name in ("docker.io", "containerd")]
    path = os.pathsep.join([f"{packages[0]}/usr/sbin", f"{packages[1]}/usr/bin", os.environ["PATH"]])
    config = json.dumps({"features": {"containerd-snapshotter": request.param}})
    with _own_engine(machine, path=path, config=config) as made:
        yield made


def _wait_for_engine(environment: dict[str, str], process: "subprocess.Popen[bytes]", log: Path) -> None:
    settings = Settings.load(log.parent, environ=environment)
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            Engine.connect(settings).__exit__(None, None, None)
        except EngineError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return


@dataclass(frozen=True)
class Bridge:
    """A bridge, and this machine's address on it."""

    name: str
    address: str


@contextlib.contextmanager
def _bridge() -> Iterator[Bridge]:
    """A bridge with a way out, for an engine that must leave the machine's iptables alone."""
    name = f"blt{secrets.token_hex(3)}"
    subnet = _free_subnet()
    rules = [
        ["-t", "nat", "POSTROUTING", "-s", f"{subnet}.0/24", "!", "-o", name, "-j", "MASQUERADE"],
        ["-t", "filter", "FORWARD", "-i", name, "-j", "ACCEPT"],
        ["-t", "filter", "FORWARD", "-o", name, "-j", "ACCEPT"],
    ]
    with contextlib.ExitStack() as stack:
        _run("ip", "link", "add", name, "address", _LINK, "type", "bridge")
        stack.callback(_run, "ip", "link", "delete", name)
        _run("ip", "address", "add", f"{subnet}.1/24", "dev", name)
        _run("ip", "link", "set", name, "up")
        for table, kind, *rule in ((rule[0:2], *rule[2:]) for rule in rules):
            _run("iptables", *table, "-I", str(kind), *map(str, rule))
            stack.callback(_run, "iptables", *table, "-D", str(kind), *map(str, rule))
        yield Bridge(name, f"{subnet}.1")


def _free_subnet() -> str:
    """One that no bridge has, such as that of a run that was killed: two routes there lead to the older one."""
    taken = subprocess.run(["ip", "-oneline", "-4", "address"], check=True, capture_output=True, text=True).stdout
    return next(subnet for subnet in _SUBNETS if f" {subnet}.1/" not in taken)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def _data_directory(machine: Settings) -> Iterator[Path]:
    """A directory that overlay can stand on: not the overlay of a container, where the engine's own root helps."""
    with Engine.connect(machine) as engine:
        root = engine.root_directory()
    place = next(path for path in (Path("/var/tmp"), root) if _file_system(path) != "overlayfs")
    data = place / f"build-lib-test-{secrets.token_hex(4)}"
    data.mkdir()
    try:
        yield data
    finally:
        shutil.rmtree(data)


def _file_system(path: Path) -> str:
    command = ["stat", "--file-system", "--format=%T", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def content(engine: Engine, image: str, path: str) -> str:
    with engine.containers.temporary(image, owner="test") as container:
        [text] = [content.read().decode() for _, content in container.files(path) if content]
    return text
