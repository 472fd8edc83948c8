"""Bundles in words, for people and for programs: what `output` prints of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.units import number, size

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterator, Mapping

    from build_lib.bundle import Listing, Loaded, Saved, Verified
    from build_lib.graph import Outcome


def saved_rows(saved: Saved) -> list[tuple[str, str, str, str]]:
    """The images of a bundle: name, source, size, digest."""
    rows = [(item.name, item.source, size(item.size), item.digest or "new") for item in saved.listing.images]
    return rows + [(name, "nowhere", "", "") for name in saved.listing.missing]


def saved_lines(saved: Saved, *, dry: bool) -> Iterator[str]:
    """The bundle itself."""
    yield f"{saved.path}: {'would be ' if dry else ''}{number(len(saved.listing.images), 'image')}, {size(saved.size)}"
    if saved.parts not in ((), (saved.path,)):
        first, last = saved.parts[0].name, saved.parts[-1].name
        yield f"  take along {first} to {last} ({len(saved.parts)} parts), and {saved.path.name}.sha256"
    yield from _about(saved.listing)


def saved_json(saved: Saved) -> dict[str, Any]:
    """All of it."""
    return {
        "file": str(saved.path),
        "parts": [str(part) for part in saved.parts],
        "bytes": saved.size,
        "bytes_fetched": saved.fetched,
        **_listing_json(saved.listing),
    }


def loaded_row(outcome: Outcome[Loaded], *, dry: bool) -> tuple[str, ...]:
    """What became of an image: result, bytes that were new, its name there."""
    loaded = outcome.value
    if loaded is None:
        return (outcome.name, "failed", "", "")
    result = "would be loaded" if dry and loaded.result == "loaded" else loaded.result
    return (outcome.name, result, size(loaded.size), str(loaded.names[-1]))


def loaded_json(outcome: Outcome[Loaded]) -> dict[str, Any]:
    """The same."""
    loaded = outcome.value
    return {
        "image": outcome.name,
        "result": loaded.result if loaded else "failed",
        "digest": loaded.digest if loaded else None,
        "bytes_new": loaded.size if loaded else None,
        "names": [str(name) for name in loaded.names] if loaded else [],
        "error": outcome.error.message if outcome.error else None,
    }


def verified_lines(verified: Verified) -> Iterator[str]:
    """What a bundle is, every byte of which is right."""
    listing = verified.listing
    what = "a delta, right as far as it goes" if listing.since else "whole"
    parts = f" in {len(verified.parts)} parts" if len(verified.parts) > 1 else ""
    images = f"{number(len(listing.images), 'image')} of {listing.release}"
    yield f"{verified.path}: {what}: {images}, {size(verified.size)}{parts}"
    yield from _about(listing)
    if listing.missing:
        yield f"  not to be had when it was made: {', '.join(listing.missing)}"


def verified_json(verified: Verified) -> dict[str, Any]:
    """The same."""
    return {
        "file": str(verified.path),
        "parts": [str(part) for part in verified.parts],
        "bytes": verified.size,
        "state": "delta" if verified.listing.since else "whole",
        **_listing_json(verified.listing),
    }


def _about(listing: Listing) -> Iterator[str]:
    if listing.since:
        left_out = sum(item.size for item in listing.left_out)
        yield f"  a delta against {listing.since}: {number(len(listing.left_out), 'layer')} left out, {size(left_out)}"
    odd = [item for item in listing.images if item.not_loaded]
    if odd:
        names = ", ".join(item.name for item in odd)
        yield f"  not for docker load, which takes no {odd[0].not_loaded} into a classic store: {names}"
        yield "    deps-load -r brings them into a registry; skopeo and podman read them"


def _listing_json(listing: Listing) -> Mapping[str, Any]:
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
    }
