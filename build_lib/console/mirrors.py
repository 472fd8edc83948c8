"""Output of `mirrors`: the answer of each mirror, and the change to the engine's own mirror settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.errors import Incomplete
from build_lib.units import number, seconds

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.console.output import Console
    from build_lib.transfer import Probe, Written


def probed(console: Console, probes: Sequence[Probe]) -> None:
    """Print whether each mirror serves the image, and how fast it answered.

    Raises:
        Incomplete: a mirror does not serve it.
    """
    if console.json:
        console.document([_probe_json(probe) for probe in probes])
    else:
        console.table(("MIRROR", "STATE", "TIME", "PROBLEM"), [_probe_row(probe) for probe in probes])
    wrong = [str(probe.mirror) for probe in probes if probe.problem]
    if wrong:
        text = f"{len(wrong)} of {number(len(probes), 'mirror')} failed: {', '.join(wrong)}"
        raise Incomplete(text, hint="correct REGISTRY_MIRRORS, or remove them from it")


def written(console: Console, written: Written) -> None:
    """Print the change to the engine's mirror settings."""
    if not written.changed:
        console.line(f"{written.path}: already up to date")
        return
    mirrors = ", ".join(written.after) or "none"
    console.line(f"{written.path}: registry-mirrors {'would be ' if console.dry else ''}set to {mirrors}")
    if written.kept and not console.dry:
        console.line(f"  previous file: {written.kept}")
    console.line("  to apply it: systemctl reload docker, or send SIGHUP to dockerd")


def _probe_row(probe: Probe) -> tuple[str, ...]:
    return (str(probe.mirror), "failed" if probe.problem else "ok", seconds(probe.seconds), probe.problem or "-")


def _probe_json(probe: Probe) -> dict[str, Any]:
    return {"mirror": str(probe.mirror), "seconds": round(probe.seconds, 3), "problem": probe.problem}
