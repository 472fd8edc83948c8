"""The checks of `doctor` on a fleet: buildx, each builder, and which registries it needs."""

from collections.abc import Iterator

from build_lib.errors import BuildError, NoEngine, SettingsError
from build_lib.fleet import Inspected, NotRunning, buildx, inspect
from build_lib.graph import Outcome
from build_lib.job.finding import Finding, Level, bad, good
from build_lib.job.fleet_backend import in_registry, uses_layout
from build_lib.reference import PrivateRegistry
from build_lib.settings import Settings


def fleet(settings: Settings) -> Iterator[Finding]:
    """Whether there is a buildx that reaches builders, a registry for them, and what each is. None is started."""
    if not settings.builders:
        return
    try:
        if not uses_layout(settings):
            in_registry(settings)
    except SettingsError as error:
        yield bad("build registry", error)
    try:
        yield good("builder", f"buildx {buildx(settings).version} with BUILDERS")
    except BuildError as error:
        yield bad("builder", error)
        return
    for outcome in inspect(settings, start=False):
        yield _builder(outcome)


def registries(settings: Settings) -> dict[str, tuple[PrivateRegistry, Level]]:
    """The registries of a fleet besides the private registry, each once, and how bad it is if one fails."""
    if not settings.builders:
        return {}
    found: dict[str, tuple[PrivateRegistry, Level]] = {}
    if settings.build_registry and settings.build_registry != settings.private_registry:
        found["build registry"] = settings.build_registry, "bad"
    if settings.cache_registry and settings.cache_registry not in (settings.private_registry, settings.build_registry):
        found["cache registry"] = settings.cache_registry, "warning"
    return found


def needs_engine(settings: Settings) -> bool:
    """Whether the engine builds, or gets what BUILDERS build. It does if the settings do not tell."""
    try:
        return not settings.builders or settings.build_output != "registry"
    except SettingsError:
        return True


def no_engine(error: BuildError) -> Finding:
    """The finding about an engine that cannot be used, and is not needed for builds."""
    if isinstance(error, NoEngine):
        return good("engine", "none answers; BUILDERS need none")
    return bad("engine", error, level="warning")


def _builder(outcome: Outcome[Inspected]) -> Finding:
    what, found = f"builder {outcome.name}", outcome.value
    if found is None:
        assert outcome.error is not None
        return bad(what, outcome.error, level="warning" if isinstance(outcome.error, NotRunning) else "bad")
    platforms = ", ".join(found.seen.platforms)
    return good(what, f"BuildKit {found.seen.version}, answers in {found.seconds * 1000:.1f} ms, {platforms}")
