"""Output of `doctor`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from build_lib.errors import Incomplete
from build_lib.invocation import as_typed
from build_lib.units import number

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.console.output import Console
    from build_lib.job import Finding


def examined(console: Console, findings: Sequence[Finding]) -> None:
    """Print each finding and its fix, then the number of findings of each level.

    Raises:
        Incomplete: a finding is bad.
    """
    if console.json:
        console.document([asdict(finding) for finding in findings])
    else:
        _lines(console, findings)
    counts = Counter(finding.level for finding in findings)
    warnings = number(counts["warning"], "warning")
    if counts["bad"]:
        raise Incomplete(f"{counts['bad']} bad, {warnings}, {counts['good']} good")
    console.line(f"{warnings}, {counts['good']} good")


def _lines(console: Console, findings: Sequence[Finding]) -> None:
    levels = {"good": console.good("good   "), "warning": "warning", "bad": console.bad("bad    ")}
    for finding in findings:
        console.line(levels[finding.level], f"  {finding.what}: {finding.detail}")
        if finding.fix:
            console.line(f"         next: {as_typed(finding.fix)}")
