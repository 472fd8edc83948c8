"""RPM packages: read whole, so that a damaged one is found before it is published.

The format is https://rpm-software-management.github.io/rpm/manual/format_v4.html: a lead, a header with signatures, a
header with the package's fields, which may have the payload's digest, and the payload.
"""

import hashlib
import struct
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from build_lib.errors import PackagesError

_LEAD = 96  # bytes
_MAGIC = b"\xed\xab\xee\xdb"
_HEADER = b"\x8e\xad\xe8\x01"
_LARGEST_HEADER = 256 << 20  # bytes, as rpm itself
_SIZE, _LONG_SIZE = 1000, 270  # of header and payload together: fields of the signatures' header
_PAYLOAD_DIGEST, _PAYLOAD_DIGEST_KIND = 5092, 5093  # fields of the package's header
_KINDS = {8: "sha256", 9: "sha384", 10: "sha512"}  # of digests, RFC 9580, section 9.5


def require_whole(path: Path, name: str) -> None:
    """Read a package to its last byte; `name` is what the file is called.

    Raises:
        PackagesError: it is damaged; names the file and what is wrong.
    """
    try:
        with path.open("rb") as file:
            _check(file, path.stat().st_size)
    except (ValueError, struct.error, UnicodeDecodeError) as error:
        raise PackagesError(f"{name} is damaged: {error}", hint="build it again") from None


def _check(file: BufferedReader, size: int) -> None:
    if file.read(_LEAD)[:4] != _MAGIC:
        raise ValueError("it is not an RPM package")
    signatures = _Header.read(file)
    file.seek(-file.tell() % 8, 1)
    began = file.tell()
    header = _Header.read(file)
    told = signatures.number(_SIZE) or signatures.number(_LONG_SIZE)
    if told and size - began != told:
        raise ValueError(f"it has {size} bytes, and should have {began + told}")
    kind, wanted = header.number(_PAYLOAD_DIGEST_KIND), header.text(_PAYLOAD_DIGEST)
    if kind in _KINDS and hashlib.file_digest(file, _KINDS[kind]).hexdigest() != wanted:
        raise ValueError("its payload does not match its digest")


@dataclass(frozen=True, slots=True)
class _Header:
    """The fields of a header: type and place of each in its store, by tag."""

    fields: dict[int, tuple[int, int]]
    store: bytes

    @classmethod
    def read(cls, file: BufferedReader) -> "_Header":
        magic, count, length = struct.unpack(">4s4xII", file.read(16))
        if magic != _HEADER or 16 * count + length > _LARGEST_HEADER:
            raise ValueError("it has no valid header")
        fields = {tag: (kind, at) for tag, kind, at, _ in struct.iter_unpack(">IIII", file.read(16 * count))}
        store = file.read(length)
        if len(store) != length:
            raise ValueError("it ends in its header")
        return cls(fields, store)

    def number(self, tag: int) -> int:
        """A whole number of 32 or 64 bits; 0 if there is no such field."""
        kind, at = self.fields.get(tag, (0, 0))
        forms = {4: ">I", 5: ">Q"}
        return int(struct.unpack_from(forms[kind], self.store, at)[0]) if kind in forms else 0

    def text(self, tag: int) -> str:
        """The first string of a field; "" if there is no such field."""
        kind, at = self.fields.get(tag, (0, 0))
        return self.store[at : self.store.index(b"\0", at)].decode() if kind else ""
