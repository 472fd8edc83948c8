"""Manifests and descriptors of images, as they are in registries, image layouts and bundles.

The formats are those of the OCI image specification (manifest.md, image-index.md, descriptor.md) and, before it, of
Docker's image manifest version 2, schema 2. A manifest's bytes are never changed, because they define its digest.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from build_lib.errors import BuildError

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
MEDIA_TYPES = (*INDEXES, *MANIFESTS)  # the accepted types; schema 1 is not supported


class InvalidManifest(BuildError):
    """Content that is not a manifest of a known kind, or not the requested one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptor:
    """A reference to content: its digest (`sha256:…`), its size in bytes, its media type and its platform."""

    digest: str
    size: int
    media_type: str
    platform: str = ""  # such as `linux/amd64` or `linux/arm/v7`; "" if it is not given
    urls: tuple[str, ...] = ()  # where to download a foreign layer, instead of from a registry

    @classmethod
    def read(cls, content: Any) -> Self:
        """Read a descriptor from its JSON object.

        Raises:
            InvalidManifest: a field is missing, or has the wrong type.
        """
        try:
            digest, size = content["digest"], content["size"]
            media_type, urls = content.get("mediaType", ""), tuple(content.get("urls") or ())
            platform = _platform(content.get("platform") or {})
        except (KeyError, TypeError, AttributeError):
            raise InvalidManifest("a descriptor has no digest or no size") from None
        if not isinstance(digest, str) or type(size) is not int or size < 0 or not is_sha256(digest):
            raise InvalidManifest(f"a descriptor has an invalid digest or size: {digest!r}, {size!r}")
        return cls(digest=digest, size=size, media_type=str(media_type), platform=platform, urls=urls)

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

    @classmethod
    def read(cls, body: bytes, media_type: str) -> Self:
        """Read a manifest from its bytes. `media_type` is used if the bytes contain none.

        Raises:
            InvalidManifest: it is neither an index nor a manifest.
        """
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            raise InvalidManifest("a manifest is not JSON") from None
        if not isinstance(content, dict) or not isinstance(content.get("layers", []), list):
            raise InvalidManifest("a manifest is not a JSON object with a list of layers")
        media_type = str(content.get("mediaType") or media_type.partition(";")[0].strip())
        if media_type in INDEXES:
            found = content.get("manifests")
            if not isinstance(found, list):
                raise InvalidManifest("an index has no list of manifests")
            listed = tuple(Descriptor.read(item) for item in found)
            return cls(body=body, media_type=media_type, manifests=listed, blobs=())
        if media_type in MANIFESTS:
            blobs = tuple(Descriptor.read(item) for item in (content.get("config"), *content.get("layers", ())))
            return cls(body=body, media_type=media_type, manifests=(), blobs=blobs)
        raise InvalidManifest(f"manifests of the media type {media_type or 'unknown'!r} are not supported")

    def limited(self, digests: Collection[str]) -> Self:
        """The index with only these manifests. Its bytes change, and with them its digest."""
        content = json.loads(self.body)
        content["manifests"] = [item for item in content["manifests"] if item["digest"] in digests]
        return type(self).read(json.dumps(content, separators=(",", ":")).encode(), self.media_type)

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


def _platform(content: Mapping[str, Any]) -> str:
    parts = (content.get("os"), content.get("architecture"), content.get("variant"))
    return "/".join(str(part) for part in parts if part)
