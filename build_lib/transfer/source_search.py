"""Which source gives an image: the registries of its source chain, asked in order, and the way from there.

The content path is the rule. The engine's own pull is the way where there is no content path, from what a load does not
take, and from registries so near that nothing can be gained (`bench/prefetch.py`).
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from build_lib.engine import NotLoadable
from build_lib.errors import BuildError, Refusal
from build_lib.graph import Cancel, run
from build_lib.reference import Reference
from build_lib.registry import Registries, retry, source_chain
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer.content_pull import ContentPull, Found

_NEAR_SECONDS = 0.05  # within which a registry answers from which the engine's own pulls are the quicker ones


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A registry that may have an image, by the image's name there, and whether the engine would pull it by itself."""

    place: Reference
    by_engine: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A source that gives an image: the image's name there, and what was found; None if the engine is to pull it."""

    place: Reference
    found: Found | None = None


class Search:
    """The search for one image, source by source; for one thread at a time.

    `refusals` are those of the sources that did not give the image; `retries` counts the failures after which one was
    asked again. Without `content`, nothing is looked up: the engine is to pull from every source.
    """

    def __init__(
        self, wanted: Dependency, sources: Iterable[Source], registries: Registries, content: ContentPull | None
    ) -> None:
        self.wanted = wanted
        self.refusals: list[Refusal] = []
        self.retries = 0
        self._untried = deque(sources)
        self._registries = registries
        self._content = content

    def next(self) -> Offer | None:
        """The next source that has the image; None if there is none any more.

        Raises:
            BuildError: the run was cancelled.
        """
        with retry.counted() as passed:
            offer = self._next()
        self.retries += len(passed)
        return offer

    def _next(self) -> Offer | None:
        while self._untried:
            source = self._untried.popleft()
            if source.by_engine or self._content is None:
                return Offer(place=source.place)
            try:
                found = self._content.find(self.wanted.image, source.place, self.wanted.platform)
                return Offer(place=source.place, found=found)
            except NotLoadable:
                return Offer(place=source.place)
            except BuildError as error:
                if self._registries.cancel.requested():
                    raise
                self._refuse(source.place, error)
        return None

    def failed(self, offer: Offer, error: BuildError) -> None:
        """Note why the image could not be pulled from where it was found."""
        if not self.comes_again(offer):
            self._registries.session.hosts.note(offer.place.host, error)
            self._refuse(offer.place, error)

    def comes_again(self, offer: Offer) -> bool:
        """Whether the content path is next to try the same source: it has the patience, and gives better reasons."""
        return bool(self._untried) and self._untried[0].place == offer.place

    def _refuse(self, place: Reference, error: BuildError) -> None:
        self.refusals.append(Refusal(source=source_name(place, self.wanted.image), reason=error.message))


def source_name(place: Reference, image: Reference) -> str:
    """A source for people: its host, or the image's whole name there where that is not the image's own."""
    return place.host if place == image else str(place)


def sources(image: Reference, settings: Settings, *, near: Collection[str], content: bool) -> Iterator[Source]:
    """The image's sources in order; from hosts that are `near`, the engine pulls before the content path tries."""
    for place in source_chain.places(image, settings):
        if not content or place.host in near:
            yield Source(place=place, by_engine=True)
        if content:
            yield Source(place=place, by_engine=False)


def near_hosts(images: Iterable[Reference], settings: Settings, registries: Registries) -> frozenset[str]:
    """Which of the registries that are asked first are so near that the engine's own pulls are quicker.

    A login is tried here, once, before the engine sends it for every image.
    """
    first: dict[str, Reference] = {}
    for image in images:
        place = next(source_chain.places(image, settings))
        first.setdefault(place.host, place)

    def work(host: str, _cancel: Cancel) -> bool:
        if not registries.session.answers_within(host, _NEAR_SECONDS):
            return False
        registries.resolve(first[host])
        return True

    outcomes = run(dict.fromkeys(first, ()), work, jobs=settings.pulls_at_once, cancel=registries.cancel)
    return frozenset(outcome.name for outcome in outcomes if outcome.value)
