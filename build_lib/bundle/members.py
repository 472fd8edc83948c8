"""The files in a bundle's archive. Anything that `image_layout.stream` would not write is refused."""

import hashlib
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from build_lib.bundle.contents import NAME
from build_lib.bundle.parts import Volume
from build_lib.errors import BadBundle
from build_lib.registry import image_layout

DOCUMENTS = ("oci-layout", "index.json", "manifest.json", NAME)
SUMS = "build-lib.sha256"
BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_USUAL = re.compile(rb"(blobs/sha256/[0-9a-f]{64})\0{23}.{24}([0-7]{11})\0", re.DOTALL)  # the header of a blob
OTHERS = "docker load reads what docker save wrote; ./inv deps-save writes bundles"
_BLOCK = tarfile.BLOCKSIZE
MOST_MEMBERS = 120_000  # 10,000 images of 10 layers
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a directory",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """The position of a file's content in the archive."""

    offset: int  # of its content
    size: int


def members_of(volume: Volume) -> Iterator[tuple[str, Member]]:
    """The archive's files by name; every header is checked to be as `stream` writes it.

    Raises:
        BadBundle: the archive contains anything else, or is cut off.
    """
    if not volume.size:
        raise BadBundle(f"{volume.path} is empty", hint="copy it again")
    names: set[str] = set()
    offset = 0
    while any(block := volume.read(offset, _BLOCK)):
        name, size = _read(volume, offset, block)
        if name in names or len(names) == MOST_MEMBERS:
            fault = f"it has two files named {name}" if name in names else f"more than {MOST_MEMBERS} files"
            raise BadBundle(f"{volume.path} is not a bundle: {fault}")
        names.add(name)
        yield name, Member(offset=offset + _BLOCK, size=size)
        offset += _BLOCK + size + -size % _BLOCK
        if offset > volume.size:
            raise _cut_off(volume, f"in the middle of {name}")
    if volume.size < offset + 2 * _BLOCK:
        raise _cut_off(volume, "before its end")
    if any(any(chunk) for chunk in volume.chunks(offset, volume.size - offset)):
        raise BadBundle(f"{volume.path} is damaged {volume.where(offset)}: there is data after the end of the archive")


def sum_of(name: str, content: bytes) -> str:
    """The line for a document in the format of sha256sum."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def sums_of(documents: Mapping[str, bytes]) -> bytes:
    """The checksums of the documents."""
    return "".join(sum_of(name, content) for name, content in documents.items()).encode()


def _read(volume: Volume, offset: int, block: bytes) -> tuple[str, int]:
    """The name and the size of the file with this header."""
    usual = _USUAL.match(block)
    if usual:  # almost all; what tarfile reads takes as long again
        name, size = usual[1].decode(), int(usual[2], 8)
        if block == image_layout.header(name, size):
            return name, size
    info = _info(volume, offset, block)
    _check_name(volume, info)
    if block != image_layout.header(info.name, info.size):
        raise BadBundle(f"{volume.path} is damaged {volume.where(offset)}: unexpected tar header")
    return info.name, info.size


def _info(volume: Volume, offset: int, block: bytes) -> tarfile.TarInfo:
    if len(block) < _BLOCK and offset:
        raise _cut_off(volume, "in the middle of a header")
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError):
        if offset == 0:
            raise BadBundle(f"{volume.path} is not a bundle: it is not a tar archive", hint=OTHERS) from None
        raise BadBundle(f"{volume.path} is damaged {volume.where(offset)}: not a tar header") from None
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = _KINDS.get(info.type, f"an entry of the type {info.type!r}")
        raise BadBundle(f"{volume.path} is not a bundle: {info.name!r} in it is {kind}", hint=OTHERS)
    if info.size < 0:
        raise BadBundle(f"{volume.path} is not a bundle: {info.name!r} has the size {info.size}", hint=OTHERS)
    return info


def _check_name(volume: Volume, info: tarfile.TarInfo) -> None:
    if info.name in (*DOCUMENTS, SUMS) or BLOB.fullmatch(info.name):
        return
    leads_out = info.name.startswith("/") or ".." in info.name.split("/")
    fault = "points outside the archive" if leads_out else "does not belong in one"
    raise BadBundle(f"{volume.path} is not a bundle: {info.name!r} {fault}", hint=OTHERS)


def _cut_off(volume: Volume, where: str) -> BadBundle:
    return BadBundle(
        f"{volume.path} is cut off: it ends {volume.where(volume.size)}, {where}",
        hint="copy it again, or all its parts",
    )
