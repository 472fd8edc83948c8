"""A layer of an image: files below a directory, with that directory and all above it exactly as the image has them.

An entry for a directory replaces its mode and owner, and one for a path that is a link in the image would replace the
link. So links are followed, and existing directories are written as they are.
"""

import io
import tarfile
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import IO

from build_lib.errors import PackagesError
from build_lib.hub.images import Files

_MOST_LINKS = 40  # as Linux: then it is a circle


class Layer:
    """Writes a layer for the image with these files into `archive`."""

    def __init__(self, archive: IO[bytes], files: Files) -> None:
        self._tar = tarfile.open(fileobj=archive, mode="w")  # noqa: SIM115  # closed by `close`
        self._files = files
        self._real: dict[str, str] = {}  # directories that are written, by the names that were asked for

    def add(self, directory: str, name: str, content: IO[bytes], *, size: int, mtime: float) -> None:
        """Add a file that root owns and everyone may read."""
        info = tarfile.TarInfo(f"{self._directory(directory)}/{name}")
        info.size, info.mtime, info.mode = size, int(mtime), 0o644
        self._tar.addfile(info, content)

    def remove(self, directory: str, name: str) -> None:
        """Hide a file of the image (image-spec, layer.md: "whiteouts")."""
        self.add(directory, f".wh.{name}", io.BytesIO(), size=0, mtime=0)

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    def _directory(self, path: str) -> str:
        """The real path of the directory, without its first slash; it is written if it was not before."""
        if path not in self._real:
            real, entries = _resolved(self._files, path)
            written = set(self._tar.getnames())
            for entry in entries:
                if entry.name not in written:
                    self._tar.addfile(entry)
            self._real[path] = real
        return self._real[path]


def _resolved(files: Files, path: str) -> tuple[str, Iterable[tarfile.TarInfo]]:
    """The path with its links followed, and an entry for it and for each directory above it."""
    ahead = list(PurePosixPath(path).parts[1:])
    done: list[tarfile.TarInfo] = []
    links = 0
    while ahead:
        part = ahead.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        name = f"{done[-1].name}/{part}" if done else part
        found = files.entry(f"/{name}")
        if found is not None and found.issym():
            links += 1
            target = PurePosixPath(found.linkname)
            done = [] if target.is_absolute() else done
            ahead = [*target.parts[1 if target.is_absolute() else 0 :], *ahead]
        else:
            done.append(_entry(name, found))
        if links > _MOST_LINKS or (found is not None and not (found.isdir() or found.issym())):
            raise PackagesError(f"/{name} in the image is not a directory, so nothing can be copied to {path}")
    return done[-1].name, done


def _entry(name: str, found: tarfile.TarInfo | None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    if found is not None:
        entry.mode, entry.uid, entry.gid, entry.mtime = found.mode, found.uid, found.gid, found.mtime
    return entry
