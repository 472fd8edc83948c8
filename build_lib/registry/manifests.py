"""Manifests and descriptors of images, as they are in registries, image layouts and bundles.

The formats are those of the OCI image specification (manifest.md, image-index.md, descriptor.md) and, before it, of
Docker's image manifest version 2, schema 2. A manifest's bytes are never changed, because they define its digest.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from build_lib.errors import BuildError
from build_lib.units import shortened

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
MEDIA_TYPES = (*INDEXES, *MANIFESTS)  # the accepted types; schema 1 is not supported
IMAGE_CONFIGS = (  # other media types of configs mean artifacts; the last four as Docker's distribution/pull_v2.go
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/octet-stream",
    "application/json",
    "text/html",
    "",
)
LARGEST = 4 << 20  # bytes of a manifest, the specification's limit for registries; also of a config
_FOREIGN = ("foreign", "nondistributable")  # in media types of layers
MOST_LISTED = 1000  # layers of an image, or manifests of an index
_LARGEST_SIZE = 1 << 50  # bytes of a blob
_LONGEST_NAME = 255  # characters of a media type or a part of a platform


class InvalidManifest(BuildError):
    """Content that is not a manifest of a known kind, or not the requested one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptor:
    """A reference to content: its digest (`sha256:…`), its size in bytes, its media type and its platform."""

    digest: str
    size: int
    media_type: str
    platform: str = ""  # such as `linux/amd64` or `linux/arm/v7`; "" if it is not given
    foreign: bool = False  # a layer that registries do not distribute, because of its license; it has other URLs

    @classmethod
    def read(cls, content: Any) -> Self:
        """Read a descriptor from its JSON object.

        Raises:
            InvalidManifest: a field is missing, or has the wrong type.
        """
        try:
            digest, size, urls = content["digest"], content["size"], content.get("urls")
            media_type, platform = content.get("mediaType", ""), _platform(content.get("platform") or {})
        except (KeyError, TypeError, AttributeError):
            raise InvalidManifest("a descriptor has no digest or no size") from None
        if not (isinstance(digest, str) and is_sha256(digest) and type(size) is int and 0 <= size <= _LARGEST_SIZE):
            raise InvalidManifest(f"a descriptor has an invalid digest or size: {_shown(digest)}, {_shown(size)}")
        if not _is_name(media_type):
            raise InvalidManifest(f"a descriptor has an invalid media type: {_shown(media_type)}")
        foreign = bool(urls) and any(word in media_type for word in _FOREIGN)
        return cls(digest=digest, size=size, media_type=media_type, platform=platform, foreign=foreign)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of a descriptor in a manifest, without a platform."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest or an index, byte for byte, and what it refers to."""

    body: bytes
    media_type: str
    manifests: tuple[Descriptor, ...]  # of an index: one for each platform
    blobs: tuple[Descriptor, ...]  # of a manifest: its config, then its layers from the lowest up
    artifact_type: str = ""  # what it is, if it is no image (manifest.md, "Guidelines for Artifact Usage")

    @classmethod
    def read(cls, body: bytes, media_type: str, *, most_listed: int = MOST_LISTED) -> Self:
        """Read a manifest from its bytes. `media_type` is used if the bytes contain none.

        It may list up to `most_listed` layers or manifests.

        Raises:
            InvalidManifest: it is neither an index nor a manifest.
        """
        content = _object(body)
        media_type = content.get("mediaType") or media_type.partition(";")[0].strip()
        kind = content.get("artifactType", "")
        kind = kind if _is_name(kind) else ""
        if media_type in INDEXES:
            listed = _descriptors(content.get("manifests"), "manifests", most_listed)
            return cls(body=body, media_type=media_type, manifests=listed, blobs=(), artifact_type=kind)
        if media_type in MANIFESTS:
            layers = _descriptors(content.get("layers", []), "layers", most_listed)
            blobs = (Descriptor.read(content.get("config")), *layers)
            return cls(body=body, media_type=media_type, manifests=(), blobs=blobs, artifact_type=kind)
        raise InvalidManifest(f"manifests of the media type {_shown(media_type or 'unknown')} are not supported")

    def limited(self, digests: Collection[str]) -> Self:
        """The index with only these manifests. Its bytes change, and with them its digest."""
        content = json.loads(self.body)
        content["manifests"] = [item for item in content["manifests"] if item["digest"] in digests]
        return type(self).read(json.dumps(content, separators=(",", ":")).encode(), self.media_type)

    @property
    def distributed(self) -> tuple[Descriptor, ...]:
        """The config and the layers without foreign ones, which registries do not distribute and nothing copies."""
        return tuple(blob for blob in self.blobs if not blob.foreign)

    @property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digest_of(self.body)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor that refers to this manifest."""
        return Descriptor(digest=self.digest, size=len(self.body), media_type=self.media_type)


def digest_of(content: bytes) -> str:
    """The content's digest, `sha256:…`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_sha256(digest: str) -> bool:
    """Whether the text is a SHA-256 digest, `sha256:…`."""
    algorithm, _, value = digest.partition(":")
    return algorithm == "sha256" and len(value) == 64 and not set(value) - set("0123456789abcdef")


def matches(platform: str, wanted: str) -> bool:
    """Whether a platform is the wanted one: `linux/arm` matches all its variants."""
    return platform == wanted or platform.startswith(f"{wanted}/")


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidManifest("a manifest is not JSON") from None
    if not isinstance(content, dict):
        raise InvalidManifest("a manifest is not a JSON object")
    if "manifests" in content and ("config" in content or "layers" in content):
        raise InvalidManifest("a manifest is both an index and an image")  # read differently by others: CVE-2021-41190
    return content


def _descriptors(listed: Any, of: str, most: int) -> tuple[Descriptor, ...]:
    if not isinstance(listed, list):
        raise InvalidManifest(f"a manifest has no list of {of}")
    if len(listed) > most:
        raise InvalidManifest(f"a manifest lists more than {most} {of}")
    return tuple(map(Descriptor.read, listed))


def _platform(content: Any) -> str:
    parts = [part for part in map(content.get, ("os", "architecture", "variant")) if part]
    for part in parts:
        if not _is_name(part):
            raise InvalidManifest(f"a descriptor has an invalid platform: {_shown(part)}")
    return "/".join(parts)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_NAME and value.isprintable()


def _shown(value: Any) -> str:
    """A value for a message. Objects and lists are not shown: they may be nested too deeply for repr."""
    return shortened(repr(value), 100) if isinstance(value, str | int | float | None) else type(value).__name__
