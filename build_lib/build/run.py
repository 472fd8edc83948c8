"""Build services in dependency order, in parallel."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from build_lib import state
from build_lib.build.builders import Builder, Request
from build_lib.build.failure import build_failed
from build_lib.build.images import Store
from build_lib.build.output import Output
from build_lib.build.outside import Open, Outside
from build_lib.build.records import Records
from build_lib.build.running import Host
from build_lib.build.up_to_date import Check, check_again
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.repository import Service, fingerprint
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
    place: str = ""  # where it was built (Builder.place)
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A build that is going on: when it began (time.monotonic), and its output so far.

    `expected` is how many seconds the last successful build took; None if there is no record of one. `place` is where
    it is built (Builder.place).
    """

    began: float
    output: Output
    expected: float | None
    place: str = ""


Hosts = Callable[[Service, Cancel], tuple[Host, ...]]


class Placement(Protocol):
    """Decides what is built next. Called in the thread that called `build`."""

    def next(self, ready: Sequence[str]) -> str | None:
        """Choose one of these services; None if a build has to end before the next one begins."""

    def ended(self, name: str, *, done: bool) -> None:
        """A service was built, or was found to be up to date, if `done`; otherwise, it failed."""


def build(
    checks: Mapping[str, Check],
    builder: Builder,
    store: Store,
    settings: Settings,
    *,
    hosts: Hosts = lambda _service, _cancel: (),
    outside: Outside | None = None,
    placement: Placement | None = None,
    why_missing: Callable[[Reference], str] = lambda _image: "",
    pull: bool = False,
    on_start: Callable[[str], None] = lambda _name: None,
    on_end: Callable[[Outcome[Built]], None] = lambda _outcome: None,
    on_tick: Callable[[Mapping[str, Running]], None] = lambda _running: None,
    fail_fast: bool = False,
) -> list[Outcome[Built]]:
    """Build what is out of date, each service after those it depends on; a failure blocks only its dependents.

    `hosts` gives the services that run while one is built (RunningServices.hosts). `outside` stands between the builds
    and what they download. `placement` decides what is built next, by default the first, with as many builds at once as
    the settings say. `why_missing` says why an image could not be pulled, for the error of a service that needs it.
    With `pull`, the builder itself pulls base images that are missing or have a newer version. `on_tick` is called
    several times a second, with the builds that are going on, and whenever one ends.
    """
    needs = {name: check.service.needs for name, check in checks.items()}
    work = _Work(checks, builder, store, settings, hosts, outside or Open(), None if pull else why_missing)

    def choose(ready: Sequence[str]) -> str | None:
        assert placement is not None
        return next((name for name in ready if not checks[name].reason), None) or placement.next(ready)

    def ended(outcome: Outcome[Built]) -> None:
        if placement is not None:
            placement.ended(outcome.name, done=outcome.done)
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
        choose=choose if placement else None,
    )


class _Work:
    """Builds one service, in a thread of its own. `running` are the builds that are going on, by service."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        builder: Builder,
        store: Store,
        settings: Settings,
        hosts: Hosts,
        outside: Outside,
        why_missing: Callable[[Reference], str] | None,
    ) -> None:
        self.running: dict[str, Running] = {}
        self._checks = checks
        self._builder = builder
        self._store = store
        self._settings = settings
        self._hosts = hosts
        self._outside = outside
        self._why_missing = why_missing  # None if the builder pulls images itself

    def on(self, name: str, cancel: Cancel) -> Built:
        """Build the service, unless it is up to date.

        Raises:
            BuildError: the build failed.
        """
        began = time.monotonic()
        check, before = self._checks[name], self._checks[name].rebuilt
        if before:
            check = check_again(check, self._store, self._settings, pull=self._why_missing is None)
        changed: Sequence[str] = ()
        if check.reason:
            changed = self._recorded(check, began, cancel)
        self._store.name(check.service)
        return Built(
            name=name,
            reason=check.reason,
            seconds=time.monotonic() - began,
            parts=check.parts,
            place=self._builder.place(name) if check.reason else "",
            changed=tuple(changed),
            unchanged=() if check.reason else before,
        )

    def _recorded(self, check: Check, began: float, cancel: Cancel) -> Sequence[str]:
        """Build a service, and return the files of its context that changed during the build.

        Raises:
            BuildError: the build failed. It is recorded, unless the run was cancelled or the store was lost.
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
            self._store.check()
            records.write_failed(error)
            raise
        id, digest = self._store.take(check.service), fingerprint.context(check.parts)
        place, took = self._builder.place(check.service.name), time.monotonic() - began
        records.write_built(check.context, digest, id, changed, took, place)
        return changed

    def _build(self, check: Check, began: float, expected: float | None, cancel: Cancel) -> None:
        service = check.service
        log = self._settings.state_dir / "logs" / f"{service.name}.log"
        with state.writing(log):
            log.unlink(missing_ok=True)
        for problem in service.wrong_tags:
            raise BuildFailed(f"{service.name} is not built: {problem.reason}", place=problem.place)
        if check.missing and self._why_missing is not None:
            raise _missing_images(check, self._why_missing)
        _require_files(service)
        label = fingerprint.as_label(check.parts)
        hosts = self._hosts(service, cancel)
        built, outside = self._outside.begin(service)
        request = Request(
            service=built,
            labels={fingerprint.LABEL: label},
            pins=() if self._why_missing is None else check.pins,
            hosts=hosts,
            outside=outside,
        )
        done = False
        refused: Sequence[str] = ()
        with state.writing(log), Output(log, self._builder.form, outside.secrets) as output:
            place = self._builder.place(service.name)
            self.running[service.name] = Running(began=began, output=output, expected=expected, place=place)
            try:
                done = self._builder.build(request, output, cancel)
            finally:
                del self.running[service.name]
                refused = self._outside.end(service, label, output, done=done)
        if not done:
            raise build_failed(service, output, self._settings.project_root, refused)


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
