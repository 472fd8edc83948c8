"""The source chain: bring dependency images into the engine, from the first source that has them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

from build_lib import bootstrap, retry, state
from build_lib.credentials import Credentials
from build_lib.dependencies import Dependency
from build_lib.engine import Engine
from build_lib.errors import BuildError, Refusal, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import TAG_LIMIT, Reference
from build_lib.settings import Settings

HERE = "engine"  # the source of an image that needed no fetching


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """Where an image came from, how long that took, and which sources had refused before."""

    image: Reference
    source: str
    seconds: float
    refusals: tuple[Refusal, ...] = ()

    @property
    def was_here(self) -> bool:
        """Whether the engine had it already."""
        return self.source == HERE


class Listener(Protocol):
    """Who hears of each image as it comes; called in the thread that called prefetch."""

    def on_start(self, name: str) -> None:
        """An image is looked for."""

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        """It was brought in, or could not be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    name: str
    host: str
    take: Callable[[], object]


def prefetch(
    wanted: Sequence[Dependency],
    engine: Engine,
    settings: Settings,
    listener: Listener,
    *,
    fail_fast: bool = False,
) -> list[Outcome[Fetched]]:
    """Bring all images into the engine under their own names; the outcomes in the order of `wanted`.

    What failed stands in the record that `reasons` reads, so that a later build can say why it lacks an image.
    """
    chain = _Chain(engine, settings)
    images = {str(dependency.image): dependency.image for dependency in wanted}
    here = [name for name, image in images.items() if image.identity in chain.present]
    outcomes = {name: Outcome(name=name, value=chain.present_one(images[name])) for name in here}
    absent: dict[str, tuple[str, ...]] = {name: () for name in images if name not in outcomes}
    fetched = run(
        absent,
        lambda name, cancel: chain.fetch(images[name], cancel),
        jobs=settings.pulls_at_once,
        on_start=listener.on_start,
        on_end=listener.on_fetched,
        fail_fast=fail_fast,
    )
    outcomes |= {outcome.name: outcome for outcome in fetched}
    _remember([outcomes[name] for name in images], settings)
    return [outcomes[name] for name in images]


def plan(wanted: Sequence[Dependency], engine: Engine, settings: Settings) -> dict[str, tuple[str, ...]]:
    """For each image the sources that would be asked, in order; none for what is in the engine."""
    chain = _Chain(engine, settings)
    return {
        str(item.image): ()
        if item.image.identity in chain.present
        else tuple(source.name for source in chain.sources(item.image, Cancel()))
        for item in wanted
    }


def reasons(image: Reference, settings: Settings) -> str:
    """Why the last prefetch could not bring the image, in words; "" if it did not fail."""
    record = state.read(settings.state_dir / "prefetch.json") or {}
    refusals = record.get("failed", {}).get(str(image), [])
    return "; ".join(f"{refusal['source']}: {refusal['reason']}" for refusal in refusals)


class _Chain:
    """The sources for this run."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.present = frozenset(engine.images())
        self._hosts = retry.Hosts()
        self._credentials = Credentials(settings)

    def present_one(self, image: Reference) -> Fetched:
        return Fetched(image=image, source=HERE, seconds=0.0)

    def fetch(self, image: Reference, cancel: Cancel) -> Fetched:
        began = time.monotonic()
        refusals: list[Refusal] = []
        for source in self.sources(image, cancel):
            reason = self._try(source, cancel)
            if not reason:
                seconds = time.monotonic() - began
                return Fetched(image=image, source=source.name, seconds=seconds, refusals=tuple(refusals))
            refusals.append(Refusal(source=source.name, reason=reason))
        raise Unavailable(str(image), refusals)

    def sources(self, image: Reference, cancel: Cancel) -> Iterator[_Source]:
        """Private registry, canonical registry, apt archive: those that can have the image at all."""
        registry = self.settings.private_registry
        if registry is not None and not registry.holds(image):
            for place in _places(image, self.settings):
                yield _Source(name=str(place), host=place.host, take=partial(self._pull_as, place, image, cancel))
        yield _Source(name=image.host, host=image.host, take=partial(self._pull, image, cancel))
        if bootstrap.suite(image):
            make = partial(bootstrap.make, image, self.engine, self.settings, cancel)
            yield _Source(name="apt archive", host="", take=make)

    def _try(self, source: _Source, cancel: Cancel) -> str:
        """Take the image from the source; "" or the reason why not."""
        try:
            self._hosts.check(source.host)
            retry.call(source.take, tries=self.settings.tries, cancel=cancel)
        except BuildError as error:
            if cancel.requested():
                raise
            self._hosts.note(source.host, error)
            return error.message
        return ""

    def _pull(self, image: Reference, cancel: Cancel) -> None:
        with cancel.abandoned():  # the engine gives up by itself once nobody listens
            self.engine.pull(image, self._credentials.of(image.host), cancelled=cancel.requested)

    def _pull_as(self, place: Reference, image: Reference, cancel: Cancel) -> None:
        """Pull from `place`, and leave the image under its own name alone."""
        self._pull(place, cancel)
        self.engine.tag(str(place), image)
        if place.identity not in self.present:
            self.engine.remove(place)


def _places(image: Reference, settings: Settings) -> Iterator[Reference]:
    """The names to ask the private registry for: the release's own first (design, decision 8).

    An image pinned by digest is found by builds only under its own repository, so none is asked for there.
    """
    if settings.private_registry is None or image.digest or not image.tag:
        return
    place = settings.private_registry.place(image)
    released = f"{image.tag}-{settings.image_tag}"
    if len(released) <= TAG_LIMIT:
        yield place.with_tag(released)
    yield place


def _remember(outcomes: Sequence[Outcome[Fetched]], settings: Settings) -> None:
    failed = {
        outcome.name: [asdict(refusal) for refusal in outcome.error.refusals]
        for outcome in outcomes
        if isinstance(outcome.error, Unavailable)
    }
    state.write(settings.state_dir / "prefetch.json", {"failed": failed})
