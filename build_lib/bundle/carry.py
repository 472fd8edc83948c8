"""The downloads that a bundle carries: recordings of a release, and their content in this repository's store."""

from collections.abc import Collection, Iterator, Sequence
from typing import Self

from build_lib.bundle import carried
from build_lib.bundle.carried import Carried
from build_lib.downloads import Recording, Store
from build_lib.errors import BuildError
from build_lib.registry import Check, Descriptor
from build_lib.units import some


class Carry:
    """What is to be carried, from the store. `carried` is its entry in the listing, `blobs` what is written."""

    def __init__(self, store: Store, recordings: Sequence[Recording], held: Collection[str]) -> None:
        """Content whose digest is in `held` is left out.

        Raises:
            BuildError: the recordings are too large for a bundle.
        """
        self._store = store
        self._recordings = tuple(recordings)
        bodies = [carried.body_of(each) for each in recordings]
        entries = tuple(carried.listed(each, body) for each, body in zip(recordings, bodies, strict=True))
        carried.check_size((item.size for item in entries), "the bundle")
        self._bodies = {item.digest: body for item, body in zip(entries, bodies, strict=True)}
        content = {digest: blob.size for each in recordings for digest, blob in each.blobs().items()}
        left_out = frozenset(content.keys() & held)
        self.carried = Carried(recordings=entries, content=content, left_out=left_out)
        self.blobs = {digest: blob for digest, blob in self.carried.blobs.items() if digest not in left_out}

    @classmethod
    def of(cls, store: Store, release: str, services: Collection[str], held: Collection[str]) -> Self:
        """The downloads of these services.

        Raises:
            BuildError: a service has no recording, or content is not in the store.
        """
        found = {
            name: each
            for name, each in store.recordings(release).items()
            if (each.service, each.release) == (name, release)
        }
        without = sorted(set(services) - found.keys())
        if without or not services:
            raise BuildError(
                f"downloads of {release} are not recorded: {some(without) or 'no service'}",
                hint=f"./inv build-all --record -t {release} records them",
            )
        made = cls(store, [found[name] for name in sorted(services)], held)
        made._check_present()
        return made

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a recording or of content, which is checked at its end.

        Raises:
            BuildError: content is missing or damaged; with its service and URL.
        """
        if blob.digest in self._bodies:
            yield self._bodies[blob.digest]
            return
        try:
            yield from Check(blob).passing(self._store.blobs.chunks(blob))
        except BuildError as error:
            raise self._wrong([blob.digest]) from error

    def _check_present(self) -> None:
        wanted = (each.blob for recording in self._recordings for each in recording.downloads)
        absent = [
            blob.digest for blob in wanted if blob and blob.digest in self.blobs and not self._store.blobs.has(blob)
        ]
        if absent:
            raise self._wrong(absent)

    def _wrong(self, digests: Collection[str]) -> BuildError:
        where, named = self._store.directory, some(carried.users(self._recordings, frozenset(digests)))
        again = f"./inv build-all --record --force -t {self._recordings[0].release} records them again"
        return BuildError(f"downloads are missing or damaged in {where}: {named}", hint=again)
