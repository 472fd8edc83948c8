"""Images that no registry has, out of what `docker save` writes, in the form in which a registry would have them."""

import hashlib
import json
import posixpath
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from build_lib.engine.client import Engine
from build_lib.errors import EngineError
from build_lib.reference import Reference
from build_lib.registry import OCI_MANIFEST, BlobStore, Descriptor, Manifest, cannot_write, digest_of

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LARGEST_DOCUMENT = 16 << 20  # bytes
_CHUNK = 1 << 20


def export(image: Reference, engine: Engine, blobs: BlobStore, scratch: Path) -> Manifest:
    """The image's manifest, made here; its config and its layers are then in `blobs`.

    The engine keeps neither the manifest nor the compressed layers of what it has (the classic store), so both are new:
    layers are compressed, always to the same bytes. `scratch` is a directory for temporary files.

    Raises:
        EngineError: there is no such image, or the engine saved it in an unknown form.
        BuildError: the blobs cannot be written.
    """
    saved = _Saved(blobs, scratch)
    for member, file in engine.streams.saved(str(image)):
        if file is not None:
            saved.add(member.name, file)
        elif member.issym() or member.islnk():  # a layer that came before
            base = posixpath.dirname(member.name) if member.issym() else ""
            saved.links[member.name] = posixpath.normpath(posixpath.join(base, member.linkname))
    return saved.manifest(image)


def config(image: Reference, engine: Engine) -> bytes:
    """The image's config, byte for byte; the layers are read past.

    Raises:
        EngineError: there is no such image, or the engine wrote something else than an image.
    """
    documents = {}
    for member, file in engine.streams.saved(str(image)):
        if file is not None and member.size <= _LARGEST_DOCUMENT:
            head = file.read(1)
            if head in (b"{", b"["):
                documents[member.name] = head + file.read()
    try:
        [item] = json.loads(documents["manifest.json"])
        return documents[item["Config"]]
    except (KeyError, ValueError, TypeError) as error:
        raise EngineError(f"the engine saved {image} in a form that is not known: {error!r}") from None


def manifest(config: bytes, layers: Sequence[Descriptor]) -> Manifest:
    """A manifest of an image with this config and these layers, lowest first."""
    content = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(digest=digest_of(config), size=len(config), media_type=_CONFIG).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return Manifest.read(json.dumps(content, separators=(",", ":")).encode(), OCI_MANIFEST)


def layer(digest: str, size: int) -> Descriptor:
    """An uncompressed layer."""
    return Descriptor(digest=digest, size=size, media_type=_LAYER)


class _Saved:
    """The files of the archive of one image."""

    def __init__(self, blobs: BlobStore, scratch: Path) -> None:
        self.links: dict[str, str] = {}
        self._blobs = blobs
        self._scratch = scratch
        self._layers: dict[str, Descriptor] = {}
        self._documents: dict[str, bytes] = {}

    def add(self, name: str, file: IO[bytes]) -> None:
        """Read a file: Docker 20.10 has `ID/layer.tar` and JSON beside it, newer ones `blobs/sha256/DIGEST`."""
        head = file.read(_CHUNK)
        if posixpath.basename(name) == "layer.tar" or (name.startswith("blobs/") and head[:1] not in (b"{", b"[")):
            self._layers[name] = self._keep(head, file)
        else:
            self._documents[name] = head + file.read(_LARGEST_DOCUMENT - len(head))

    def manifest(self, image: Reference) -> Manifest:
        try:
            [item] = json.loads(self._documents["manifest.json"])
            config = self._documents[item["Config"]]
            layers = [self._layers[self.links.get(name, name)] for name in item["Layers"]]
        except (KeyError, ValueError, TypeError) as error:
            raise EngineError(f"the engine saved {image} in a form that is not known: {error!r}") from None
        made = manifest(config, layers)
        self._blobs.fetch(made.blobs[0], lambda offset: (config[offset:],))
        return made

    def _keep(self, head: bytes, file: IO[bytes]) -> Descriptor:
        """Put a layer into the blob store; its digest is known only when it is compressed."""
        pack, suffix = _packing(head)
        digest, size = hashlib.sha256(), 0
        try:
            self._scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._scratch) as packed:
                for chunk in pack(_chunks(head, file)):
                    digest.update(chunk)
                    size += packed.write(chunk)
                packed_layer = Descriptor(
                    digest=f"sha256:{digest.hexdigest()}", size=size, media_type=f"{_LAYER}{suffix}"
                )
                self._blobs.fetch(packed_layer, lambda offset: _from(packed, offset))
        except OSError as error:
            raise cannot_write(self._scratch, error) from error
        return packed_layer


def _packing(head: bytes) -> tuple[Callable[[Iterable[bytes]], Iterable[bytes]], str]:
    """How a layer is to be compressed, and what its media type then ends in: a compressed one stays as it is."""
    if head.startswith(_GZIP):
        return iter, "+gzip"
    if head.startswith(_ZSTD):
        return iter, "+zstd"
    return _gzipped, "+gzip"


def _gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """With no time and no name in it: the same layer gives the same bytes."""
    pack = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for chunk in chunks:
        yield pack.compress(chunk)
    yield pack.flush()


def _chunks(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := file.read(_CHUNK):
        yield chunk


def _from(file: IO[bytes], offset: int) -> Iterator[bytes]:
    file.seek(offset)
    while chunk := file.read(_CHUNK):
        yield chunk
