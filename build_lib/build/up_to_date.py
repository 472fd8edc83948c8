"""Which services are up to date, and why the others are not."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Any

from build_lib.build.images import Store
from build_lib.build.inputs import Inputs, Reader
from build_lib.build.records import Records
from build_lib.dockerfile import ImageUse
from build_lib.engine import Image
from build_lib.reference import Reference
from build_lib.repository import Context, Service, fingerprint
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The state of a service."""

    service: Service
    siblings: Mapping[str, Reference]  # the images of the services that it depends on
    rebuilt: tuple[str, ...]  # those of them that are rebuilt before it: `check_again` has the last word afterwards
    parts: fingerprint.Parts
    context: Context
    patterns: tuple[str, ...] | None  # the paths of the context that `context` is about; None for all
    own_reason: str  # why it is out of date, whether or not the services in `rebuilt` change; "" if it is not
    missing: tuple[Reference, ...]  # images that its build needs and does not find
    image: str  # the id of the image of this name, up to date or not; "" if there is none
    failed: str  # why its last build failed, in one line; "" if it did not; INTERRUPTED if it did not end
    failed_at: str  # when that was, as in ISO 8601; "" if it did not
    pins: tuple[tuple[ImageUse, str], ...]  # images that have another name here than the Dockerfile uses

    @property
    def reason(self) -> str:
        """Why the service is out of date, or may be; "" if it is up to date."""
        if self.own_reason or not self.rebuilt:
            return self.own_reason
        verb = "is" if len(self.rebuilt) == 1 else "are"
        return f"depends on {', '.join(self.rebuilt)}, which {verb} rebuilt and may change"

    @property
    def built(self) -> bool:
        """Whether there is an image of this name, up to date or not."""
        return bool(self.image)


def check(
    services: Mapping[str, Service],
    store: Store,
    settings: Settings,
    *,
    forced: Mapping[str, str] = MappingProxyType({}),
    pull: bool = False,
) -> dict[str, Check]:
    """Compare each service with its existing image; the result is in the order of `services`.

    Everything that a service depends on must be in `services`. Those that are `forced` are always built, for the
    given reason. With `pull`, the builder may use newer base images than those that are here.
    """
    held = store.look({image for each in services.values() for image in (each.image, *each.base_images)})
    checks: dict[str, Check] = {}
    for name in in_order(services):
        service = services[name]
        siblings = {need: services[need].image for need in service.needs}
        rebuilt = tuple(need for need in service.needs if checks[need].reason)
        reader = Reader(service, siblings, rebuilt, held, Records(service, settings), contexts={})
        checks[name] = _check(reader, why=forced.get(name, ""), pull=pull)
    return {name: checks[name] for name in services}


def in_order(services: Mapping[str, Service]) -> list[str]:
    """Return the names of the services, each after those that it depends on."""
    return list(TopologicalSorter({name: service.needs for name, service in services.items()}).static_order())


def check_again(
    before: Check, store: Store, settings: Settings, *, rebuilt: Collection[str] = (), pull: bool = False
) -> Check:
    """Check a service once more, after services that it depends on were built; `rebuilt` are those still to come.

    A reason of its own remains one. Its files count as they were before: a change since then shows after its build.
    """
    service, still = before.service, tuple(name for name in before.rebuilt if name in rebuilt)
    contexts = {before.patterns: before.context}
    reader = Reader(service, before.siblings, still, store.look(), Records(service, settings), contexts)
    found = _check(reader, why=before.own_reason, pull=pull)
    return replace(found, context=replace(found.context, dockerfile=before.context.dockerfile))


def _check(reader: Reader, *, why: str, pull: bool) -> Check:
    """Compare a service with its image; `why` it is built in any case, "" if only a difference is a reason."""
    service, records = reader.service, reader.records
    image = reader.held.image(service.image)
    old = fingerprint.from_label(image.labels.get(fingerprint.LABEL)) if image else None
    same = None if old is None else reader.as_in(old)
    last = records.last()
    reason = why if image else "not built yet"
    if image and not reason:
        reason = _difference(old, same, records) or _doubts(image, last)
    found = same if same and not reason and not reader.rebuilt else reader.for_label(pull=pull)
    bases = reader.bases()
    return Check(
        service=service,
        siblings=reader.siblings,
        rebuilt=reader.rebuilt,
        parts=found.parts,
        context=found.context,
        patterns=found.patterns,
        own_reason=reason,
        missing=tuple(base for base in service.base_images if bases[str(base)] is None),
        image=image.id if image else "",
        failed=last.get("failed", ""),
        failed_at=last.get("failed_at", ""),
        pins=tuple(_pins(service, bases)),
    )


def _difference(old: fingerprint.Parts | None, same: Inputs | None, records: Records) -> str:
    """What an image depends on that is different now, in words; "" if nothing is."""
    if old is None or same is None:
        return "the existing image was not built by this tool"
    if not fingerprint.changes(old, same.parts):
        return ""
    return fingerprint.words(old, same.parts, records.files(old), same.context.files)


def _doubts(image: Image, last: Mapping[str, Any]) -> str:
    """Why an image may have been built from other files than its label says; "" if there is no reason to doubt it."""
    if last.get("image") == image.id:
        return fingerprint.unsure(last.get("unsure", ()))
    interrupted = "begun" in last and last["begun"] != image.id  # else the image is still the one from before
    return "the run that built it was interrupted" if interrupted else ""


def _pins(service: Service, names: Mapping[str, Reference | None]) -> Iterator[tuple[ImageUse, str]]:
    for use in service.external:
        name = names.get(str(use.image))
        if name is not None and name != Reference.parse(use.name) and use.kind != "syntax":
            yield use, str(name)
