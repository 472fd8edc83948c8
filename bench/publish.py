"""deps-push compared with pull, tag and push by the engine, and with a loop of `skopeo copy --all`.

20 images of two layers, 160 MB in all, from one registry on the loopback to another, empty one, with and without 50 ms
added to each round trip; and deps-push again, with nothing to do. Needs root and apt, for docker-registry and skopeo.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench._transfers import IMAGES, LAYER, far, images, project_of, run
from build_lib.machine import daemon
from build_lib.settings import Settings
from tests.support.commands import inv_command
from tests.support.engines import install
from tests.support.registries import Registry, running_registry

_ROUND_TRIP = 0.05  # seconds

Way = Callable[[Path, str, list[str], str], None]  # takes the project, the source's host, the names, the target's host


def _deps_push(project: Path, _source: str, _names: list[str], target: str) -> None:
    run(*inv_command("deps-push", "-r", f"{target}/p"), PROJECT_ROOT=str(project))


def _skopeo(_project: Path, source: str, names: list[str], target: str) -> None:
    for name in names:
        flags = ("--all", "--src-tls-verify=false", "--dest-tls-verify=false")
        run("skopeo", "copy", *flags, f"docker://{source}/{name}", f"docker://{target}/p/{name}")


def _engine(_project: Path, source: str, names: list[str], target: str) -> None:
    for name in names:
        run("docker", "pull", f"{source}/{name}")
        run("docker", "tag", f"{source}/{name}", f"{target}/p/{name}")
        run("docker", "push", f"{target}/p/{name}")


_WAYS: dict[str, Way] = {"deps-push": _deps_push, "skopeo loop": _skopeo, "pull, tag, push": _engine}


def _forget(hosts: tuple[str, str], names: list[str]) -> None:
    """Remove the images from the engine, so that the next way starts without them."""
    source, target = hosts
    images = [image for name in names for image in (f"{source}/{name}", f"{target}/p/{name}")]
    subprocess.run(["docker", "rmi", "--force", *images], capture_output=True, check=True)


def _measure(root: Path, settings: Settings, canonical: Registry, names: list[str], round_trip: float) -> None:
    print(f"{IMAGES} images, {2 * IMAGES * LAYER / 1e6:.0f} MB, {round_trip * 1000:.0f} ms added to each round trip")
    seconds: dict[str, float] = {}
    with far(canonical, round_trip) as source:
        project = project_of(root / "project", source, names)
        for number, (name, way) in enumerate(_WAYS.items()):
            place = root / f"target-{round_trip}-{number}"
            with running_registry(settings, place) as empty, far(empty, round_trip) as target:
                began = time.perf_counter()
                way(project, source, names, target)
                seconds[name] = time.perf_counter() - began
                print(f"  {name:16} {seconds[name]:6.2f} s")
                if way is _deps_push:
                    _again(project, source, names, target, empty)
                if way is _engine:
                    _forget((source, target), names)
    for name in list(_WAYS)[1:]:
        print(f"  {name} / deps-push: {seconds[name] / seconds['deps-push']:.1f}")


def _again(project: Path, source: str, names: list[str], target: str, registry: Registry) -> None:
    before = len(registry.log.read_text())
    began = time.perf_counter()
    _deps_push(project, source, names, target)
    seconds = time.perf_counter() - began
    asked = Counter(re.findall(r'"([A-Z]+) /v2/', registry.log.read_text()[before:]))
    print(f"  {'again':16} {seconds:6.2f} s, at the target: {json.dumps(asked)}")


def main() -> None:
    """Measure both distances in one run."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        settings = Settings.load(root, environ=dict(os.environ))
        daemon.up(settings)
        install("skopeo", "skopeo", settings)
        with running_registry(settings, root / "canonical") as canonical:
            names = images(canonical, settings)
            for round_trip in (0.0, _ROUND_TRIP):
                _measure(root, settings, canonical, names, round_trip)
        daemon.down(settings)


if __name__ == "__main__":
    main()
