"""Images that the engine lacks, each from the first source that has it, by the content path or by the engine's pulls.

All names are looked up at once. Then every blob that the engine lacks is a piece of work, and every image one that
waits for its blobs: it is loaded while others still download. `PULL_THROUGH` chooses the engine's own pulls instead.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from build_lib.engine import Engine
from build_lib.errors import BuildError, Refusal, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Downloads, Progress, Registries, retry
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer import bootstrap
from build_lib.transfer.content_pull import ContentPull, Found
from build_lib.transfer.engine_pull import EnginePull
from build_lib.transfer.fetch_progress import FetchProgress
from build_lib.transfer.shared_blobs import SharedBlobs
from build_lib.transfer.source_search import Offer, Search, near_hosts, source_name, sources

HERE = "engine"  # the source of an image that needed no fetching
BOOTSTRAP = "apt archive"
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
    """Receives the course of a fetch; called in the thread that called prefetch."""

    def on_start(self, name: str) -> None:
        """The search for an image begins."""

    def on_progress(self, progress: Progress) -> None:
        """Some time has passed."""

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """An image is in the engine, or could not be pulled."""


def fetch(
    absent: Sequence[Dependency], engine: Engine, settings: Settings, listener: Listener, *, fail_fast: bool
) -> list[Outcome[Fetched]]:
    """Pull these images into the engine; the outcomes in their order."""
    with Registries(settings, Cancel(), connections=_LOOK_UPS * settings.pulls_at_once) as registries:
        return _Fetch(absent, engine, settings, registries).run(listener, fail_fast=fail_fast)


class _Fetch:
    """One run: the searches for all images, then their blobs and pulls under one limit."""

    def __init__(
        self, absent: Sequence[Dependency], engine: Engine, settings: Settings, registries: Registries
    ) -> None:
        self.began = time.monotonic()
        self.engine = engine
        self.settings = settings
        self.cancel = registries.cancel
        store = BlobStore(settings.state_dir / "blobs")
        downloads = Downloads(registries, store, tries=settings.tries)
        self.content, near = _ways(absent, engine, settings, registries, downloads)
        self.searches: dict[str, Search] = {}
        for item in absent:
            chain = sources(item.image, settings, near=near, content=self.content is not None)
            self.searches[str(item.image)] = Search(item, chain, registries, self.content)
        self.blobs = SharedBlobs(downloads, store, self.cancel, keep=settings.keep_blobs)
        self.progress = FetchProgress(downloads.received)
        self.engine_pull = EnginePull(engine, registries, self.progress)

    def run(self, listener: Listener, *, fail_fast: bool) -> list[Outcome[Fetched]]:
        offers = self._look_up(listener.on_start)
        found = {name: offer.found for name, offer in offers.items() if offer and offer.found}
        for name, item in found.items():
            self.blobs.wait_for(name, item)
            self.progress.expect(name, item)
        return self._fetch(offers, found, listener, fail_fast=fail_fast)

    def _look_up(self, on_start: Callable[[str], None]) -> dict[str, Offer | None]:
        """The first source of each image."""
        outcomes = run(
            dict.fromkeys(self.searches, ()),
            lambda name, _cancel: self.searches[name].next(),
            jobs=_LOOK_UPS * self.settings.pulls_at_once,
            on_start=on_start,
            cancel=self.cancel,
        )
        return {outcome.name: outcome.value for outcome in outcomes}

    def _fetch(
        self, offers: Mapping[str, Offer | None], found: Mapping[str, Found], listener: Listener, *, fail_fast: bool
    ) -> list[Outcome[Fetched]]:
        blobs = {blob.digest: (item.source, blob) for item in found.values() for blob in item.blobs}

        def work(key: str, _cancel: Cancel) -> Fetched | None:
            if key in blobs:
                self.blobs.fetch(*blobs[key])
                return None
            return self._pull_counted(self.searches[key], offers[key])

        def ended(outcome: Outcome[Fetched | None]) -> None:
            if outcome.name not in self.searches:
                return
            self.progress.end(outcome.name)
            listener.on_fetched(_of_image(outcome))
            if outcome.done:
                self.blobs.release(outcome.name)

        outcomes = run(
            _order(self.searches, found),
            work,
            jobs=self.settings.pulls_at_once,
            on_end=ended,
            on_tick=lambda: listener.on_progress(self.progress.now()),
            fail_fast=fail_fast,
            cancel=self.cancel,
        )
        return [_of_image(outcome) for outcome in outcomes if outcome.name in self.searches]

    def _pull_counted(self, search: Search, offer: Offer | None) -> Fetched:
        """Pull the image from `offer`, which the search gave first; if that fails, from the sources after it.

        Raises:
            Unavailable: no source gave it; with the reason of each.
            EngineLost: the engine does not answer any more.
            BuildError: the run was cancelled.
        """

        def tries() -> int:
            for_blobs = self.blobs.retries(offer.found) if offer and offer.found else 0
            return 1 + search.retries + len(passed) + for_blobs

        with retry.counted() as passed:
            try:
                return replace(self._pull(search, offer), tries=tries())
            except Unavailable as error:
                error.tries = tries()
                raise

    def _pull(self, search: Search, offer: Offer | None) -> Fetched:
        while offer is not None:
            try:
                size = self._pull_from(offer, search)
                return self._fetched(search, source_name(offer.place, search.wanted.image), size)
            except BuildError as error:
                if self.cancel.requested():
                    raise
                self.engine.check()
                search.failed(offer, error)
            offer = search.next()
            if offer is not None and offer.found is not None:
                self.blobs.wait_for(str(search.wanted.image), offer.found)
        return self._bootstrap(search)

    def _pull_from(self, offer: Offer, search: Search) -> int | None:
        """Pull the image from there; how many bytes had to be downloaded, None if the engine pulled it itself."""
        if offer.found is None or self.content is None:
            tries = 1 if search.comes_again(offer) else self.settings.tries
            self.engine_pull.pull(search.wanted, offer.place, tries=tries)
            return None
        self.blobs.check(offer.found)
        self.content.load(offer.found)
        return offer.found.size

    def _bootstrap(self, search: Search) -> Fetched:
        """Make the image from an apt archive, where no registry has it."""
        image = search.wanted.image
        if bootstrap.suite(image):
            try:
                bootstrap.make(image, self.engine, self.settings, self.cancel)
                return self._fetched(search, BOOTSTRAP, None)
            except BuildError as error:
                if self.cancel.requested():
                    raise
                search.refusals.append(Refusal(source=BOOTSTRAP, reason=error.message))
        raise Unavailable(str(image), search.refusals)

    def _fetched(self, search: Search, source: str, size: int | None) -> Fetched:
        seconds = time.monotonic() - self.began
        return Fetched(
            image=search.wanted.image, source=source, seconds=seconds, size=size, refusals=tuple(search.refusals)
        )


def _ways(
    absent: Sequence[Dependency], engine: Engine, settings: Settings, registries: Registries, downloads: Downloads
) -> tuple[ContentPull | None, frozenset[str]]:
    """The content path, for an engine here, and the hosts from which the engine's pulls come first all the same."""
    if settings.pull_through == "engine" or not engine.is_here():
        return None, frozenset()
    classic = not engine.keeps_content()
    images = [item.image for item in absent] if settings.pull_through == "auto" else []
    with ThreadPoolExecutor(1) as beside:  # the one waits for the network, the other for the engine
        near = beside.submit(near_hosts, images, settings, registries)
        content = ContentPull(engine, registries, downloads, classic=classic)
        return content, near.result()


def _order(images: Iterable[str], found: Mapping[str, Found]) -> dict[str, Sequence[str]]:
    """The work in its order, and what each piece needs: an image comes right behind its own blobs, so that it is loaded
    before those of others are fetched.
    """
    needs: dict[str, Sequence[str]] = {}
    for name in images:
        own = [blob.digest for blob in found[name].blobs] if name in found else []
        needs |= {digest: () for digest in own if digest not in needs}
        needs[name] = own
    return needs


def _of_image(outcome: "Outcome[Fetched | None]") -> Outcome[Fetched]:
    return Outcome(name=outcome.name, value=outcome.value, error=outcome.error, skipped=outcome.skipped)
