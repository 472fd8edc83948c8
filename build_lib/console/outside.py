"""Output of `outside`: what the Dockerfiles download besides images, and which lines cannot be recorded."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from build_lib.console.problems import problems
from build_lib.downloads import can_record
from build_lib.units import number

if TYPE_CHECKING:  # as in output
    from collections.abc import Mapping, Sequence

    from build_lib.console.output import Console
    from build_lib.repository import Outside, Repository
    from build_lib.settings import MirrorUse

_HEAD = ("SERVICE", "WHERE", "TOOL", "HOSTS", "CHECKSUM", "MIRROR", "RECORD", "URL")
_CHECKSUM = {True: "yes", False: "no", None: "-"}
_RECORD = {True: "yes", False: "NO"}  # in capitals, so that it is seen
_WHAT_IT_IS = (
    "This is an estimate, made by reading the Dockerfiles, without building and without a network: what base images, "
    "scripts and programs that are built download is not known."
)


def outside(
    console: Console,
    found: Sequence[Outside],
    repository: Repository,
    names: Sequence[str] = (),
    *,
    mirror_args: Mapping[str, MirrorUse],
) -> None:
    """Print what these services download, and where; `Incomplete` is raised as by `deps`."""
    rows = [(item, can_record(item.reach, mirror_args)) for item in found]
    if console.json:
        console.document([_as_json(item, record=record) for item, record in rows])
    else:
        if found:
            console.table(_HEAD, [_row(item, record=record) for item, record in rows])
        console.line(_sum(rows))
        console.line(_WHAT_IT_IS)
    problems(console, repository, names)


def _row(item: Outside, *, record: bool) -> tuple[str, ...]:
    reach = item.reach
    return (
        item.service,
        f"{item.path}:{reach.line}",
        f"{reach.tool} {reach.action}".rstrip(),
        ", ".join(reach.hosts) or "?",
        _CHECKSUM[reach.checksum],
        reach.mirror or "-",
        _RECORD[record],
        reach.url or "?",
    )


def _as_json(item: Outside, *, record: bool) -> dict[str, Any]:
    return {"service": item.service, "path": item.path, **asdict(item.reach), "record": record}


def _sum(found: Sequence[tuple[Outside, bool]]) -> str:
    """How many lines there are, and how many of them `build-all --record` cannot record."""
    lines = {(item.path, item.reach.line) for item, _ in found}
    lost = {(item.path, item.reach.line) for item, record in found if not record}
    hosts = {host for item, _ in found for host in item.reach.hosts}
    if not lines:
        return "the Dockerfiles download nothing besides images"
    return (
        f"{number(len(hosts), 'host')} besides those of images, on {number(len(lines), 'line')}; "
        f"{number(len(lost), 'line')} that build-all --record cannot record (RECORD is NO)"
    )
