"""A small registry on loopback that is honest but for one kind of request, at which it lies."""

import contextlib
import itertools
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from build_lib.registry import OCI_MANIFEST, Manifest, digest_of
from tests.support.images import Made

Lie = Callable[["Handler"], None]  # writes an answer, or something else

_PAUSE_SECONDS = 0.05  # between the bytes of a slow answer
_KINDS = {
    "ping": r"GET /v2/",
    "head": r"HEAD /v2/.*/manifests/.*",
    "manifest": r"GET /v2/.*/manifests/.*",
    "blob": r"GET /v2/.*/blobs/.*",
    "has blob": r"HEAD /v2/.*/blobs/.*",
    "begin upload": r"POST /v2/.*/blobs/uploads/.*",
    "upload": r"PUT /v2/.*/blobs/uploads/.*",
    "write manifest": r"PUT /v2/.*/manifests/.*",
    "tags": r"GET /v2/.*/tags/list.*",
    "token": r"(GET|POST) /token.*",
    "api": r".* /api/.*",
}


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    kind: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class LyingRegistry:
    """Has the manifests and blobs of an image, under any name and tag, and takes whatever is pushed."""

    def __init__(self, images: Sequence[Made], at: str, lie: Lie | None, address: str) -> None:
        manifests = [image.manifest for image in images]
        self.manifests = {manifest.digest: manifest for manifest in manifests}
        self.blobs = {digest_of(content): content for image in images for content in image.blobs}
        self.configs = {manifest.blobs[0].digest for manifest in manifests if manifest.blobs}
        self.names = {"1": manifests[-1]} if manifests else {}
        self.at, self.lie = at, lie
        self.unread = ""  # the kind of requests whose content is not read
        self.seen: list[Seen] = []
        self.over = threading.Event()
        self._server = _Server((address, 0), Handler)
        self._server.registry = self
        self.port = self._server.server_address[1]
        self.host = f"{address}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Speak https from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def add(self, manifest: Manifest) -> Manifest:
        self.manifests[manifest.digest] = manifest
        return manifest

    def asked(self, kind: str) -> list[Seen]:
        return [item for item in self.seen if item.kind == kind]


