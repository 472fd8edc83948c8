"""A proxy before a real registry that does, at chosen requests, what bad networks and servers do; real sockets."""

import array
import contextlib
import fcntl
import http.client
import re
import socket
import struct
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CHUNK = 1 << 16
_PATIENCE_SECONDS = 60
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What to do with a request whose method and path match; for the first `times` of them, after `skip`."""

    method: str
    path: str  # a regular expression, found anywhere in path and query
    times: int = 1
    skip: int = 0
    status: int = 0  # answer this, rather than asking the registry
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    early: bool = False  # answer without having read the request's body, and hang up
    reset_upload_at: int | None = None  # reset when so many bytes of the request's body have come
    reset_at: int | None = None  # reset after so many bytes of the answer's body
    end_at: int | None = None  # an end without a reset, after so many bytes; 0 ends it before the answer's first line
    corrupt_at: int | None = None  # this byte of the answer's body is another one
    without: Sequence[str] = ()  # headers of the request that the registry does not see
    hold_at: int | None = None  # at this byte of the answer's body, wait until the proxy is told to go on
    gone: bool = False  # from now on, nobody listens


ALWAYS = 1 << 30


@dataclass(kw_only=True)
class Seen:
    """A request as it came, and what was answered; 0 for nothing yet."""

    method: str
    path: str
    headers: Mapping[str, str]
    at: float  # time.monotonic()
    status: int = 0


class Proxy:
    """Passes on what no fault matches, and keeps what it saw."""

    def __init__(self, upstream: str, faults: Sequence[Fault]) -> None:
        self.upstream = upstream
        self.faults = list(faults)
        self.seen: list[Seen] = []
        self.held = threading.Event()  # a request waits
        self.go_on = threading.Event()
        self._matched: dict[int, int] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def of(self, method: str, path: str = "") -> list[Seen]:
        """The requests of this method whose path matches."""
        return [item for item in self.seen if item.method in method.split("|") and re.search(path, item.path)]

    def fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for number, fault in enumerate(self.faults):
                if method not in fault.method.split("|") or not re.search(fault.path, path):
                    continue
                count = self._matched[number] = self._matched.get(number, 0) + 1
                if fault.skip < count <= fault.skip + fault.times:
                    return fault
        return None


@contextlib.contextmanager
def proxied(upstream: str, *faults: Fault) -> Iterator[Proxy]:
    """A proxy on a free port of the loopback."""
    proxy = Proxy(upstream, faults)
    try:
        yield proxy
    finally:
        proxy.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed in the middle are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # of what is no request: who speaks TLS is answered in a form that he knows
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The proxy keeps what it saw."""

    def _serve(self) -> None:
        proxy = self.server.proxy
        seen = Seen(method=self.command, path=self.path, headers=dict(self.headers.items()), at=time.monotonic())
        proxy.seen.append(seen)
        self._answer(proxy.fault(self.command, self.path) or Fault(method="", path=""), seen)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _serve  # noqa: N815  # as http.server wants them

    def _answer(self, fault: Fault, seen: Seen) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if fault.gone:
            self.server.shutdown()
            self.server.server_close()
            self._reset()
            return
        if fault.reset_upload_at is not None:
            self.rfile.read(min(size, fault.reset_upload_at))
            self._reset()
            return
        body = b"" if fault.early else self._body(size)
        if fault.status:
            seen.status = fault.status
            self._say(fault.status, fault.headers, fault.body)
            self.close_connection = self.close_connection or fault.early
        elif fault.end_at == 0:
            self.close_connection = True
        else:
            self._pass_on(fault, body, seen)

    def _body(self, size: int) -> bytes:
        """The request's body, also in chunks (RFC 9112, section 7.1), as an engine sends what it pushes."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(size)
        body = b""
        while length := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)  # without a Date of its own
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(self, fault: Fault, body: bytes, seen: Seen) -> None:
        hidden = {name.lower() for name in fault.without} | _OF_ONE_CONNECTION
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=_PATIENCE_SECONDS)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # also several of one name, as the engine's Accept
                if name.lower() not in hidden:
                    upstream.putheader(name, value)
            if "Content-Length" not in self.headers and body:
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            seen.status = answer.status
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_ONE_CONNECTION:
                    self.send_header(name, value)
            if answer.getheader("Content-Length") is None and self.command != "HEAD" and answer.status != 204:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self._send_body(answer, fault)

    def _send_body(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        stops = [at for at in (fault.reset_at, fault.end_at, fault.hold_at) if at is not None]
        sent = 0
        while True:
            upto = next((at - sent for at in sorted(stops) if at > sent), _CHUNK)
            chunk = answer.read(min(_CHUNK, upto))
            if not chunk:
                return
            if fault.corrupt_at is not None and sent <= fault.corrupt_at < sent + len(chunk):
                at = fault.corrupt_at - sent
                chunk = chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]
            self.wfile.write(chunk)
            sent += len(chunk)
            if sent == fault.hold_at:
                self.server.proxy.held.set()
                self.server.proxy.go_on.wait(_PATIENCE_SECONDS)
            if sent == fault.reset_at:
                self._reset()
                return
            if sent == fault.end_at:
                self.close_connection = True
                return

    def _reset(self) -> None:
        """RST in place of an end, once the other side has all that was sent: what is sent after it is lost."""
        waiting = array.array("i", [1])
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while waiting[0] and time.monotonic() < deadline:
            fcntl.ioctl(self.connection, termios.TIOCOUTQ, waiting)
            time.sleep(0.001)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        socket.close(self.connection.detach())  # itself: the streams of this handler would hold it open
