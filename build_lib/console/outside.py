"""Output of `outside`: what the Dockerfiles download besides images, and which lines have no way to a mirror."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from build_lib.console.problems import problems
from build_lib.units import number

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.console.output import Console
    from build_lib.repository import Outside, Repository

_HEAD = ("SERVICE", "WHERE", "TOOL", "HOSTS", "CHECKSUM", "MIRROR", "URL")
_NONE = "NONE"  # in capitals, so that it is seen among the names of ARGs
_CHECKSUM = {True: "yes", False: "no", None: "-"}
_WHAT_IT_IS = (
    "This is an estimate, made by reading the Dockerfiles, without building and without a network: what base images, "
    "scripts and programs that are built download is not known."
)


def outside(console: Console, found: Sequence[Outside], repository: Repository, names: Sequence[str] = ()) -> None:
    """Print what these services download, and where; `Incomplete` is raised as by `deps`."""
    if console.json:
        console.document([_as_json(item) for item in found])
    else:
        if found:
            console.table(_HEAD, [_row(item) for item in found])
        console.line(_sum(found))
        console.line(_WHAT_IT_IS)
    problems(console, repository, names)


def _row(item: Outside) -> tuple[str, ...]:
    reach = item.reach
    return (
        item.service,
        f"{item.path}:{reach.line}",
        f"{reach.tool} {reach.action}".rstrip(),
        ", ".join(reach.hosts) or "?",
        _CHECKSUM[reach.checksum],
        reach.mirror or _NONE,
        reach.url or "?",
    )


def _as_json(item: Outside) -> dict[str, Any]:
    return {"service": item.service, "path": item.path, **asdict(item.reach)}


def _sum(found: Sequence[Outside]) -> str:
    """How many lines there are, and how many of them have no way to a mirror."""
    lines = {(item.path, item.reach.line) for item in found}
    fixed = {(item.path, item.reach.line) for item in found if not item.reach.mirror}
    hosts = {host for item in found for host in item.reach.hosts}
    if not lines:
        return "the Dockerfiles download nothing besides images"
    return (
        f"{number(len(hosts), 'host')} besides those of images, on {number(len(lines), 'line')}; "
        f"{number(len(fixed), 'line')} without a way to a mirror (MIRROR is {_NONE})"
    )
