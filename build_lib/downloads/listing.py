"""What was recorded for a release, and whether its content is there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from build_lib.downloads.expiry import Expiry, valid_until
from build_lib.downloads.recording import Recording
from build_lib.downloads.store import Store
from build_lib.errors import BuildError, nearest
from build_lib.units import some


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrong:
    """Content that is missing or damaged, and the URLs that it came from."""

    sha256: str
    why: str
    urls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The recordings of a release. `expiries` matter soon, by service; `wrong` is None if nothing was verified."""

    release: str
    recordings: tuple[Recording, ...]
    expiries: tuple[tuple[str, Expiry], ...]
    wrong: tuple[Wrong, ...] | None

    @property
    def contents(self) -> int:
        """How many different contents all downloads have."""
        return len({digest for each in self.recordings for digest in each.blobs()})


def listed(store: Store, release: str, services: Sequence[str] = (), *, verify: bool = False) -> Listing:
    """The recordings of a release, of all services or of these. With `verify`, all of their content is read.

    Raises:
        BuildError: there are none; with the releases that have some.
    """
    found = store.recordings(release)
    if not found:
        raise BuildError(f"no downloads of {release} are recorded{_others(store)}", hint=_record(release))
    for name in services:
        if name not in found:
            near = nearest(name, found) or f"those of {some(sorted(found))} are; {_record(release)} records all"
            raise BuildError(f"no downloads of {name!r} are recorded for {release}", hint=near)
    recordings = tuple(found[name] for name in (dict.fromkeys(services) or found))
    return Listing(
        release=release,
        recordings=recordings,
        expiries=tuple((each.service, expiry) for each in recordings for expiry in valid_until(each, store)),
        wrong=tuple(_wrong(recordings, store)) if verify else None,
    )


def _others(store: Store) -> str:
    names = store.releases()
    return f"; those of {some(names)} are" if names else ""


def _record(release: str) -> str:
    return f"./inv build-all --record -t {release}"


def _wrong(recordings: Iterable[Recording], store: Store) -> Iterator[Wrong]:
    recordings = tuple(recordings)
    blobs = {digest: blob for each in recordings for digest, blob in each.blobs().items()}
    for blob, why in store.wrong(blobs.values()):
        sha256 = blob.digest.removeprefix("sha256:")
        urls = (item.url for each in recordings for item in each.downloads if item.sha256 == sha256)
        yield Wrong(sha256=sha256, why=why, urls=tuple(dict.fromkeys(urls)))
