"""Build services in dependency order, in parallel."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from build_lib import state
from build_lib.build.builders import Builder
from build_lib.build.records import Records
from build_lib.build.up_to_date import Check
from build_lib.engine import Engine, built_here
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.repository import Service, fingerprint, with_images
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """How a service came out: why it was built ("" if it was not) and how long that took.

    `changed` are files of its context that were written to meanwhile: the image may be of before or after.
    """

    name: str
    reason: str
    seconds: float
    changed: tuple[str, ...] = ()


def build(
    checks: Mapping[str, Check],
    builder: Builder,
    engine: Engine,
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
        began = time.monotonic()
        check = checks[name]
        changed = (
            _built(check, builder, engine, settings, None if pull else why_missing, cancel) if check.reason else ()
        )
        return Built(name=name, reason=check.reason, seconds=time.monotonic() - began, changed=tuple(changed))

    needs = {name: check.service.needs for name, check in checks.items()}
    return run(needs, work, jobs=settings.builds_at_once, on_start=on_start, on_end=on_end, fail_fast=fail_fast)


def _built(
    check: Check,
    builder: Builder,
    engine: Engine,
    settings: Settings,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> Sequence[str]:
    """Build it; the files of its context that changed meanwhile.

    Raises:
        BuildError: it cannot be built; which the records keep, unless that is not its own fault.
    """
    records = Records(check.service, settings)
    records.write_begun(check.image)
    try:
        _through(check, builder, settings, why_missing, cancel)
        changed = check.context.changes(records.look())
    except BuildError as error:
        if cancel.requested():
            raise
        engine.check()
        records.write_failed(error)
        raise
    image = engine.images().get(check.service.image.canonical)
    records.write_built(check.context, check.parts["context"], image.id if image else "", changed)
    if image:
        built_here.remember(image.id, settings)
    return changed


def _through(
    check: Check,
    builder: Builder,
    settings: Settings,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> None:
    log = settings.state_dir / "logs" / f"{check.service.name}.log"
    with state.writing(log):
        log.unlink(missing_ok=True)
    if check.missing and why_missing is not None:  # else the builder brings its images itself
        raise _lacks(check, why_missing)
    _see_that_there_is(check.service)
    service = check.service if why_missing is None else with_images(check.service, check.pins)
    with state.writing(log):
        builder.build(service, {fingerprint.LABEL: fingerprint.as_label(check.parts)}, log, cancel)


def _see_that_there_is(service: Service) -> None:
    """What was there at the check may be gone; builders say so in their own ways, and not always by name."""
    for path in (service.context, service.context if service.inline else service.dockerfile):
        if not path.exists():
            raise BuildFailed(f"{service.name} cannot be built: there is no {path} any more")


def _lacks(check: Check, why_missing: Callable[[Reference], str]) -> BuildFailed:
    images = []
    for image in check.missing:
        why = why_missing(image)
        images.append(f"{image} ({why})" if why else str(image))
    return BuildFailed(
        f"{check.service.name} is not built: it needs {', '.join(images)}",
        hint="./inv prefetch brings images in; PRIVATE_REGISTRY in .env names a registry that has them",
    )
