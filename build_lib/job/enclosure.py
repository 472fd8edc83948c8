"""Whether builds reach anything but the recorder, and at which address they reach that."""

from pathlib import Path

from build_lib.build import builders
from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.job.finding import Finding, bad, good
from build_lib.settings import Settings

_ROUTES = (Path("/proc/net/route"), Path("/proc/net/ipv6_route"))
_WHAT = "closed room"


def address(engine: Engine | None, settings: Settings) -> str:
    """The address of this machine at which builds reach the recorder.

    Raises:
        BuildError: it is not known.
    """
    if settings.recorder_address:
        return settings.recorder_address
    network = engine.networks.default() if engine is not None and engine.is_here() else None
    if network is None:
        raise BuildError(
            "the recorder needs an address of this machine that builds reach, and only you know it",
            hint="set RECORDER_ADDRESS in .env, host or host:port",
        )
    return network.gateway


def by_network(builder: builders.Builder, engine: Engine | None) -> bool:
    """Whether the builder can build in a network that leads nowhere else: BuildKit takes none of the engine's."""
    return isinstance(builder, builders.Classic) and engine is not None and engine.is_here()


def by_machine(engine: Engine | None) -> bool:
    """Whether the engine's machine, this one, has no route to other networks."""
    return engine is not None and engine.is_here() and not any(map(_has_default_route, _ROUTES))


def finding(builder: builders.Builder | None, engine: Engine | None, settings: Settings) -> Finding:
    """What `doctor` says of it."""
    try:
        at = address(engine, settings)
    except BuildError as error:
        return bad(_WHAT, error, level="warning")
    if by_machine(engine):
        return good(_WHAT, f"this machine has no route to other networks; builds reach the recorder at {at}")
    if builder is not None and by_network(builder, engine):
        return good(_WHAT, "a replay builds in a network from which only this machine is reached")
    return Finding(
        level="warning",
        what=_WHAT,
        detail="a replay does not keep builds from reaching other hosts past the recorder, so it proves nothing",
        fix="replay on a machine without a default route; or BUILDER_BACKEND=classic, if nothing needs BuildKit",
    )


def _has_default_route(table: Path) -> bool:
    """Whether a table of the kernel's has a default route over another interface than loopback (proc(5))."""
    rows = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    if table.name == "route":
        return any(row[1:2] == ["00000000"] and row[7:8] == ["00000000"] for row in rows)
    return any(row[0] == "0" * 32 and row[1] == "00" and row[-1] != "lo" for row in rows if len(row) > 9)
