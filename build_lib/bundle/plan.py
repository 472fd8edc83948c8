"""The plan of a bundle: its documents, the layers that a delta leaves out, and the space that it needs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_lib.bundle import values
from build_lib.bundle.carry import Carry
from build_lib.bundle.collect import Collected
from build_lib.bundle.contents import NAME, Base, LeftOut, Listing
from build_lib.bundle.documents import Counter
from build_lib.bundle.members import MOST_MEMBERS, SUMS, sums_of
from build_lib.bundle.parts import MOST_PARTS
from build_lib.errors import BuildError
from build_lib.foreign import on_one_line
from build_lib.graph import Outcome
from build_lib.registry import BlobStore, Descriptor, Loadable, image_layout
from build_lib.settings import Settings
from build_lib.units import shortened


def part_size(text: str) -> int:
    """The bytes of a size for `--split`, such as `650M` or `4G`. The units are decimal, as printed on media.

    Raises:
        BuildError: the text is not a size.
    """
    number, unit = text.strip().upper().removesuffix("B"), 1
    for letter, factor in (("K", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12)):
        if number.endswith(letter):
            number, unit = number.removesuffix(letter), factor
    if not (number.isascii() and number.isdecimal() and int(number)):
        raise BuildError(f"--split is {text!r}", hint="allowed: a size such as 650M or 4G (decimal: 4G fits on FAT)")
    return int(number) * unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a bundle will contain."""

    images: tuple[Collected, ...]
    listing: Listing
    documents: Mapping[str, bytes]
    leave_out: frozenset[str]
    carry: Carry | None = None

    @property
    def loadables(self) -> tuple[Loadable, ...]:
        """The images in the form for `image_layout`."""
        return tuple(item.loadable for item in self.images)

    @property
    def others(self) -> tuple[Descriptor, ...]:
        """The recordings and the content of downloads, without what the images have as well."""
        if self.carry is None:
            return ()
        written = {blob.digest for blob in image_layout.contents(self.loadables, self.leave_out)}
        written |= {manifest.digest for item in self.images for manifest in item.loadable.manifests}
        return tuple(blob for digest, blob in self.carry.blobs.items() if digest not in written)


def plan_of(
    outcomes: Sequence[Outcome[Collected]], base: Base | None, settings: Settings, carry: Carry | None = None
) -> Plan:
    """The plan for the images that were found, and the downloads to carry.

    Raises:
        BuildError: no image was found, or they are more than a bundle may have.
    """
    images = tuple(outcome.value for outcome in outcomes if outcome.value is not None)
    missing = {outcome.name: outcome.error for outcome in outcomes if outcome.error is not None}
    if not images:
        raise _nothing(missing)
    held = base.held(variant for item in images for variant in item.listed.variants) if base else {}
    blobs = {digest: blob for item in images for digest, blob in item.blobs.items()}
    listing = Listing(
        release=settings.image_tag,
        images=tuple(item.listed for item in images),
        missing={name: on_one_line(shortened(error.message, 1000)) for name, error in missing.items()},
        since=base.name if base else "",
        left_out=tuple(
            LeftOut(digest=digest, size=blobs[digest].size, held_by=by)
            for digest, by in held.items()
            if digest in blobs
        ),
        downloads=carry.carried if carry else None,
    )
    counter = Counter(where="the bundle")
    for manifest in (manifest for item in images for manifest in item.loadable.manifests):
        counter.add(manifest)
    documents = image_layout.documents_of([item.loadable for item in images]) | {NAME: listing.to_bytes()}
    foreign = frozenset(digest for item in images for digest in item.foreign)
    plan = Plan(
        images=images,
        listing=listing,
        documents=documents | {SUMS: sums_of(documents)},
        leave_out=frozenset(held) | foreign,
        carry=carry,
    )
    _check_files(plan)
    return plan


def _check_files(plan: Plan) -> None:
    """Check that the archive does not have more files than are read again."""
    count = len(plan.documents) + sum(len(item.loadable.manifests) for item in plan.images) + len(plan.others)
    count += len(image_layout.contents(plan.loadables, plan.leave_out))
    if count > MOST_MEMBERS:
        text = f"{count} files, and at most {MOST_MEMBERS} are possible"
        raise BuildError(f"the bundle would be too large: {text}", hint=values.SMALLER)


def _nothing(missing: Mapping[str, BuildError]) -> BuildError:
    if not missing:
        return BuildError("there are no dependency images: nothing to save", hint="./inv deps lists them")
    if len(missing) == 1:
        return next(iter(missing.values()))
    return BuildError(
        f"none of {len(missing)} images is available: {', '.join(missing)}", hint="the reasons are listed above"
    )


def check_parts(size: int, limit: int | None) -> None:
    """Check that the size of the parts does not give too many parts.

    Raises:
        BuildError: there would be too many.
    """
    if limit and size > MOST_PARTS * limit:
        text = f"--split would cut {size} bytes into {-(-size // limit)} parts, but at most {MOST_PARTS} are possible"
        raise BuildError(text, hint="choose a larger size")


def check_room(path: Path, size: int, blobs: BlobStore, wanted: Mapping[str, Descriptor]) -> None:
    """Check that the bundle and its blobs fit on the disks, before anything is fetched.

    Raises:
        BuildError: there is not enough space; with the bytes that are needed and free.
    """
    missing = sum(blob.size - blobs.partial_size(blob) for blob in wanted.values() if not blobs.has(blob))
    needed: dict[int, tuple[Path, int]] = {}
    for place, amount in ((path.parent, size), (_existing(blobs.directory), missing)):
        device = place.stat().st_dev
        needed[device] = (needed.get(device, (place, 0))[0], needed.get(device, (place, 0))[1] + amount)
    for place, amount in needed.values():
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize
        if disk.f_blocks and amount > free:
            text = f"not enough space for the bundle in {place}: {amount} bytes are needed, {free} bytes are free"
            hint = "free up space there, or name another file with -f; while it is written, its blobs are in .build too"
            raise BuildError(text, hint=hint)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())
