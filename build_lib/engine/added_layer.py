"""An image with one more layer and nothing else changed: not its command, user or labels, nor any other setting.

The classic builder would run the image's ONBUILD instructions, and a commit writes settings of its container into the
image. So the image's own config gets the new layer and a line of history, and the result is loaded.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from build_lib.engine import saved_images
from build_lib.engine.client import Engine
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Descriptor, Loadable, image_layout

_CHUNK = 1 << 20


def add_layer(image: Reference, layer: IO[bytes], name: Reference, engine: Engine, *, created_by: str) -> None:
    """Load the image with a layer on top under another name; `layer` is an uncompressed tar archive.

    `created_by` is the layer's line in the image's history.

    Raises:
        EngineError: there is no such image, or the engine refuses the new one.
    """
    top = _layer(layer)
    with tempfile.TemporaryDirectory() as scratch:
        blobs = BlobStore(Path(scratch))
        if engine.keeps_content():
            base = saved_images.export(image, engine, blobs, Path(scratch) / "layers")
            config, below = b"".join(blobs.chunks(base.blobs[0])), base.blobs[1:]
            held: frozenset[str] = frozenset()
        else:  # the store has these layers on top of each other, so they are only named
            config = saved_images.config(image, engine)
            below = tuple(saved_images.layer(digest, 0) for digest in json.loads(config)["rootfs"]["diff_ids"])
            held = frozenset(blob.digest for blob in below) - {top.digest}
        config = with_layer(config, top.digest, created_by)
        manifest = saved_images.manifest(config, (*below, top))

        def content(blob: Descriptor) -> Iterator[bytes]:
            if blob == manifest.blobs[0]:
                return iter((config,))
            return _chunks(layer) if blob.digest == top.digest else blobs.chunks(blob)

        loadable = Loadable(name=name, manifests=(manifest,), image=manifest)
        engine.streams.load(image_layout.stream([loadable], content, leave_out=held))


def with_layer(config: bytes, diff_id: str, created_by: str) -> bytes:
    """An image's config with one more layer, and a line about it in the history."""
    content = json.loads(config)
    content["rootfs"]["diff_ids"].append(diff_id)
    created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    content.setdefault("history", []).append({"created": created, "created_by": created_by})
    return json.dumps(content, separators=(",", ":")).encode()


def _layer(file: IO[bytes]) -> Descriptor:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(file):
        digest.update(chunk)
        size += len(chunk)
    return saved_images.layer(f"sha256:{digest.hexdigest()}", size)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
