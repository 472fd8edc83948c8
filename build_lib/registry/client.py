"""A client of the OCI distribution API: names to digests, manifests byte for byte, blobs as streams.

The API is that of the distribution specification (spec.md). Every method may be repeated: temporary failures are
retried (`retry`), and a blob whose transfer breaks is resumed where it stopped.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from requests.utils import parse_header_links

from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel
from build_lib.reference import Reference, is_tag
from build_lib.registry import retry
from build_lib.registry.answer import CHUNK, Answer
from build_lib.registry.blob_store import WrongContent
from build_lib.registry.manifests import (
    LARGEST,
    MEDIA_TYPES,
    MOST_LISTED,
    Descriptor,
    InvalidManifest,
    Manifest,
    digest_of,
    is_sha256,
)
from build_lib.registry.session import Session
from build_lib.settings import Settings

T = TypeVar("T")

_ACCEPT = {"Accept": ", ".join(MEDIA_TYPES)}
_MOST_TAGS = 100_000  # of a repository
_SMALL_DOCUMENT = 1 << 18  # bytes
_SIZE = re.compile(r"[0-9]{1,15}")  # as Content-Length
_NO_MOUNT = (401, 403, 404, 405)  # the user may not read the other repository (go-containerregistry#1393)
_BINARY = {"Content-Type": "application/octet-stream"}


class _WrongBytes(RegistryError, WrongContent):
    """A blob was received completely, but does not match its digest."""


class _Source:
    """The source of an upload's bytes. It retries by itself; the error after its last try is kept in `gave_up`."""

    def __init__(self, read: Callable[[], Iterable[bytes]]) -> None:
        self._read = read
        self._opened: list[Generator[bytes, None, None]] = []
        self.gave_up: BuildError | None = None

    def __call__(self) -> Iterator[bytes]:
        self.close()
        self._opened.append(self._chunks())
        return self._opened[-1]

    def close(self) -> None:
        """Close the reads of uploads that ended early; they would stay open."""
        while self._opened:
            self._opened.pop().close()

    def _chunks(self) -> Generator[bytes, None, None]:
        try:
            yield from self._read()
        except _WrongBytes:
            raise
        except BuildError as error:
            self.gave_up = error
            raise


