"""BuildKit daemons on loopback, each with processes and mounts of its own, that a test may kill."""

import contextlib
import itertools
import lzma
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pytest

from build_lib.settings import Settings
from tests.support.commands import ROOT
from tests.support.engines import newer_buildx
from tests.support.registries import free_place, listens
from tests.support.shared import one_at_a_time

_READY_SECONDS = 60
_OLDEST_BUILDX = (0, 13)
_NAMESPACES = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
# a disk of its own is mounted where only the daemon sees it: $0 is its size, $1 its place, then comes the daemon
_ON_OWN_DISK = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'


@pytest.fixture(scope="session")
def buildkitd(machine: Settings, shared_directory: Path) -> str:
    """The path of BuildKit's daemon (`find_buildkitd`)."""
    return find_buildkitd(shared_directory)


def find_buildkitd(directory: Path) -> str:
    """The path of BuildKit's daemon: the one on the PATH, else the one of the test tools, unpacked into a directory.

    Without one, the test is skipped.
    """
    for program in ("runc", "unshare"):
        if shutil.which(program) is None:
            pytest.skip(f"a BuildKit daemon needs {program}, which is not on the PATH")
    tried = subprocess.run([*_NAMESPACES, "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"a BuildKit daemon needs root and namespaces of its own: {tried.stderr.strip()}")
    found = shutil.which("buildkitd")
    if found:
        return found
    packed = Path(os.environ.get("BUILD_LIB_TEST_TOOLS") or ROOT.parent / "shared/tools") / "buildkitd.xz"
    if not packed.is_file() or os.uname().machine != "x86_64":
        pytest.skip(
            f"no BuildKit daemon: no buildkitd is on the PATH, and {packed}, for x86_64, is not there or no use"
        )
    return str(_unpacked(packed, directory / "buildkitd"))


def _unpacked(packed: Path, program: Path) -> Path:
    with one_at_a_time("buildkitd"):
        if not program.exists():
            part = program.with_suffix(".part")
            with lzma.open(packed) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
            part.chmod(0o755)
            part.rename(program)
    return program


@pytest.fixture(scope="session")
def fleet_tools(
    buildx: dict[str, str], machine: Settings, shared_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment that has a buildx for a fleet: the one of the other tests, unless it is too old."""
    if has_new_buildx(buildx):
        return buildx
    return newer_buildx(machine, shared_directory, tmp_path_factory.mktemp("buildx"))


def has_new_buildx(environment: dict[str, str]) -> bool:
    """Whether the docker CLI has, in this environment, a buildx that is new enough for a fleet."""
    command = ["docker", "buildx", "version"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **environment})
    version = re.search(r"\bv?(\d+)\.(\d+)\.", done.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= _OLDEST_BUILDX


class Daemon:
    """A BuildKit daemon on loopback; what it runs and mounts is in namespaces of its own, and ends with it."""

    def __init__(
        self, program: str, directory: Path, *, config: str = "", platform: str = "", disk_megabytes: int = 0
    ) -> None:
        self.host = free_place()
        self.address = f"tcp://{self.host}"
        self.directory = directory
        self.log = directory / "log"
        self._root = directory / "root"
        self._platforms = [f"--oci-worker-platform={each}" for each in platform.split(",") if each]
        self._disk = ["sh", "-c", _ON_OWN_DISK, f"{disk_megabytes}m", str(self._root)] if disk_megabytes else []
        self._program = program
        self._config = config
        self._temporary = Path(tempfile.gettempdir()) / f"blt-{secrets.token_hex(4)}"  # a socket's path must be short
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        (self.directory / "buildkitd.toml").write_text(self._config)
        for place in (self._root, self._temporary):
            place.mkdir()
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self) -> None:
        """Start it, and wait until it listens; what it has built before is there again, if its disk was not its own."""
        daemon = [self._program, "--root", str(self._root), "--addr", self.address, *self._platforms]
        daemon += ["--oci-worker-net=host", "--containerd-worker=false", "--config", "buildkitd.toml"]
        daemon += ["--otel-socket-path", f"{self._temporary}/otel.sock"]  # by default, all daemons share one
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*_NAMESPACES, *self._disk, *daemon],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={**os.environ, "TMPDIR": str(self._temporary)},
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not listens(self.host):
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The daemon's process: the only child of the one that made the namespaces."""
        assert self._process is not None
        [child] = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(child)

    @property
    def seen_by_itself(self) -> Path:
        """Its directory with all that it has mounted there, which nobody else sees."""
        return Path(f"/proc/{self.pid}/root{self.directory}")

    def pause(self) -> None:
        """Let it hang: it takes connections and answers nothing, while what it runs goes on."""
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + _READY_SECONDS
        while not self.paused:
            assert time.monotonic() < deadline, "the daemon goes on in spite of SIGSTOP"
            time.sleep(0.01)

    @property
    def paused(self) -> bool:
        """Whether all its threads stand still (proc_pid_stat(5): the state is what follows the name)."""
        states = set()
        for path in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # of a thread that has ended
                states.add(path.read_text().rpartition(")")[2].split()[0])
        return states == {"T"}

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def fill(self) -> None:
        """Leave no space on its disk, which must be its own."""
        assert self._disk
        filler = self.seen_by_itself / "root/filler"
        with filler.open("wb", 0) as file, pytest.raises(OSError, match="No space left on device"):
            file.writelines(itertools.repeat(bytes(1 << 16)))

    def stop(self) -> None:
        """End it as a shutdown does: it finishes the builds that run."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        self._process.wait(_READY_SECONDS)

    def kill(self) -> None:
        """End it as a power cut does: all that it runs and mounts is gone when this returns."""
        assert self._process is not None
        self.pause()  # so that it begins no further container
        containers = [path.parent.name for path in self.seen_by_itself.glob("root/runc-*/executor/*/config.json")]
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait(_READY_SECONDS)
        for container in containers:  # what runc has noted of it, and its control groups
            subprocess.run(["runc", "delete", "--force", container], check=True, capture_output=True)

    def end(self) -> None:
        """Kill it if it runs; of its directory the log is left."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        for left in (self._root, self._temporary):
            shutil.rmtree(left)


class StartDaemon(Protocol):
    """The fixture `daemon`: starts one, with a directory of this name."""

    def __call__(self, name: str, *, config: str = "", platform: str = "", disk_megabytes: int = 0) -> Daemon: ...


@pytest.fixture
def daemon(buildkitd: str, tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts BuildKit daemons, which end with the test."""
    with contextlib.ExitStack() as stack:

        def start(name: str, *, config: str = "", platform: str = "", disk_megabytes: int = 0) -> Daemon:
            made = Daemon(buildkitd, tmp_path / name, config=config, platform=platform, disk_megabytes=disk_megabytes)
            return stack.enter_context(made)

        yield start
