"""What `--json` prints of values that are written for people otherwise; null is what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # as in output
    from build_lib.graph import Outcome
    from build_lib.registry import Pushed
    from build_lib.transfer import PushedService


def pushed(outcome: Outcome[Pushed]) -> dict[str, Any]:
    """How an image came into the private registry."""
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


def shipped(outcome: Outcome[PushedService]) -> dict[str, Any]:
    """How a service came there."""
    shipped = outcome.value
    return {
        "service": outcome.name,
        "result": shipped.result if shipped else "failed",
        "place": str(shipped.place) if shipped else None,
        "digest": (shipped.digest or None) if shipped else None,
        "error": None if shipped or not outcome.error else outcome.error.message,
    }