@contextlib.contextmanager
def lying(*images: Made, at: str = "", lie: Lie | None = None, address: str = "127.0.0.1") -> Iterator[LyingRegistry]:
    """A registry of these images that answers with `lie` to requests of the kind `at`."""
    registry = LyingRegistry(images, at, lie, address)
    try:
        yield registry
    finally:
        registry.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    registry: LyingRegistry

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on liars."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # what is written is sent
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The registry keeps what it was asked."""

    def do_GET(self) -> None:
        registry = self.server.registry
        kind = self._kind()
        unread = kind == registry.unread
        self.body = b"" if unread else self.rfile.read(int(self.headers.get("Content-Length", "0")))
        registry.seen.append(Seen(kind, self.path, dict(self.headers), self.body))
        if registry.lie is not None and kind == registry.at:
            registry.lie(self)
        elif registry.at == "token" and kind != "token":
            wants_token("http://HOST/token")(self)
        else:
            self.tell_the_truth()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815  # as http.server calls them

    @property
    def registry(self) -> LyingRegistry:
        return self.server.registry

    def _kind(self) -> str:
        asked = f"{self.command} {re.sub('^http://[^/]*', '', self.path)}"  # whole URLs come through proxies
        kind = next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, asked)), "elsewhere")
        if kind == "blob":
            return "config" if self.name in self.registry.configs else "layer"
        return kind

    @property
    def name(self) -> str:
        """A tag or a digest."""
        return self.path.rpartition("/")[2].partition("?")[0]

    def tell_the_truth(self) -> None:
        registry, kind, name = self.registry, self._kind(), self.name
        match kind:
            case "head" | "manifest" if found := registry.names.get(name) or registry.manifests.get(name):
                self.say("200 OK", found.body, f"Content-Type: {found.media_type}")
            case "config" | "layer" | "has blob" if name in registry.blobs:
                self.say("200 OK", registry.blobs[name])
            case "begin upload":
                self.say("202 Accepted", b"", "Location: /v2/a/blobs/uploads/1")
            case "upload":
                registry.blobs[digest_of(self.body)] = self.body
                self.say("201 Created")
            case "write manifest":
                manifest = registry.add(Manifest.read(self.body, OCI_MANIFEST))
                registry.names[name] = manifest
                self.say("201 Created")
            case "ping":
                self.say("200 OK", b"{}")
            case "tags":
                self.say("200 OK", json.dumps({"tags": list(registry.names)}).encode())
            case "token":
                self.say("200 OK", b'{"token": "a-token"}')
            case _:
                self.say("404 Not Found")

    def say(self, status: str, body: bytes = b"", *headers: str) -> None:
        """A whole answer."""
        self.write("\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode())
        if self.command != "HEAD":
            self.write(body)

    def write(self, data: bytes) -> None:
        self.wfile.write(data)

    def wait(self, seconds: float) -> bool:
        """Wait; whether the registry still runs."""
        return not self.registry.over.wait(seconds)


# lies


def says(status: str, body: bytes | str = b"", *headers: str) -> Lie:
    """An answer that is whole, and wrong."""
    content = body.encode() if isinstance(body, str) else body
    return lambda handler: handler.say(status, content, *headers)


def gives(body: bytes | str, media_type: str = OCI_MANIFEST, *, coding: str = "") -> Lie:
    """A manifest of these bytes, with a Content-Encoding if one is named."""
    coded = [f"Content-Encoding: {coding}"] if coding else []
    wrong = says("200 OK", body, f"Content-Type: {media_type}", *coded)

    def lie(handler: Handler) -> None:
        asked_for_another = handler.name in handler.registry.manifests  # which an index lists
        handler.tell_the_truth() if asked_for_another else wrong(handler)

    return lie


def sends(*pieces: bytes) -> Lie:
    """These bytes, and then the end of the connection."""
    return _pieces(lambda: pieces)


def endlessly(*first: bytes, then: bytes) -> Lie:
    """`first`, and then the same again and again until the client hangs up."""
    return _pieces(lambda: itertools.chain(first, itertools.repeat(then)))


def slowly(content: bytes, *, at: int = 0) -> Lie:
    """These bytes one by one, from the byte `at` on."""
    return _pieces(lambda: (content[:at], *(bytes([byte]) for byte in content[at:])), _PAUSE_SECONDS)


def silently(*first: bytes) -> Lie:
    """`first`, and then nothing, with the connection open."""

    def lie(handler: Handler) -> None:
        sends(*first)(handler)
        while handler.wait(60):
            pass

    return lie


def leads(status: str, to: str) -> Lie:
    """A redirect; `HOST` and `PORT` in it are those of the registry."""

    def lie(handler: Handler) -> None:
        registry = handler.registry
        handler.say(status, b"", f"Location: {to.replace('HOST', registry.host).replace('PORT', str(registry.port))}")

    return lie


def pages(following: Callable[[int], str], *, pause: float = 0) -> Lie:
    """Pages of 100 tags that nobody has seen before, each with the address of the next."""
    numbers = itertools.count()

    def lie(handler: Handler) -> None:
        number = next(numbers)
        tags = [f"tag-{number}-{each}" for each in range(100)]
        if handler.wait(pause):
            link = f'Link: <{following(number)}>; rel="next"'
            handler.say("200 OK", json.dumps({"tags": tags}).encode(), link)

    return lie


def wants_token(realm: str) -> Lie:
    """A request for a login at this realm, until there is a token; `HOST` in it is the registry's."""

    def lie(handler: Handler) -> None:
        if handler.headers.get("Authorization", "").startswith("Bearer"):
            handler.tell_the_truth()
        else:
            challenge = f'Bearer realm="{realm.replace("HOST", handler.registry.host)}",service="s"'
            handler.say("401 Unauthorized", b"", f"WWW-Authenticate: {challenge}")

    return lie


def _pieces(make: Callable[[], Iterable[bytes]], pause: float = 0) -> Lie:
    def lie(handler: Handler) -> None:
        handler.close_connection = True
        for piece in make():
            handler.write(piece)
            if not handler.wait(pause):
                break

    return lie


def head(status: str, *headers: str) -> bytes:
    """The head of an answer whose body ends with the connection."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()
