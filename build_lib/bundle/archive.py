"""Reading bundles: a bundle comes on a disk from somewhere else, and nothing in it is believed before it is checked.

A bundle is the archive of `layout.stream` and no other one: regular files of known names, with the headers that
`stream` gives them, `build-lib.json` (`listing`) among them, and `build-lib.sha256`, the documents' checksums in the
form of sha256sum. So every byte is known, or checked by a digest.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from build_lib.bundle.contents import NAME, Base, LeftOut, Listed, Listing
from build_lib.bundle.members import BLOB, DOCUMENTS, OTHERS, SUMS, members_of, sums_of
from build_lib.bundle.parts import Volume
from build_lib.errors import BadBundle
from build_lib.graph import Cancel, run
from build_lib.registry import (
    Check,
    Descriptor,
    InvalidManifest,
    Manifest,
    Progress,
    Truncated,
    WrongContent,
    digest_of,
)

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
_LARGEST_DOCUMENT = 64 << 20  # bytes
_LARGEST_MANIFEST = 4 << 20
_SHOWN = 5  # problems in one message


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """An image of a bundle, and its manifests: first the one that its name stands for."""

    listed: Listed
    manifests: tuple[Manifest, ...]

    @property
    def blobs(self) -> dict[str, Descriptor]:
        """Its configs and layers by digest; foreign layers are in no bundle."""
        return {blob.digest: blob for manifest in self.manifests for blob in manifest.blobs if not blob.urls}


class Archive:
    """An open bundle; may be read by several threads. That it is whole, `check` tells."""

    def __init__(self, volume: Volume) -> None:
        """Read what is in it.

        Raises:
            BadBundle: it is no bundle, it is cut off, or a document in it is damaged.
        """
        self._volume = volume
        self.path = volume.path
        self._members = dict(members_of(volume))
        self.listing = Listing.read(self._documents()[NAME], f"{NAME} in {self.path}")
        self.left_out: Mapping[str, LeftOut] = {item.digest: item for item in self.listing.left_out}
        self.images = tuple(Held(listed=item, manifests=self._tree(item)) for item in self.listing.images)
        self._check_complete()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a bundle, or the parts of one.

        Raises:
            BuildError: it is not there, or cannot be read.
            BadBundle: as for `Archive`, or a part is missing.
        """
        volume = Volume.open(path)
        try:
            return cls(volume)
        except BadBundle as error:
            # parts in the wrong order make no sense as a whole: their checksums say more
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
        """Bytes of all of it."""
        return self._volume.size

    @property
    def parts(self) -> tuple[Path, ...]:
        """Its files."""
        return self._volume.parts

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is in it."""
        return _name(blob.digest) in self._members

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob's bytes, checked to their end.

        Raises:
            BadBundle: it is not there, or has other bytes than its digest says.
        """
        member = self._members.get(_name(blob.digest))
        if member is None:
            raise BadBundle(f"{blob.digest} is not in {self.path}")
        try:
            yield from Check(blob).passing(self._volume.chunks(member.offset, member.size))
        except (WrongContent, Truncated) as error:
            raise BadBundle(f"{self._volume.where(member.offset)}, {error.message}") from None

    def read(self, blob: Descriptor) -> bytes:
        """A small blob, such as a config.

        Raises:
            BadBundle: as for `chunks`, or it is none of the small ones.
        """
        if blob.size > _LARGEST_MANIFEST:
            raise BadBundle(f"{blob.digest} in {self.path} has {blob.size} bytes, too many for what it is")
        return b"".join(self.chunks(blob))

    def check(self, *, jobs: int, on_progress: Callable[[Progress], None] = lambda _progress: None) -> None:
        """Check every byte of it.

        Raises:
            BadBundle: something is damaged; what and where.
        """
        checks: dict[str, Callable[[Callable[[int], None]], str]] = {
            f"part {number}": partial(self._volume.part_problem, number) for number in self._volume.checked_parts
        }
        checks |= {name: partial(self._problem, name) for name in self._members}
        total = self.size * (2 if self._volume.checked_parts else 1)
        done = dict.fromkeys(checks, 0)

        def work(key: str, cancel: Cancel) -> str:
            def seen(count: int) -> None:
                cancel.sleep(0)
                done[key] += count

            return checks[key](seen)

        def tick() -> None:
            on_progress(Progress(done=sum(done.values()), total=total, images={}))

        outcomes = run(dict.fromkeys(checks, ()), work, jobs=jobs, on_tick=tick)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        problems = [outcome.value for outcome in outcomes if outcome.value]
        if problems:
            raise BadBundle(f"{self.path} is damaged: {_shown(problems)}", hint="copy it again, or write it again")

    def _problem(self, name: str, seen: Callable[[int], None]) -> str:
        """What is wrong with a file in it, in words."""
        member = self._members[name]
        found = hashlib.sha256()
        for chunk in self._volume.chunks(member.offset, member.size):
            found.update(chunk)
            seen(len(chunk))
        match = BLOB.fullmatch(name)
        where = self._volume.where(member.offset)
        if match and found.hexdigest() != match[1]:
            return f"{name}{self._of(name)}, {where}, has other bytes than its digest"
        if any(self._volume.read(member.offset + member.size, -member.size % _BLOCK)):
            return f"what follows {name}, {where}, is not empty"
        return ""

    def _of(self, name: str) -> str:
        digest = f"sha256:{name.rpartition('/')[2]}"
        users = [item.listed.name for item in self.images if digest in item.blobs]
        return f" of {', '.join(users)}" if users else ""

    def _documents(self) -> dict[str, bytes]:
        found = {name: self._document(name) for name in (*DOCUMENTS, SUMS)}
        wanted = sums_of({name: found[name] for name in DOCUMENTS})
        if found[SUMS] != wanted:
            lines = found[SUMS].decode(errors="replace").splitlines()
            wrong = [line.partition("  ")[2] for line in wanted.decode().splitlines() if line not in lines]
            raise BadBundle(f"{self.path} is damaged: {' and '.join(wrong or [SUMS])}, by the checksums in {SUMS}")
        return found

    def _document(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise BadBundle(
                f"{self.path} is no bundle: it has no {name}",
                hint=OTHERS,
            )
        if member.size > _LARGEST_DOCUMENT:
            raise BadBundle(f"{name} in {self.path} has {member.size} bytes, too many for what it is")
        return self._volume.read(member.offset, member.size)

    def _tree(self, item: Listed) -> tuple[Manifest, ...]:
        found: dict[str, Manifest] = {}
        left = [(item.digest, item.media_type)]
        while left:
            digest, media_type = left.pop(0)
            if digest not in found:
                found[digest] = self._manifest(item, digest, media_type)
                left += [(listed.digest, listed.media_type) for listed in found[digest].manifests]
        return tuple(found.values())

    def _manifest(self, item: Listed, digest: str, media_type: str) -> Manifest:
        member = self._members.get(_name(digest))
        if member is None or member.size > _LARGEST_MANIFEST:
            fault = "is not there" if member is None else "is too large for one"
            raise BadBundle(f"{self.path} is damaged: the manifest {digest} of {item.name} {fault}")
        body = self._volume.read(member.offset, member.size)
        if digest_of(body) != digest:
            where = self._volume.where(member.offset)
            text = f"the manifest {digest} of {item.name}, {where}, has other bytes than its digest"
            raise BadBundle(f"{self.path} is damaged: {text}")
        try:
            return Manifest.read(body, media_type)
        except InvalidManifest as error:
            raise BadBundle(f"{self.path} is no bundle: {digest} of {item.name}: {error.message}") from None

    def _check_complete(self) -> None:
        """Each blob is there in its size, or stands among those that were left out."""
        for item in self.images:
            for digest, blob in item.blobs.items():
                member = self._members.get(_name(digest))
                if member is None and digest not in self.left_out:
                    raise BadBundle(f"{self.path} is no bundle: {digest} of {item.listed.name} is not in it")
                if member is not None and member.size != blob.size:
                    text = f"{digest} of {item.listed.name} has {member.size} bytes in it, and not {blob.size}"
                    raise BadBundle(f"{self.path} is no bundle: {text}")


def read_base(path: Path) -> Base:
    """What a delta is made against: an inventory, a bundle, or the `build-lib.json` of one.

    Raises:
        BuildError: it is not there, or cannot be read.
        BadBundle: it is none of the three.
    """
    with Volume.open(path) as volume:
        if volume.read(0, 1) == b"{" and volume.size <= _LARGEST_DOCUMENT:
            return Base.read(volume.read(0, volume.size), str(path))
    with Archive.open(path) as archive:
        return Base.of_bundle(archive.listing, path.name)


def _name(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _shown(problems: list[str]) -> str:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more
