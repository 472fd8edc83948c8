"""Debian packages: read whole, so that a damaged one is found before it is published (deb(5), deb-control(5))."""

import hashlib
import tarfile
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

from debian.arfile import ArError, ArFile
from debian.deb822 import Deb822
from debian.debian_support import Version

from build_lib.errors import PackagesError
from build_lib.hub.compression import DAMAGED, OPENERS

_CHUNK = 1 << 20
_LARGEST_CONTROL = 1 << 20  # bytes
_DAMAGED = (ArError, tarfile.TarError, ValueError, KeyError, *DAMAGED)


@dataclass(frozen=True)
class Package:
    """A package file: its control fields, its size in bytes, its SHA-256 in hex, when it was built (Unix time)."""

    file: str
    control: Deb822
    size: int
    sha256: str
    built: int

    @property
    def name(self) -> str:
        """The package's name."""
        return str(self.control["Package"])

    @property
    def architecture(self) -> str:
        """The architecture that it is for, such as `amd64` or `all`."""
        return str(self.control["Architecture"])

    @cached_property
    def version(self) -> Version:
        """Its version, which compares as dpkg compares versions."""
        return Version(self.control["Version"])


def read(path: Path, name: str) -> Package:
    """Read a package to its last byte; `name` is what the file is called.

    Raises:
        PackagesError: it is damaged; names the file and what is wrong.
    """
    try:
        with path.open("rb") as file:
            members = ArFile(fileobj=file)
            _require_whole(members)
            control, built = _control(members)
            _read_through(_member(members, "data.tar"))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Package(file=name, control=control, size=path.stat().st_size, sha256=digest, built=built)
    except _DAMAGED as error:
        raise PackagesError(f"{name} is damaged: {_first_line(error)}", hint="build it again") from None


def _control(members: ArFile) -> tuple[Deb822, int]:
    """The control paragraph, and when the package was built: the time of its first member."""
    first = members.getmembers()[0]
    if first.name != "debian-binary":
        raise ValueError("it is not a Debian package: its first member is not debian-binary")
    with tarfile.open(fileobj=_member(members, "control.tar"), mode="r|") as tar:
        for info in tar:
            if info.name.removeprefix("./") == "control" and info.isfile():
                content = tar.extractfile(info)
                assert content is not None  # of a regular file
                control = Deb822(content.read(_LARGEST_CONTROL))
                missing = [field for field in ("Package", "Version", "Architecture") if not control.get(field)]
                if missing:
                    raise ValueError(f"its control file has no {missing[0]}")
                Version(control["Version"])
                return control, int(first.mtime)
    raise ValueError("it has no control file")


def _require_whole(members: ArFile) -> None:
    """An uncompressed member has nothing else that tells where it ends."""
    for member in members.getmembers():
        member.seek(0)
        if sum(len(chunk) for chunk in iter(lambda: member.read(_CHUNK), b"")) != member.size:  # noqa: B023
            raise ValueError(f"it ends in the middle of {member.name}")
        member.seek(0)


def _member(members: ArFile, name: str) -> Any:
    """A member's content, decompressed."""
    for member in members.getmembers():
        stem, suffix = member.name[: len(name)], member.name[len(name) :]
        if stem == name and suffix in OPENERS:
            return OPENERS[suffix](cast(IO[bytes], member))
    raise ValueError(f"it has no {name}")


def _read_through(content: Any) -> None:
    """Read to the end, which checks what the compression has as checksums."""
    with closing(content):
        while content.read(_CHUNK):
            pass


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").partition("\n")[0] or type(error).__name__
