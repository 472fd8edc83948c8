"""build-all with nothing to do, compared with a serial loop of `docker build` with BuildKit, fully cached.

12 services, with 20,000 files and 300 MB of contexts in all. Before that, how the time to check a context grows with
the number of files; after it, a cold build of 12 services in three levels, with a step of 2 s each, compared with its
critical path. Needs root and apt, for busybox-static. `docker compose build` and `docker buildx bake` are measured if
they are installed.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench._transfers import run
from build_lib.build import CommandLine, builders
from build_lib.engine import Engine
from build_lib.machine import daemon
from build_lib.page import critical_path_of
from build_lib.reference import Reference
from build_lib.repository import build_context, discover
from build_lib.settings import Settings
from tests.support.commands import inv_command
from tests.support.engines import tiny_image

_SERVICES = 12
_FILES = 20_000
_BYTES = 300_000_000
_SLEEP = 2.0  # seconds
_TICK = 2.5  # seconds, after which a file's stat data are trusted


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _fill(directory: Path, files: int, size: int) -> None:
    """Write so many files of random bytes, a hundred in each directory."""
    for number in range(files):
        path = directory / f"d{number // 100}/f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(secrets.token_bytes(size))


def _wide(root: Path, base: str) -> list[Path]:
    found = [root / f"src/service-{number}" for number in range(_SERVICES)]
    for directory in found:
        _fill(directory, _FILES // _SERVICES, _BYTES // _FILES)
        (directory / "Dockerfile").write_text(f"FROM {base}\nCOPY . /files\n")
    return found


def _docker_build(builder: CommandLine, directories: list[Path], prefix: str) -> None:
    for directory in directories:
        run(*builder.command, "--tag", f"{prefix}loop-{directory.name}", str(directory), **builder.environment)


def _others(root: Path, directories: list[Path], prefix: str) -> dict[str, list[str]]:
    """The commands of other tools that are installed, by name."""
    services = {item.name: {"build": str(item), "image": f"{prefix}compose-{item.name}"} for item in directories}
    (root / "bench.yaml").write_text(json.dumps({"services": services}))
    targets = {
        item.name: {"context": str(item), "tags": [f"{prefix}bake-{item.name}"], "output": ["type=docker"]}
        for item in directories
    }
    bake = {"group": {"default": {"targets": list(targets)}}, "target": targets}
    (root / "bake.json").write_text(json.dumps(bake))
    wanted = {
        "docker compose build": ["docker", "compose", "-f", str(root / "bench.yaml"), "build"],
        "docker buildx bake": ["docker", "buildx", "bake", "-f", str(root / "bake.json")],
    }
    here = {}
    for name, command in wanted.items():
        known = subprocess.run([*command[:2], "version"], capture_output=True, check=False)
        if known.returncode == 0:
            here[name] = command
        else:
            print(f"  {name}: not installed")
    return here


def _nothing_to_do(root: Path, base: str, prefix: str, builder: CommandLine) -> None:
    print(f"{_SERVICES} services, {_FILES} files, {_BYTES / 1e6:.0f} MB, nothing to do; with {builder.name}")
    directories = _wide(root, base)

    def ours() -> None:
        run(*inv_command("build-all"), PROJECT_ROOT=str(root), IMAGE_PREFIX=prefix)

    ways: dict[str, Callable[[], None]] = {
        "build-all": ours,
        "docker build, a loop": lambda: _docker_build(builder, directories, prefix),
    }
    for name, command in _others(root, directories, prefix).items():
        ways[name] = lambda command=command: run(*command)  # type: ignore[misc]
    for way in ways.values():
        way()
    time.sleep(_TICK)
    ours()  # records the files' stat data
    seconds = {name: min(_timed(way) for _ in range(3)) for name, way in ways.items()}
    for name, took in seconds.items():
        print(f"  {name:22} {took:5.2f} s")
    for name in list(seconds)[1:]:
        print(f"  {name} / build-all: {seconds[name] / seconds['build-all']:.1f}")


def _growth(root: Path) -> None:
    print("check of a context: all files read, nothing changed")
    before = 0.0
    for files in (1_000, 10_000, 100_000):
        project = root / str(files)
        directory = project / "src/one"
        _fill(directory, files, 1000)
        (directory / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        service = discover(Settings.load(project, environ={})).services["one"]
        memory = project / "stamps.json"
        first = _timed(lambda service=service, memory=memory: build_context.read(service, memory))  # type: ignore[misc]
        time.sleep(_TICK)
        build_context.read(service, memory)
        again = min(_timed(lambda s=service, m=memory: build_context.read(s, m)) for _ in range(5))  # type: ignore[misc]
        growth = f", {again / before:.1f} times as long for 10 times as many" if before else ""
        print(f"  {files:7} files: {first:6.3f} s, {again:6.3f} s{growth}")
        two = _timed(lambda s=service, m=project / "two.json": build_context.read(s, m, patterns=("d0", "d1")))  # type: ignore[misc]
        print(f"  if only two directories of 100 are copied: {two / first:.3f} times as long")
        before = again
        shutil.rmtree(project)


def _cold(root: Path, base: str, prefix: str, builder: CommandLine) -> None:
    print(f"{_SERVICES} services in three levels, each with a step of {_SLEEP:.0f} s")
    alone = root / "alone"
    _step(alone, base)
    one = _timed(lambda: run(*builder.command, "--tag", f"{prefix}alone", str(alone), **builder.environment))
    print(f"  docker build of one   {one:5.2f} s")
    for jobs in (_SERVICES, 2):
        project = root / f"cold-{jobs}"
        for number in range(_SERVICES):
            _step(project / f"src/s{number}", f"{prefix}s{number - 4}:{jobs}" if number >= 4 else base)
        environment = {"PROJECT_ROOT": str(project), "IMAGE_PREFIX": prefix, "IMAGE_TAG": str(jobs)}
        took = _timed(lambda e=environment, j=jobs: run(*inv_command("build-all"), **e, BUILD_JOBS=str(j)))  # type: ignore[misc]
        rounds = max(3, _SERVICES // jobs)
        critical = critical_path_of(json.loads((project / ".build/last-run.json").read_text()))[1]
        print(
            f"  BUILD_JOBS={jobs}: {took:5.2f} s, {took / (rounds * one):.2f} times {rounds} of these in turn,", end=" "
        )
        print(f"{took / critical:.2f} times its own critical path")


def _step(directory: Path, base: str) -> None:
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text(f"FROM {base}\nRUN sleep {_SLEEP} && echo {secrets.token_hex(8)}\n")


def main() -> None:
    """Measure everything in one run."""
    prefix = f"blb-{secrets.token_hex(4)}-"
    base = f"{prefix}base:1"
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        settings = Settings.load(root, environ=dict(os.environ))
        daemon.up(settings)
        with Engine.connect(settings) as engine:
            tiny_image(engine, base, settings)
            try:
                _growth(root / "growth")
                builder = builders.choose(settings, engine)
                assert isinstance(builder, CommandLine), "the comparison is with BuildKit"
                _nothing_to_do(root / "wide", base, prefix, builder)
                _cold(root, base, prefix, builder)
            finally:
                for name in engine.images.by_name():
                    if prefix in name and "@" not in name:
                        engine.images.remove(Reference.parse(name))
        daemon.down(settings)


if __name__ == "__main__":
    main()
