"""deps-save compared with `docker save | gzip -1`, `docker save` and `skopeo copy` into one image layout.

20 images of two layers, 160 MB of incompressible data in all, from a registry on the loopback, then from one that is
100 ms away and limits each connection to 20 MB/s. The engine pulls the images before `docker save`; the time with this
pull, which deps-save does not need, is printed too. Then how fast a bundle is verified and loaded, compared with
`docker load`; the sizes, compared with the sum of the unique compressed blobs; and a delta after one image has changed.
Needs root and apt, for docker-registry and skopeo.
"""

import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench._transfers import IMAGES, LAYER, far, images, project_of, run
from build_lib.bundle import Archive
from build_lib.engine import Engine
from build_lib.machine import daemon
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support.commands import inv_command
from tests.support.engines import install
from tests.support.images import layer, make, write
from tests.support.registries import Registry, running_registry

_FAR = (0.1, 20e6)  # seconds, bytes a second
_WORDS = 2_000_000  # bytes of text in each layer of the compressible images


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _inv(project: Path, *arguments: str) -> None:
    run(*inv_command(*arguments), PROJECT_ROOT=str(project))


def _pull(names: list[str]) -> None:
    for name in names:
        run("docker", "pull", name)


def _skopeo(directory: Path, names: list[str]) -> None:
    for name in names:
        tag = name.replace("/", "-").replace(":", "-")
        run("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{name}", f"oci:{directory}:{tag}")


def _speed(root: Path, engine: Engine, canonical: Registry, paths: list[str], distance: tuple[float, float]) -> None:
    round_trip, rate = distance
    speed = f", {rate / 1e6:.0f} MB/s a connection" if rate else ""
    size = 2 * IMAGES * LAYER / 1e6
    print(f"{IMAGES} images, {size:.0f} MB, {round_trip * 1000:.0f} ms added to each round trip{speed}")
    with far(canonical, round_trip, rate) as source:
        names = [f"{source}/{path}" for path in paths]
        project = project_of(root / f"project-{round_trip}", source, paths)
        bundle = root / f"bundle-{round_trip}.tar"
        seconds = {"deps-save": _timed(lambda: _inv(project, "deps-save", "-f", str(bundle)))}
        seconds["skopeo copy --all, a loop"] = _timed(lambda: _skopeo(root / f"layout-{round_trip}", names))
        pulled = _timed(lambda: _pull(names))
        saved = root / "saved.tar"
        seconds["docker save"] = _timed(lambda: run("docker", "save", "--output", str(saved), *names))
        gzipped = f"docker save {' '.join(names)} | gzip -1 > {root}/saved.tar.gz"
        seconds["docker save | gzip -1"] = _timed(lambda: run("sh", "-c", gzipped))
        seconds["docker pull, then save | gzip -1"] = pulled + seconds["docker save | gzip -1"]
        _forget(engine, names)
    for name, found in seconds.items():
        print(f"  {name:34} {found:6.2f} s   / deps-save: {found / seconds['deps-save']:.2f}")
    if not round_trip:
        _loading(project, engine, bundle, saved, names)


def _loading(project: Path, engine: Engine, bundle: Path, saved: Path, names: list[str]) -> None:
    verified = _timed(lambda: _inv(project, "deps-verify", "-f", str(bundle)))
    loaded = _timed(lambda: _inv(project, "deps-load", "-f", str(bundle)))
    _forget(engine, names)
    by_docker = _timed(lambda: run("docker", "load", "--input", str(bundle)))
    _forget(engine, names)
    of_saved = _timed(lambda: run("docker", "load", "--input", str(saved)))
    _forget(engine, names)
    print(f"  deps-verify {verified:.2f} s, deps-load {loaded:.2f} s (every byte checked first)")
    print(f"  docker load of the bundle / deps-load: {by_docker / loaded:.2f}")
    print(f"  docker load of what docker save wrote / deps-load: {of_saved / loaded:.2f}")


def _sizes(root: Path, settings: Settings, engine: Engine, canonical: Registry) -> None:
    """Print the sizes for compressible images, as most are, and that of a delta."""
    shared, names = _words(), [f"{canonical.host}/blb/text-{number}:1" for number in range(IMAGES)]
    with Registries(settings) as registries:
        for name in names:
            write(registries, name, make([shared, _words()]))
        project = project_of(root / "project-sizes", canonical.host, [name.partition("/")[2] for name in names])
        bundle = root / "bundle.tar"
        _inv(project, "deps-save", "-f", str(bundle))
        _pull(names)
        write(registries, names[0], make([shared, _words()]))
        _inv(project, "deps-save", "-f", str(root / "delta.tar"), "--since", str(bundle))
    with Archive.open(bundle) as archive:
        blobs = sum({key: blob.size for item in archive.images for key, blob in item.blobs.items()}.values())
    run("docker", "save", "--output", str(root / "plain.tar"), *names)
    run("sh", "-c", f"gzip < {root}/plain.tar > {root}/plain.tar.gz")
    _forget(engine, names)
    print(f"{IMAGES} images of text that share a layer: {blobs / 1e6:.1f} MB of unique compressed blobs")
    for name, file in (("bundle", "bundle.tar"), ("docker save", "plain.tar"), ("gzipped", "plain.tar.gz")):
        size = (root / file).stat().st_size
        print(f"  {name:12} {size / 1e6:6.1f} MB   / blobs: {size / blobs:.3f}")
    delta = (root / "delta.tar").stat().st_size
    print(f"  a delta with one new layer: {delta / 1e6:.2f} MB   / bundle: {delta / bundle.stat().st_size:.3f}")


def _words() -> bytes:
    return layer(text=secrets.token_hex(_WORDS // 2))


def _forget(engine: Engine, names: list[str]) -> None:
    for name in names:
        engine.images.remove(Reference.parse(name))


def main() -> None:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        settings = Settings.load(root, environ=dict(os.environ))
        daemon.up(settings)
        install("skopeo", "skopeo", settings)
        with Engine.connect(settings) as engine, running_registry(settings, root / "canonical") as canonical:
            paths = images(canonical, settings)
            for distance in ((0.0, 0.0), _FAR):
                _speed(root, engine, canonical, paths, distance)
            _sizes(root, settings, engine, canonical)
        daemon.down(settings)


if __name__ == "__main__":
    main()
