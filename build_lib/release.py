"""What build and build-all do: check, build, copy the Slurm packages, verify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from build_lib import build as building
from build_lib import builders, fingerprint, slurm
from build_lib.build import Built, Check
from build_lib.engine import Engine
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Outcome
from build_lib.prefetch import reasons
from build_lib.reference import Reference
from build_lib.services import Repository
from build_lib.settings import Settings


class Listener(Protocol):
    """Who hears of the steps as they go."""

    def step(self, number: int, title: str) -> None:
        """A step begins."""

    def checked(self, checks: Mapping[str, Check]) -> None:
        """What is to be built is known."""

    def line(self, text: str) -> None:
        """Something worth a line happened."""

    def on_start(self, name: str) -> None:
        """A service's build begins."""

    def on_built(self, outcome: Outcome[Built]) -> None:
        """A service's build ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a run ended: each service, and everything that failed."""

    outcomes: tuple[Outcome[Built], ...]
    failures: tuple[BuildError, ...]


def build(
    repository: Repository,
    names: Sequence[str],
    engine: Engine,
    settings: Settings,
    listener: Listener,
    *,
    force: bool = False,
    no_deps: bool = False,
    pull: bool = False,
    fail_fast: bool = False,
    dry: bool = False,
) -> Result:
    """Build the named services and what they stand on; with `dry`, only say which and why.

    With `no_deps`, only the named ones; with `pull`, on base images that the builder looks for itself.

    Raises:
        BuildError: there is no such service; or, with `no_deps`, one that a named one stands on was never built.
    """
    checks = building.check(repository.chosen(names), engine, settings, forced=names if force or pull else ())
    if no_deps and names:
        checks = _alone(checks, names)
    listener.checked(checks)
    if dry:
        return Result(outcomes=(), failures=())
    return _build(checks, engine, settings, listener, fail_fast=fail_fast, pull=pull)


def _alone(checks: Mapping[str, Check], names: Sequence[str]) -> dict[str, Check]:
    """The named services; those that they stand on are taken as they are."""
    for name in names:
        for need in checks[name].service.needs:
            if need not in names and not checks[need].built:
                hint = f"./inv build -s {need} builds it, and so does leaving --no-deps out"
                raise BuildError(f"{name} stands on {need}, which is not built", hint=hint)
    return {name: check for name, check in checks.items() if name in names}


def build_all(
    repository: Repository,
    engine: Engine,
    settings: Settings,
    listener: Listener,
    *,
    force: bool = False,
    fail_fast: bool = False,
    dry: bool = False,
) -> Result:
    """Steps 1 to 4 of build-all; with `dry`, only the first, which says what the others would do."""
    listener.step(1, "check build state")
    checks = building.check(repository.services, engine, settings, forced=tuple(repository.services) if force else ())
    listener.checked(checks)
    if dry:
        return Result(outcomes=(), failures=())
    listener.step(2, "build")
    result = _build(checks, engine, settings, listener, fail_fast=fail_fast)
    if fail_fast and result.failures:
        return result
    done = {outcome.name for outcome in result.outcomes if outcome.done}
    listener.step(3, "copy Slurm packages")
    failures = _copy(repository, done, engine, settings, listener)
    listener.step(4, "verify")
    copied = slurm.applies(repository) and not failures and {slurm.SOURCE, slurm.TARGET} <= done
    wrong = _verify(checks, done, engine)
    wrong += _verify_packages(repository, engine) if copied else []
    listener.line(f"  {len(done)} services looked at, {len(wrong) or 'nothing'} wrong")
    return Result(outcomes=result.outcomes, failures=(*result.failures, *failures, *wrong))


def _build(
    checks: Mapping[str, Check],
    engine: Engine,
    settings: Settings,
    listener: Listener,
    *,
    fail_fast: bool,
    pull: bool = False,
) -> Result:
    if any(check.reason for check in checks.values()):
        builder = builders.choose(settings, engine, pull=pull)
        listener.line(f"  by {builder.name}, {settings.builds_at_once} at once")
    else:
        builder = builders.Classic(name="none", engine=engine)
        listener.line("  nothing to build")

    def why_missing(image: Reference) -> str:
        return reasons(image, settings)

    def on_start(name: str) -> None:
        if checks[name].reason:
            listener.on_start(name)

    outcomes = building.build(
        checks,
        builder,
        engine,
        settings,
        why_missing=why_missing,
        pull=pull,
        on_start=on_start,
        on_end=listener.on_built,
        fail_fast=fail_fast,
    )
    return Result(outcomes=tuple(outcomes), failures=tuple(item.error for item in outcomes if item.error))


def _copy(
    repository: Repository, done: set[str], engine: Engine, settings: Settings, listener: Listener
) -> list[BuildError]:
    if not slurm.applies(repository):
        listener.line(f"  not needed: there are no services {slurm.SOURCE} and {slurm.TARGET}")
        return []
    lacking = sorted({slurm.SOURCE, slurm.TARGET} - done)
    if lacking:
        listener.line(f"  not done, for {' and '.join(lacking)} could not be built")
        return []
    try:
        copied = slurm.copy(repository, engine, settings)
    except BuildError as error:
        listener.line("  failed")
        return [error]
    listener.line(f"  {copied.summary}")
    return []


def _verify(checks: Mapping[str, Check], done: set[str], engine: Engine) -> list[BuildError]:
    """Whether what was made is there and is what it should be, as the engine has it now."""
    images = engine.images()
    wrong: list[BuildError] = []
    for name in sorted(done):
        image = images.get(checks[name].service.image.canonical)
        if image is None:
            wrong.append(BuildFailed(f"{checks[name].service.image} is not in the engine after its build"))
        elif image.labels.get(fingerprint.LABEL) != fingerprint.as_label(checks[name].parts):
            wrong.append(BuildFailed(f"{checks[name].service.image} has not the fingerprint of this build"))
    return wrong


def _verify_packages(repository: Repository, engine: Engine) -> list[BuildError]:
    found = slurm.difference(repository, engine)
    return [BuildFailed(f"apphub has not slurm-build's packages: {found}")] if found else []
