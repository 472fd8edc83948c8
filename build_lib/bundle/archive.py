"""Reading bundles. A bundle comes from elsewhere on a disk: nothing in it is trusted before it is checked.

A bundle is an archive exactly as `image_layout.stream` writes it: regular files with known names and with the headers
of `stream`. Among them are `build-lib.json` (`contents`) and `build-lib.sha256`, the checksums of the documents in the
format of sha256sum. Every byte is therefore known, or checked by a digest.
"""

import hashlib
import tarfile
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from build_lib.bundle.carried import Carried
from build_lib.bundle.contents import Base, LeftOut, Listed
from build_lib.bundle.documents import Counter, Documents, Held
from build_lib.bundle.layers import Layers
from build_lib.bundle.members import BLOB, members_of
from build_lib.bundle.parts import Volume
from build_lib.bundle.recordings import Recordings
from build_lib.bundle.values import LARGEST_DOCUMENT
from build_lib.errors import BadBundle
from build_lib.graph import Cancel, run
from build_lib.registry import (
    LARGEST,
    Check,
    Descriptor,
    InvalidManifest,
    Manifest,
    Progress,
    Truncated,
    WrongContent,
    digest_of,
)
from build_lib.units import some

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
_BATCH = 100  # files
_SHOWN = 5  # problems in one message


