"""What becomes of the images of a bundle, and the refusal of a delta that does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from build_lib.bundle.archive import Archive
from build_lib.bundle.contents import Listed
from build_lib.errors import BuildError
from build_lib.graph import Outcome
from build_lib.reference import Reference
from build_lib.registry import Progress

Result = Literal["loaded", "there"]

_SHOWN = 12  # characters of a digest that tell it from others


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What became of an image of the bundle; of a dry run, what would. Bytes are those that were new."""

    image: Reference
    result: Result
    digest: str
    size: int
    names: tuple[Reference, ...]  # what it is called where it is now

    @classmethod
    def of(cls, listed: Listed, result: Result, size: int, names: tuple[Reference, ...]) -> Self:
        """That of an image as the bundle lists it."""
        return cls(image=listed.image, result=result, digest=listed.digest, size=size, names=names)


class Listener(Protocol):
    """Who hears of the course of it; called in the thread that called load."""

    def on_progress(self, progress: Progress) -> None:
        """Some more of the bundle is checked."""

    def on_loaded(self, outcome: Outcome[Loaded]) -> None:
        """An image is there, or could not be brought there."""


def refuse(archive: Archive, where: str, lacking: Mapping[str, list[str]]) -> None:
    """Nothing is changed where a delta does not fit.

    Raises:
        BuildError: something was left out that is not there.
    """
    named = [
        f"{name} lacks {len(digests)} layer{'s' if len(digests) > 1 else ''} ({', '.join(map(_short, digests))})"
        for name, digests in lacking.items()
        if digests
    ]
    if named:
        raise BuildError(
            f"{archive.path} was made against {archive.listing.since}, and {where} has not all of that: "
            f"{'; '.join(named)}; nothing was changed",
            hint="load the bundle that it was made against first; or ./inv deps-inventory here, and --since that",
        )


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHOWN]
