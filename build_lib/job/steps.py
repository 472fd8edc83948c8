"""What build and build-all do: check, build, copy the Slurm packages, verify."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from build_lib import build as building
from build_lib.build import Built, Check, Store, builders
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Outcome
from build_lib.hub import Copied
from build_lib.job import outside, packages
from build_lib.job.backend import Backend
from build_lib.job.recorded import Result, planned, recorded
from build_lib.job.run_record import Listener, Recorder, RecordListener
from build_lib.reference import Reference
from build_lib.repository import Repository, Service, fingerprint
from build_lib.settings import Settings
from build_lib.transfer import PushedService, prefetch
from build_lib.units import number


class PushListener(Protocol):
    """Receives the events of a push as they happen."""

    def on_start(self, name: str) -> None:
        """A service's push begins."""

    def on_shipped(self, outcome: Outcome[PushedService]) -> None:
        """A service's push ended."""


def build(
    repository: Repository,
    names: Sequence[str],
    backend: Backend,
    settings: Settings,
    listener: RecordListener,
    *,
    force: bool = False,
    no_deps: bool = False,
    pull: bool = False,
    no_cache: bool = False,
    fail_fast: bool = False,
    dry: bool = False,
) -> Result:
    """Build the named services, by default all, and what they depend on; with `dry`, only say which would be built.

    With `force`, the named services are built also if they are up to date. With `no_deps`, only they are built. With
    `pull`, the builder pulls base images itself; with `no_cache`, it repeats every step.

    Raises:
        BuildError: there is no such service; a hub cannot be built as `APPHUB_MODE` says; or, with `no_deps`, a service
            depends on one that was never built.
    """
    chosen = repository.chosen(names)
    packages.require_modes(chosen, repository, settings)
    why = "--no-cache" if no_cache else "--pull" if pull else "--force" if force else ""
    forced = dict.fromkeys(names or chosen, why) if why else {}
    checks = _checked(chosen, backend, settings, forced, pull=pull)
    if no_deps and names:
        checks = _alone(checks, names, backend, settings, pull=pull)
    if dry:
        return planned(lambda recorder: recorder.checked(checks), "build", backend, settings, listener)

    def work(recorder: Recorder) -> Result:
        recorder.checked(checks)
        early: dict[str, Copied] = {}
        result = _build(
            checks, repository, backend, settings, recorder, early, fail_fast=fail_fast, pull=pull, no_cache=no_cache
        )
        for copied in early.values():
            recorder.line(f"  {copied.summary}")
        wrong = _verify(result.outcomes, checks, backend.store)
        services, whole = [check.service for check in checks.values()], not (result.failures or wrong)
        wrong += backend.finish(services, recorder.line, whole=whole)
        told = "; ".join(copied.summary for copied in early.values())
        return replace(result, packages=told, failures=(*result.failures, *wrong))

    return recorded(work, "build", backend, settings, listener)


def _checked(
    services: Mapping[str, Service],
    backend: Backend,
    settings: Settings,
    forced: Mapping[str, str],
    *,
    pull: bool = False,
) -> dict[str, Check]:
    """Check the services; what is to be recorded and is not is out of date, too."""
    checks = building.check(services, backend.store, settings, forced=forced, pull=pull)
    more = {name: why for name, why in outside.lacking(checks, settings).items() if name not in forced}
    return building.check(services, backend.store, settings, forced={**forced, **more}, pull=pull) if more else checks


def _alone(
    checks: Mapping[str, Check], names: Sequence[str], backend: Backend, settings: Settings, *, pull: bool
) -> dict[str, Check]:
    """The named services alone, which are built with the existing images of those they depend on."""
    for name in names:
        for need in checks[name].service.needs:
            if need not in names and not checks[need].built:
                hint = f"./inv build -s {need}, or leave out --no-deps"
                raise BuildError(f"{name} depends on {need}, which is not built", hint=hint)
    return {
        name: building.check_again(check, backend.store, settings, rebuilt=names, pull=pull) if check.rebuilt else check
        for name, check in checks.items()
        if name in names
    }


def push(
    repository: Repository,
    names: Sequence[str],
    backend: Backend,
    settings: Settings,
    listener: PushListener,
    *,
    force: bool = False,
    create_project: bool = False,
    dry: bool = False,
) -> list[Outcome[PushedService]]:
    """Push the named services, or all; those that are out of date only with `force`.

    Raises:
        BuildError: there is no such service; or the registry cannot be pushed to.
    """
    chosen = {name: service for name, service in repository.chosen(names).items() if not names or name in names}
    checks = building.check(repository.services, backend.store, settings)
    unfit: dict[str, BuildError] = {}
    for name in chosen:
        if not checks[name].built:
            unfit[name] = BuildError(f"{name} is not built", hint=f"./inv build -s {name}, or ./inv build-all push")
        elif checks[name].reason and not force:
            reason = f"{name} is not pushed because it is out of date: {checks[name].reason}"
            unfit[name] = BuildError(reason, hint=f"./inv build -s {name}, or push it anyway with --force")
    if not force:  # a hub may be as built, without a copy
        fit = chosen.keys() - unfit.keys()
        for name, lacking in packages.not_copied(checks, fit, repository, backend.hub, settings).items():
            hint = "./inv copy-slurm, or push it anyway with --force"
            unfit[name] = BuildError(f"{name} is not pushed: {lacking}", hint=hint)
    return backend.push(
        chosen,
        unfit,
        on_start=listener.on_start,
        on_end=listener.on_shipped,
        create_project=create_project,
        dry=dry,
    )


