"""Loads the downloads of a bundle into this repository's store: all content first, then the recordings."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

from build_lib.bundle.archive import Archive
from build_lib.bundle.carried import Carried, users
from build_lib.bundle.load_result import SITE
from build_lib.downloads import Recording, Store
from build_lib.errors import BuildError
from build_lib.graph import Cancel, Outcome, run
from build_lib.registry import Descriptor
from build_lib.settings import Settings
from build_lib.units import some


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedDownloads:
    """The result for a service's recording; in a dry run, what a load would do."""

    service: str
    release: str
    result: Literal["loaded", "replaced", "there"]
    downloads: int
    size: int  # bytes of its content that were new, if no other service of the bundle has it, too


class IntoStore:
    """A load of the downloads of an open bundle that has been checked."""

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self._archive = archive
        self._store = Store(settings)
        self._jobs = settings.pulls_at_once
        found = archive.listing.downloads or Carried()
        self._services = [item.service for item in found.recordings]
        self._content = [blob for digest, blob in found.blobs.items() if digest in found.content]

    def refuse(self) -> None:
        """Refuse a delta if the store does not have the content that it needs, undamaged.

        Raises:
            BuildError: content is missing; nothing was changed.
        """
        lacking = self._lacking([blob for blob in self._content if not self._archive.has(blob)])
        if lacking:
            raise BuildError(
                f"{self._archive.path} is a delta against {self._archive.listing.since}, and {self._store.directory} "
                f"does not have all downloads that it needs: {some(users(self._archive.recordings, lacking))}; "
                "nothing was changed",
                hint=SITE,
            )

    def load(self, *, dry: bool) -> list[Outcome[LoadedDownloads]]:
        """Load the downloads of all services. No recording is written before all content is there."""
        try:
            with nullcontext() if dry or not self._services else self._store.filling("deps-load"):
                return self._loaded(dry=dry)
        except BuildError as error:
            return [Outcome(name=name, error=error) for name in self._services]

    def _loaded(self, *, dry: bool) -> list[Outcome[LoadedDownloads]]:
        carried = [blob for blob in self._content if self._archive.has(blob)]
        new = self._lacking(carried) if dry else self._each(carried, self._fetched)
        recordings = self._archive.recordings
        return [Outcome(name=each.service, value=self._written(each, new, dry=dry)) for each in recordings]

    def _lacking(self, blobs: Sequence[Descriptor]) -> dict[str, int]:
        """The bytes of content that is missing or damaged, by digest."""
        return self._each(blobs, lambda blob, _cancel: any(self._store.wrong([blob])))

    def _fetched(self, blob: Descriptor, cancel: Cancel) -> bool:
        """Put content into the store, unless it is there undamaged."""
        lacking = any(self._store.wrong([blob]))
        if lacking:
            self._store.blobs.remove(blob)
            self._store.blobs.fetch(blob, partial(self._archive.rest, blob, cancel=cancel))
        return lacking

    def _each(self, blobs: Sequence[Descriptor], is_new: Callable[[Descriptor, Cancel], bool]) -> dict[str, int]:
        """The bytes of those that are new, by digest; the others are only read."""
        found: dict[str, int] = {}

        def work(key: str, cancel: Cancel) -> None:
            for blob in blobs[int(key) :: self._jobs]:
                cancel.sleep(0)
                if is_new(blob, cancel):
                    found[blob.digest] = blob.size

        keys = map(str, range(min(self._jobs, len(blobs))))
        doing = f"loading downloads into {self._store.directory}"
        for outcome in run(dict.fromkeys(keys, ()), work, jobs=self._jobs, doing=lambda _keys: doing):
            if outcome.error is not None:
                raise outcome.error
        return found

    def _written(self, recording: Recording, new: dict[str, int], *, dry: bool) -> LoadedDownloads:
        former = self._store.recording(recording.release, recording.service)
        if former != recording and not dry:
            self._store.write(recording)
        result: Literal["loaded", "replaced", "there"] = "replaced" if former else "loaded"
        return LoadedDownloads(
            service=recording.service,
            release=recording.release,
            result="there" if former == recording else result,
            downloads=len(recording.downloads),
            size=sum(new.pop(digest, 0) for digest in recording.blobs()),
        )