class Archive:
    """An open bundle, which several threads may read. Its blobs are verified by `check` only."""

    def __init__(self, volume: Volume) -> None:
        """Read the list of files, the documents, the manifests and the recordings of downloads.

        Raises:
            BadBundle: this is not a bundle, it is cut off, or a document, manifest or recording is damaged.
        """
        self._volume = volume
        self.path = volume.path
        self._members = dict(members_of(volume))
        documents = Documents(volume, self._members)
        self.listing = documents.listing()
        self.left_out: Mapping[str, LeftOut] = {item.digest: item for item in self.listing.left_out}
        self._counter = Counter(where=str(self.path))
        self.images = tuple(Held(listed=item, manifests=self._tree(item)) for item in self.listing.images)
        documents.check(self.images)
        self._carried = self.listing.downloads or Carried()
        self._check_complete()
        self.recordings = Recordings(self.path, self.listing.release, self._carried, self.chunks)
        self.recordings.check()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a bundle, or the parts of one.

        Raises:
            BuildError: there is no such file, or it cannot be read.
            BadBundle: as for `Archive`, or a part is missing.
        """
        volume = Volume.open(path)
        try:
            return cls(volume)
        except BadBundle as error:
            # the checksums of the parts explain more, such as parts in the wrong order
            problems = _shown(volume.wrong_parts())
            volume.close()
            raise BadBundle(f"{path} is damaged: {problems}", hint=error.hint) if problems else error from None
        except BaseException:
            volume.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._volume.close()

    @property
    def size(self) -> int:
        """The size of the bundle in bytes."""
        return self._volume.size

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files of the bundle."""
        return self._volume.parts

    def has(self, blob: Descriptor) -> bool:
        """Whether the bundle contains the blob."""
        return _name(blob.digest) in self._members

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob's bytes, checked by its digest at the end.

        Raises:
            BadBundle: the blob is missing, or does not match its digest.
        """
        member = self._members.get(_name(blob.digest))
        if member is None:
            raise BadBundle(f"{blob.digest} is not in {self.path}")
        try:
            yield from Check(blob).passing(self._volume.chunks(member.offset, member.size))
        except (WrongContent, Truncated) as error:
            raise BadBundle(f"{self._volume.where(member.offset)}, {error.message}") from None

    def rest(self, blob: Descriptor, offset: int, cancel: Cancel) -> Iterator[bytes]:
        """The bytes from `offset` on of a blob that the bundle contains, unchecked."""
        member = self._members[_name(blob.digest)]
        for chunk in self._volume.chunks(member.offset + offset, member.size - offset):
            cancel.sleep(0)
            yield chunk

    def read(self, blob: Descriptor) -> bytes:
        """The content of a small blob, such as a config.

        Raises:
            BadBundle: as for `chunks`, or the blob is too large.
        """
        if blob.size > LARGEST:
            raise BadBundle(f"{blob.digest} in {self.path} is too large: {blob.size} bytes")
        return b"".join(self.chunks(blob))

    def check(
        self, *, jobs: int, on_progress: Callable[[Progress], None] = lambda _progress: None, unpack: bool = False
    ) -> None:
        """Check every byte of the bundle. With `unpack`, also that its layers unpack to what its images need.

        Raises:
            BadBundle: something is damaged; the message says what and where.
        """
        layers = self._layers() if unpack else Layers()
        checks: dict[str, Callable[[Callable[[int], None]], str]] = {
            f"part {number}": partial(self._volume.part_problem, number) for number in self._volume.checked_parts
        }
        checks |= {names[0]: partial(self._problems, names, layers) for names in self._batches()}
        total = self.size * (2 if self._volume.checked_parts else 1)
        done = dict.fromkeys(checks, 0)

        def work(key: str, cancel: Cancel) -> str:
            def seen(count: int) -> None:
                cancel.sleep(0)
                done[key] += count

            return checks[key](seen)

        def tick() -> None:
            on_progress(Progress(done=sum(done.values()), total=total, images={}))

        outcomes = run(
            dict.fromkeys(checks, ()), work, jobs=jobs, on_tick=tick, doing=lambda _names: f"checking {self.path}"
        )
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        problems = [outcome.value for outcome in outcomes if outcome.value]
        if problems:
            raise BadBundle(f"{self.path} is damaged: {_shown(problems)}", hint="copy it again, or write it again")
        if layers.problems:
            text = f"{self.path} has images that cannot be loaded: {_shown(layers.problems)}"
            raise BadBundle(text, hint="write it again without them, or from another source")

    def _layers(self) -> Layers:
        found = Layers()
        for item in self.images:
            for manifest in item.manifests:
                for config in manifest.blobs[:1]:
                    with suppress(BadBundle):  # of a damaged config, which the check finds and names
                        content = self.read(config) if config.size <= LARGEST else b""
                        found.add(item.listed.name, manifest, content)
        return found

    def _batches(self) -> Iterator[Sequence[str]]:
        """The files that are checked at once: each by itself, but the many small ones of downloads in batches."""
        alone: list[str] = []
        many: list[str] = []
        downloads = {_name(digest) for digest in self._carried.blobs}
        for name in self._members:
            (many if name in downloads else alone).append(name)
        yield from ([name] for name in alone)
        yield from (many[at : at + _BATCH] for at in range(0, len(many), _BATCH))

    def _problems(self, names: Sequence[str], layers: Layers, seen: Callable[[int], None]) -> str:
        return _shown([problem for name in names if (problem := self._problem(name, layers, seen))])

    def _problem(self, name: str, layers: Layers, seen: Callable[[int], None]) -> str:
        """The problem with a file of the archive, or "" if there is none."""
        member = self._members[name]
        found = hashlib.sha256()

        def chunks() -> Iterator[bytes]:
            for chunk in self._volume.chunks(member.offset, member.size):
                found.update(chunk)
                seen(len(chunk))
                yield chunk

        content = chunks()
        layers.unpack(f"sha256:{name.rpartition('/')[2]}", member.size, content)
        deque(content, maxlen=0)  # the rest, for its digest
        match = BLOB.fullmatch(name)
        where = self._volume.where(member.offset)
        if match and found.hexdigest() != match[1]:
            return f"{name}{self._of(name)}, {where}, does not match its digest"
        if any(self._volume.read(member.offset + member.size, -member.size % _BLOCK)):
            return f"the padding after {name}, {where}, is not empty"
        return ""

    def _of(self, name: str) -> str:
        users = self._users.get(f"sha256:{name.rpartition('/')[2]}", [])
        return f" of {some(users)}" if users else ""

    @cached_property
    def _users(self) -> dict[str, list[str]]:
        """The images and downloads of each blob."""
        found: dict[str, list[str]] = {}
        for item in self.images:
            for digest in item.blobs:
                found.setdefault(digest, []).append(item.listed.name)
        for recording in self.recordings:
            for each in recording.downloads:
                found.setdefault(f"sha256:{each.sha256}", []).append(f"{each.url} of {recording.service}")
        return found

    def _tree(self, item: Listed) -> tuple[Manifest, ...]:
        found: dict[str, Manifest] = {}
        left = deque([(item.digest, item.media_type)])
        while left:
            digest, media_type = left.popleft()
            if digest not in found:
                found[digest] = self._manifest(item, digest, media_type)
                self._counter.add(found[digest])
                left += [(listed.digest, listed.media_type) for listed in found[digest].manifests]
        return tuple(found.values())

    def _manifest(self, item: Listed, digest: str, media_type: str) -> Manifest:
        member = self._members.get(_name(digest))
        if member is None or member.size > LARGEST:
            fault = "is missing" if member is None else "is too large"
            raise BadBundle(f"{self.path} is damaged: the manifest {digest} of {item.name} {fault}")
        body = self._volume.read(member.offset, member.size)
        if digest_of(body) != digest:
            where = self._volume.where(member.offset)
            text = f"the manifest {digest} of {item.name}, {where}, does not match its digest"
            raise BadBundle(f"{self.path} is damaged: {text}")
        try:
            return Manifest.read(body, media_type)
        except InvalidManifest as error:
            raise BadBundle(f"{self.path} is not a bundle: {digest} of {item.name}: {error.message}") from None

    def _check_complete(self) -> None:
        """Check that each blob is present in its size, or listed as left out, and that nothing else is there."""
        needed = {_name(manifest.digest) for item in self.images for manifest in item.manifests}
        needed |= {_name(digest) for item in self.images for digest in item.blobs}
        needed |= {_name(digest) for digest in self._carried.blobs}
        for name in self._members:
            if name not in needed and BLOB.fullmatch(name):
                raise BadBundle(f"{self.path} is not a bundle: no image needs {name}")
        for item in self.images:
            self._check_present(item.listed.name, item.blobs, self.left_out)
        self._check_present("the downloads", self._carried.blobs, self._carried.left_out)

    def _check_present(self, of: str, blobs: Mapping[str, Descriptor], left_out: Collection[str]) -> None:
        for digest, blob in blobs.items():
            member = self._members.get(_name(digest))
            if member is None and digest not in left_out:
                raise BadBundle(f"{self.path} is not a bundle: {digest} of {of} is missing")
            if member is not None and member.size != blob.size:
                text = f"{digest} of {of} has {member.size} bytes instead of {blob.size}"
                raise BadBundle(f"{self.path} is not a bundle: {text}")


def read_base(path: Path) -> Base:
    """Read the base of a delta: an inventory, a bundle, or the `build-lib.json` of a bundle.

    Raises:
        BuildError: there is no such file, or it cannot be read.
        BadBundle: it is none of the three.
    """
    with Volume.open(path) as volume:
        if volume.read(0, 1) == b"{":
            return Base.read(volume.read(0, LARGEST_DOCUMENT + 1), str(path))
    with Archive.open(path) as archive:
        return Base.of_bundle(archive.listing, path.name)


def _name(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _shown(problems: list[str]) -> str:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more
