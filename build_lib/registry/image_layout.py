"""Images outside of engines and registries: directories and archives that can be loaded without another program.

The formats are the OCI image layout (image-layout.md of the OCI image specification) and the archive of
`docker save`, of which an engine with the classic store reads `manifest.json`, and one with the containerd store
`index.json`. Archives written here follow both formats.
"""

import json
import secrets
import tarfile
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from build_lib.reference import Reference
from build_lib.registry.blob_store import BlobStore, Check, hex_of
from build_lib.registry.manifests import OCI_INDEX, Descriptor, Manifest

_NOT_FOR_CLASSIC = ("zstd", "foreign", "nondistributable")  # in media types of layers; Docker 20.10 fails with EOF


@dataclass(frozen=True, kw_only=True, slots=True)
class Loadable:
    """An image, and the name that it gets when it is loaded."""

    name: Reference
    manifests: tuple[Manifest, ...]  # first what the name resolves to, then those of its platforms
    image: Manifest  # for the engine's platform; the classic store keeps only this one


def write_layout(directory: Path, images: Sequence[Loadable]) -> None:
    """Write the index and the manifests of these images, so that the directory becomes an image layout.

    The other blobs belong in `BlobStore.of_layout`. They may be added before or after.
    """
    blobs = BlobStore.of_layout(directory)
    for manifest in _manifests(images):
        blobs.fetch(manifest.descriptor, partial(_from, manifest.body))
    for name, content in documents_of(images).items():
        _replace(directory / name, content)


def not_for_classic(manifest: Manifest) -> str:
    """The media type of the first layer that an engine with the classic store cannot load; "" if there is none."""
    odd = (blob.media_type for blob in manifest.blobs[1:] if any(word in blob.media_type for word in _NOT_FOR_CLASSIC))
    return next(odd, "")


def contents(images: Sequence[Loadable], leave_out: Collection[str] = ()) -> tuple[Descriptor, ...]:
    """All configs and layers, each once, in the order in which `stream` reads them, but no layers in `leave_out`."""
    found: dict[str, Descriptor] = {}
    for manifest in _manifests(images):
        layers = (layer for layer in manifest.blobs[1:] if layer.digest not in leave_out)
        for blob in (*manifest.blobs[:1], *layers):
            found.setdefault(blob.digest, blob)
    return tuple(found.values())


def stream(
    images: Sequence[Loadable],
    open_blob: Callable[[Descriptor], Iterable[bytes]],
    *,
    leave_out: Collection[str] = (),
    documents: Mapping[str, bytes] | None = None,
    others: Sequence[Descriptor] = (),
) -> Generator[bytes, None, None]:
    """A tar archive that is both an image layout and an archive for `docker load`. The same input gives the same bytes.

    The archive begins with `documents`, by default those of `documents_of`. It ends with `others`, blobs that are in no
    image: whoever loads the images passes them over.

    Layers in `leave_out` are not written. The classic store accepts this only for layers that it already has on top of
    the same lower layers: leave out only the lowest layers of an image, as a chain that the store has.

    Raises:
        WrongContent, Truncated: the content from `open_blob` does not match its descriptor; the archive is incomplete.
    """
    for name, content in (documents_of(images) if documents is None else documents).items():
        yield from _member(name, len(content), (content,))
    for manifest in _manifests(images):
        yield from _member(_blob(manifest.descriptor), len(manifest.body), (manifest.body,))
    for blob in (*contents(images, leave_out), *others):
        yield from _member(_blob(blob), blob.size, Check(blob).passing(open_blob(blob)))
    yield bytes(2 * tarfile.BLOCKSIZE)


def archive_size(
    images: Sequence[Loadable],
    documents: Mapping[str, bytes],
    leave_out: Collection[str],
    others: Sequence[Descriptor] = (),
) -> int:
    """The size in bytes of the archive that `stream` writes for these arguments."""
    sizes = [len(content) for content in documents.values()]
    sizes += [len(manifest.body) for manifest in _manifests(images)]
    sizes += [blob.size for blob in (*contents(images, leave_out), *others)]
    return sum(tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE for size in sizes) + 2 * tarfile.BLOCKSIZE


def _from(content: bytes, offset: int) -> Iterable[bytes]:
    return (content[offset:],)


def documents_of(images: Sequence[Loadable]) -> dict[str, bytes]:
    """The files that describe an image layout, by name.

    `manifest.json`, which only the classic store reads, omits the images that this store cannot load, so that it loads
    the others.
    """
    documents: dict[str, Any] = {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_listed(image) for image in images]},
        "manifest.json": [loaded(image) for image in images if not not_for_classic(image.image)],
    }
    return {name: json.dumps(content, separators=(",", ":")).encode() for name, content in documents.items()}


def _listed(image: Loadable) -> dict[str, Any]:
    top, name = image.manifests[0].descriptor, image.name
    full = name.with_tag(name.tag).canonical if name.tag else name.canonical
    notes = {"io.containerd.image.name": full, "org.opencontainers.image.ref.name": full}
    return {"mediaType": top.media_type, "digest": top.digest, "size": top.size, "annotations": notes}


def loaded(image: Loadable) -> dict[str, Any]:
    """The image's entry in `manifest.json`."""
    config, *layers = map(_blob, image.image.blobs)
    tags = [str(image.name.with_tag(image.name.tag))] if image.name.tag else []
    return {"Config": config, "RepoTags": tags, "Layers": layers}


def _manifests(images: Sequence[Loadable]) -> tuple[Manifest, ...]:
    """All manifests, each once."""
    return tuple({each.digest: each for image in images for each in (*image.manifests, image.image)}.values())


def _member(name: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A regular file in the archive: mode 0644, owned by root, dated 1970. GNU headers have no limit on sizes."""
    yield header(name, size)
    yield from chunks
    if size % tarfile.BLOCKSIZE:
        yield bytes(-size % tarfile.BLOCKSIZE)


def header(name: str, size: int) -> bytes:
    """The tar header of a file, as `stream` writes it."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _blob(descriptor: Descriptor) -> str:
    return f"blobs/sha256/{hex_of(descriptor)}"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
