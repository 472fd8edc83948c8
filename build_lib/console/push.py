"""Output of `push` and `deps-push`: services and dependency images that are pushed to the private registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.console.output import Console, in_words
from build_lib.console.problems import left_out, problems
from build_lib.units import number, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Sequence

    from build_lib.graph import Outcome
    from build_lib.registry import Pushed
    from build_lib.repository import Repository
    from build_lib.transfer import PushedDownloads, PushedService


class PushReport:
    """Prints a push of services: each service when it is pushed, and a table of all services."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_start(self, name: str) -> None:
        """Print that the push of a service begins."""
        self._console.on_start(name)

    def on_shipped(self, outcome: Outcome[PushedService]) -> None:
        """Print that a service was pushed, or why it was not."""
        if outcome.value is not None:
            result = in_words(outcome.value.result, dry=self._console.dry)
            self._console.line(f"  {outcome.name}: ", self._console.good(result))
        elif outcome.error is not None:
            self._console.line(f"  {outcome.name}: ", self._console.bad("not pushed"), f": {outcome.error.message}")

    def end(
        self, outcomes: Sequence[Outcome[PushedService]], repository: Repository, names: Sequence[str] = ()
    ) -> None:
        """Print the destination and the digest of every service. `names` are those asked for, by default all.

        Raises:
            Incomplete: a service was not pushed, or the repository's files have errors.
        """
        if self._console.json:
            self._console.document([_service_json(outcome) for outcome in outcomes])
        else:
            rows = [_service_row(outcome, dry=self._console.dry) for outcome in outcomes]
            self._console.table(("SERVICE", "RESULT", "DESTINATION", "DIGEST"), rows)
        _end(self._console, "service", outcomes, repository, names)


class DepsPushReport:
    """Prints a push of dependency images and downloads: what is started or fails, and a table of the images."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_start(self, name: str) -> None:
        """Print that an image is looked up."""
        self._console.on_start(name)

    def on_pushed(self, outcome: Outcome[Pushed]) -> None:
        """Print why an image was not pushed."""
        if outcome.value is None:
            self._console.line(f"  {outcome.name}: ", self._console.bad("not pushed"))
            self._console.reason(outcome.error)

    def end(
        self,
        outcomes: Sequence[Outcome[Pushed]],
        repository: Repository,
        names: Sequence[str] = (),
        downloads: Outcome[PushedDownloads] | None = None,
    ) -> None:
        """Print the digest of every image, how many bytes were transferred for it, and the same of the downloads.

        `names` are the services asked for, by default all.

        Raises:
            Incomplete: an image or the downloads were not pushed, or the repository's files have errors.
        """
        if self._console.json:
            others = [_downloads_json(downloads)] if downloads else []
            self._console.document([*map(_image_json, outcomes), *others])
        elif outcomes:
            rows = [_image_row(outcome, dry=self._console.dry) for outcome in outcomes]
            self._console.table(("IMAGE", "RESULT", "FROM", "TRANSFERRED", "REUSED", "DIGEST"), rows)
        else:
            self._console.line("no dependency images")
        left_out(self._console, repository)
        if downloads:
            self._downloads(downloads)
        _end(self._console, "image", outcomes, repository, names, downloads)

    def _downloads(self, outcome: Outcome[PushedDownloads]) -> None:
        if outcome.value is None:
            self._console.line(f"{outcome.name}: ", self._console.bad("not pushed"))
            self._console.reason(outcome.error)
        else:
            for text in _downloads_lines(outcome.name, outcome.value, dry=self._console.dry):
                self._console.line(text)


def _end(
    console: Console,
    what: str,
    outcomes: Sequence[Outcome[Any]],
    repository: Repository,
    names: Sequence[str],
    downloads: Outcome[Any] | None = None,
) -> None:
    failed = [outcome.name for outcome in outcomes if not outcome.done]
    console.hints([*outcomes, *([downloads] if downloads else [])])
    text = f"{len(failed)} of {number(len(outcomes), what)} not pushed: {', '.join(failed)}" if failed else ""
    others = f"{downloads.name} not pushed" if downloads and not downloads.done else ""
    problems(console, repository, names, failed=(text, others))


def _service_row(outcome: Outcome[PushedService], *, dry: bool) -> tuple[str, ...]:
    pushed = outcome.value
    if pushed is None:
        return (outcome.name, "failed", "", "")
    return (outcome.name, in_words(pushed.result, dry=dry), str(pushed.place), pushed.digest)


def _service_json(outcome: Outcome[PushedService]) -> dict[str, Any]:
    pushed = outcome.value
    return {
        "service": outcome.name,
        "result": pushed.result if pushed else "failed",
        "place": str(pushed.place) if pushed else None,
        "digest": (pushed.digest or None) if pushed else None,
        "error": None if pushed or not outcome.error else outcome.error.message,
    }


def _image_row(outcome: Outcome[Pushed], *, dry: bool) -> tuple[str, ...]:
    pushed = outcome.value
    if pushed is None:
        return (outcome.name, "failed", "", "", "", "")
    if pushed.result == "pushed":
        result = "would be pushed by the engine" if dry else "pushed by the engine, new digest"
        return (outcome.name, result, "engine", "", "", pushed.digest)
    result = in_words(pushed.result, dry=dry)
    return (outcome.name, result, pushed.source, size(pushed.moved), size(pushed.saved), pushed.digest)


def _image_json(outcome: Outcome[Pushed]) -> dict[str, Any]:
    pushed = outcome.value
    return {
        "image": outcome.name,
        "result": pushed.result if pushed else "failed",
        "places": [str(place) for place in pushed.places] if pushed else [],
        "source": pushed.source if pushed else None,
        "digest": pushed.digest if pushed else None,
        "bytes_moved": pushed.moved if pushed else None,
        "bytes_saved": pushed.saved if pushed else None,
        "error": None if pushed or not outcome.error else outcome.error.message,
    }


def _downloads_lines(name: str, pushed: PushedDownloads, *, dry: bool) -> tuple[str, str]:
    amount = f"{number(pushed.downloads, 'download')} of {number(pushed.recordings, 'service')}"
    files = f"{number(pushed.files, 'file')}, {pushed.present} of them already present"
    moved = f"{size(pushed.moved)} {'would be ' if dry else ''}transferred, {size(pushed.saved)} reused"
    result = in_words(pushed.result, dry=dry)
    return (f"{name}: {result}: {amount}, {files}; {moved}", f"  {pushed.place}@{pushed.digest}")


def _downloads_json(outcome: Outcome[PushedDownloads]) -> dict[str, Any]:
    pushed = outcome.value
    return {
        "image": outcome.name,
        "result": pushed.result if pushed else "failed",
        "places": [str(pushed.place)] if pushed else [],
        "source": "store" if pushed else None,
        "digest": pushed.digest if pushed else None,
        "bytes_moved": pushed.moved if pushed else None,
        "bytes_saved": pushed.saved if pushed else None,
        "error": None if pushed or not outcome.error else outcome.error.message,
        "downloads": _counts_json(pushed) if pushed else None,
    }


def _counts_json(pushed: PushedDownloads) -> dict[str, int]:
    return {
        "recordings": pushed.recordings,
        "downloads": pushed.downloads,
        "files": pushed.files,
        "files_present": pushed.present,
    }