class Registries:
    """All registries, for one run. A `place` is a repository: the tag or digest of the reference is ignored.

    Manifests may list up to `most_listed` layers or manifests.
    """

    def __init__(
        self,
        settings: Settings,
        cancel: Cancel | None = None,
        *,
        connections: int = 16,
        most_listed: int = MOST_LISTED,
    ) -> None:
        self.session = Session(settings, connections)
        self.cancel = cancel or Cancel()
        self.tries = settings.tries
        self._most_listed = most_listed
        self._stall_seconds = settings.stall_seconds
        self._large: dict[str, threading.Lock] = {}  # by host

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def resolve(self, image: Reference) -> Descriptor | None:
        """Resolve a name to its descriptor by a HEAD request; None if the registry has no such image.

        Raises:
            RegistryError: the registry cannot be asked, or gives no usable answer.
        """
        return self._retried(lambda: self._resolve(image))

    def manifest(self, place: Reference, name: str) -> Manifest:
        """The manifest with this tag or digest. If `name` is a digest, the bytes are checked against it.

        Raises:
            RegistryError: there is no such manifest, it does not match its digest, or it is of no known kind.
        """
        return self._retried(lambda: self._manifest(place, name))

    def put_manifest(self, place: Reference, name: str, manifest: Manifest) -> None:
        """Write a manifest under a tag or under its digest.

        Raises:
            RegistryError: the registry refused it.
        """
        headers = {"Content-Type": manifest.media_type}
        self._retried(lambda: self._put(place, f"manifests/{quote(name, safe=':')}", headers, manifest.body))

    def tags(self, place: Reference) -> tuple[str, ...]:
        """All tags of a repository (spec.md, "Listing Tags"); empty if there is no such repository.

        Raises:
            RegistryError: the registry cannot be asked, or gives no usable answer.
        """
        found: dict[str, None] = {}
        path = _path(place, "tags/list")
        deadline = self.deadline(place, "a list of tags")
        while path:
            deadline.check()
            known = len(found)
            tags, path = self._retried(partial(self._tags, place, path))
            found |= dict.fromkeys(tags)
            if len(found) == known:  # the end; or pages that lead to each other
                break
            if len(found) > _MOST_TAGS:
                raise RegistryError(f"{place.host} lists more than {_MOST_TAGS} tags for {place.path}")
        return tuple(found)

    def has_blob(self, place: Reference, digest: str) -> bool:
        """Whether the repository has the blob, by a HEAD request."""
        return self._retried(lambda: self._has_blob(place, digest))

    def blob(self, place: Reference, blob: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `offset` on, resumed where a connection broke. A whole blob is checked by its digest.

        The last chunk is yielded after the check, so that a copy is never complete before its content is verified.

        Raises:
            RegistryError: the blob cannot be read, or does not match its digest.
        """
        digest = hashlib.sha256()
        held = b""
        for chunk in self._resumed(place, blob, offset):
            digest.update(chunk)
            if held:
                yield held
            held = chunk
        if not offset and f"sha256:{digest.hexdigest()}" != blob.digest:
            raise _WrongBytes(f"{place.host} sent content that does not match its digest {blob.digest}")
        if held:
            yield held

    def put_blob(
        self, place: Reference, blob: Descriptor, read: Callable[[], Iterable[bytes]], *, mount: Reference | None = None
    ) -> bool:
        """Put a blob into a repository: mount it from the repository `mount`, or else upload it.

        Return whether it was mounted. Without `mount`, the blob is mounted from the repository itself: a single request
        then checks whether it is already present, and begins the upload if it is not. `read` returns the bytes from the
        beginning, and is called again for each try. Its errors are not retried, except for content that does not match
        its digest.

        Raises:
            RegistryError: the registry refused the blob, or `read` failed.
        """
        with closing(_Source(read)) as source:
            return self._retried(
                lambda: self._put_blob(place, blob, source, mount or place), lambda error: error is source.gave_up
            )

    def deadline(self, place: Reference, what: str) -> retry.Deadline:
        """The time that a registry has for work of several requests."""
        return retry.Deadline(place.host, what, self._stall_seconds)

    def _send(self, method: str, host: str, path: str, **options: Any) -> Answer:
        with self.cancel.abandoned():  # a cancelled run does not wait for the response
            return self.session.send(method, host, path, **options)

    def _retried(self, action: Callable[[], T], final: Callable[[BuildError], bool] = lambda _error: False) -> T:
        return retry.call(action, tries=self.tries, cancel=self.cancel, final=final)

    def _resolve(self, image: Reference) -> Descriptor | None:
        name = image.digest or image.tag or ""
        path = _path(image, f"manifests/{quote(name, safe=':')}")
        scopes = _scopes(image, "pull")
        answer = self._send("HEAD", image.host, path, scopes=scopes, headers=_ACCEPT, expect=(200, 404))
        if answer.status == 404:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        size = answer.headers.get("Content-Length", "")
        if not is_sha256(digest) or not _SIZE.fullmatch(size):  # both headers are optional
            return self._manifest(image, name).descriptor
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return Descriptor(digest=digest, size=int(size), media_type=media_type)

    def _manifest(self, place: Reference, name: str) -> Manifest:
        with self._document(place, _path(place, f"manifests/{quote(name, safe=':')}"), (200,), _ACCEPT) as answer:
            if is_sha256(name) and digest_of(answer.body) != name:
                raise RegistryError(f"{place.host} sent content that does not match its digest {name}")
            try:
                media_type = answer.headers.get("Content-Type", "")
                return Manifest.read(answer.body, media_type, most_listed=self._most_listed)
            except InvalidManifest as error:
                reason = error.message
            # not above: this error would have that one as its context, and with it all that was parsed
            raise RegistryError(f"{place.host} sent something else as the manifest {name}: {reason}")

    def _tags(self, place: Reference, path: str) -> tuple[list[str], str]:
        """One page of tags, and the URL of the next page; "" after the last."""
        with self._document(place, path, (200, 404), {}) as answer:
            if answer.status == 404:
                return [], ""
            try:
                tags = [tag for tag in answer.json().get("tags") or () if is_tag(tag)]
            except (ValueError, AttributeError, TypeError):
                raise RegistryError(f"{place.host} did not return a list of tags for {place.path}") from None
        links = parse_header_links(answer.headers.get("Link", ""))
        return tags, next((link.get("url", "") for link in links if link.get("rel") == "next"), "")

    @contextmanager
    def _document(
        self, place: Reference, path: str, expect: tuple[int, ...], headers: Mapping[str, str]
    ) -> Iterator[Answer]:
        """The answer to a GET, read whole. Large ones of a host are read and parsed one at a time.

        JSON takes up to thirty times its size in memory.
        """
        asked = self.session.stream(place.host, path, scopes=_scopes(place, "pull"), expect=expect, headers=headers)
        with self.cancel.abandoned(), asked as answer:
            size = answer.headers.get("Content-Length", "")
            small = _SIZE.fullmatch(size) and int(size) <= _SMALL_DOCUMENT
            with nullcontext() if small else self._large.setdefault(place.host, threading.Lock()):
                if answer.status == 200:
                    answer.read(LARGEST)
                yield answer

    def _put(self, place: Reference, rest: str, headers: dict[str, str], body: bytes) -> None:
        scopes = _scopes(place, "pull,push")
        path = _path(place, rest)
        self._send("PUT", place.host, path, scopes=scopes, headers=headers, body=body, expect=(201,))

    def _has_blob(self, place: Reference, digest: str) -> bool:
        path, scopes = _path(place, f"blobs/{digest}"), _scopes(place, "pull,push")
        return self._send("HEAD", place.host, path, scopes=scopes, expect=(200, 404)).status == 200

    def _resumed(self, place: Reference, blob: Descriptor, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on. A broken connection counts as a try unless it delivered a whole chunk."""
        failures = 0
        while offset < blob.size:
            begun = offset
            try:
                for chunk in self._stream(place, blob, offset):
                    offset += len(chunk)
                    _check_end(place, blob, offset)
                    yield chunk
                if offset < blob.size:
                    raise _ended_early(place, blob, offset)
            except BuildError as error:
                failures = 1 if offset >= begun + CHUNK else failures + 1
                retry.pause(error, done=failures, tries=self.tries, cancel=self.cancel)

    def _stream(self, place: Reference, blob: Descriptor, offset: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        path, scopes = _path(place, f"blobs/{blob.digest}"), _scopes(place, "pull")
        with (
            self.cancel.abandoned(),
            self.session.stream(place.host, path, scopes=scopes, expect=(200, 206), headers=headers) as answer,
        ):
            skip = offset if answer.status == 200 else 0  # no ranges there: the blob comes from its beginning
            for chunk in answer.chunks():
                self.cancel.sleep(0)
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(skip - len(chunk), 0)

    def _put_blob(
        self, place: Reference, blob: Descriptor, read: Callable[[], Iterable[bytes]], mount: Reference
    ) -> bool:
        answer = self._begin_upload(place, blob, mount)
        if answer.status == 201:
            return True
        location = answer.headers.get("Location", "")
        url = f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': blob.digest})}"
        scopes = _scopes(place, "pull,push")
        self._send("PUT", place.host, url, scopes=scopes, headers=_BINARY, body=read, size=blob.size, expect=(201,))
        return False

    def _begin_upload(self, place: Reference, blob: Descriptor, mount: Reference) -> Answer:
        path, scopes = _path(place, "blobs/uploads/"), _scopes(place, "pull,push")
        query = urlencode({"mount": blob.digest, "from": mount.path})
        both = scopes if mount.path == place.path else (*scopes, *_scopes(mount, "pull"))
        try:
            return self._send("POST", place.host, f"{path}?{query}", scopes=both, expect=(201, 202))
        except RegistryError as error:
            if error.status not in _NO_MOUNT:
                raise
        return self._send("POST", place.host, path, scopes=scopes, expect=(202,))


def _path(place: Reference, rest: str) -> str:
    return f"/v2/{place.path}/{rest}"


def _scopes(place: Reference, actions: str) -> tuple[str, ...]:
    """The scopes that a token needs for these actions (distribution's `scope.md`)."""
    return (f"repository:{place.path}:{actions}",)


def _check_end(place: Reference, blob: Descriptor, received: int) -> None:
    if received > blob.size:
        raise RegistryError(f"{place.host} sent more than the {blob.size} bytes of {blob.digest}")


def _ended_early(place: Reference, blob: Descriptor, received: int) -> RegistryError:
    return RegistryError(f"{place.host} closed the connection after {received} of {blob.size} bytes of {blob.digest}")
