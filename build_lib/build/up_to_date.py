"""Which services are up to date, and why the others are not."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from build_lib.build.records import Records
from build_lib.dockerfile import ImageUse
from build_lib.engine import Engine, Image
from build_lib.reference import Reference, local_names
from build_lib.repository import Context, Service, fingerprint
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The state of a service. `reason` says why it is out of date; "" if it is up to date."""

    service: Service
    parts: fingerprint.Parts
    context: Context
    reason: str
    missing: tuple[Reference, ...]  # images that its build needs and that the engine does not have
    image: str  # the id of the image of this name, up to date or not; "" if there is none
    failed: str  # why its last build failed, in one line; "" if it did not
    pins: tuple[tuple[ImageUse, str], ...]  # images that the engine has under another name than the Dockerfile uses

    @property
    def built(self) -> bool:
        """Whether there is an image of this name, up to date or not."""
        return bool(self.image)


def check(
    services: Mapping[str, Service], engine: Engine, settings: Settings, *, forced: Collection[str] = ()
) -> dict[str, Check]:
    """Compare each service with its existing image; the result is in the order of `services`.

    Everything that a service depends on must be in `services`. Those that are `forced` are always built.
    """
    images, platform = engine.images.by_name(), engine.platform()
    checks: dict[str, Check] = {}
    for name in TopologicalSorter({name: service.needs for name, service in services.items()}).static_order():
        checks[name] = _check(services[name], checks, images, settings, platform=platform, force=name in forced)
    return {name: checks[name] for name in services}


def _check(
    service: Service,
    checks: Mapping[str, Check],
    images: Mapping[str, Image],
    settings: Settings,
    *,
    platform: str,
    force: bool,
) -> Check:
    names = {str(image): _name_in(images, image) for image in service.base_images}
    bases = {base: images[name.identity].id for base, name in names.items() if name is not None}
    missing = tuple(image for image in service.base_images if str(image) not in bases)
    siblings = {name: checks[name].parts for name in service.needs}
    records = Records(service, settings)
    found = records.look()
    parts = fingerprint.parts(
        service, files=found.files, platform=service.platform or platform, bases=bases, siblings=siblings
    )
    image = images.get(service.image.canonical)
    old = fingerprint.from_label(image.labels.get(fingerprint.LABEL)) if image else None
    if old is not None:  # a base image that was removed since is no reason to rebuild
        parts |= {name: old[name] for name in (f"base image {image}" for image in missing) if name in old}
    last = records.last()
    before = old or {}
    if fingerprint.changes(before, parts):
        reason = fingerprint.words(before, parts, records.files(old), found.files)
    else:
        reason = _doubts(image, last) if image else ""
    rebuilt = [name for name in service.needs if checks[name].reason]
    return Check(
        service=service,
        parts=parts,
        context=found,
        reason=_reason(image, old, reason, rebuilt, force=force),
        missing=missing,
        image=image.id if image else "",
        failed=last.get("failed", ""),
        pins=tuple(_pins(service, names)),
    )


def _doubts(image: Image, last: Mapping[str, Any]) -> str:
    """Why an image may have been built from other files than its label says; "" if there is no reason to doubt it."""
    if last.get("image") == image.id:
        return fingerprint.unsure(last.get("unsure", ()))
    interrupted = "begun" in last and last["begun"] != image.id  # else the image is still the one from before
    return "the run that built it was interrupted" if interrupted else ""


def _name_in(images: Mapping[str, Image], image: Reference) -> Reference | None:
    """The name under which the engine has the image, or None."""
    return next((name for name in local_names(image) if name.identity in images), None)


def _pins(service: Service, names: Mapping[str, Reference | None]) -> Iterator[tuple[ImageUse, str]]:
    for use in service.external:
        image = Reference.parse(use.name)
        name = names.get(str(image))
        if name is not None and name != image and use.kind != "syntax":
            yield use, str(name)


def _reason(
    image: Image | None, old: fingerprint.Parts | None, changed: str, rebuilt: list[str], *, force: bool
) -> str:
    """Why the service is out of date, in words; "" if it is not."""
    if image is None:
        return "not built yet"
    if force:
        return "--force"
    if rebuilt:
        return f"depends on {', '.join(rebuilt)}, which {'is' if len(rebuilt) == 1 else 'are'} rebuilt"
    if old is None:
        return "the existing image was not built by this tool"
    return changed
