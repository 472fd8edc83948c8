"""Servers that builds download from, at an address of this machine that is not loopback: the recorder refuses that."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def own_address() -> str:
    """An address of this machine that is not loopback: that of the interface which leads elsewhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))  # documentation's: nothing is sent, but a route is chosen
        return str(asking.getsockname()[0])


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a server answers to GET and HEAD. With `ends_at`, the connection ends after so many bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ends_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Upstream:
    """A server of pages, by path; each may be a list, of which the last one stays. It answers ranges."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.authority = "{}:{}".format(*server.server_address[:2])
        self.url = f"http://{self.authority}"
        self.pages: dict[str, Page | list[Page] | Callable[[Asked], Page]] = {}
        self.asked: list[Asked] = []
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Page:
        """What to answer."""
        with self._lock:
            self.asked.append(asked)
            found = self.pages.get(asked.path, Page(status=404, body=b"not here"))
            if isinstance(found, list):
                return found.pop(0) if len(found) > 1 else found[0]
        return found if isinstance(found, Page) else found(asked)

    def of(self, path: str) -> list[Asked]:
        """The requests for a path."""
        return [asked for asked in self.asked if asked.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: Upstream

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(method=self.command, path=self.path, headers=dict(self.headers.items()), body=body)
        page = self.upstream.answer(asked)
        begin = self._begin(page)
        self.send_response(206 if begin is not None else page.status)
        for name, text in page.headers.items():
            self.send_header(name, text)
        if begin is not None:
            self.send_header("Content-Range", f"bytes {begin}-{len(page.body) - 1}/{len(page.body)}")
        rest = page.body[begin or 0 :]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(rest[: page.ends_at])
            self.close_connection = self.close_connection or page.ends_at is not None

    def _begin(self, page: Page) -> int | None:
        asked = self.headers.get("Range", "")
        if page.status != 200 or not asked.startswith("bytes="):
            return None
        same = self.headers.get("If-Range") in (None, page.headers.get("ETag"), page.headers.get("Last-Modified"))
        return int(asked.removeprefix("bytes=").partition("-")[0]) if same else None

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815  # what http.server calls


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no failure, and any other one of a server's shows in what its client gets."""


@contextmanager
def serving(address: str = "") -> Iterator[Upstream]:
    """A server at this address, by default an own one of this machine."""
    handler = type("_Of", (_Handler,), {})
    with _Server((address or own_address(), 0), handler) as server:
        upstream = handler.upstream = Upstream(server)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            thread.join()
