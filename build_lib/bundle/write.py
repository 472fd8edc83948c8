"""Bundles: dependency images in one file, or in parts of it, for a site with no network.

The file is an archive of `image_layout.stream`, which `docker load` and programs for image layouts can read, with
`build-lib.json` (`contents`) added. All images are looked up first, so that the size is known. Then the blobs are
fetched, and written as they arrive, in the order of the archive.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

from build_lib.bundle.archive import Archive, read_base
from build_lib.bundle.carry import Carry
from build_lib.bundle.collect import Collect, Collected, Connect
from build_lib.bundle.contents import Listing
from build_lib.bundle.layers import Layers
from build_lib.bundle.parts_writer import Writer, check_target
from build_lib.bundle.plan import Plan, check_parts, check_room, plan_of
from build_lib.downloads import Store
from build_lib.errors import BuildError, Refusal, Unavailable
from build_lib.graph import Cancel, Outcome, run
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Descriptor, Progress, Registries, image_layout
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.units import some

_CHUNK = 1 << 20
_LOOK_UPS = 4  # at once, for each connection that transfers blobs
_WRITING = "the archive"  # the name of this piece of work; those of blobs are digests


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A bundle that was written, or would be in a dry run."""

    path: Path
    parts: tuple[Path, ...]
    size: int  # bytes
    fetched: int  # bytes that were fetched from registries
    listing: Listing
    outcomes: tuple[Outcome[Collected], ...]  # of all wanted images


class CheckListener(Protocol):
    """Is told about the progress of a check, in the thread that called verify."""

    def on_progress(self, progress: Progress) -> None:
        """More of the bundle has been checked."""


class Listener(Protocol):
    """Is told about the progress of a save, in the thread that called it."""

    def on_start(self, name: str) -> None:
        """The lookup of an image begins."""

    def on_gathered(self, outcome: Outcome[Collected]) -> None:
        """An image was found, or was not."""

    def on_progress(self, progress: Progress) -> None:
        """Called several times a second."""


def default_path(settings: Settings) -> Path:
    """The default path of the release's bundle."""
    return settings.state_dir / f"deps-{settings.image_tag}.tar"


def save(
    wanted: Sequence[Dependency],
    services: Sequence[Reference],
    settings: Settings,
    connect: Connect,
    listener: Listener,
    *,
    path: Path,
    platforms: Sequence[str] = (),
    built: Mapping[Reference, Reference] = MappingProxyType({}),
    since: Path | None = None,
    part_size: int | None = None,
    downloads: Collection[str] | None = None,
    dry: bool = False,
) -> Saved:
    """Write a bundle of the images and of built services, and of what the builds of services downloaded.

    `platforms` limits an index to these platforms, unless the image is pinned by its digest. With `since`, the layers
    of that base are left out. `connect` gives the engine, which is asked for services and for images that no registry
    has; `built` are the places of services that are in a build registry instead, by digest. An image that is not
    available from any source is not in the bundle, and its listing names it as missing. `downloads` are services of
    which the downloads in the release are added.

    Raises:
        BuildError: there is nothing to write, not enough space, a blob that cannot be fetched, downloads that are not
            recorded or whose content is missing or damaged, or a layer that does not unpack to what its image's config
            says. Nothing is left but the blobs in `.build/blobs`, from which the next run continues.
    """
    check_target(path, settings.state_dir)
    base = read_base(since) if since else None
    held = frozenset(base.downloads) if base else frozenset()
    carry = None if downloads is None else Carry.of(Store(settings), settings.image_tag, downloads, held)
    cancel = Cancel()
    connections = settings.pulls_at_once * _LOOK_UPS
    with Registries(settings, cancel, connections=connections) as registries:
        work = _Save(settings, registries, connect, path, platforms=platforms, built=built, dry=dry)
        outcomes = work.gather(wanted, services, listener)
        plan = plan_of(outcomes, base, settings, carry)
        size = image_layout.archive_size(plan.loadables, plan.documents, plan.leave_out, plan.others)
        check_parts(size, part_size)
        parts = () if dry else work.write(plan, size, part_size, listener)
    return Saved(
        path=path,
        parts=parts,
        size=size,
        fetched=work.fetched,
        listing=plan.listing,
        outcomes=tuple(outcomes),
    )


