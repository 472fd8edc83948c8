"""Large files, whole or in numbered parts: `F`, or `F.001`, `F.002` … with their checksums in `F.sha256`.

The parts are the file, cut: `cat F.[0-9]*` joins them, and `sha256sum --check F.sha256` checks them.
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
_LARGEST_SUMS = 1 << 20  # bytes of a file of checksums


class Volume:
    """A file or its parts, joined; may be read at any place by several threads."""

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
        """Open a file, or its parts where it is not there as one; a part's name stands for all of them.

        Raises:
            BuildError: there is no such file.
            BadBundle: a part is missing.
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
            raise BadBundle(f"{', '.join(missing)} of {path} is missing", hint="all parts belong into one directory")
        extra = [part.name for part in found if sums and part.name not in sums]
        if extra:
            raise BadBundle(f"{', '.join(extra)} is no part of {path}: {path.name}.sha256 does not name it")
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
        """So many bytes from there on; fewer only at the end."""
        return b"".join(self.chunks(offset, size))

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """The same, in pieces.

        Raises:
            BuildError: the medium cannot be read there.
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
        """A place in words: the byte, and in which part it is."""
        if len(self.parts) == 1 or offset >= self.size:
            return f"at byte {offset}"
        number = self._number(offset)
        return f"at byte {offset - self._begins[number]} of {self.parts[number].name}"

    @property
    def checked_parts(self) -> tuple[int, ...]:
        """The numbers of the parts that have a checksum: all or none."""
        return tuple(range(len(self.parts))) if self._sums else ()

    def part_problem(self, number: int, seen: Callable[[int], None] = lambda _count: None) -> str:
        """What is wrong with a part, by its checksum, in words, or ""; `seen` hears of bytes as they are read."""
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
        return f"{name} is damaged: its checksum is not that of {self.path.name}.sha256"

    def wrong_parts(self) -> list[str]:
        """What is wrong with any of them."""
        return [problem for number in self.checked_parts if (problem := self.part_problem(number))]

    def _number(self, offset: int) -> int:
        return max(number for number, begin in enumerate(self._begins) if begin <= offset)


def matching(path: Path) -> list[Path]:
    """The parts of this file that are there, in order."""
    found = (each for each in path.parent.glob("*") if each.name[: -len(".001")] == path.name)
    return sorted(each for each in found if _PART.fullmatch(each.suffix))


def sums_of(path: Path) -> dict[str, str]:
    """The checksums of the parts by their names; none where there is no such file.

    Raises:
        BadBundle: it is no list of checksums of these parts.
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
            f"{file} is damaged: it does not list {path.name}.001 and so on", hint="without it, the parts can be read"
        )
    return sums
