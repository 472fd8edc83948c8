"""The uncompressed content of layers: gzip, zstd or none, by their first bytes, as engines tell it."""

import threading
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain

from zstandard import ZstdDecompressor, ZstdError

from build_lib.errors import BuildError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20  # bytes unpacked at once
_LIMIT = 1 << 30  # bytes that any layer may unpack to
_RATIO = 100  # or, if that is more, times its size: gzip reaches 1000 and zstd 30000, with zeros
_ZSTD_WINDOW = 1 << 27  # bytes of memory that a zstd layer may take, as much as zstd --ultra -22
_one_zstd = threading.Lock()  # so that several layers do not take as much each


class CannotUnpack(BuildError):
    """A layer that is damaged, or unpacks to too much."""


def unpacked(chunks: Iterable[bytes], size: int) -> Generator[bytes, None, None]:
    """The content of a layer, whose compressed form is `chunks` and has `size` bytes.

    Raises:
        CannotUnpack: it is damaged, or unpacks to more than is allowed for its size.
    """
    limit, total = max(_LIMIT, size * _RATIO), 0
    try:
        with closing(_unpacked(iter(chunks))) as pieces:
            for piece in pieces:
                total += len(piece)
                if total > limit:
                    raise CannotUnpack(f"unpacks to more than {limit} bytes")
                yield piece
    except (zlib.error, ZstdError) as error:
        raise CannotUnpack(f"cannot be unpacked: {error}") from None


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
