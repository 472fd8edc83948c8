"""Images that the engine lacks, each from the first source that has it, by the content path or by the engine's pulls.

All names are looked up at once. Then every blob that the engine lacks is a piece of work, and every image one that
waits for its blobs: it is loaded while others still download. `PULL_THROUGH` chooses the engine's own pulls instead.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from build_lib.engine import Engine
from build_lib.graph import Cancel, Outcome, interruptible, run, that_need
from build_lib.registry import BlobStore, Downloads, Progress, Registries
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer.content_pull import ContentPull, Found
from build_lib.transfer.fetch_progress import FetchProgress
from build_lib.transfer.image_pull import Fetched, ImagePull
from build_lib.transfer.shared_blobs import SharedBlobs
from build_lib.transfer.source_search import Offer, Search, near_hosts, sources
from build_lib.units import some

_LOOK_UPS = 4  # at once, for each connection that carries blobs: they are small, and wait for round trips


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
        began = time.monotonic()
        self.cancel = registries.cancel
        self.jobs = settings.pulls_at_once
        store = BlobStore(settings.state_dir / "blobs")
        downloads = Downloads(registries, store, tries=settings.tries)
        with interruptible(f"looking up {some([str(item.image) for item in absent])}"):
            content, near = _ways(absent, engine, settings, registries, downloads)
        self.searches: dict[str, Search] = {}
        for item in absent:
            chain = sources(item.image, settings, near=near, content=content is not None)
            self.searches[str(item.image)] = Search(item, chain, registries, content)
        self.blobs = SharedBlobs(downloads, store, self.cancel, keep=settings.keep_blobs)
        self.progress = FetchProgress(downloads.received)
        self.images = ImagePull(engine, settings, registries, content, self.blobs, self.progress, began=began)

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
            jobs=_LOOK_UPS * self.jobs,
            on_start=on_start,
            cancel=self.cancel,
            doing=lambda names: f"looking up {some(names)}",
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
            return self.images.pull(self.searches[key], offers[key])

        def ended(outcome: Outcome[Fetched | None]) -> None:
            if outcome.name not in self.searches:
                return
            self.progress.end(outcome.name)
            listener.on_fetched(_of_image(outcome))
            if outcome.done:
                self.blobs.release(outcome.name)

        needs = _order(self.searches, found)
        outcomes = run(
            needs,
            work,
            jobs=self.jobs,
            on_end=ended,
            on_tick=lambda: listener.on_progress(self.progress.now()),
            fail_fast=fail_fast,
            cancel=self.cancel,
            doing=lambda keys: f"pulling {some(that_need(keys, needs, self.searches))}",
        )
        return [_of_image(outcome) for outcome in outcomes if outcome.name in self.searches]


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
