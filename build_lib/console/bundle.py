"""Output of `deps-save`, `deps-load`, `deps-verify` and `deps-inventory`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.console import carried
from build_lib.console.output import in_words
from build_lib.console.problems import left_out, problems
from build_lib.errors import Incomplete
from build_lib.invocation import as_typed
from build_lib.units import number, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from build_lib.bundle import Base, Collected, Listing, Loaded, LoadedBundle, Saved, Verified
    from build_lib.console.output import Console
    from build_lib.graph import Outcome
    from build_lib.registry import Progress
    from build_lib.repository import Repository


class SaveReport:
    """Prints how a bundle is saved: each image that is looked up, and the content of the bundle."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_start(self, name: str) -> None:
        """Print that an image is looked up."""
        self._console.on_start(name)

    def on_gathered(self, outcome: Outcome[Collected]) -> None:
        """Print why an image is not available."""
        if outcome.error is not None:
            self._console.line(f"  {outcome.name}: ", self._console.bad("not available"))
            self._console.reason(outcome.error)

    def on_progress(self, progress: Progress) -> None:
        """Draw the progress of the downloads."""
        self._console.on_progress(progress)

    def end(self, saved: Saved, repository: Repository, names: Sequence[str] = ()) -> None:
        """Print the images of the bundle, and its path. `names` are the services asked for, by default all.

        Raises:
            Incomplete: an image is not in the bundle, or the repository's files have errors.
        """
        self._console.end_progress()
        if self._console.json:
            self._console.document(_saved_json(saved))
        else:
            self._console.table(("IMAGE", "FROM", "SIZE", "DIGEST"), _saved_rows(saved))
            carried.table(self._console, saved.listing)
            for text in _saved_lines(saved, dry=self._console.dry):
                self._console.line(text)
        left_out(self._console, repository)
        self._console.hints(saved.outcomes)
        missing = saved.listing.missing
        of = number(len(saved.outcomes), "image")
        text = f"{len(missing)} of {of} not in the bundle: {', '.join(missing)}" if missing else ""
        problems(self._console, repository, names, failed=(text,), hint="the bundle can be used without them")


