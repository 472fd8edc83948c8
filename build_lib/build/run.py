"""Build services in dependency order, in parallel."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from build_lib import state
from build_lib.build.builders import Builder
from build_lib.build.failure import build_failed
from build_lib.build.output import Output
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A build that is going on: when it began (time.monotonic), and its output so far.

    `expected` is how many seconds the last successful build took; None if there is no record of one.
    """

    began: float
    output: Output
    expected: float | None


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
    on_tick: Callable[[Mapping[str, Running]], None] = lambda _running: None,
    fail_fast: bool = False,
) -> list[Outcome[Built]]:
    """Build what is out of date, each service after those it depends on; a failure blocks only its dependents.

    `why_missing` says why an image could not be pulled, for the error of a service that needs it. With `pull`, the
    builder itself pulls base images that are missing or have a newer version. `on_tick` is called several times a
    second, with the builds that are going on, and whenever one ends.

    `services` has those that run while others are built, if they are not in `checks`. Before such a service is started,
    `prepare` is called with its name, in another thread; what it raises fails the builds that need the service.
    """
    runnable = {name: check.service for name, check in checks.items()} | dict(services or {})
    needs = {name: check.service.needs for name, check in checks.items()}
    with RunningServices(runnable, engine, settings, prepare) as hosts:
        work = _Work(checks, builder, engine, settings, hosts, None if pull else why_missing)

        def ended(outcome: Outcome[Built]) -> None:
            on_tick(dict(work.running))  # without it, also if it was the last
            on_end(outcome)

        return run(
            needs,
            work.on,
            jobs=settings.builds_at_once,
            on_start=on_start,
            on_end=ended,
            on_tick=lambda: on_tick(dict(work.running)),
            fail_fast=fail_fast,
            doing=lambda names: f"building {some(names)}",
        )


class _Work:
    """Builds one service, in a thread of its own. `running` are the builds that are going on, by service."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        builder: Builder,
        engine: Engine,
        settings: Settings,
        hosts: RunningServices,
        why_missing: Callable[[Reference], str] | None,
    ) -> None:
        self.running: dict[str, Running] = {}
        self._checks = checks
        self._builder = builder
        self._engine = engine
        self._settings = settings
        self._hosts = hosts
        self._why_missing = why_missing  # None if the builder pulls images itself

    def on(self, name: str, cancel: Cancel) -> Built:
        """Build the service, unless it is up to date.

        Raises:
            BuildError: the build failed.
        """
        began = time.monotonic()
        check, before = self._checks[name], self._checks[name].rebuilt
        if before:
            check = check_again(check, self._engine, self._settings, pull=self._why_missing is None)
        changed: Sequence[str] = ()
        if check.reason:
            changed = self._recorded(check, began, cancel)
        _name_as_in_compose(check.service, self._engine)
        return Built(
            name=name,
            reason=check.reason,
            seconds=time.monotonic() - began,
            parts=check.parts,
            changed=tuple(changed),
            unchanged=() if check.reason else before,
        )

    def _recorded(self, check: Check, began: float, cancel: Cancel) -> Sequence[str]:
        """Build a service, and return the files of its context that changed during the build.

        Raises:
            BuildError: the build failed. It is recorded, unless the run was cancelled or the engine ended.
        """
        records = Records(check.service, self._settings)
        expected = records.seconds()
        records.write_begun(check.image)
        try:
            self._build(check, began, expected, cancel)
            changed = check.context.changes(records.look(check.patterns))
        except BuildError as error:
            if cancel.requested():
                raise
            self._engine.check()
            records.write_failed(error)
            raise
        image = self._engine.images.by_name().get(check.service.image.canonical)
        id, digest = image.id if image else "", fingerprint.context(check.parts)
        records.write_built(check.context, digest, id, changed, time.monotonic() - began)
        if image:
            built_here.remember(image.id, self._settings)
        return changed

    def _build(self, check: Check, began: float, expected: float | None, cancel: Cancel) -> None:
        log = self._settings.state_dir / "logs" / f"{check.service.name}.log"
        with state.writing(log):
            log.unlink(missing_ok=True)
        for problem in check.service.wrong_tags:
            raise BuildFailed(f"{check.service.name} is not built: {problem.reason}", place=problem.place)
        if check.missing and self._why_missing is not None:
            raise _missing_images(check, self._why_missing)
        _require_files(check.service)
        service = check.service if self._why_missing is None else with_images(check.service, check.pins)
        hosts = self._hosts.hosts(service, cancel)
        labels = {fingerprint.LABEL: fingerprint.as_label(check.parts)}
        with state.writing(log), Output(log, self._builder.form) as output:
            self.running[service.name] = Running(began=began, output=output, expected=expected)
            try:
                done = self._builder.build(service, labels, output, cancel, hosts)
            finally:
                del self.running[service.name]
        if not done:
            raise build_failed(check.service, output, self._settings.project_root)


def _name_as_in_compose(service: Service, engine: Engine) -> None:
    """Let `docker compose up` and Dockerfiles find the image by the name in the compose file."""
    if service.in_compose is not None:
        engine.images.tag(str(service.image), service.in_compose)


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
        place=check.service.place_of(check.missing[0]),
    )
