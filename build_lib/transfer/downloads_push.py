"""What the builds of a release downloaded, from the store into the private registry, as one artifact."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from build_lib.downloads import Recording, Store
from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel, Outcome, interruptible, run
from build_lib.reference import Reference
from build_lib.registry import Check, Descriptor, Registries, digest_of, harbor, write_names
from build_lib.settings import Settings
from build_lib.transfer import downloads_artifact as artifact
from build_lib.units import number, size

AGAIN = "./inv build-all --record records it again"
_SENT_UNASKED = 8 << 20  # bytes; up to this size, the request that begins an upload asks whether the blob is present


@dataclass(frozen=True, kw_only=True, slots=True)
class PushedDownloads:
    """The downloads of a release in the private registry; in a dry run, what the push would do.

    `files` is their content, each digest once, of which `present` ones were there already. Bytes are those of all blobs
    and manifests: `moved` ones were transferred, `saved` ones were there.
    """

    place: Reference
    digest: str
    result: Literal["copied", "there"]
    recordings: int
    downloads: int
    files: int
    present: int
    moved: int
    saved: int


@dataclass(kw_only=True, slots=True)
class _Content:
    """What is to be in the registry."""

    recordings: dict[str, Descriptor] = field(default_factory=dict)  # by service
    blobs: dict[str, Descriptor] = field(default_factory=dict)  # the content of downloads, by digest
    downloads: int = 0
    missing: list[str] = field(default_factory=list)


def push_downloads(
    settings: Settings,
    *,
    on_start: Callable[[str], None] = lambda _name: None,
    create_project: bool = False,
    dry: bool = False,
) -> Outcome[PushedDownloads] | None:
    """Push all recordings of the release in the settings, and their content; None if the store has no recordings of it.

    The artifact's name (`PrivateRegistry.downloads`) is written last. What is there already is not sent again. An error
    is that of the outcome. With `dry`, nothing is written.
    """
    store, release = Store(settings), settings.image_tag
    if not store.services(release):
        return None
    name = f"downloads of {release}"
    on_start(name)
    try:
        content = _collected(store, release)
        cancel = Cancel()
        most = artifact.MOST_LAYERS
        with (
            interruptible(f"uploading the {name}"),
            Registries(settings, cancel, connections=settings.pushes_at_once, most_listed=most) as registries,
        ):
            pushing = _Push(content, store, settings, registries, dry=dry)
            return Outcome(name=name, value=pushing.carry_out(create=create_project and not dry))
    except BuildError as error:
        return Outcome(name=name, error=error)


def _collected(store: Store, release: str) -> _Content:
    """The recordings of a release and their content, all of which the store has.

    Raises:
        BuildError: a recording cannot be read or is too large, or content is missing.
    """
    content = _Content()
    for service in store.services(release):
        made = store.recording(release, service)
        if made is None:
            raise BuildError(f"the recording of {service} in {release} cannot be read", hint=AGAIN)
        blob = artifact.described(artifact.packed(made))
        if blob.size > artifact.LARGEST_RECORDING:
            most = size(artifact.LARGEST_RECORDING)
            raise BuildError(
                f"the recording of {service} in {release} has {size(blob.size)}, and {most} is the most for a registry",
                hint="deps-save --downloads takes it into a bundle",
            )
        content.recordings[service] = blob
        content.downloads += len(made.downloads)
        _add(content, made, store)
    if content.missing:
        others = f", nor are {number(len(content.missing) - 1, 'other')}" if content.missing[1:] else ""
        raise BuildError(f"the content of {content.missing[0]} is not in {store.directory}{others}", hint=AGAIN)
    return content


def _add(content: _Content, made: Recording, store: Store) -> None:
    """Add the content of a recording, and note what is missing."""
    for item in made.downloads:
        if item.blob is not None and item.blob.digest not in content.blobs:
            content.blobs[item.blob.digest] = item.blob
            if not store.blobs.has(item.blob):
                content.missing.append(f"{item.url} for {made.service}")


class _Push:
    def __init__(
        self, content: _Content, store: Store, settings: Settings, registries: Registries, *, dry: bool
    ) -> None:
        self.content = content
        self.store = store
        self.settings = settings
        self.registry = settings.registry_to_push_to
        self.place = self.registry.downloads(settings.image_tag)
        self.registries = registries
        self.dry = dry
        blobs = sorted(content.blobs.items())
        self.manifests = artifact.manifests(content.recordings, [blob for _, blob in blobs])
        self.services = {blob.digest: service for service, blob in content.recordings.items()}

    def carry_out(self, *, create: bool) -> PushedDownloads:
        """Look the artifact up, and send what is missing of it."""
        harbor.check_access(self.registries, self.place, self.registry, create=create)
        there = self.registries.resolve(self.place)
        top = self.manifests[-1]
        if there is not None and there.digest == top.digest:
            return self._pushed({}, result="there")
        harbor.check_project(self.registries.session, self.registry, create=create)
        held = self._held() if there else frozenset()
        sent = self._send_blobs(held)
        if not self.dry:
            try:
                self._put_manifests()
            except RegistryError:
                if not held:
                    raise
                sent |= self._send_blobs(frozenset())  # the registry has lost some of them
                self._put_manifests()
            write_names(self.registries, (self.place,), top, occupied=(self.place,) if there else ())
        return self._pushed(sent, result="copied")

    def _put_manifests(self) -> None:
        for part in self.manifests:
            self.registries.put_manifest(self.place, part.digest, part)

    def _blobs(self) -> dict[str, Descriptor]:
        """All blobs: configs, recordings, content."""
        return {blob.digest: blob for manifest in self.manifests for blob in manifest.blobs}

    def _held(self) -> Collection[str]:
        """The blobs of the artifact that has the name so far: they need not be asked for one by one."""
        try:
            found = artifact.find(self.place, self.registries)
        except RegistryError:  # the name is for something else, and may be overwritten or not
            return frozenset()
        return found.content.keys() if found else frozenset()

    def _send_blobs(self, held: Collection[str]) -> dict[str, int]:
        """Send the blobs that are missing, PUSH_JOBS at once; the bytes sent for each."""
        blobs = {digest: blob for digest, blob in self._blobs().items() if digest not in held}
        outcomes = run(
            dict.fromkeys(blobs, ()),
            lambda digest, _cancel: self._send(blobs[digest]),
            jobs=self.settings.pushes_at_once,
            fail_fast=True,
            cancel=self.registries.cancel,
        )
        _check(outcomes)
        return {outcome.name: outcome.value for outcome in outcomes if outcome.value is not None}

    def _send(self, blob: Descriptor) -> int | None:
        """Send a blob; the bytes sent, None if it is there."""
        unasked = blob.size <= _SENT_UNASKED and not self.dry
        if not unasked and self.registries.has_blob(self.place, blob.digest):
            return None
        if self.dry:
            return blob.size
        return None if self.registries.put_blob(self.place, blob, lambda: self._chunks(blob)) else blob.size

    def _chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, checked."""
        if blob.digest == digest_of(artifact.EMPTY):
            yield artifact.EMPTY
        elif blob.digest in self.services:
            yield self._recording(blob)
        else:
            try:
                yield from Check(blob).passing(self.store.blobs.chunks(blob))
            except BuildError as error:
                raise BuildError(
                    f"the content of {self._named(blob)} is damaged: {error.message}",
                    hint="./inv build-all --record --force records it again",
                ) from None

    def _recording(self, blob: Descriptor) -> bytes:
        made = self.store.recording(self.settings.image_tag, self.services[blob.digest])
        content = artifact.packed(made) if made else b""
        if digest_of(content) != blob.digest:
            raise BuildError(
                f"the recording of {self.services[blob.digest]} was changed while it was pushed", hint="./inv deps-push"
            )
        return content

    def _named(self, blob: Descriptor) -> str:
        """The download that has this content, and its service."""
        release = self.settings.image_tag
        for service in self.content.recordings:
            made = self.store.recording(release, service)
            for item in made.downloads if made else ():
                if item.blob == blob:
                    return f"{item.url} for {service}"
        return blob.digest

    def _pushed(self, sent: dict[str, int], *, result: Literal["copied", "there"]) -> PushedDownloads:
        bodies = sum(len(manifest.body) for manifest in self.manifests)
        moved = sum(sent.values()) + (bodies if result == "copied" else 0)
        return PushedDownloads(
            place=self.place,
            digest=self.manifests[-1].digest,
            result=result,
            recordings=len(self.content.recordings),
            downloads=self.content.downloads,
            files=len(self.content.blobs),
            present=len(self.content.blobs.keys() - sent.keys()),
            moved=moved,
            saved=bodies + sum(blob.size for blob in self._blobs().values()) - moved,
        )


def _check(outcomes: Sequence[Outcome[int | None]]) -> None:
    """Raise the first error."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
