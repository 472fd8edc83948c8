"""One image into the engine: from the first source that gives it, and when that fails, from the next."""

import time
from dataclasses import dataclass, replace

from build_lib.engine import Engine
from build_lib.errors import BuildError, Refusal, Unavailable
from build_lib.reference import Reference
from build_lib.registry import Registries, retry
from build_lib.settings import Settings
from build_lib.transfer import bootstrap
from build_lib.transfer.content_pull import ContentPull
from build_lib.transfer.engine_pull import EnginePull
from build_lib.transfer.fetch_progress import FetchProgress
from build_lib.transfer.shared_blobs import SharedBlobs
from build_lib.transfer.source_search import Offer, Search, source_name

HERE = "engine"  # the source of an image that needed no fetching
IN_REGISTRY = "build registry"  # likewise, for a fleet of builders
BOOTSTRAP = "apt archive"


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
        """Whether the engine, or the build registry, had it already."""
        return self.source in (HERE, IN_REGISTRY)


class ImagePull:
    """Pulls the images of one run, whose seconds are counted from `began`; for several threads."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        registries: Registries,
        content: ContentPull | None,
        blobs: SharedBlobs,
        progress: FetchProgress,
        *,
        began: float,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._cancel = registries.cancel
        self._content = content
        self._engine_pull = EnginePull(engine, registries, progress)
        self._blobs = blobs
        self._began = began

    def pull(self, search: Search, offer: Offer | None) -> Fetched:
        """Pull the image from `offer`, which the search gave first; if that fails, from the sources after it.

        Raises:
            Unavailable: no source gave it; with the reason of each.
            EngineLost: the engine does not answer any more.
            BuildError: the run was cancelled.
        """

        def tries() -> int:
            for_blobs = self._blobs.retries(offer.found) if offer and offer.found else 0
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
                if self._cancel.requested():
                    raise
                self._engine.check()
                search.failed(offer, error)
            offer = search.next()
            if offer is not None and offer.found is not None:
                self._blobs.wait_for(str(search.wanted.image), offer.found)
        return self._bootstrap(search)

    def _pull_from(self, offer: Offer, search: Search) -> int | None:
        """Pull the image from there; how many bytes had to be downloaded, None if the engine pulled it itself."""
        if offer.found is None or self._content is None:
            tries = 1 if search.comes_again(offer) else self._settings.tries
            self._engine_pull.pull(search.wanted, offer.place, tries=tries)
            return None
        self._blobs.check(offer.found)
        self._content.load(offer.found)
        return offer.found.size

    def _bootstrap(self, search: Search) -> Fetched:
        """Make the image from an apt archive, where no registry has it."""
        image = search.wanted.image
        if bootstrap.suite(image):
            try:
                bootstrap.make(image, self._engine, self._settings, self._cancel)
                return self._fetched(search, BOOTSTRAP, None)
            except BuildError as error:
                if self._cancel.requested():
                    raise
                search.refusals.append(Refusal(source=BOOTSTRAP, reason=error.message))
        raise Unavailable(str(image), search.refusals)

    def _fetched(self, search: Search, source: str, size: int | None) -> Fetched:
        seconds = time.monotonic() - self._began
        return Fetched(
            image=search.wanted.image, source=source, seconds=seconds, size=size, refusals=tuple(search.refusals)
        )
