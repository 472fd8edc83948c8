"""What the tags of dependency images stand for now, for `images.lock`, and where that is no longer what is locked."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from build_lib import state
from build_lib.errors import BuildError, Refusal, RegistryError, Unavailable, nearest
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import LARGEST, Manifest, Registries, copy_plan, source_chain
from build_lib.repository import LOCK_NAME, Dependency, Lock, Locked, Repository, lock
from build_lib.settings import Settings
from build_lib.units import some

Result = Literal["locked", "moved", "removed", "unchanged"]
Chain = Callable[[Reference, Settings], Iterable[Reference]]

_ANSWER_SECONDS = 2.0  # for a registry that is only asked where a tag has moved
_ATTESTATION = "unknown/"  # what the platforms of attestations in an index begin with


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What happened to an image in the lock; a digest is "" where there is none."""

    image: Reference
    result: Result
    before: str
    after: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A tag that stands for another image than the locked one now, and the name by which it was asked for."""

    locked: Locked
    digest: str
    source: str


def update(
    repository: Repository,
    wanted: Sequence[Dependency],
    settings: Settings,
    *,
    named: Sequence[str] | None = None,
    on_start: Callable[[str], None] = lambda _name: None,
    dry: bool = False,
) -> list[Outcome[Change]]:
    """Lock what is not locked, and write the lock unless it is as it was; the outcomes in the order of the names.

    `named` are entries that are looked up again, all if it is empty, none if it is None. With `dry`, nothing is
    written.

    Raises:
        BuildError: none of the entries is one that is named.
    """
    again = frozenset() if named is None else _again(repository.lock, named)
    kept = {image for image in repository.lock.images if image not in _not_named(repository)}
    images = {item.named for item in wanted if item.locked or not item.image.digest} | kept
    before = repository.lock.images
    open_ = {str(image): image for image in sorted(images, key=str) if image not in before or image in again}
    with Registries(settings, Cancel(), connections=settings.pulls_at_once) as registries:

        def work(name: str, _cancel: Cancel) -> Locked:
            return _resolved(open_[name], settings, registries)

        outcomes = run(
            dict.fromkeys(open_, ()),
            work,
            jobs=settings.pulls_at_once,
            on_start=on_start,
            cancel=registries.cancel,
            doing=lambda names: f"looking up {some(names)}",
        )
    found = {outcome.value.image: outcome.value for outcome in outcomes if outcome.value}
    after = {image: before[image] for image in images if image in before}
    after |= {
        image: each for image, each in found.items() if image not in before or before[image].digest != each.digest
    }
    failed = {open_[outcome.name]: outcome for outcome in outcomes if outcome.value is None}
    if not dry and (set(after.values()) != set(before.values()) or (not repository.lock.exists and after)):
        state.write_text(repository.lock.path, lock.text(after.values()))
        repository.lock.path.chmod(0o644)  # it is a file of the repository, for all who may read that
    return [_outcome(image, before, after, failed) for image in sorted({*before, *images}, key=str)]


def drift(wanted: Sequence[Dependency], settings: Settings, chain: Chain = source_chain.places) -> tuple[Moved, ...]:
    """Return which tags stand for another image than the locked one, in the first registry of the chain that has them.

    Registries that do not answer at once are left out.
    """
    locked = {str(item.named): item.locked for item in wanted if item.locked}
    if not locked:
        return ()
    with Registries(settings, connections=settings.pulls_at_once) as registries:
        hosts = {place.host for each in locked.values() for place in chain(each.image, settings)}
        answers = run(
            dict.fromkeys(hosts, ()),
            lambda host, _cancel: registries.session.answers_within(host, _ANSWER_SECONDS),
            jobs=max(len(hosts), 1),
        )
        near = {outcome.name for outcome in answers if outcome.value}

        def work(name: str, _cancel: Cancel) -> Moved | None:
            places = [place for place in chain(locked[name].image, settings) if place.host in near]
            return _moved(locked[name], places, registries)

        outcomes = run(dict.fromkeys(locked, ()), work, jobs=settings.pulls_at_once)
    return tuple(outcome.value for outcome in outcomes if outcome.value)


def _moved(locked: Locked, places: Iterable[Reference], registries: Registries) -> Moved | None:
    for place in places:
        try:
            now = registries.resolve(place)
        except RegistryError:
            continue
        if now is not None:
            same = now.digest == locked.digest
            return None if same else Moved(locked=locked, digest=now.digest, source=str(place))
    return None


def _again(lock: Lock, named: Sequence[str]) -> frozenset[Reference]:
    """The entries that are named, by repository or with their tag; all, without names."""
    if not named:
        return frozenset(lock.images)
    found: set[Reference] = set()
    for name in named:
        image = Reference.parse(name)
        tagged = ":" in name.rpartition("/")[2]
        fitting = {
            each for each in lock.images if each == image or (not tagged and each.repository == image.repository)
        }
        if not fitting:
            hint = nearest(name, map(str, lock.images)) or "./inv deps lists the images"
            raise BuildError(f"--update names {name}, which {LOCK_NAME} does not have", hint=hint)
        found |= fitting
    return frozenset(found)


def _not_named(repository: Repository) -> set[Reference]:
    lines = {problem.line for problem in repository.not_fitting}
    return {image for image, locked in repository.lock.images.items() if locked.line in lines}


def _resolved(image: Reference, settings: Settings, registries: Registries) -> Locked:
    """What the tag stands for: upstream, or else in the private registry, which has what was pushed there once.

    Raises:
        Unavailable: no registry has it.
    """
    refusals: list[Refusal] = []
    private = settings.private_registry
    own = source_chain.private(image, private, settings.image_tag) if private else ()
    sources = (*source_chain.upstream(image, settings), *own)
    for source, top in copy_plan.sources_with(image, sources, registries, refusals):
        try:
            manifest = registries.manifest(source, top.digest)
            platforms = tuple(_platforms(source, manifest, registries))
        except BuildError as error:
            if registries.cancel.requested():
                raise
            refusals.append(Refusal(source=source.host, reason=error.message))
            continue
        return Locked(image=image, digest=top.digest, platforms=platforms, source=str(source), date=_today())
    raise Unavailable(str(image), refusals)


def _platforms(source: Reference, manifest: Manifest, registries: Registries) -> Iterator[tuple[str, str]]:
    """The platforms of an index, or of the only manifest, each with the first manifest for it."""
    if manifest.manifests:
        found: dict[str, str] = {}
        for item in manifest.manifests:
            if lock.is_platform(item.platform) and not item.platform.startswith(_ATTESTATION):
                found.setdefault(item.platform, item.digest)
        yield from sorted(found.items())
    elif manifest.blobs[0].size <= LARGEST:
        config = json.loads(b"".join(registries.blob(source, manifest.blobs[0])) or b"{}")
        parts = [config.get(part) for part in ("os", "architecture", "variant")] if isinstance(config, dict) else []
        platform = "/".join(part for part in parts if part and isinstance(part, str))
        if lock.is_platform(platform):
            yield platform, manifest.digest


def _today() -> date:
    return datetime.now(UTC).date()


def _outcome(
    image: Reference,
    before: Mapping[Reference, Locked],
    after: Mapping[Reference, Locked],
    failed: Mapping[Reference, Outcome[Locked]],
) -> Outcome[Change]:
    if image in failed:
        return Outcome(name=str(image), error=failed[image].error, skipped=failed[image].skipped)
    old, new = before.get(image), after.get(image)
    result: Result = "removed" if new is None else "locked" if old is None else "unchanged"
    if old and new and old.digest != new.digest:
        result = "moved"
    change = Change(
        image=image,
        result=result,
        before=old.digest if old else "",
        after=new.digest if new else "",
        source=new.source if new else "",
    )
    return Outcome(name=str(image), value=change)
