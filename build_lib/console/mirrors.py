"""What `mirrors` prints: what each mirror answered, and what became of the engine's own mirror settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.errors import Incomplete
from build_lib.units import seconds

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.console.output import Console
    from build_lib.transfer import Probe, Written


def probed(console: Console, probes: Sequence[Probe]) -> None:
    """Print what each mirror answered.

    Raises:
        Incomplete: one of them does not serve.
    """
    if console.json:
        console.document([_probe_json(probe) for probe in probes])
    else:
        console.table(("MIRROR", "STATE", "TIME", "PROBLEM"), [_probe_row(probe) for probe in probes])
    wrong = [str(probe.mirror) for probe in probes if probe.problem]
    if wrong:
        raise Incomplete(f"{len(wrong)} of {len(probes)} mirrors do not serve: {', '.join(wrong)}")


def written(console: Console, written: Written) -> None:
    """Print what became of the engine's mirror settings."""
    if not written.changed:
        console.line(f"{written.path} has them already")
        return
    console.line(f"{written.path}{' would have' if console.dry else ''}: registry-mirrors {', '.join(written.after)}")
    if written.kept and not console.dry:
        console.line(f"  as it was: {written.kept}")
    console.line("  the engine reads it after: systemctl reload docker, or kill -HUP of dockerd")


def _probe_row(probe: Probe) -> tuple[str, ...]:
    return (str(probe.mirror), "" if probe.problem else "serves", seconds(probe.seconds), probe.problem or "-")


def _probe_json(probe: Probe) -> dict[str, Any]:
    return {"mirror": str(probe.mirror), "seconds": round(probe.seconds, 3), "problem": probe.problem}
