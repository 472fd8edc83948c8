"""Reading what packages and indexes are compressed with, by the ending of their names."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any

import zstandard

OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "": lambda file: file,
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
    ".lzma": lzma.LZMAFile,
    ".zst": lambda file: zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True),
}
DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)  # what reading damaged content raises
