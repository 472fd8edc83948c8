"""The downloads of a bundle, as its listing has them: recordings, and the content that these refer to, all as blobs."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from build_lib.bundle import values
from build_lib.downloads import Recording, recording
from build_lib.errors import BuildError
from build_lib.registry import Descriptor
from build_lib.units import shortened

_MEDIA_TYPE = "application/octet-stream"
_SMALLER = "save the services in several bundles, each with -s; or without their downloads"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedRecording:
    """A recording in a bundle. `content` is the size of all that it refers to, each once."""

    service: str
    digest: str
    size: int  # bytes of the recording itself
    downloads: int
    content: int  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """The downloads in the listing of a bundle."""

    recordings: tuple[ListedRecording, ...] = ()
    content: Mapping[str, int] = field(default_factory=dict)  # bytes by digest, also of what was left out
    left_out: frozenset[str] = frozenset()  # the digests of content that the site has

    @property
    def blobs(self) -> dict[str, Descriptor]:
        """The recordings and all content, by digest."""
        sizes = {item.digest: item.size for item in self.recordings} | dict(self.content)
        return {digest: blob(digest, size) for digest, size in sizes.items()}


def blob(digest: str, size: int) -> Descriptor:
    """A recording, or the content of a download, as a blob."""
    return Descriptor(digest=digest, size=size, media_type=_MEDIA_TYPE)


def body_of(made: Recording) -> bytes:
    """The recording as it is written to a bundle: the same one gives the same bytes.

    Raises:
        BuildError: it exceeds the limits of a document, so that it could not be read.
    """
    body = json.dumps(recording.as_json(made), separators=(",", ":")).encode()
    if excess := values.too_large(body):
        raise BuildError(f"the recording of {made.service} would be too large: {excess}", hint=_SMALLER)
    return body


def listed(made: Recording, body: bytes) -> ListedRecording:
    """The entry in the listing for a recording that is written as `body`."""
    return ListedRecording(
        service=made.service,
        digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
        size=len(body),
        downloads=len(made.downloads),
        content=sum(each.size for each in made.blobs().values()),
    )


def users(recordings: Iterable[Recording], digests: Collection[str]) -> list[str]:
    """The downloads with one of these contents, each by its URL and service, for messages."""
    return [
        f"{shortened(each.url, 200)} of {found.service}"
        for found in recordings
        for each in found.downloads
        if each.blob and each.blob.digest in digests
    ]


def check_size(sizes: Iterable[int], where: str) -> None:
    """Check that all recordings together can be read in bounded time.

    Raises:
        BuildError: they are too large.
    """
    total = sum(sizes)
    if total > values.LARGEST_RECORDINGS:
        text = f"{total} bytes, and at most {values.LARGEST_RECORDINGS} are possible"
        raise BuildError(f"the recordings of {where} are too large: {text}", hint=_SMALLER)


def as_json(found: Carried) -> dict[str, Any]:
    """The downloads as a JSON value."""
    recordings = [
        {
            "service": item.service,
            "digest": item.digest,
            "size": item.size,
            "downloads": item.downloads,
            "content": item.content,
        }
        for item in found.recordings
    ]
    return {"recordings": recordings, "content": dict(found.content), "left_out": sorted(found.left_out)}


def from_json(value: Mapping[str, Any]) -> Carried:
    """The downloads that a JSON value describes.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it describes none.
    """
    content = {values.digest(digest): values.size(size) for digest, size in value["content"].items()}
    recordings = tuple(map(_recording, values.list_of(value["recordings"])))
    left_out = frozenset(map(values.digest, values.list_of(value["left_out"])))
    if len({item.service for item in recordings}) < len(recordings):
        raise ValueError("the downloads of a service are listed twice")
    if left_out - content.keys():
        raise ValueError("content is left out that no download has")
    return Carried(recordings=recordings, content=content, left_out=left_out)


def _recording(item: Mapping[str, Any]) -> ListedRecording:
    return ListedRecording(
        service=values.text(item["service"]),
        digest=values.digest(item["digest"]),
        size=values.size(item["size"]),
        downloads=values.size(item["downloads"]),
        content=values.size(item["content"]),
    )
