"""Build services in dependency order, in parallel."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from build_lib import state
from build_lib.build.builders import Builder
from build_lib.build.records import Records
from build_lib.build.running import RunningServices
from build_lib.build.up_to_date import Check, check_again
from build_lib.engine import Engine, built_here
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.repository import Service, fingerprint, with_images
from build_lib.settings import Settings
from build_lib.units import some


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The result for a service: why it was built ("" if it was not), and how many seconds that took.

    `changed` are files of its context that changed during the build: the image may have either version. `unchanged`
    are services that were built before it and came out the same, so that it did not have to be built.
    """

    name: str
    reason: str
    seconds: float
    parts: fingerprint.Parts  # those of its image
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


def build(
    checks: Mapping[str, Check],
    builder: Builder,
    engine: Engine,
    settings: Settings,
    *,
    services: Mapping[str, Service] | None = None,
    prepare: Callable[[str], None] = lambda _name: None,
    why_missing: Callable[[Reference], str] = lambda _image: "",
    pull: bool = False,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[Built]], None] = lambda _outcome: None,
    fail_fast: bool = False,
) -> list[Outcome[Built]]:
    """Build what is out of date, each service after those it depends on; a failure blocks only its dependents.

    `why_missing` says why an image could not be pulled, for the error of a service that needs it. With `pull`, the
    builder itself pulls base images that are missing or have a newer version.

    `services` has those that run while others are built, if they are not in `checks`. Before such a service is started,
    `prepare` is called with its name, in another thread; what it raises fails the builds that need the service.
    """
    runnable = {name: check.service for name, check in checks.items()} | dict(services or {})

    def work(name: str, cancel: Cancel) -> Built:
        began = time.monotonic()
        check, before = checks[name], checks[name].rebuilt
        if before:
            check = check_again(check, engine, settings, pull=pull)
        changed: Sequence[str] = ()
        if check.reason:
            changed = _build_one(check, builder, engine, settings, running, None if pull else why_missing, cancel)
        _name_as_in_compose(check.service, engine)
        return Built(
            name=name,
            reason=check.reason,
            seconds=time.monotonic() - began,
            parts=check.parts,
            changed=tuple(changed),
            unchanged=() if check.reason else before,
        )

    needs = {name: check.service.needs for name, check in checks.items()}
    jobs = settings.builds_at_once
    with RunningServices(runnable, engine, settings, prepare) as running:
        return run(
            needs,
            work,
            jobs=jobs,
            on_start=on_start,
            on_end=on_end,
            fail_fast=fail_fast,
            doing=lambda names: f"building {some(names)}",
        )


def _build_one(
    check: Check,
    builder: Builder,
    engine: Engine,
    settings: Settings,
    running: RunningServices,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> Sequence[str]:
    """Build a service, and return the files of its context that changed during the build.

    Raises:
        BuildError: the build failed. It is recorded, unless the run was cancelled or the engine ended.
    """
    records = Records(check.service, settings)
    records.write_begun(check.image)
    try:
        _run_builder(check, builder, settings, running, why_missing, cancel)
        changed = check.context.changes(records.look(check.patterns))
    except BuildError as error:
        if cancel.requested():
            raise
        engine.check()
        records.write_failed(error)
        raise
    image = engine.images.by_name().get(check.service.image.canonical)
    records.write_built(check.context, fingerprint.context(check.parts), image.id if image else "", changed)
    if image:
        built_here.remember(image.id, settings)
    return changed


def _name_as_in_compose(service: Service, engine: Engine) -> None:
    """Let `docker compose up` and Dockerfiles find the image by the name in the compose file."""
    if service.in_compose is not None:
        engine.images.tag(str(service.image), service.in_compose)


def _run_builder(
    check: Check,
    builder: Builder,
    settings: Settings,
    running: RunningServices,
    why_missing: Callable[[Reference], str] | None,
    cancel: Cancel,
) -> None:
    log = settings.state_dir / "logs" / f"{check.service.name}.log"
    with state.writing(log):
        log.unlink(missing_ok=True)
    for problem in check.service.wrong_tags:
        raise BuildFailed(f"{check.service.name} is not built: {problem.reason}")
    if check.missing and why_missing is not None:  # else the builder pulls its images itself
        raise _missing_images(check, why_missing)
    _require_files(check.service)
    service = check.service if why_missing is None else with_images(check.service, check.pins)
    hosts = running.hosts(service, cancel)
    with state.writing(log):
        builder.build(service, {fingerprint.LABEL: fingerprint.as_label(check.parts)}, log, cancel, hosts)


def _require_files(service: Service) -> None:
    """Refuse a context or Dockerfile that was removed since the check: not every builder's message names it."""
    for path in (service.context, service.context if service.inline else service.dockerfile):
        if not path.exists():
            raise BuildFailed(f"{service.name} cannot be built: {path} no longer exists")


def _missing_images(check: Check, why_missing: Callable[[Reference], str]) -> BuildFailed:
    images = []
    for image in check.missing:
        why = why_missing(image)
        images.append(f"{image} ({why})" if why else str(image))
    return BuildFailed(
        f"{check.service.name} is not built: it needs {', '.join(images)}",
        hint="./inv prefetch, or set PRIVATE_REGISTRY in .env to a registry that has the images",
    )
