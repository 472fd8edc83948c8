"""Whether layers unpack to what the configs of their images say: an engine refuses to load those that do not.

A manifest names a layer by the digest of its compressed form, a config by that of its uncompressed form (`diff_ids`,
config.md of the OCI image specification). Nothing but unpacking the layer shows whether the two belong together.
"""

import hashlib
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain

from zstandard import ZstdDecompressor, ZstdError

from build_lib.engine import NotLoadable, load_plan
from build_lib.errors import BuildError
from build_lib.registry import IMAGE_CONFIGS, Manifest, is_sha256

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20  # bytes unpacked at once
_UNPACKED_LIMIT = 1 << 30  # bytes that any layer may unpack to
_UNPACKED_RATIO = 100  # or, if that is more, times its size: gzip reaches 1000 and zstd 30000, with zeros
_ZSTD_WINDOW = 1 << 27  # bytes of memory that a zstd layer may take, as much as zstd --ultra -22
_one_zstd = threading.Lock()  # so that several layers do not take as much each


class _CannotUnpack(BuildError):
    """A layer that is damaged, or unpacks to too much."""


def diff_ids(manifest: Manifest, config: bytes) -> tuple[str, ...]:
    """The digests of an image's uncompressed layers, one for each layer; none for an artifact, which is not loaded.

    Raises:
        NotLoadable: the config does not list them.
    """
    if manifest.blobs[0].media_type not in IMAGE_CONFIGS:
        return ()
    found = load_plan.diff_ids_of(config)
    if not all(map(is_sha256, found)):
        raise NotLoadable("its config names no layers")
    if len(found) != len(manifest.blobs) - 1:
        raise NotLoadable("its config and its manifest differ in their layers")
    return found


class Layers:
    """The layers of images, and what the images' configs say that they unpack to. Safe to use from several threads.

    `problems` are the reasons why images cannot be loaded, as far as that is known.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._wanted: dict[str, dict[str, str]] = {}  # by the layer's digest, an image for each `diff_id`

    def add(self, image: str, manifest: Manifest, config: bytes) -> None:
        """Add the layers of an image, as its config describes them."""
        try:
            found = diff_ids(manifest, config)
        except NotLoadable as error:
            self.problems.append(f"{image}: {error.message}")
        else:
            self.expect(image, [layer.digest for layer in manifest.blobs[1:]], found)

    def expect(self, image: str, layers: Sequence[str], diff_ids: Sequence[str]) -> None:
        """Add the layers of an image, lowest first. Those of an artifact have no `diff_ids`."""
        for layer, diff_id in zip(layers, diff_ids, strict=bool(diff_ids)):
            self._wanted.setdefault(layer, {}).setdefault(diff_id, image)

    def unpack(self, layer: str, size: int, chunks: Iterable[bytes]) -> None:
        """Compare what the layer with this digest and size unpacks to, if it is one. Not all chunks may be read."""
        wanted = self._wanted.get(layer)
        if wanted is None:
            return
        try:
            found = unpacked_digest(chunks, size)
        except _CannotUnpack as error:
            self.problems.append(f"{', '.join(wanted.values())}: the layer {layer} {error.message}")
            return
        for diff_id, image in wanted.items():
            if diff_id != found:
                text = f"{image}: the layer {layer} unpacks to {found}, but its config says {diff_id}"
                self.problems.append(text)


def unpacked_digest(chunks: Iterable[bytes], size: int) -> str:
    """The digest of the content of a layer, whose compressed form is `chunks` and has `size` bytes.

    Raises:
        _CannotUnpack: it is damaged, or unpacks to more than is allowed for its size.
    """
    limit = max(_UNPACKED_LIMIT, size * _UNPACKED_RATIO)
    digest, total = hashlib.sha256(), 0
    try:
        with closing(_unpacked(iter(chunks))) as pieces:
            for piece in pieces:
                total += len(piece)
                if total > limit:
                    raise _CannotUnpack(f"unpacks to more than {limit} bytes")
                digest.update(piece)
    except (zlib.error, ZstdError) as error:
        raise _CannotUnpack(f"cannot be unpacked: {error}") from None
    return f"sha256:{digest.hexdigest()}"


def _unpacked(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The uncompressed content, by the first bytes of the compressed one, as engines tell it."""
    head = next(chunks, b"")
    whole = chain((head,), chunks)
    if head.startswith(_GZIP):
        yield from _gunzipped(whole)
    elif head.startswith(_ZSTD):
        with _one_zstd:
            yield from _unzstd(whole)
    else:
        yield from whole


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of all members of a gzip stream."""
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    for chunk in chain(chunks, (b"",)):
        rest = chunk
        while True:
            if unpack.eof and rest:
                unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            piece = unpack.decompress(rest, _PIECE)
            rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
            if piece:
                yield piece
            elif not rest:
                break
    if not unpack.eof:
        raise zlib.error("it ends early")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpack = ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    with unpack.stream_reader(_File(chunks), read_across_frames=True) as reader:  # type: ignore[arg-type]
        while piece := reader.read(_PIECE):
            yield piece


class _File:
    """Chunks as zstandard reads them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int) -> bytes:
        return next(self._chunks, b"")
