"""The files of an image, read from its layers without an engine.

Layers are applied as the image specification has it (layer.md, "Changesets"): a later entry replaces an earlier one of
the same path, `.wh.NAME` removes NAME, and `.wh..wh..opq` all that lower layers have in its directory.
Links in the path to an entry are followed within the image, and directories that have no entry are made.
"""

import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from build_lib.errors import RegistryError
from build_lib.registry import CannotUnpack, unpacked

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MOST_LINKS = 40  # as Linux: then it is a circle


class _Node:
    """What is at a path, and the archive that has its content; of a directory, what is in it, by name."""

    __slots__ = ("archive", "children", "info")

    def __init__(self, info: tarfile.TarInfo, archive: tarfile.TarFile | None) -> None:
        self.info = info
        self.archive = archive
        self.children: dict[str, _Node] = {}

    @property
    def content(self) -> IO[bytes] | None:
        """A regular file's content."""
        return self.archive.extractfile(self.info) if self.archive and self.info.isreg() else None


class ImageFiles:
    """See hub.Files. `layers` are uncompressed tar archives, the lowest first, open within the `with` block."""

    def __init__(self, layers: Sequence[Path]) -> None:
        self._layers = layers
        self._root = _directory("/")
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Read which files there are.

        Raises:
            RegistryError: a layer is no tar archive, or has an entry below a circle of links.
        """
        with ExitStack() as opened:
            try:
                for path in self._layers:
                    self._apply(opened.enter_context(tarfile.open(path)))
            except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
                raise RegistryError(f"a layer is no tar archive: {error}") from None
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._open.close()

    def files(self, path: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """See hub.Files."""
        found = self._walk(path)
        left = [(posixpath.basename(path), found)] if found else []
        while left:
            name, node = left.pop()
            member = copy(node.info)
            member.name = name
            yield member, node.content
            left += [(f"{name}/{child}", node.children[child]) for child in sorted(node.children, reverse=True)]

    def entry(self, path: str) -> tarfile.TarInfo | None:
        """See hub.Files."""
        found = self._at(path)
        return found.info if found else None

    def _apply(self, archive: tarfile.TarFile) -> None:
        """Apply a layer. Its whiteouts come first, for they hide nothing that the layer itself has."""
        entries = {info: _absolute(info.name) for info in archive}
        for path in entries.values():
            if posixpath.basename(path).startswith(_WHITEOUT):
                self._remove(path)
        for info, path in entries.items():
            if path != "/" and not posixpath.basename(path).startswith(_WHITEOUT):
                self._add(path, info, archive)

    def _remove(self, path: str) -> None:
        directory, name = posixpath.split(path)
        parent = self._walk(directory)
        if parent is None:
            return
        if name == _OPAQUE:
            parent.children.clear()
        else:
            parent.children.pop(name.removeprefix(_WHITEOUT), None)

    def _add(self, path: str, info: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        directory, name = posixpath.split(path)
        linked = self._at(_absolute(info.linkname)) if info.islnk() else None
        new = _Node(linked.info, linked.archive) if linked else _Node(info, archive)
        parent = self._walk(directory, make=True)
        assert parent is not None
        before = parent.children.get(name)
        if before is not None and before.info.isdir() and info.isdir():
            new.children = before.children
        parent.children[name] = new

    def _at(self, path: str) -> _Node | None:
        """What is at the path; a link itself."""
        directory, name = posixpath.split(path)
        parent = self._walk(directory)
        return parent.children.get(name) if parent else None

    def _walk(self, path: str, *, make: bool = False) -> _Node | None:
        """What is at the path, with all its links followed; `make` makes it a directory, if it is none."""
        ahead, way, links = _parts(path), [self._root], 0
        while ahead:
            part = ahead.pop(0)
            if part == "..":
                way = way[:-1] or way
                continue
            found = way[-1].children.get(part)
            if make and (found is None or not (found.info.isdir() or found.info.issym())):
                found = way[-1].children[part] = _directory(part)
            if found is None:
                return None
            if not found.info.issym():
                way.append(found)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise RegistryError(f"{path} in the image is a circle of links")
            way = [self._root] if found.info.linkname.startswith("/") else way
            ahead = [*_parts(found.info.linkname), *ahead]
        return way[-1]


def _absolute(name: str) -> str:
    """A path in a layer, from the root on, which it cannot leave."""
    return posixpath.normpath(f"/{name.lstrip('/')}")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _directory(name: str) -> _Node:
    """A directory that no layer has an entry for."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return _Node(info, None)


def unpack(chunks: Iterable[bytes], size: int, path: Path) -> None:
    """Write a layer uncompressed, whose compressed form is `chunks` and has `size` bytes.

    Raises:
        RegistryError: it is damaged, or unpacks to more than is allowed for its size.
    """
    try:
        with path.open("wb") as file:
            file.writelines(unpacked(chunks, size))
    except CannotUnpack as error:
        raise RegistryError(f"a layer of the image {error.message}") from None
