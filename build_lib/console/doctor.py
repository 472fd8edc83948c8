"""What `doctor` prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from build_lib.errors import Incomplete

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.console.output import Console
    from build_lib.job import Finding


def examined(console: Console, findings: Sequence[Finding]) -> None:
    """Print each finding and its next step, then how many of each level there are.

    Raises:
        Incomplete: something is bad.
    """
    if console.json:
        console.document([asdict(finding) for finding in findings])
    else:
        _lines(console, findings)
    counts = Counter(finding.level for finding in findings)
    if counts["bad"]:
        raise Incomplete(f"{counts['bad']} bad, {counts['warning']} to look at, {counts['good']} good")
    console.line(f"{counts['warning'] or 'nothing'} to look at, {counts['good']} good")


def _lines(console: Console, findings: Sequence[Finding]) -> None:
    levels = {"good": console.good("good   "), "warning": "warning", "bad": console.bad("bad    ")}
    for finding in findings:
        console.line(f"{levels[finding.level]}  {finding.what}: {finding.detail}")
        if finding.fix:
            console.line(f"         next: {finding.fix}")