def build_all(
    repository: Repository,
    backend: Backend,
    settings: Settings,
    listener: RecordListener,
    *,
    force: bool = False,
    fail_fast: bool = False,
    dry: bool = False,
) -> Result:
    """Run steps 1 to 4 of build-all; with `dry`, only step 1, which says what would be built.

    Raises:
        BuildError: another build is running in this repository; or a hub cannot be built as `APPHUB_MODE` says.
    """
    packages.require_modes(repository.services, repository, settings)

    def check(recorder: Recorder) -> dict[str, Check]:
        recorder.step(1, "check build state")
        forced = dict.fromkeys(repository.services, "--force") if force else {}
        checks = _checked(repository.services, backend, settings, forced)
        recorder.checked(checks)
        return checks

    if dry:
        return planned(check, "build-all", backend, settings, listener)

    def work(recorder: Recorder) -> Result:
        return _steps(check(recorder), repository, backend, settings, recorder, fail_fast=fail_fast)

    return recorded(work, "build-all", backend, settings, listener)


def _steps(
    checks: Mapping[str, Check],
    repository: Repository,
    backend: Backend,
    settings: Settings,
    listener: Listener,
    *,
    fail_fast: bool,
) -> Result:
    listener.step(2, "build")
    early: dict[str, Copied] = {}
    result = _build(checks, repository, backend, settings, listener, early, fail_fast=fail_fast)
    if fail_fast and result.failures:
        return result
    done = {outcome.name for outcome in result.outcomes if outcome.done}
    listener.step(3, "copy Slurm packages")
    copied = packages.copy(repository, done, early, backend.hub, settings)
    for line in copied.lines:
        listener.line(f"  {line}")
    listener.step(4, "verify")
    wrong = [
        *_verify(result.outcomes, checks, backend.store),
        *packages.verify(copied.hubs, repository, backend.hub, settings),
    ]
    whole = not (result.failures or copied.failures or wrong)
    wrong += backend.finish([check.service for check in checks.values()], listener.line, whole=whole)
    services, problems = number(len(done), "service"), len(wrong) + len(copied.failures)
    listener.line(f"  {services} checked, {number(problems, 'problem')}" if problems else f"  {services} verified")
    failures = (*result.failures, *copied.failures, *wrong)
    told = "; ".join(copied.lines) if copied.needed else ""
    return replace(result, failures=failures, packages=told)


def _build(
    checks: Mapping[str, Check],
    repository: Repository,
    backend: Backend,
    settings: Settings,
    listener: Listener,
    early: dict[str, Copied],
    *,
    fail_fast: bool,
    pull: bool = False,
    no_cache: bool = False,
) -> Result:
    """Build; `early` gets the copies into hubs that had to run meanwhile, by the hubs' names."""
    if any(check.reason for check in checks.values()):
        no_cache = no_cache or settings.downloads != "direct"  # a step from the cache downloads nothing
        builder, placement = backend.builder(checks, listener.line, pull=pull, no_cache=no_cache)
        listener.building(builder.name, backend.jobs)
    else:
        builder, placement = builders.Idle(), None
        listener.line("  nothing to build")

    def why_missing(image: Reference) -> str:
        return prefetch.reasons(image, settings)

    def prepare(name: str) -> None:
        copied = packages.copy_into(name, repository, backend.hub, settings)
        early.update({name: copied} if copied else {})

    def on_start(name: str) -> None:
        if checks[name].reason:
            listener.on_start(name)

    runnable = {name: check.service for name, check in checks.items()} | dict(repository.services)
    with (
        outside.room(checks, builder, backend, settings, listener.line) as (room, summary),
        backend.running(runnable, prepare) as hosts,
    ):
        outcomes = building.build(
            checks,
            builder,
            backend.store,
            settings,
            hosts=hosts,
            outside=room,
            placement=placement,
            why_missing=why_missing,
            pull=pull,
            on_start=on_start,
            on_end=listener.on_built,
            on_tick=listener.on_tick,
            fail_fast=fail_fast,
        )
        downloads = summary([item.name for item in outcomes if not item.done])
    for line in downloads.lines() if downloads else ():
        listener.line(f"  {line}")
    failures = tuple(item.error for item in outcomes if item.error)
    return Result(outcomes=tuple(outcomes), failures=failures, downloads=downloads)


def _verify(outcomes: Sequence[Outcome[Built]], checks: Mapping[str, Check], store: Store) -> list[BuildError]:
    """Check that the built images are there, with this run's fingerprints, and return what is wrong."""
    images = store.look()
    wrong: list[BuildError] = []
    for built in (outcome.value for outcome in outcomes if outcome.value):
        name = checks[built.name].service.image
        image = images.image(name)
        if image is None:
            wrong.append(BuildFailed(f"{name} is missing after its build"))
        elif image.labels.get(fingerprint.LABEL) != fingerprint.as_label(built.parts):
            wrong.append(BuildFailed(f"{name} does not have this build's fingerprint"))
    return wrong


def check(repository: Repository, backend: Backend, settings: Settings) -> dict[str, Check]:
    """What is out of date and why; also a hub that is built, but does not have its packages."""
    checks = building.check(repository.services, backend.store, settings)
    current = [name for name, check in checks.items() if not check.reason]
    for name, lacking in packages.not_copied(checks, current, repository, backend.hub, settings).items():
        checks[name] = replace(checks[name], own_reason=lacking)
    return checks
