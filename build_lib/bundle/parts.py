"""Large files, whole or in numbered parts: `F`, or `F.001`, `F.002` … with their checksums in `F.sha256`.

The parts are consecutive pieces of the file: `cat F.[0-9]*` joins them, `sha256sum --check F.sha256` checks them.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from build_lib.errors import BadBundle, BuildError

MOST_PARTS = 999
_CHUNK = 1 << 20
_PART = re.compile(r"\.[0-9]{3}")
_SUM = re.compile(r"([0-9a-f]{64}) [ *]([^/]+)")
_LARGEST_SUMS = 1 << 20  # bytes of a checksum file


class Volume:
    """A file, or its parts joined, which several threads may read at any position."""

    def __init__(self, path: Path, parts: tuple[Path, ...], sums: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._sums = sums or {}
        self.parts = parts
        self._files: list[IO[bytes]] = []
        self._begins: list[int] = []
        self.size = 0
        try:
            for part in parts:
                self._files.append(part.open("rb"))
                self._begins.append(self.size)
                self.size += os.fstat(self._files[-1].fileno()).st_size
        except OSError as error:
            self.close()
            raise BuildError(f"cannot read {part}: {error.strerror}") from error

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file, or its parts if there is no such file. The name of one part stands for all parts.

        Raises:
            BuildError: there is no such file, and no part of it.
            BadBundle: a part is missing, or does not belong to the others.
        """
        if path.is_dir():
            raise BuildError(f"{path} is a directory", hint="-f names a file")
        if path.is_file() and not _PART.fullmatch(path.suffix):
            return cls(path, (path,))
        if _PART.fullmatch(path.suffix):
            path = path.with_suffix("")
        found = matching(path)
        sums = sums_of(path)
        if not found:
            hint = "./inv deps-save writes bundles, ./inv deps-inventory writes inventories"
            raise BuildError(f"there is no {path}, and no {path.name}.001", hint=hint)
        numbers = range(1, max(len(sums), int(found[-1].suffix[1:])) + 1)
        wanted = [path.with_name(f"{path.name}.{number:03}") for number in numbers]
        missing = [part.name for part in wanted if part not in found]
        if missing:
            text = f"parts of {path} are missing: {', '.join(missing)}"
            raise BadBundle(text, hint="put all parts into one directory")
        extra = [part.name for part in found if sums and part.name not in sums]
        if extra:
            raise BadBundle(f"{path} has parts that {path.name}.sha256 does not list: {', '.join(extra)}")
        return cls(path, tuple(wanted), sums)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def read(self, offset: int, size: int) -> bytes:
        """The `size` bytes from `offset` on, or fewer at the end."""
        return b"".join(self.chunks(offset, size))

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """Like `read`, in chunks.

        Raises:
            BuildError: the file cannot be read there.
        """
        end = min(offset + size, self.size)
        while offset < end:
            number = self._number(offset)
            try:
                at = offset - self._begins[number]
                chunk = os.pread(self._files[number].fileno(), min(_CHUNK, end - offset), at)
            except OSError as error:
                raise BuildError(f"cannot read {self.parts[number]}: {error.strerror}") from error
            if not chunk:
                raise BadBundle(f"{self.parts[number]} became shorter while it was read")
            yield chunk
            offset += len(chunk)

    def where(self, offset: int) -> str:
        """A position as text: the byte, and the part that contains it."""
        if len(self.parts) == 1 or offset >= self.size:
            return f"at byte {offset}"
        number = self._number(offset)
        return f"at byte {offset - self._begins[number]} of {self.parts[number].name}"

    @property
    def checked_parts(self) -> tuple[int, ...]:
        """The numbers of the parts with a checksum: all parts, or none."""
        return tuple(range(len(self.parts))) if self._sums else ()

    def part_problem(self, number: int, seen: Callable[[int], None] = lambda _count: None) -> str:
        """The problem with a part according to its checksum, or "". `seen` is called with the count of bytes read."""
        name, digest = self.parts[number].name, hashlib.sha256()
        end = self._begins[number + 1] if number + 1 < len(self._begins) else self.size
        for chunk in self.chunks(self._begins[number], end - self._begins[number]):
            digest.update(chunk)
            seen(len(chunk))
        found = digest.hexdigest()
        other = next((other for other, wanted in self._sums.items() if wanted == found), None)
        if found == self._sums[name]:
            return ""
        if other is not None:
            return f"{name} is what {other} should be: the parts are in the wrong order"
        return f"{name} is damaged: its checksum is not the one in {self.path.name}.sha256"

    def wrong_parts(self) -> list[str]:
        """The problems of all parts."""
        return [problem for number in self.checked_parts if (problem := self.part_problem(number))]

    def _number(self, offset: int) -> int:
        return max(number for number, begin in enumerate(self._begins) if begin <= offset)


def matching(path: Path) -> list[Path]:
    """The existing parts of this file, in order."""
    found = (each for each in path.parent.glob("*") if each.name[: -len(".001")] == path.name)
    return sorted(each for each in found if _PART.fullmatch(each.suffix))


def sums_of(path: Path) -> dict[str, str]:
    """The checksums of the parts by name; empty if there is no checksum file.

    Raises:
        BadBundle: the file is not a list of checksums of these parts.
    """
    file = path.with_name(f"{path.name}.sha256")
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_SUMS).decode(errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BuildError(f"cannot read {file}: {error.strerror}") from error
    found = [_SUM.fullmatch(line) for line in text.splitlines()]
    sums = {match[2]: match[1] for match in found if match}
    if len(sums) != len(found) or list(sums) != [f"{path.name}.{number:03}" for number in range(1, len(sums) + 1)]:
        raise BadBundle(
            f"{file} is damaged: it does not list {path.name}.001 and so on",
            hint="without this file, the parts can still be read",
        )
    return sums