class LoadReport:
    """Prints how a bundle is loaded: each image that fails, and a table of all images."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_progress(self, progress: Progress) -> None:
        """Draw how much of the bundle has been checked."""
        self._console.on_progress(progress)

    def on_loaded(self, outcome: Outcome[Loaded]) -> None:
        """Print why an image is not loaded."""
        if outcome.error is not None:
            self._console.line(f"  {outcome.name}: ", self._console.bad("not loaded"))
            self._console.line(f"    {outcome.error.message}")

    def end(self, loaded: LoadedBundle) -> None:
        """Print the result for each image, and the name under which it was loaded, and for the downloads.

        Raises:
            Incomplete: an image is not loaded, or the downloads are not.
        """
        self._console.end_progress()
        images, downloads = loaded.images, loaded.downloads
        if self._console.json:
            self._console.document([*map(_loaded_json, images), *map(carried.loaded_json, downloads)])
        else:
            rows = [_loaded_row(outcome, dry=self._console.dry) for outcome in images]
            self._console.table(("IMAGE", "RESULT", "NEW", "LOADED AS"), rows)
            carried.loaded(self._console, downloads)
        self._console.hints((*images, *downloads))
        failed = [outcome.name for outcome in images if not outcome.done]
        if failed:
            raise Incomplete(f"{len(failed)} of {number(len(images), 'image')} not loaded: {', '.join(failed)}")
        if any(not outcome.done for outcome in downloads):
            raise Incomplete(f"the downloads of {number(len(downloads), 'service')} are not loaded")


def verified(console: Console, verified: Verified) -> None:
    """Print the content of a bundle that has been verified."""
    console.end_progress()
    if console.json:
        console.document(_verified_json(verified))
        return
    rows = [(item.name, size(item.size), item.digest) for item in verified.listing.images]
    console.table(("IMAGE", "SIZE", "DIGEST"), rows)
    carried.table(console, verified.listing)
    for text in _verified_lines(verified):
        console.line(text)


def inventory(console: Console, base: Base, path: Path, repository: Repository | None) -> None:
    """Print the path of an inventory, and how many images and layers it lists.

    Raises:
        Incomplete: the files of the repository whose images were looked up, if any, have errors.
    """
    layers = len({digest for _, each in base.images for digest in (*each.layers, *each.diff_ids)})
    names = len({name for name, _ in base.images})
    if console.json:
        document = {"file": str(path), "of": base.kind, "name": base.name, "images": names, "layers": layers}
        console.document({**document, "downloads": len(base.downloads)})
    else:
        written = "would be written: " if console.dry else ""
        downloads = f"; {number(len(base.downloads), 'downloaded file')}" if base.downloads else ""
        console.line(f"{path}: {written}{number(names, 'image')}, {number(layers, 'layer')} of {base.name}{downloads}")
        if not console.dry:
            console.line(as_typed(f"  next, on a machine with a network: ./inv deps-save --since {path.name}"))
    if repository is not None:
        problems(console, repository)


def _saved_rows(saved: Saved) -> list[tuple[str, str, str, str]]:
    rows = [(item.name, item.source, size(item.size), item.digest or "new digest") for item in saved.listing.images]
    return rows + [(name, "not available", "", "") for name in saved.listing.missing]


def _saved_lines(saved: Saved, *, dry: bool) -> Iterator[str]:
    images = number(len(saved.listing.images), "image")
    yield f"{saved.path}: {'would contain ' if dry else ''}{images}, {size(saved.size)}"
    if saved.parts not in ((), (saved.path,)):
        names = " to ".join(dict.fromkeys((saved.parts[0].name, saved.parts[-1].name)))
        yield f"  copy all of these: {names} ({number(len(saved.parts), 'part')}), {saved.path.name}.sha256"
    yield from _listing_lines(saved.listing)


def _saved_json(saved: Saved) -> dict[str, Any]:
    return {
        "file": str(saved.path),
        "parts": [str(part) for part in saved.parts],
        "bytes": saved.size,
        "bytes_fetched": saved.fetched,
        **_listing_json(saved.listing),
    }


def _loaded_row(outcome: Outcome[Loaded], *, dry: bool) -> tuple[str, ...]:
    loaded = outcome.value
    if loaded is None:
        return (outcome.name, "failed", "", "")
    result = in_words(loaded.result, dry=dry) + (", replacing another image" if loaded.replaced else "")
    return (outcome.name, result, size(loaded.size), str(loaded.names[-1]))


def _loaded_json(outcome: Outcome[Loaded]) -> dict[str, Any]:
    loaded = outcome.value
    return {
        "image": outcome.name,
        "result": loaded.result if loaded else "failed",
        "digest": loaded.digest if loaded else None,
        "bytes_new": loaded.size if loaded else None,
        "names": [str(name) for name in loaded.names] if loaded else [],
        "replaced": [str(name) for name in loaded.replaced] if loaded else [],
        "error": outcome.error.message if outcome.error else None,
    }


def _verified_lines(verified: Verified) -> Iterator[str]:
    listing = verified.listing
    needs = number(len(listing.left_out), "layer")
    if listing.downloads:
        needs += f" and {number(len(listing.downloads.left_out), 'downloaded file')}"
    what = f"a valid delta (needs {needs} of the site)" if listing.since else "a valid bundle"
    parts = f" in {len(verified.parts)} parts" if len(verified.parts) > 1 else ""
    images = f"{number(len(listing.images), 'image')} of {listing.release}"
    yield f"{verified.path}: {what}: {images}, {size(verified.size)}{parts}"
    yield from _listing_lines(listing)
    if listing.missing:
        yield f"  not available when it was saved: {', '.join(listing.missing)}"


def _verified_json(verified: Verified) -> dict[str, Any]:
    return {
        "file": str(verified.path),
        "parts": [str(part) for part in verified.parts],
        "bytes": verified.size,
        "state": "delta" if verified.listing.since else "whole",
        **_listing_json(verified.listing),
    }


def _listing_lines(listing: Listing) -> Iterator[str]:
    """Lines about the limits of a bundle: the layers that a delta leaves out, and images that `docker load` rejects."""
    if listing.since:
        left_out = sum(item.size for item in listing.left_out)
        yield f"  a delta against {listing.since}: {number(len(listing.left_out), 'layer')} left out, {size(left_out)}"
    if listing.downloads:
        yield from carried.lines(listing.downloads)
    odd = [item for item in listing.images if item.not_loaded]
    if odd:
        names = ", ".join(item.name for item in odd)
        yield f"  docker load cannot load {odd[0].not_loaded} into a classic store: {names}"
        yield "    deps-load -r uploads them to a registry; skopeo and podman can read them"


def _listing_json(listing: Listing) -> dict[str, Any]:
    return {
        "release": listing.release,
        "images": [
            {
                "image": item.name,
                "digest": item.digest or None,
                "bytes": item.size,
                "source": item.source,
                "service": item.service,
                "docker_load": not item.not_loaded,
            }
            for item in listing.images
        ],
        "missing": [{"image": name, "reason": reason} for name, reason in listing.missing.items()],
        "since": listing.since or None,
        "left_out": [{"digest": item.digest, "bytes": item.size, "held_by": item.held_by} for item in listing.left_out],
        "downloads": carried.as_json(listing.downloads) if listing.downloads else None,
    }
