"""Images made by hand, of any form, and written into a real registry by our own client."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from build_lib.reference import Reference
from build_lib.registry import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, Registries, digest_of

TAR = "application/vnd.oci.image.layer.v1.tar"  # a layer that is not compressed
ZSTD_LAYER = f"{TAR}+zstd"
_LAYER_TYPES = {
    DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
}
_CONFIG_TYPES = {
    DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json",
    OCI_MANIFEST: "application/vnd.oci.image.config.v1+json",
}


@dataclass(frozen=True)
class Made:
    """A manifest and the content of its blobs."""

    manifest: Manifest
    blobs: tuple[bytes, ...]
    platform: str

    @property
    def size(self) -> int:
        """Bytes, of all."""
        return sum(map(len, (self.manifest.body, *self.blobs)))


def layer(**files: str | bytes) -> bytes:
    """A gzipped layer; a name's __ stands for /."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(archive.getvalue(), mtime=0)


def make(
    layers: Sequence[bytes],
    *,
    kind: str = OCI_MANIFEST,
    say_kind: bool = True,
    platform: str = "linux/amd64",
    layer_type: str = "",
) -> Made:
    """An image of these layers, gzipped ones unless `layer_type` says otherwise."""
    ids = [digest_of(_unpacked(item)) for item in layers]
    system, architecture = platform.split("/")[:2]
    config = json.dumps(
        {"os": system, "architecture": architecture, "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
    ).encode()
    content: dict[str, Any] = {"schemaVersion": 2}
    if say_kind:
        content["mediaType"] = kind
    content["config"] = _descriptor(config, _CONFIG_TYPES[kind])
    content["layers"] = [_descriptor(item, layer_type or _LAYER_TYPES[kind]) for item in layers]
    # unusual white space: a copy that parses and prints changes the digest
    return Made(Manifest.read(json.dumps(content, indent=3).encode(), kind), (config, *layers), platform)


def make_zstd() -> Made:
    """An image whose layer is packed with zstd."""
    return make([zstandard.compress(gzip.decompress(layer(mark="zstd")))], layer_type=ZSTD_LAYER)


def _unpacked(item: bytes) -> bytes:
    if item.startswith(b"\x1f\x8b"):
        return gzip.decompress(item)
    return zstandard.decompress(item) if item.startswith(zstandard.FRAME_HEADER) else item


def index(*images: Made) -> Manifest:
    """An OCI index of them."""
    listed = []
    for image in images:
        system, architecture = image.platform.split("/")[:2]
        found = _descriptor(image.manifest.body, image.manifest.media_type)
        listed.append(found | {"platform": {"os": system, "architecture": architecture}})
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}, indent=1).encode()
    return Manifest.read(body, OCI_INDEX)


def write(registries: Registries, place: str, *images: Made, top: Manifest | None = None) -> str:
    """Write images under a name; the name stands for `top`, or for the last of them. Its digest."""
    reference = Reference.parse(place)
    for image in images:
        for blob, content in zip(image.manifest.blobs, image.blobs, strict=True):
            registries.put_blob(reference, blob, lambda content=content: [content])  # type: ignore[misc]
        registries.put_manifest(reference, image.manifest.digest, image.manifest)
    top = top or images[-1].manifest
    registries.put_manifest(reference, reference.tag or "latest", top)
    return top.digest


def write_large(registries: Registries, place: str, size: int) -> Descriptor:
    """Write an image of one layer, a file `large` of so many bytes, never in memory as a whole; the layer."""
    content = _Large(size)
    digest = hashlib.sha256()
    for chunk in content:
        digest.update(chunk)
    layer_ = Descriptor(digest=f"sha256:{digest.hexdigest()}", size=content.size, media_type=TAR)
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer_.digest]},
        }
    ).encode()
    listed = {"mediaType": TAR, "digest": layer_.digest, "size": layer_.size}
    body = {"schemaVersion": 2, "config": _descriptor(config, _CONFIG_TYPES[OCI_MANIFEST]), "layers": [listed]}
    manifest = Manifest.read(json.dumps(body).encode(), OCI_MANIFEST)
    reference = Reference.parse(place)
    registries.put_blob(reference, layer_, lambda: content)
    registries.put_blob(reference, manifest.blobs[0], lambda: [config])
    registries.put_manifest(reference, reference.tag or "latest", manifest)
    return layer_


class _Large:
    """A tar archive of one file, whose bytes are the same each time."""

    def __init__(self, size: int) -> None:
        info = tarfile.TarInfo("large")
        info.size = size
        self.header = info.tobuf()
        self.content = size
        self.end = bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
        self.size = len(self.header) + size + len(self.end)

    def __iter__(self) -> Iterator[bytes]:
        yield self.header
        block, left = hashlib.sha256(b"large").digest() * (1 << 15), self.content
        while left:
            yield block[:left]
            left -= min(left, len(block))
        yield self.end


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def two_platforms() -> tuple[list[Made], Manifest]:
    images = [make([layer(name=platform)], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    return images, index(*images)


FORMS: dict[str, tuple[list[Made], Manifest | None]] = {
    "docker schema 2": ([make([layer(a="1")], kind=DOCKER_MANIFEST)], None),
    "oci": ([make([layer(a="2")])], None),
    "two platforms": two_platforms(),
    "no mediaType": ([make([layer(a="3")], say_kind=False)], None),
    "zstd": ([make_zstd()], None),
    "40 layers": ([make([layer(**{f"f{number}": str(number)}) for number in range(40)])], None),
    "the same empty layer twice": ([make([layer(), layer(b="1"), layer()])], None),
}
