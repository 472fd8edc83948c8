"""The artifact of a release's downloads in a registry: how it is made, and how it is read.

It is an OCI image manifest with the empty config (image-spec 1.1, manifest.md, "Guidelines for Artifact Usage"). Its
layers are recordings, one for each service, and then their content, each digest once. More layers than one manifest
takes are in several such manifests below an index.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build_lib.downloads import Recording, recording
from build_lib.errors import RegistryError
from build_lib.reference import Reference
from build_lib.registry import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, Registries, digest_of
from build_lib.units import shortened, size

ARTIFACT = "application/vnd.build-lib.downloads.v1+json"
RECORDING = "application/vnd.build-lib.recording.v1+json"
EMPTY = b"{}"  # the config of what needs none
MOST_LAYERS = 10_000  # of a manifest, whose bytes stay below 4 MiB even if each is a recording with the longest name
LARGEST_RECORDING = 8 << 20  # bytes: some 12,000 downloads of one service
_MOST_MANIFESTS = 64  # below an index
_MOST_RECORDINGS = 2000  # services of a release
_BYTES_OF_A_LIST = 16  # the average at least, also of objects: as JSON they are short, but they take much memory
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
WRITER = "./inv deps-push, where the release was recorded, pushes it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """What a registry has of a release's downloads: recordings, and content by digest."""

    place: Reference
    recordings: tuple[Descriptor, ...]
    content: Mapping[str, Descriptor]


def packed(made: Recording) -> bytes:
    """A recording as the artifact has it: the same bytes for the same recording."""
    return json.dumps(recording.as_json(made), separators=(",", ":"), ensure_ascii=False).encode()


def described(content: bytes) -> Descriptor:
    """The descriptor of a recording."""
    return Descriptor(digest=digest_of(content), size=len(content), media_type=RECORDING)


def manifests(recordings: Mapping[str, Descriptor], content: Iterable[Descriptor]) -> tuple[Manifest, ...]:
    """The manifests of the artifact with these recordings, by service. A name stands for the last one."""
    layers = [(blob, _titled(blob, service)) for service, blob in recordings.items()]
    layers += [(blob, blob.to_json()) for blob in content]
    parts = [_manifest(layers[at : at + MOST_LAYERS]) for at in range(0, len(layers), MOST_LAYERS)]
    return tuple(parts) if len(parts) == 1 else (*parts, _index(parts))


def _titled(blob: Descriptor, service: str) -> dict[str, Any]:
    return {**blob.to_json(), "annotations": {_TITLE: f"{service}.json"}}


def _manifest(layers: Sequence[tuple[Descriptor, dict[str, Any]]]) -> Manifest:
    config = Descriptor(digest=digest_of(EMPTY), size=len(EMPTY), media_type=_EMPTY_TYPE)
    listed = [content for _, content in layers]
    body = _body(OCI_MANIFEST, config=config.to_json(), layers=listed)
    blobs = (config, *(blob for blob, _ in layers))
    return Manifest(body=body, media_type=OCI_MANIFEST, manifests=(), blobs=blobs, artifact_type=ARTIFACT)


def _index(parts: Sequence[Manifest]) -> Manifest:
    listed = [part.descriptor.to_json() | {"artifactType": ARTIFACT} for part in parts]
    body = _body(OCI_INDEX, manifests=listed)
    below = tuple(part.descriptor for part in parts)
    return Manifest(body=body, media_type=OCI_INDEX, manifests=below, blobs=(), artifact_type=ARTIFACT)


def _body(media_type: str, **content: Any) -> bytes:
    head = {"schemaVersion": 2, "mediaType": media_type, "artifactType": ARTIFACT}
    return json.dumps(head | content, separators=(",", ":")).encode()


def find(place: Reference, registries: Registries) -> Artifact | None:
    """The artifact that a name stands for; None if the registry has none.

    Raises:
        RegistryError: the registry cannot be asked, or the name stands for something else.
    """
    top = registries.resolve(place)
    if top is None:
        return None
    layers = [blob for part in _parts(place, top.digest, registries) for blob in part.blobs[1:]]
    recordings = tuple(blob for blob in layers if blob.media_type == RECORDING)
    largest = max((blob.size for blob in recordings), default=0)
    if not 0 < len(recordings) <= _MOST_RECORDINGS:
        raise RegistryError(f"{place} lists {len(recordings)} recordings of downloads", hint=WRITER)
    if largest > LARGEST_RECORDING:
        raise RegistryError(
            f"{place} has a recording of {size(largest)}, and {size(LARGEST_RECORDING)} is the most", hint=WRITER
        )
    return Artifact(place=place, recordings=recordings, content={blob.digest: blob for blob in layers})


def _parts(place: Reference, digest: str, registries: Registries) -> Iterator[Manifest]:
    """The manifests with layers: the one that the name stands for, or those below it."""
    deadline = registries.deadline(place, "the manifests of downloads")
    top = _part(place, registries.manifest(place, digest))
    if len(top.manifests) > _MOST_MANIFESTS:
        raise RegistryError(f"{place} lists more than {_MOST_MANIFESTS} manifests of downloads", hint=WRITER)
    for listed in top.manifests:
        deadline.check()
        part = _part(place, registries.manifest(place, listed.digest), below=True)
        if len(part.body) != listed.size:
            raise RegistryError(f"{place.host} has an index that gives {listed.digest} a wrong size")
        yield part
    if not top.manifests:
        yield top


def _part(place: Reference, manifest: Manifest, *, below: bool = False) -> Manifest:
    """The manifest, if it is one of downloads: `below` an index, one with layers."""
    if manifest.artifact_type != ARTIFACT or (below and manifest.media_type != OCI_MANIFEST):
        found = shortened(manifest.artifact_type or manifest.media_type, 100)
        raise RegistryError(f"{place} has no downloads, but something of the type {found}", hint=WRITER)
    return manifest


def unpacked(place: Reference, content: bytes) -> Recording:
    """The recording in a layer.

    Raises:
        RegistryError: the layer is none.
    """
    try:
        if content.count(b"[") + content.count(b"{") > len(content) // _BYTES_OF_A_LIST:
            raise ValueError("it has more lists and objects than a recording")
        return recording.from_json(json.loads(content))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        reason = shortened(str(error), 100)
    # not above: this error would have that one as its context, and with it all that was parsed
    raise RegistryError(f"{place} has a recording that cannot be read: {reason}", hint=WRITER)
