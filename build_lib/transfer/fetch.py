"""Images that the engine lacks, each from the first source that has it, by the content path or by the engine's pulls.

All names are looked up at once. Then every blob that the engine lacks is a piece of work, and every image one that
waits for its blobs: it is loaded while others still download. `PULL_THROUGH` chooses the engine's own pulls instead;
by itself, they are taken from registries so near that nothing can be gained (`bench/prefetch.py`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from build_lib.engine import Engine, NotLoadable
from build_lib.errors import BuildError, Refusal, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Downloads, Progress, Registries, retry, source_chain
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer import bootstrap
from build_lib.transfer.content_pull import ContentPull, Found
from build_lib.transfer.engine_pull import EnginePull
from build_lib.transfer.fetch_progress import FetchProgress
from build_lib.transfer.shared_blobs import SharedBlobs

HERE = "engine"  # the source of an image that needed no fetching
BOOTSTRAP = "apt archive"
_NEAR_SECONDS = 0.05  # within which a registry answers from which the engine's own pulls are the quicker ones
_LOOK_UPS = 4  # at once, for each connection that carries blobs: they are small, and wait for round trips


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """Where an image came from, how long that took, and which sources had refused before.

    `size` is what had to be downloaded, in bytes; None where that is not known, for the engine pulled it itself.
    `tries` is 1, and one more for each failure that passed: of a request, of a blob's transfer, of a pull.
    """

    image: Reference
    source: str
    seconds: float
    size: int | None = None
    tries: int = 1
    refusals: tuple[Refusal, ...] = ()

    @property
    def was_here(self) -> bool:
        """Whether the engine had it already."""
        return self.source == HERE


class Listener(Protocol):
    """Who hears of each image as it comes; called in the thread that called prefetch."""

    def on_start(self, name: str) -> None:
        """An image is looked for."""

    def on_progress(self, progress: Progress) -> None:
        """Some time has gone by."""

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """It was brought in, or could not be."""


def fetch(
    absent: Sequence[Dependency], engine: Engine, settings: Settings, listener: Listener, *, fail_fast: bool
) -> list[Outcome[Fetched]]:
    """Bring these images into the engine; the outcomes in their order."""
    cancel = Cancel()
    with Registries(settings, cancel, connections=_LOOK_UPS * settings.pulls_at_once) as registries:
        return _Fetch(absent, engine, settings, registries, cancel).run(listener, fail_fast=fail_fast)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """Where an image may be, and the way by which it would come."""

    place: Reference
    pulled: bool  # by the engine


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """How far an image was looked for: found, to be pulled by the engine from `place`, or in no registry."""

    refusals: tuple[Refusal, ...]
    rest: tuple[_Source, ...]  # the sources that were not asked
    found: Found | None = None
    place: Reference | None = None
    passed: int = 0  # failures that passed


class _Fetch:
    def __init__(
        self,
        absent: Sequence[Dependency],
        engine: Engine,
        settings: Settings,
        registries: Registries,
        cancel: Cancel,
    ) -> None:
        self.wanted = {str(item.image): item for item in absent}
        self.images = {name: item.image for name, item in self.wanted.items()}
        self.engine = engine
        self.settings = settings
        self.registries = registries
        self.cancel = cancel
        self.began = time.monotonic()
        self._near: frozenset[str] = frozenset()  # hosts from which the engine pulls first
        store = BlobStore(settings.state_dir / "blobs")
        self.downloads = Downloads(registries, store, tries=settings.tries)
        self.content = self._content_pull()
        self.blobs = SharedBlobs(self.downloads, store, cancel, keep=settings.keep_blobs)
        self.progress = FetchProgress(self.downloads.received)
        self.engine_pull = EnginePull(engine, registries, self.progress)

    def _content_pull(self) -> ContentPull | None:
        """The content path, for an engine here; by itself, it comes after the engine's pulls where these are quick."""
        through = self.settings.pull_through
        if through == "engine" or not self.engine.is_here():
            return None
        keeps = self.engine.keeps_content()
        with ThreadPoolExecutor(1) as beside:  # the one waits for the network, the other for the engine
            near = beside.submit(self._find_near if through == "auto" else frozenset)
            content = ContentPull(self.engine, self.registries, self.downloads, classic=not keeps)
            self._near = near.result()
        return content

    def _find_near(self) -> frozenset[str]:
        """Which of the registries that are asked first are so near that the engine's own pulls are quicker.

        A login is tried here, once, before the engine sends it for every image.
        """
        first: dict[str, Reference] = {}
        for image in self.images.values():
            place = next(source_chain.places(image, self.settings))
            first.setdefault(place.host, place)

        def work(host: str, _cancel: Cancel) -> bool:
            if not self.registries.session.answers_within(host, _NEAR_SECONDS):
                return False
            self.registries.resolve(first[host])
            return True

        outcomes = run(dict.fromkeys(first, ()), work, jobs=self.settings.pulls_at_once, cancel=self.cancel)
        return frozenset(outcome.name for outcome in outcomes if outcome.value)

    def _sources(self, image: Reference) -> Iterator[_Source]:
        for place in source_chain.places(image, self.settings):
            if self.content is None or place.host in self._near:
                yield _Source(place=place, pulled=True)
            if self.content is not None:
                yield _Source(place=place, pulled=False)

    def run(self, listener: Listener, *, fail_fast: bool) -> list[Outcome[Fetched]]:
        """Look for all, then fetch blobs and load images, one limit for both."""
        names: Mapping[str, Sequence[str]] = dict.fromkeys(self.images, ())
        looked = {
            outcome.name: outcome.value
            for outcome in run(
                names,
                lambda name, _cancel: self._look_up(name),
                jobs=_LOOK_UPS * self.settings.pulls_at_once,
                on_start=listener.on_start,
                cancel=self.cancel,
            )
        }
        found = {name: item.found for name, item in looked.items() if item is not None and item.found is not None}
        blobs = {blob.digest: (item.source, blob) for item in found.values() for blob in item.blobs}
        needs: dict[str, Sequence[str]] = {}
        for name in self.images:  # each image right behind its blobs: it is loaded before others' are fetched
            own = [blob.digest for blob in found[name].blobs] if name in found else []
            needs |= {digest: () for digest in own if digest not in needs}
            needs[name] = own
        for name, item in found.items():
            self.blobs.wait_for(name, item)
            self.progress.expect(name, item)

        def work(key: str, cancel: Cancel) -> Fetched | None:
            if key in blobs:
                self.blobs.fetch(*blobs[key])
                return None
            looked_for = looked[key]
            assert looked_for is not None
            return self._take_counted(self.images[key], looked_for, cancel)

        def ended(outcome: Outcome[Fetched | None]) -> None:
            if outcome.name not in self.images:
                return
            self.progress.end(outcome.name)
            listener.on_fetched(_of_image(outcome))
            if outcome.done:
                self.blobs.release(outcome.name)

        outcomes = run(
            needs,
            work,
            jobs=self.settings.pulls_at_once,
            on_end=ended,
            on_tick=lambda: listener.on_progress(self.progress.now()),
            fail_fast=fail_fast,
            cancel=self.cancel,
        )
        return [_of_image(outcome) for outcome in outcomes if outcome.name in self.images]

    def _look_up(self, name: str) -> _Looked:
        with retry.counted() as passed:
            looked = self._look(self.images[name], tuple(self._sources(self.images[name])))
        return replace(looked, passed=len(passed))

    def _look(self, image: Reference, sources: Sequence[_Source]) -> _Looked:
        """Ask the sources in order, down to the first that has the image."""
        refusals: list[Refusal] = []
        for number, source in enumerate(sources):
            rest = tuple(sources[number + 1 :])
            if self.content is None or source.pulled:
                return _Looked(refusals=tuple(refusals), rest=rest, place=source.place)
            try:
                found = self.content.find(image, source.place, self.wanted[str(image)].platform)
                return _Looked(refusals=tuple(refusals), rest=rest, found=found)
            except NotLoadable:
                return _Looked(refusals=tuple(refusals), rest=rest, place=source.place)
            except BuildError as error:
                if self.cancel.requested():
                    raise
                refusals.append(Refusal(source=self._source(source.place, image), reason=error.message))
        return _Looked(refusals=tuple(refusals), rest=())

    def _take_counted(self, image: Reference, looked: _Looked, cancel: Cancel) -> Fetched:
        """As `_take`, with the number of tries that it took, those for its blobs too."""
        with retry.counted() as passed:
            try:
                return replace(self._take(image, looked, cancel), tries=self._tries(looked, passed))
            except Unavailable as error:
                error.tries = self._tries(looked, passed)
                raise

    def _tries(self, looked: _Looked, passed: Sequence[BuildError]) -> int:
        for_blobs = self.blobs.retries(looked.found) if looked.found else 0
        return 1 + looked.passed + len(passed) + for_blobs

    def _take(self, image: Reference, looked: _Looked, cancel: Cancel) -> Fetched:
        """Bring the image in from where it was found; if that fails, from the sources after that."""
        refusals = list(looked.refusals)
        while looked.found is not None or looked.place is not None:
            place = looked.found.source if looked.found else looked.place
            assert place is not None
            source = self._source(place, image)
            try:
                size = self._pull(image, looked)
                return self._fetched(image, source, refusals, size)
            except BuildError as error:
                if cancel.requested():
                    raise
                self.engine.check()
                if not _comes_next(place, looked.rest):
                    self.registries.session.hosts.note(place.host, error)
                    refusals.append(Refusal(source=source, reason=error.message))
            looked = self._look(image, looked.rest)
            refusals += looked.refusals
            if looked.found is not None:
                self.blobs.wait_for(str(image), looked.found)
        return self._bootstrap(image, refusals, cancel)

    def _pull(self, image: Reference, looked: _Looked) -> int | None:
        if looked.found is None:
            assert looked.place is not None
            tries = 1 if _comes_next(looked.place, looked.rest) else self.settings.tries
            self.engine_pull.pull(self.wanted[str(image)], looked.place, tries=tries)
            return None
        assert self.content is not None
        self.blobs.check(looked.found)
        self.content.load(looked.found)
        return looked.found.size

    def _bootstrap(self, image: Reference, refusals: list[Refusal], cancel: Cancel) -> Fetched:
        if bootstrap.suite(image):
            try:
                bootstrap.make(image, self.engine, self.settings, cancel)
                return self._fetched(image, BOOTSTRAP, refusals, None)
            except BuildError as error:
                if cancel.requested():
                    raise
                refusals.append(Refusal(source=BOOTSTRAP, reason=error.message))
        raise Unavailable(str(image), refusals)

    def _fetched(self, image: Reference, source: str, refusals: Sequence[Refusal], size: int | None) -> Fetched:
        seconds = time.monotonic() - self.began
        return Fetched(image=image, source=source, seconds=seconds, size=size, refusals=tuple(refusals))

    def _source(self, place: Reference, image: Reference) -> str:
        """A source in words: a host, or the whole name where it is another than the image's own."""
        return place.host if place == image else str(place)


def _comes_next(place: Reference, rest: Sequence[_Source]) -> bool:
    """Whether the same is tried by the content path next, which has the patience and the better reasons."""
    return bool(rest) and rest[0].place == place


def _of_image(outcome: "Outcome[Fetched | None]") -> Outcome[Fetched]:
    return Outcome(name=outcome.name, value=outcome.value, error=outcome.error, skipped=outcome.skipped)
