"""The results of loading a bundle, and the refusal of a delta whose missing layers are not at the site."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from build_lib.bundle.archive import Archive
from build_lib.bundle.contents import Listed
from build_lib.errors import BuildError
from build_lib.graph import Outcome
from build_lib.reference import Reference
from build_lib.registry import Progress
from build_lib.units import number, some

Result = Literal["loaded", "there"]

SITE = "load the bundle that it was made against first; or ./inv deps-inventory here, and save --since that"
_SHOWN = 12  # characters of a digest in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """The result for an image of the bundle; in a dry run, what a load would do. `size` is the bytes that were new."""

    image: Reference
    result: Result
    digest: str
    size: int
    names: tuple[Reference, ...]  # its names at the destination
    replaced: tuple[Reference, ...]  # those that another image had there

    @classmethod
    def of(
        cls,
        listed: Listed,
        result: Result,
        size: int,
        names: tuple[Reference, ...],
        replaced: tuple[Reference, ...] = (),
    ) -> Self:
        """The result for an image in the bundle's listing."""
        return cls(image=listed.image, result=result, digest=listed.digest, size=size, names=names, replaced=replaced)


class Listener(Protocol):
    """Is told about the progress of a load, in the thread that called it."""

    def on_progress(self, progress: Progress) -> None:
        """More of the bundle has been checked."""

    def on_loaded(self, outcome: Outcome[Loaded]) -> None:
        """An image was loaded or was already present, or failed."""


def refuse(archive: Archive, where: str, missing: Mapping[str, list[str]]) -> None:
    """Refuse a delta if `where` does not have the layers that it needs. `missing` has their digests for each image.

    Raises:
        BuildError: layers are missing; nothing was changed.
    """
    named = [
        f"{name} needs {number(len(digests), 'layer')} ({', '.join(map(_short, digests))})"
        for name, digests in missing.items()
        if digests
    ]
    if named:
        raise BuildError(
            f"{archive.path} is a delta against {archive.listing.since}, and {where} does not have all layers "
            f"that it needs: {'; '.join(named)}; nothing was changed",
            hint=SITE,
        )


def refuse_to_replace(archive: Archive, where: str, replaced: Iterable[Reference], kept: Iterable[Reference]) -> None:
    """Refuse to replace names of the repositories of `kept` at `where`: a bundle does not decide what services are.

    Raises:
        BuildError: names would be replaced; nothing was changed.
    """
    repositories = {image.repository for image in kept}
    named = [str(name) for name in replaced if name.repository in repositories]
    if named:
        raise BuildError(
            f"{archive.path} would replace images of this repository's services in {where}: {some(named)}; "
            "nothing was changed",
            hint=f"if they are to be replaced: ./inv deps-load --replace -f {archive.path}",
        )


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHOWN]
