"""prefetch compared with a serial loop of `docker pull`, and with all images pulled by the engine at once.

20 images of two layers, 160 MB in all, from a registry that is 100 ms away and limits each connection to 20 MB/s; then
from the same registry without a delay. With all images present, prefetch is compared with `inv --list` and a loop of
`docker image inspect`. Needs root and apt, for docker-registry.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench._transfers import IMAGES, LAYER, far, images, project_of, run
from build_lib.engine import Engine
from build_lib.machine import daemon
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import inv_command
from tests.support.registries import Registry, running_registry

_ROUND_TRIP = 0.1  # seconds
_RATE = 20e6  # bytes per second

Way = Callable[[Path, list[str]], None]  # takes the project, and the images' names


def _prefetch(project: Path, _names: list[str]) -> None:
    run(*inv_command("prefetch"), PROJECT_ROOT=str(project))


def _content(project: Path, _names: list[str]) -> None:
    run(*inv_command("prefetch"), PROJECT_ROOT=str(project), PULL_THROUGH="content")


def _engine(project: Path, _names: list[str]) -> None:
    run(*inv_command("prefetch", "-j", str(IMAGES)), PROJECT_ROOT=str(project), PULL_THROUGH="engine")


def _loop(_project: Path, names: list[str]) -> None:
    for name in names:
        run("docker", "pull", name)


def _at_once(_project: Path, names: list[str]) -> None:
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: run("docker", "pull", name), names))


_WAYS: dict[str, Way] = {
    "prefetch": _prefetch,
    "docker pull, a loop": _loop,
    "docker pull, all at once": _at_once,
    "PULL_THROUGH=engine": _engine,
    "PULL_THROUGH=content": _content,
}


def _measure(root: Path, engine: Engine, canonical: Registry, paths: list[str], round_trip: float, rate: float) -> None:
    speed = f", {rate / 1e6:.0f} MB/s a connection" if rate else ""
    size = 2 * IMAGES * LAYER / 1e6
    print(f"{IMAGES} images, {size:.0f} MB, {round_trip * 1000:.0f} ms added to each round trip{speed}")
    seconds: dict[str, float] = {}
    with far(canonical, round_trip, rate) as source:
        names = [f"{source}/{path}" for path in paths]
        project = project_of(root / f"project-{round_trip}", source, paths)
        for name, way in _WAYS.items():
            seconds[name] = _timed(lambda way=way: way(project, names))  # type: ignore[misc]
            print(f"  {name:26} {seconds[name]:6.2f} s")
            if name == "prefetch" and not rate:
                _present(project, names)
            for image in names:
                engine.images.remove(Reference.parse(image))
    for name in list(_WAYS)[1:]:
        print(f"  {name} / prefetch: {seconds[name] / seconds['prefetch']:.1f}")


def _present(project: Path, names: list[str]) -> None:
    listed = _timed(lambda: run(*inv_command("--list")))
    present = _timed(lambda: _prefetch(project, names))
    inspected = _timed(lambda: _inspect(names))
    print(
        f"  all present: {present:.2f} s, inv --list {listed:.2f} s, a loop of docker image inspect {inspected:.2f} s"
    )


def _inspect(names: list[str]) -> None:
    for name in names:
        run("docker", "image", "inspect", name)


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    """Measure both distances in one run."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        settings = Settings.load(root, environ=dict(os.environ))
        daemon.up(settings)
        with Engine.connect(settings) as engine, running_registry(settings, root / "canonical") as canonical:
            paths = images(canonical, settings)
            for round_trip, rate in ((_ROUND_TRIP, _RATE), (0.0, 0.0)):
                _measure(root, engine, canonical, paths, round_trip, rate)
        daemon.down(settings)


if __name__ == "__main__":
    main()
