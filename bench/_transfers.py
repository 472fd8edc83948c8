"""What benchmarks of transfers share: incompressible images, in a registry near or far."""

import contextlib
import gzip
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support.images import layer, make, write
from tests.support.registries import Registry, free_place, wait_for_port

IMAGES = 20
LAYER = 4_000_000  # bytes, two in each image
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def run(*command: str, **environment: str) -> None:
    """Run a program, without its output."""
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})


def _layer() -> bytes:
    """An incompressible layer, like the compressed layers in a registry."""
    return gzip.decompress(layer(data=secrets.token_bytes(LAYER)))


def images(registry: Registry, settings: Settings) -> list[str]:
    """Write the images, and return their names without a host."""
    with Registries(settings) as registries:
        names = [f"blb/image-{number}:1" for number in range(IMAGES)]
        for name in names:
            layers = [_layer() for _ in range(2)]
            write(registries, f"{registry.host}/{name}", make(layers, layer_type=_LAYER_TYPE))
    return names


@contextlib.contextmanager
def far(registry: Registry, round_trip: float, rate: float = 0) -> Iterator[str]:
    """The registry's host, or that of a proxy that delays it."""
    if not round_trip:
        yield registry.host
        return
    host = free_place()
    port = host.rpartition(":")[2]
    command = [sys.executable, "-m", "bench._delay", port, *registry.host.split(":"), str(round_trip), str(rate)]
    process = subprocess.Popen(command)
    try:
        wait_for_port(host)
        yield host
    finally:
        process.terminate()
        process.wait()


def project_of(root: Path, source: str, names: list[str]) -> Path:
    """A repository with one service for each image, based on it."""
    for number, name in enumerate(names):
        directory = root / f"src/service-{number}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "Dockerfile").write_text(f"FROM {source}/{name}\n")
    return root
