"""A client of the OCI distribution API: names to digests, manifests byte for byte, blobs as streams.

The API is that of the distribution specification (spec.md). Every method may be repeated: temporary failures are
retried (`retry`), and a blob whose transfer breaks is resumed where it stopped.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests

from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Cancel
from build_lib.reference import Reference
from build_lib.registry import retry
from build_lib.registry.blob_store import WrongContent
from build_lib.registry.manifests import MEDIA_TYPES, Descriptor, Manifest, digest_of, is_sha256
from build_lib.registry.session import CHUNK, Session, broken
from build_lib.settings import Settings

T = TypeVar("T")

_ACCEPT = {"Accept": ", ".join(MEDIA_TYPES)}
_MANIFEST_LIMIT = 4 << 20  # bytes; the specification's recommended limit for a registry
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
    """All registries, for one run. A `place` is a repository: the tag or digest of the reference is ignored."""

    def __init__(self, settings: Settings, cancel: Cancel | None = None, *, connections: int = 16) -> None:
        self.session = Session(settings, connections)
        self.cancel = cancel or Cancel()
        self.tries = settings.tries

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
            RegistryError: there is no such manifest, or it does not match its digest.
            InvalidManifest: the manifest is of no known kind.
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
        found: list[str] = []
        path = _path(place, "tags/list")
        while path:
            tags, path = self._retried(partial(self._tags, place, path))
            found += tags
        return tuple(dict.fromkeys(found))

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

    def _send(self, method: str, host: str, path: str, **options: Any) -> requests.Response:
        with self.cancel.abandoned():  # a cancelled run does not wait for the response
            return self.session.send(method, host, path, **options)

    def _retried(self, action: Callable[[], T], final: Callable[[BuildError], bool] = lambda _error: False) -> T:
        return retry.call(action, tries=self.tries, cancel=self.cancel, final=final)

    def _resolve(self, image: Reference) -> Descriptor | None:
        name = image.digest or image.tag or ""
        path = _path(image, f"manifests/{quote(name, safe=':')}")
        scopes = _scopes(image, "pull")
        answer = self._send("HEAD", image.host, path, scopes=scopes, headers=_ACCEPT, expect=(200, 404))
        if answer.status_code == 404:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        size = answer.headers.get("Content-Length", "")
        if not is_sha256(digest) or not size.isdecimal():  # both headers are optional
            return self._manifest(image, name).descriptor
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        return Descriptor(digest=digest, size=int(size), media_type=media_type)

    def _manifest(self, place: Reference, name: str) -> Manifest:
        path = _path(place, f"manifests/{quote(name, safe=':')}")
        scopes = _scopes(place, "pull")
        with self._send("GET", place.host, path, scopes=scopes, headers=_ACCEPT, stream=True) as answer:
            with broken(place.host):
                body = answer.raw.read(_MANIFEST_LIMIT + 1, decode_content=True)
            if len(body) > _MANIFEST_LIMIT:
                raise RegistryError(f"{place.host}: the manifest {name} is larger than {_MANIFEST_LIMIT} bytes")
            if is_sha256(name) and digest_of(body) != name:
                raise RegistryError(f"{place.host} sent content that does not match its digest {name}")
            return Manifest.read(body, answer.headers.get("Content-Type", ""))

    def _tags(self, place: Reference, path: str) -> tuple[list[str], str]:
        """One page of tags, and the URL of the next page; "" after the last."""
        answer = self._send("GET", place.host, path, scopes=_scopes(place, "pull"), expect=(200, 404))
        if answer.status_code == 404:
            return [], ""
        try:
            tags = [str(tag) for tag in answer.json().get("tags") or ()]
        except (ValueError, AttributeError, TypeError):
            raise RegistryError(f"{place.host} did not return a list of tags for {place.path}") from None
        return tags, answer.links.get("next", {}).get("url", "") if tags else ""

    def _put(self, place: Reference, rest: str, headers: dict[str, str], body: bytes) -> None:
        scopes = _scopes(place, "pull,push")
        path = _path(place, rest)
        self._send("PUT", place.host, path, scopes=scopes, headers=headers, body=body, expect=(201,))

    def _has_blob(self, place: Reference, digest: str) -> bool:
        path, scopes = _path(place, f"blobs/{digest}"), _scopes(place, "pull,push")
        return self._send("HEAD", place.host, path, scopes=scopes, expect=(200, 404)).status_code == 200

    def _resumed(self, place: Reference, blob: Descriptor, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on. A broken connection counts as a try only if it delivered no bytes."""
        failures = 0
        while offset < blob.size:
            try:
                for chunk in self._stream(place, blob, offset):
                    offset, failures = offset + len(chunk), 0
                    yield chunk
                _check_size(place, blob, offset)
            except BuildError as error:
                failures += 1
                retry.pause(error, done=failures, tries=self.tries, cancel=self.cancel)

    def _stream(self, place: Reference, blob: Descriptor, offset: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        path, scopes = _path(place, f"blobs/{blob.digest}"), _scopes(place, "pull")
        answer = self._send("GET", place.host, path, scopes=scopes, headers=headers, expect=(200, 206), stream=True)
        skip = offset if answer.status_code == 200 else 0  # no support for ranges: it sends the blob from its beginning
        with self.cancel.abandoned(), answer, broken(place.host):
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                self.cancel.sleep(0)
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(skip - len(chunk), 0)

    def _put_blob(
        self, place: Reference, blob: Descriptor, read: Callable[[], Iterable[bytes]], mount: Reference
    ) -> bool:
        answer = self._begin_upload(place, blob, mount)
        if answer.status_code == 201:
            return True
        location = answer.headers.get("Location", "")
        url = f"{location}{'&' if urlsplit(location).query else '?'}{urlencode({'digest': blob.digest})}"
        scopes = _scopes(place, "pull,push")
        self._send("PUT", place.host, url, scopes=scopes, headers=_BINARY, body=read, size=blob.size, expect=(201,))
        return False

    def _begin_upload(self, place: Reference, blob: Descriptor, mount: Reference) -> requests.Response:
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


def _check_size(place: Reference, blob: Descriptor, size: int) -> None:
    if size > blob.size:
        raise RegistryError(f"{place.host} sent more than the {blob.size} bytes of {blob.digest}")
    if size < blob.size:
        raise RegistryError(f"{place.host} closed the connection after {size} of {blob.size} bytes of {blob.digest}")
