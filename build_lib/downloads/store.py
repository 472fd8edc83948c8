"""The store of downloads, `.build/downloads`: content by SHA-256, and the recordings that refer to it."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Literal

from build_lib import state
from build_lib.downloads import recording
from build_lib.downloads.recording import Recording
from build_lib.errors import BuildError
from build_lib.registry import BlobStore, Check, Descriptor, cannot_write, is_sha256
from build_lib.settings import Settings


class Incoming:
    """Content that is being written to the store, in a file of its own until it is complete."""

    def __init__(self, file: IO[bytes], complete: Path) -> None:
        self.size = 0
        self.sha256 = ""
        self._file = file
        self._complete = complete
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises:
            BuildError: it cannot be written.
        """
        try:
            self._file.write(chunk)
        except OSError as error:
            raise cannot_write(self._file.name, error) from error
        self._hash.update(chunk)
        self.size += len(chunk)

    def keep(self) -> str:
        """The content is complete: put it into the store, and return its SHA-256.

        Raises:
            BuildError: it cannot be written.
        """
        try:
            self._file.flush()
            self.sha256 = self._hash.hexdigest()
            Path(self._file.name).replace(self._complete / self.sha256)
        except OSError as error:
            raise cannot_write(self._file.name, error) from error
        return self.sha256


class Store:
    """The downloads of all releases of a repository. Safe to use from several threads and processes."""

    def __init__(self, settings: Settings) -> None:
        self.directory = settings.state_dir / "downloads"
        self.blobs = BlobStore(self.directory)  # content, as blobs that can be copied like those of images
        self._complete = self.directory / "sha256"
        self._incoming = self.directory / "incoming"
        self._recordings = self.directory / "recordings"

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """Take content whose digest is not known yet. Unless it is kept within the block, it is removed.

        Raises:
            BuildError: it cannot be written.
        """
        try:
            for directory in (self._complete, self._incoming):
                directory.mkdir(parents=True, exist_ok=True)
            file = tempfile.NamedTemporaryFile(dir=self._incoming, delete=False)  # noqa: SIM115  # closed below
        except OSError as error:
            raise cannot_write(self._incoming, error) from error
        with file:
            try:
                yield Incoming(file, self._complete)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def filling(self, doing: str) -> AbstractContextManager[None]:
        """Keep `clean` from removing, within the block, content to which no recording refers yet; `doing` is a task.

        Raises:
            BuildError: another task does the same.
        """
        return state.lock(self.directory.with_name("downloads.lock"), doing)

    def path(self, sha256: str) -> Path:
        """Where content of this SHA-256 is, if it is present."""
        return self._complete / sha256

    def contents(self) -> list[str]:
        """The SHA-256 of all content, sorted."""
        return [path.name for path in _listed(self._complete) if is_sha256(f"sha256:{path.name}")]

    def releases(self) -> list[str]:
        """The releases that have recordings, sorted."""
        return sorted(path.name for path in _listed(self._recordings) if path.is_dir())

    def services(self, release: str) -> list[str]:
        """The services of a release that have recordings, sorted."""
        return sorted(path.stem for path in _listed(self._recordings / release) if path.suffix == ".json")

    def recordings(self, release: str) -> dict[str, Recording]:
        """The recordings of a release, by service."""
        found = ((name, self.recording(release, name)) for name in self.services(release))
        return {name: each for name, each in found if each is not None}

    def recording(self, release: str, service: str) -> Recording | None:
        """The recording of a service; None if there is none, or, with a warning, if it is of another shape."""
        value = state.read(self._path(release, service), _is_recording)
        return recording.from_json(value) if value is not None else None

    def write(self, made: Recording) -> None:
        """Write the recording of a service, in place of an earlier one.

        Raises:
            BuildError: it cannot be written.
        """
        state.write(self._path(made.release, made.service), recording.as_json(made), compact=True)

    def remove(self, release: str) -> None:
        """Remove the recordings of a release; their content stays."""
        for path in _listed(self._recordings / release):
            path.unlink(missing_ok=True)
        if (self._recordings / release).is_dir():
            (self._recordings / release).rmdir()

    def unused(self, kept: Iterable[str]) -> Iterator[Path]:
        """The files of content that no recording of these releases refers to."""
        needed = {
            item.sha256 for release in kept for each in self.recordings(release).values() for item in each.downloads
        }
        yield from (path for path in _listed(self._complete) if path.name not in needed)
        yield from _listed(self._incoming)
        yield from _listed(self.directory / "partial")

    def wrong(self, blobs: Iterable[Descriptor]) -> Iterator[tuple[Descriptor, str]]:
        """The content that is missing or damaged, and why, after reading all of it."""
        for blob in blobs:
            try:
                for _ in Check(blob).passing(self.blobs.chunks(blob)):
                    pass
            except BuildError as error:
                yield blob, error.message

    def fault(self, blob: Descriptor) -> Literal["", "missing", "damaged"]:
        """What is wrong with this content, after reading all of it; an empty text if nothing is."""
        if not any(self.wrong([blob])):
            return ""
        return "damaged" if self.blobs.path(blob).is_file() else "missing"

    def _path(self, release: str, service: str) -> Path:
        return self._recordings / release / f"{service}.json"


def _is_recording(value: object) -> bool:
    try:
        recording.from_json(value)
    except (ValueError, TypeError, LookupError):
        return False
    return True


def _listed(directory: Path) -> Sequence[Path]:
    """The entries of a directory, sorted; none if it is missing."""
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()
