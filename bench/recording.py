"""Recording and replaying the downloads of builds, compared with the plain build.

The six services of the tests download from PyPI, npm, Debian's archives and small servers of this machine, which the
plain build reaches, too. Then one client downloads a file of 1 GB while it is recorded, and again while it is replayed:
the memory that the recorder's process takes more than an idle one. Needs root, apt, a Docker Engine, and PyPI and npm.
"""

import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench._transfers import run
from build_lib.downloads import Store
from build_lib.engine import Engine
from build_lib.machine import daemon
from build_lib.settings import Settings
from tests.support.closed_rooms import SERVICES, build_tools, write_repository
from tests.support.commands import inv_command, run_inv
from tests.support.engines import DEBIAN, remove_images
from tests.support.upstreams import Upstreams

_ROUNDS = 3
_BYTES = 1_000_000_000
_RELEASE = "bench"
_HIGHEST = re.compile(r"VmHWM:\s+(\d+) kB")
_TRUSTING = "ENV npm_config_strict_ssl=false\nRUN npm ci"  # the image has no certificates


def _timed(root: Path, environment: dict[str, str], *flags: str) -> float:
    """The seconds of a build of all services, without the builder's cache."""
    began = time.perf_counter()
    done = run_inv(root, ("build", "--no-cache", *flags), environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - began


def _builds(root: Path, environment: dict[str, str]) -> None:
    ways: dict[str, tuple[str, ...]] = {"plain": (), "recorded": ("--record",), "replayed": ("--replay",)}
    for flags in ways.values():  # once for the engine's and the mirrors' caches
        _timed(root, environment, *flags)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):  # in turn: what else the machine does changes slowly
        for name, flags in ways.items():
            seconds[name].append(_timed(root, environment, *flags))
    print(f"{len(SERVICES)} services, each step repeated, {_ROUNDS} times in turn")
    for name, taken in seconds.items():
        print(f"  {name:9} {median(taken):6.2f} s ({min(taken):.2f} to {max(taken):.2f})")
    for name in ("recorded", "replayed"):
        ratios = [one / plain for one, plain in zip(seconds[name], seconds["plain"], strict=True)]
        print(f"  {name} / plain: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _size(root: Path, environment: dict[str, str]) -> None:
    store = Store(Settings.load(root, environ={**os.environ, **environment}))
    downloads = [item for each in store.recordings(_RELEASE).values() for item in each.downloads]
    transferred = sum(item.size for item in downloads)
    kept = sum(path.stat().st_size for path in store.directory.rglob("*") if path.is_file())
    print(f"store: {kept / 1e6:.1f} MB for {transferred / 1e6:.1f} MB in {len(downloads)} downloads", end=", ")
    print(f"{kept / transferred:.2f} of what was transferred")


@contextlib.contextmanager
def _large_file(address: str, directory: Path) -> Iterator[str]:
    """The URL of a large file, served by a process of its own."""
    with (directory / "large").open("wb") as file:
        for _ in range(_BYTES // 1_000_000):
            file.write(secrets.token_bytes(1_000_000))
    command = [sys.executable, "-m", "http.server", "--bind", address, "--directory", str(directory), "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    try:
        assert process.stdout
        port = process.stdout.readline().split(" port ")[1].split()[0]
        yield f"http://{address}:{port}/large"
    finally:
        process.terminate()
        process.communicate()


class _Client:
    """A process with a recorder, as a build-all is, which waits for its input between the steps."""

    def __init__(self, root: Path, address: str, *flags: str) -> None:
        command = [sys.executable, "-m", "bench._recorder", str(root), address, *flags]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.proxy = self._answer()

    def memory(self) -> int:
        """The most memory that it had so far, in bytes."""
        found = _HIGHEST.search(Path(f"/proc/{self._process.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def end(self) -> None:
        """Let it write the recording and end."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._answer()
        self._process.communicate()
        assert self._process.returncode == 0

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def _download(proxy: str, url: str) -> float:
    began = time.perf_counter()
    run("curl", "--fail", "--silent", "--proxy", proxy, "--output", "/dev/null", url)
    return time.perf_counter() - began


def _memory(root: Path, address: str) -> None:
    (root / "files").mkdir()
    with _large_file(address, root / "files") as url:
        direct = _download("", url)
        print(f"a file of {_BYTES / 1e9:.0f} GB, by curl; directly: {direct:.1f} s")
        for name, flags in {"recorded": (), "replayed": ("--replay",)}.items():
            client = _Client(root, address, *flags)
            idle = client.memory()
            took = _download(client.proxy, url)
            more = client.memory() - idle
            client.end()
            print(
                f"  {name}: {took:.1f} s, {took / direct:.1f} times as long, {more / 1e6:.0f} MB more than idle", end=""
            )
            print(f" ({idle / 1e6:.0f} MB)")


def main() -> None:
    """Measure everything in one run."""
    prefix = f"blb-{secrets.token_hex(4)}-"
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        settings = Settings.load(top, environ=dict(os.environ))
        daemon.up(settings)
        for name in ("debian", "tools", "room", "memory", "upstreams"):
            (top / name).mkdir()
        with Engine.connect(settings) as engine:
            network = engine.networks.default()
            assert network is not None
            run(*inv_command("prefetch"), PROJECT_ROOT=str(top / "debian"), EXTRA_IMAGES=DEBIAN)
            upstreams = Upstreams(network.gateway, top / "upstreams")
            try:
                tools = build_tools(top / "tools", f"{prefix}base-", DEBIAN)
                root = top / "room"
                write_repository(root, tools, DEBIAN, upstreams)
                node = root / "src/node/Dockerfile"
                node.write_text(node.read_text().replace("RUN npm ci", _TRUSTING))
                environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": _RELEASE}
                _builds(root, environment)
                _size(root, environment)
            finally:
                upstreams.close()
                remove_images(engine, prefix)
            _memory(top / "memory", network.gateway)
        daemon.down(settings)


if __name__ == "__main__":
    main()
