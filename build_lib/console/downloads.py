"""Output of `downloads`: what was recorded, what of it is missing, and what was exported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from build_lib.errors import Incomplete
from build_lib.units import is_time, local_time, number, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterator

    from build_lib.console.output import Console
    from build_lib.downloads import Download, Expiry, Exported, Listing, Recording
    from build_lib.transfer import FetchedDownloads

_SHOWN = 12  # digits of a SHA-256


def listed(console: Console, listing: Listing, exported: Exported | None = None) -> None:
    """Print what was recorded, and what was exported, if anything was.

    Raises:
        Incomplete: content is missing or damaged, or not exported.
    """
    if console.json:
        console.document(_as_json(listing, exported))
    else:
        _print(console, listing, exported)
    wrong, contents = listing.wrong or (), number(listing.contents, "file")
    if wrong:
        raise Incomplete(
            f"{len(wrong)} of {contents} in the store missing or damaged: {', '.join(item.urls[0] for item in wrong)}",
            hint=f"./inv build-all --record --force -t {listing.release}",
        )
    if exported and exported.left_out:
        left_out = number(len(exported.left_out), "download")
        raise Incomplete(f"{left_out} not in {exported.directory}, see above", hint="the rest of it can be used")


def fetched(console: Console, found: FetchedDownloads) -> None:
    """Print what was fetched from the private registry before a replay, if anything was."""
    console.end_progress()
    if found.place:
        new = number(found.files - found.present, "file")
        console.line(f"downloads from {found.place}: {new}, {size(found.moved)}, {found.present} already present")


def _print(console: Console, listing: Listing, exported: Exported | None) -> None:
    rows = [_row(each, item) for each in listing.recordings for item in each.downloads]
    if rows:
        console.table(("SERVICE", "KIND", "SIZE", "SHA256", "RECORDED", "URL"), rows)
    for each in listing.recordings:
        of = number(len(each.downloads), "download")
        console.line(f"{each.service}: {of}, {size(_size(each))}, recorded {_time(each.at)}")
    for line in _passed(listing):
        console.line(line)
    for service, expiry in listing.expiries:
        console.line(f"{service}: {_expiry(expiry)}")
    if listing.wrong is not None:
        for wrong in listing.wrong:
            console.line(f"  {wrong.urls[0]}: ", console.bad(wrong.why))
        whole = listing.contents - len(listing.wrong)
        console.line(f"{whole} of {number(listing.contents, 'file')} verified: the content has its SHA-256")
    if exported:
        _print_exported(console, exported)


def _print_exported(console: Console, exported: Exported) -> None:
    for remark in exported.remarks:
        console.line(f"  {remark}")
    for item in exported.left_out:
        console.line(f"  {item.url}: ", console.bad("left out"), f": {item.why}")
    would = "would have " if console.dry else ""
    console.line(f"{exported.directory}: {would}{number(exported.files, 'file')}, {size(exported.size)}")
    if not console.dry:
        console.line("  any web server can serve it; its index.html says how to point clients there")


def _row(recording: Recording, item: Download) -> tuple[str, ...]:
    shown = size(item.size) if item.sha256 else str(item.status)
    return (recording.service, item.kind, shown, item.sha256[:_SHOWN], _time(item.at), item.url)


def _size(recording: Recording) -> int:
    """Of its content; what several downloads have in common counts once."""
    return sum(blob.size for blob in recording.blobs().values())


def _passed(listing: Listing) -> Iterator[str]:
    for each in listing.recordings:
        for item in each.passed:
            lines = ",".join(map(str, item.lines))
            place = f"{each.path}:{lines}" if lines else each.path
            yield f"  not recorded: {each.service}: {place}: {item.what}: {item.why}"


def _expiry(expiry: Expiry) -> str:
    until = f"{expiry.until:%Y-%m-%d %H:%M} UTC"
    if expiry.until <= datetime.now(UTC):
        return f"{expiry.url} was valid until {until}: apt refuses it unless Acquire::Check-Valid-Until is false"
    return f"{expiry.url} is valid until {until}: then, apt refuses it unless Acquire::Check-Valid-Until is false"


def _time(iso: str) -> str:
    return local_time(iso) if is_time(iso) else iso


def _as_json(listing: Listing, exported: Exported | None) -> dict[str, Any]:
    return {
        "release": listing.release,
        "services": [_service_json(each) for each in listing.recordings],
        "expiring": [
            {"service": service, "url": item.url, "valid_until": item.until.isoformat()}
            for service, item in listing.expiries
        ],
        "wrong": None
        if listing.wrong is None
        else [{"sha256": item.sha256, "urls": list(item.urls), "reason": item.why} for item in listing.wrong],
        "exported": _exported_json(exported) if exported else None,
    }


def _service_json(recording: Recording) -> dict[str, Any]:
    return {
        "service": recording.service,
        "file": recording.path,
        "recorded_at": recording.at,
        "bytes": _size(recording),
        "downloads": [
            {
                "url": item.url,
                "kind": item.kind,
                "status": item.status,
                "sha256": item.sha256 or None,
                "bytes": item.size,
                "source": item.source,
                "recorded_at": item.at,
                "lines": list(item.lines),
            }
            for item in recording.downloads
        ],
        "not_recorded": [
            {"what": item.what, "reason": item.why, "lines": list(item.lines)} for item in recording.passed
        ],
    }


def _exported_json(exported: Exported) -> dict[str, Any]:
    return {
        "directory": str(exported.directory),
        "files": exported.files,
        "bytes": exported.size,
        "left_out": [{"url": item.url, "reason": item.why} for item in exported.left_out],
        "remarks": list(exported.remarks),
    }
