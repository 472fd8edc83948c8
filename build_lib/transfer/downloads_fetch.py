"""What the builds of a release downloaded, from the private registry into the store, for builds that replay it."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from build_lib.downloads import Recording, Store
from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel, Outcome, interruptible, run
from build_lib.reference import Reference
from build_lib.registry import Descriptor, Downloads, Progress, Registries, Truncated, WrongContent
from build_lib.settings import Settings
from build_lib.transfer import downloads_artifact as artifact
from build_lib.transfer.downloads_artifact import Artifact

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedDownloads:
    """The recordings that were fetched, by service, and from where: nothing, if the store had all of them.

    `without` are the services that have no recording, neither in the store nor there. `files` is the content of the
    recordings, each digest once, of which `present` ones were in the store; `moved` bytes of the others were fetched.
    """

    place: Reference | None
    recordings: tuple[str, ...]
    without: tuple[str, ...]
    downloads: int = 0
    files: int = 0
    present: int = 0
    moved: int = 0


def fetch_downloads(
    settings: Settings,
    release: str,
    services: Collection[str],
    *,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> FetchedDownloads:
    """Fetch the recordings that the store lacks of these services, and their content, from the private registry.

    The registry is not asked if the store has the recordings of all services. PULL_JOBS files are fetched at once, each
    checked by its digest and resumed where it stopped, also by a later call. Recordings are written when all content is
    present. `on_progress` is called several times a second, in this thread.

    Raises:
        BuildError: there is no recording of any of the services, or content cannot be written.
        RegistryError: the registry cannot be asked, has something else under that name, or lacks content.
    """
    store = Store(settings)
    lacking = tuple(name for name in services if store.recording(release, name) is None)
    if not lacking:
        return FetchedDownloads(place=None, recordings=(), without=())
    with store.filling("replay"):
        fetched = _from_registry(settings, release, lacking, store, on_progress)
    if len(fetched.without) == len(services):
        there = f" and not at {fetched.place}" if fetched.place else ""
        raise BuildError(
            f"the downloads of {release} are not in {store.directory}{there}",
            hint="./inv deps-load -f BUNDLE loads them from a bundle; or set PRIVATE_REGISTRY in .env to a registry "
            f"that deps-push pushed {release} to",
        )
    return fetched


def _from_registry(
    settings: Settings, release: str, wanted: Sequence[str], store: Store, on_progress: Callable[[Progress], None]
) -> FetchedDownloads:
    if settings.private_registry is None:
        return FetchedDownloads(place=None, recordings=(), without=tuple(wanted))
    place = settings.private_registry.downloads(release)
    jobs, most = settings.pulls_at_once, artifact.MOST_LAYERS
    with (
        interruptible(f"fetching the downloads of {release}"),
        Registries(settings, Cancel(), connections=jobs, most_listed=most) as registries,
    ):
        found = artifact.find(place, registries)
        if found is None:
            return FetchedDownloads(place=place, recordings=(), without=tuple(wanted))
        recordings = _recordings(found, wanted, registries, jobs=jobs)
        fetching = _Fetch(found, recordings, store, registries, jobs=jobs)
        fetching.content(f"downloads of {release}", on_progress)
    for made in recordings.values():
        store.write(made)
    return fetching.fetched(wanted)


def _recordings(found: Artifact, wanted: Collection[str], registries: Registries, *, jobs: int) -> dict[str, Recording]:
    """The recordings of these services, checked against the artifact.

    Raises:
        RegistryError: one cannot be read, or refers to what the artifact has not.
    """
    blobs = {blob.digest: blob for blob in found.recordings}
    deadline = registries.deadline(found.place, "the recordings of downloads")
    one_at_a_time = threading.Lock()  # JSON takes up to thirty times its size in memory

    def work(digest: str, _cancel: Cancel) -> Recording | None:
        deadline.check()
        content = b"".join(registries.blob(found.place, blobs[digest]))
        with one_at_a_time:
            made = artifact.unpacked(found.place, content)
        _check_recording(found, made)
        return made if made.service in wanted else None

    read = _values(run(dict.fromkeys(blobs, ()), work, jobs=jobs, fail_fast=True, cancel=registries.cancel))
    by_service = {made.service: made for made in read if made is not None}
    if len(by_service) < sum(made is not None for made in read):
        raise RegistryError(f"{found.place} has several recordings of one service", hint=artifact.WRITER)
    return by_service


def _check_recording(found: Artifact, made: Recording) -> None:
    if made.release != found.place.tag:
        raise RegistryError(f"{found.place} has a recording of another release, {made.release}", hint=artifact.WRITER)
    for item in made.downloads:
        blob = item.blob
        listed = found.content.get(blob.digest) if blob else None
        if blob and (listed is None or listed.size != blob.size):
            raise RegistryError(
                f"{found.place} does not list the content of {item.url} for {made.service}", hint=artifact.WRITER
            )


class _Fetch:
    """The content of recordings, from a registry into the store."""

    def __init__(
        self,
        found: Artifact,
        recordings: Mapping[str, Recording],
        store: Store,
        registries: Registries,
        *,
        jobs: int,
    ) -> None:
        self._place = found.place
        self._recordings = recordings
        self._registries = registries
        self._jobs = jobs
        self._downloads = Downloads(registries, store.blobs, tries=registries.tries)
        self._blobs = {digest: blob for made in recordings.values() for digest, blob in made.blobs().items()}
        self._absent = {digest: blob for digest, blob in self._blobs.items() if not store.blobs.has(blob)}

    def content(self, name: str, on_progress: Callable[[Progress], None]) -> None:
        """Fetch what the store lacks.

        Raises:
            RegistryError: it cannot be fetched; with the download and its service.
        """
        total = sum(blob.size for blob in self._absent.values())

        def tick() -> None:
            done = sum(dict(self._downloads.received).values())
            on_progress(Progress(done=done, total=total, images={name: (done, total)}))

        _values(
            run(
                dict.fromkeys(self._absent, ()),
                lambda digest, _cancel: self._one(self._absent[digest]),
                jobs=self._jobs,
                on_tick=tick,
                fail_fast=True,
                cancel=self._registries.cancel,
            )
        )

    def _one(self, blob: Descriptor) -> None:
        try:
            self._downloads.fetch(self._place, blob).close()
        except (RegistryError, WrongContent, Truncated) as error:
            raise RegistryError(
                f"the content of {self._named(blob)} cannot be fetched: {error.message}",
                hint=error.hint or artifact.WRITER,
                status=getattr(error, "status", 0),
            ) from None

    def _named(self, blob: Descriptor) -> str:
        """The download that has this content, and its service."""
        found = (
            (item.url, made.service)
            for made in self._recordings.values()
            for item in made.downloads
            if item.blob == blob
        )
        return " for ".join(next(found, (blob.digest, self._place.host)))

    def fetched(self, wanted: Sequence[str]) -> FetchedDownloads:
        """What there is now."""
        return FetchedDownloads(
            place=self._place,
            recordings=tuple(name for name in wanted if name in self._recordings),
            without=tuple(name for name in wanted if name not in self._recordings),
            downloads=sum(len(made.downloads) for made in self._recordings.values()),
            files=len(self._blobs),
            present=len(self._blobs) - len(self._absent),
            moved=sum(blob.size for blob in self._absent.values()),
        )


def _values(outcomes: Sequence[Outcome[T]]) -> list[T | None]:
    """What each piece of work gave.

    Raises:
        BuildError: the first failure.
    """
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in outcomes]
