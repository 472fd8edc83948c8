"""What `deps-save`, `deps-load` and `deps-verify` print about the downloads that a bundle carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.console.output import in_words
from build_lib.units import number, size, some

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterator, Sequence

    from build_lib.bundle import Carried, Listing, LoadedDownloads
    from build_lib.console.output import Console
    from build_lib.graph import Outcome


def table(console: Console, listing: Listing) -> None:
    """Print the services whose downloads a bundle carries, with the number of these, and the size of their content."""
    found = listing.downloads.recordings if listing.downloads else ()
    if found:
        rows = [(item.service, str(item.downloads), size(item.content)) for item in found]
        console.table(("DOWNLOADS OF", "NUMBER", "SIZE"), rows)


def lines(found: Carried) -> Iterator[str]:
    """Lines about all downloads of a bundle, and about those that a delta leaves out."""
    files, all = number(len(found.content), "file"), size(sum(found.content.values()))
    yield f"  downloads of {number(len(found.recordings), 'service')}: {files}, {all}"
    if found.left_out:
        left_out = size(sum(found.content[digest] for digest in found.left_out))
        yield f"    of these, {number(len(found.left_out), 'file')} left out, {left_out}"


def as_json(found: Carried) -> dict[str, Any]:
    """The downloads of a bundle, for programs."""
    return {
        "services": [
            {"service": item.service, "downloads": item.downloads, "bytes": item.content} for item in found.recordings
        ],
        "files": len(found.content),
        "bytes": sum(found.content.values()),
        "left_out": [{"digest": digest, "bytes": found.content[digest]} for digest in sorted(found.left_out)],
    }


def loaded(console: Console, outcomes: Sequence[Outcome[LoadedDownloads]]) -> None:
    """Print the result for the downloads of each service. If they failed, the reason is the same for all."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors:
        console.line(f"  downloads of {some([outcome.name for outcome in outcomes])}: ", console.bad("not loaded"))
        console.reason(errors[0])
    elif outcomes:
        rows = [_row(each.value, dry=console.dry) for each in outcomes if each.value]
        console.table(("DOWNLOADS OF", "RESULT", "NEW", "NUMBER"), rows)


def loaded_json(outcome: Outcome[LoadedDownloads]) -> dict[str, Any]:
    """The result for the downloads of a service, for programs."""
    loaded = outcome.value
    return {
        "downloads_of": outcome.name,
        "release": loaded.release if loaded else None,
        "result": loaded.result if loaded else "failed",
        "downloads": loaded.downloads if loaded else None,
        "bytes_new": loaded.size if loaded else None,
        "error": outcome.error.message if outcome.error else None,
    }


def _row(loaded: LoadedDownloads, *, dry: bool) -> tuple[str, ...]:
    replacing = loaded.result == "replaced"
    result = in_words("loaded" if replacing else loaded.result, dry=dry)
    other = ", replacing an earlier recording" if replacing else ""
    return (f"{loaded.service} in {loaded.release}", result + other, size(loaded.size), str(loaded.downloads))