class _Save:
    def __init__(
        self,
        settings: Settings,
        registries: Registries,
        connect: Connect,
        path: Path,
        *,
        platforms: Sequence[str],
        built: Mapping[Reference, Reference],
        dry: bool,
    ) -> None:
        self.path = path
        self.jobs = settings.pulls_at_once
        self.keep_blobs = settings.keep_blobs
        self.cancel = registries.cancel
        self.blobs = BlobStore(settings.state_dir / "blobs")
        self.gathering = Collect(settings, registries, connect, self.blobs, platforms=platforms, built=built, dry=dry)
        self.written = 0
        self._failed: dict[str, BuildError] = {}

    @property
    def fetched(self) -> int:
        """The bytes of the blobs that were fetched from registries."""
        return sum(self.gathering.downloads.received.values())

    def gather(
        self, wanted: Sequence[Dependency], services: Sequence[Reference], listener: Listener
    ) -> list[Outcome[Collected]]:
        """Look up all images."""
        items = {str(item.image): item for item in wanted}
        own = {str(image): image for image in services}

        def work(name: str, _cancel: Cancel) -> Collected:
            return self.gathering.service(own[name]) if name in own else self.gathering.find(items[name])

        return run(
            dict.fromkeys((*items, *own), ()),
            work,
            jobs=self.jobs * _LOOK_UPS,
            on_start=listener.on_start,
            on_end=listener.on_gathered,
            cancel=self.cancel,
            doing=lambda names: f"looking up {some(names)}",
        )

    def write(self, plan: Plan, size: int, limit: int | None, listener: Listener) -> tuple[Path, ...]:
        """Fetch the blobs, and write the archive as they arrive."""
        sources = _sources(plan)
        layers = _layers(plan)
        blobs = {blob.digest: blob for blob in image_layout.contents(plan.loadables, plan.leave_out)}
        missing = [blob for blob in blobs.values() if not self.blobs.has(blob)]
        with Writer(self.path, limit) as writer:
            check_room(self.path, size, self.blobs, blobs)

            def open_blob(blob: Descriptor) -> Iterator[bytes]:
                if plan.carry and blob.digest not in blobs:
                    return plan.carry.chunks(blob)
                return self._chunks(blob, sources[blob.digest])

            def work(key: str, _cancel: Cancel) -> None:
                if key in blobs:
                    self._check(blobs[key], sources[key], layers)
                    return
                made = image_layout.stream(
                    plan.loadables,
                    open_blob,
                    leave_out=plan.leave_out,
                    documents=plan.documents,
                    others=plan.others,
                )
                for chunk in made:
                    self.cancel.sleep(0)
                    writer.write(chunk)
                    self.written += len(chunk)

            outcomes = run(
                dict.fromkeys((_WRITING, *blobs), ()),
                work,
                jobs=self.jobs + 1,
                on_tick=lambda: listener.on_progress(self._progress(size, missing)),
                fail_fast=True,
                cancel=self.cancel,
                doing=lambda _keys: f"writing {self.path}",
            )
            for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
            parts = writer.finish()
        if not self.keep_blobs:
            for blob in blobs.values():
                self.blobs.remove(blob)
        return parts

    def _progress(self, size: int, missing: Sequence[Descriptor]) -> Progress:
        """The progress over the bytes to write and the bytes of the missing blobs to fetch."""
        received = dict(self.gathering.downloads.received)
        fetched = sum(received.get(blob.digest, 0) for blob in missing)
        total = size + sum(blob.size for blob in missing)
        return Progress(done=self.written + fetched, total=total, images={})

    def _chunks(self, blob: Descriptor, sources: Sequence[Reference]) -> Iterator[bytes]:
        """The blob's bytes, after waiting for a download that is running, or else fetching the blob now."""
        with self.cancel.abandoned():  # it may wait for another thread's download; `write` cleans up
            file = self._fetched(blob, sources)
        with file:
            yield from self._read(file)

    def _check(self, blob: Descriptor, sources: Sequence[Reference], layers: Layers) -> None:
        """Fetch the blob, and unpack it if it is a layer: what was written can be loaded."""
        with self._fetched(blob, sources) as file:
            layers.unpack(blob.digest, blob.size, self._read(file))
        if layers.problems:
            text = f"images cannot be loaded: {'; '.join(layers.problems)}"
            hint = "leave them out, or name a source that has other ones (PRIVATE_REGISTRY, REGISTRY_MIRRORS)"
            self._failed[blob.digest] = BuildError(text, hint=hint)
            raise self._failed[blob.digest]

    def _read(self, file: IO[bytes]) -> Iterator[bytes]:
        while chunk := file.read(_CHUNK):
            self.cancel.sleep(0)
            yield chunk

    def _fetched(self, blob: Descriptor, sources: Sequence[Reference]) -> IO[bytes]:
        """Fetch the blob from the first source that delivers it. By its digest, it is the same everywhere."""
        if blob.digest in self._failed:
            raise self._failed[blob.digest]
        refusals = []
        for source in sources:
            try:
                return self.gathering.downloads.fetch(source, blob)
            except BuildError as error:
                if self.cancel.requested():
                    raise
                refusals.append(Refusal(source=source.host, reason=error.message))
        if not sources:
            return self.blobs.open(blob)
        self._failed[blob.digest] = Unavailable(f"{blob.digest} of {sources[0]}", refusals)
        raise self._failed[blob.digest]


def _layers(plan: Plan) -> Layers:
    found = Layers()
    for item in plan.listing.images:
        for variant in item.variants:
            found.expect(item.name, variant.layers, variant.diff_ids)
    return found


def _sources(plan: Plan) -> dict[str, tuple[Reference, ...]]:
    """The sources of each blob: those of all images that have it."""
    found: dict[str, dict[Reference, None]] = {}
    for item in plan.images:
        for digest in item.blobs:
            found.setdefault(digest, {}).update(dict.fromkeys(item.sources))
    return {digest: tuple(sources) for digest, sources in found.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """A bundle of which every byte was verified.

    Its images and downloads can be loaded. A valid delta needs the layers `listing.left_out` and the content
    `listing.downloads.left_out` of the site. These are unverified.
    """

    path: Path
    parts: tuple[Path, ...]
    size: int
    listing: Listing


def verify(path: Path, settings: Settings, listener: CheckListener) -> Verified:
    """Check every byte of a bundle, without an engine and without a network.

    Raises:
        BadBundle: the file is damaged, cut off, or not a bundle, or an image cannot be loaded from it; the message says
            where, and names the image.
    """
    with Archive.open(path) as archive:
        archive.check(jobs=settings.pulls_at_once, on_progress=listener.on_progress, unpack=True)
        return Verified(path=archive.path, parts=archive.parts, size=archive.size, listing=archive.listing)
