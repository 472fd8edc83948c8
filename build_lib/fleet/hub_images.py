"""copy-slurm's images in the build registry: read from their layers, and made there with one more layer."""

import gzip
import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from build_lib.engine import with_layer
from build_lib.errors import PackagesError, RegistryError
from build_lib.fleet.image_files import ImageFiles, unpack
from build_lib.fleet.layout import Layout
from build_lib.fleet.registry_store import RegistryStore, Stored
from build_lib.hub import CREATED_BY
from build_lib.reference import Reference
from build_lib.registry import DOCKER_MANIFEST, Descriptor, Manifest, Registries, digest_of, write_names

_CHUNK = 1 << 20
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class HubImages:
    """See hub.Images. What is built, or is being made, is known to the store; other names are written at once.

    Layers are kept in the directory `scratch`, because the same images are read several times.
    """

    def __init__(self, store: RegistryStore, registries: Registries | Layout, release: str, scratch: Path) -> None:
        self._store = store
        self._registries = registries
        self._release = release
        self._scratch = scratch

    def has(self, name: Reference) -> bool:
        """See hub.Images."""
        return self._store.digest(name) is not None

    def layers(self, name: Reference) -> tuple[str, ...]:
        """See hub.Images."""
        return self._stored(name).layers

    @contextmanager
    def opened(self, name: Reference) -> Iterator[ImageFiles]:
        """See hub.Images."""
        stored = self._stored(name)
        with ImageFiles([self._layer(stored.place, blob) for blob in stored.manifest.blobs[1:]]) as files:
            yield files

    def add_layer(self, image: Reference, layer: IO[bytes], name: Reference) -> None:
        """See hub.Images."""
        stored = self._stored(image)
        with tempfile.TemporaryFile() as packed:
            diff_id, size, digest = _packed(layer, packed)
            kind = _DOCKER_LAYER if stored.manifest.media_type == DOCKER_MANIFEST else _LAYER
            top = Descriptor(digest=digest, size=size, media_type=kind)
            config = with_layer(stored.config_bytes, diff_id, CREATED_BY)
            own = replace(stored.manifest.blobs[0], digest=digest_of(config), size=len(config))
            self._registries.put_blob(stored.place, top, lambda: _chunks(packed))
            self._registries.put_blob(stored.place, own, lambda: [config])
        manifest = _manifest(stored.manifest, own, top)
        self._registries.put_manifest(stored.place, manifest.digest, manifest)
        self._store.hold(name, manifest.digest)

    def tag(self, image: Reference, name: Reference) -> None:
        """See hub.Images. The release's own name is written last, with those of all services."""
        digest = self._store.digest(image)
        if digest is None:
            raise RegistryError(f"{self._store.registry} does not have {image}")
        if name.tag == self._release:
            self._store.put(name, digest)
            return
        place = self._store.place(name)
        before = self._registries.resolve(place)
        write_names(
            self._registries, [place], self._registries.manifest(place, digest), occupied=[place] if before else []
        )
        self._store.hold(name, digest)

    def keep(self, image: Reference) -> None:
        """See hub.Images: the registry keeps it."""

    def remove(self, name: Reference) -> None:
        """See hub.Images: names of images that are being made are in no registry."""
        self._store.forget(name)

    def remove_leftovers(self, target: Reference, prefix: str) -> None:
        """See hub.Images: there are none."""

    def _layer(self, place: Reference, blob: Descriptor) -> Path:
        """The layer, uncompressed."""
        path = self._scratch / blob.digest.replace(":", "-")
        if not path.exists():
            unpack(self._registries.blob(place, blob), blob.size, path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        return path

    def _stored(self, name: Reference) -> Stored:
        stored = self._store.stored(name)
        if stored is None:
            raise RegistryError(f"{self._store.registry} does not have {name}")
        if stored.several:
            raise PackagesError(
                f"{name} is for several platforms, and copy-slurm adds packages to images of one",
                hint="name one in PLATFORM, or build the hub alone for one: PLATFORM=linux/amd64 ./inv build-all",
            )
        return stored


def _packed(layer: IO[bytes], packed: IO[bytes]) -> tuple[str, int, str]:
    """Compress a layer: the digest of what it was, and the size and the digest of what it is. The same each time."""
    diff_id = hashlib.sha256()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        for chunk in _chunks(layer):
            diff_id.update(chunk)
            file.write(chunk)
    digest = hashlib.sha256()
    for chunk in _chunks(packed):
        digest.update(chunk)
    return f"sha256:{diff_id.hexdigest()}", packed.tell(), f"sha256:{digest.hexdigest()}"


def _manifest(below: Manifest, config: Descriptor, top: Descriptor) -> Manifest:
    content: dict[str, Any] = json.loads(below.body)
    content["config"] = {**content["config"], "digest": config.digest, "size": config.size}
    content["layers"].append(top.to_json())
    return Manifest.read(json.dumps(content, separators=(",", ":")).encode(), below.media_type)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
