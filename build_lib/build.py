"""Build services: find out which have to be built and why, and build them in the order of their graph."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from build_lib import fingerprint, state
from build_lib.builders import Builder
from build_lib.dockerfile import ImageUse
from build_lib.engine import Engine, Image
from build_lib.errors import BuildFailed
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference, local_names
from build_lib.services import Service, with_images
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What is to be done about a service. `reason` is "" where nothing is."""

    service: Service
    parts: fingerprint.Parts
    files: fingerprint.Parts  # of its context
    reason: str
    missing: tuple[Reference, ...]  # images that it needs for being built, and that the engine has not
    built: bool  # whether there is an image of this name, up to date or not
    pins: tuple[tuple[ImageUse, str], ...]  # images that the engine has under another name than the Dockerfile's


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """How a service came out: why it was built ("" if it was not) and how long that took."""

    name: str
    reason: str
    seconds: float


def check(
    services: Mapping[str, Service], engine: Engine, settings: Settings, *, forced: Collection[str] = ()
) -> dict[str, Check]:
    """Compare each service with the image that there is; in the order of `services`.

    All that a service stands on must be among `services`; those that are `forced` are built in any case.
    """
    images, platform = engine.images(), engine.platform()
    checks: dict[str, Check] = {}
    for name in TopologicalSorter({name: service.needs for name, service in services.items()}).static_order():
        files = state.read(_record(services[name], settings)) or {}
        checks[name] = _check(services[name], checks, images, files, platform=platform, force=name in forced)
    return {name: checks[name] for name in services}


def _check(
    service: Service,
    checks: Mapping[str, Check],
    images: Mapping[str, Image],
    built: Mapping[str, Any],
    *,
    platform: str,
    force: bool,
) -> Check:
    names = {str(image): _name_in(images, image) for image in service.base_images}
    bases = {base: images[name.identity].id for base, name in names.items() if name is not None}
    missing = tuple(image for image in service.base_images if str(image) not in bases)
    siblings = {name: checks[name].parts for name in service.needs}
    files = fingerprint.context(service)
    parts = fingerprint.parts(
        service, files=files, platform=service.platform or platform, bases=bases, siblings=siblings
    )
    image = images.get(service.image.canonical)
    old = fingerprint.from_label(image.labels.get(fingerprint.LABEL)) if image else None
    if old is not None:  # an image that is gone since is no reason to build again
        parts |= {name: old[name] for name in (f"base image {image}" for image in missing) if name in old}
    rebuilt = [name for name in service.needs if checks[name].reason]
    before = built.get("files") if old is not None and built.get("context") == old.get("context") else None
    changed = fingerprint.words(fingerprint.changes(old or {}, parts), before, files)
    reason = _reason(image, old, changed, rebuilt, force=force)
    pins = tuple(_pins(service, names))
    return Check(
        service=service, parts=parts, files=files, reason=reason, missing=missing, built=image is not None, pins=pins
    )


def _name_in(images: Mapping[str, Image], image: Reference) -> Reference | None:
    """The name by which the engine finds the image, if it has it."""
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
    """Why to build, in words."""
    if image is None:
        return "not built yet"
    if force:
        return "--force"
    if rebuilt:
        return f"stands on {', '.join(rebuilt)}, which is rebuilt"
    if old is None:
        return "the image there is was not built by this tool"
    return changed


def _record(service: Service, settings: Settings) -> Path:
    """The files that a service was last built from: they only serve to name what changed."""
    return settings.state_dir / "contexts" / f"{service.name}.json"


def build(
    checks: Mapping[str, Check],
    builder: Builder,
    settings: Settings,
    *,
    why_missing: Callable[[Reference], str] = lambda _image: "",
    pull: bool = False,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[Built]], None] = lambda _outcome: None,
    fail_fast: bool = False,
) -> list[Outcome[Built]]:
    """Build what has to be built, each service after those it stands on; what fails blocks only what needs it.

    `why_missing` tells why an image could not be brought in, for the error of a service that lacks it; with `pull`,
    the builder brings what is missing, and what is newer, itself.
    """

    def work(name: str, cancel: Cancel) -> Built:
        return _build_one(checks[name], builder, settings, None if pull else why_missing, cancel)

    needs = {name: check.service.needs for name, check in checks.items()}
    return run(needs, work, jobs=settings.builds_at_once, on_start=on_start, on_end=on_end, fail_fast=fail_fast)


def _build_one(
    check: Check,
    builder: Builder,
    settings: Settings,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> Built:
    began = time.monotonic()
    name = check.service.name
    if check.reason:
        if check.missing and why_missing is not None:  # else the builder brings its images itself
            raise _lacks(check, why_missing)
        log = settings.state_dir / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        service = check.service if why_missing is None else with_images(check.service, check.pins)
        builder.build(service, {fingerprint.LABEL: fingerprint.as_label(check.parts)}, log, cancel)
        state.write(_record(service, settings), {"context": check.parts["context"], "files": dict(check.files)})
    return Built(name=name, reason=check.reason, seconds=time.monotonic() - began)


def _lacks(check: Check, why_missing: Callable[[Reference], str]) -> BuildFailed:
    images = []
    for image in check.missing:
        why = why_missing(image)
        images.append(f"{image} ({why})" if why else str(image))
    return BuildFailed(
        f"{check.service.name} is not built: it needs {', '.join(images)}",
        hint="./inv prefetch brings images in; PRIVATE_REGISTRY in .env names a registry that has them",
    )
