"""Requests to registries, with the scheme and the login that each host requires. Failures are raised as RegistryError.

Uses requests (`connections`). python-dxf 12.1 is not suitable: its `set_manifest` fails on a manifest without
`mediaType`, its `pull_blob` cannot resume in the middle of a blob, and its single token is for one repository and
thread.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from build_lib.errors import RegistryError
from build_lib.registry.connections import Connections, api_host, translated
from build_lib.registry.credentials import Login
from build_lib.registry.login import Logins, retry_after
from build_lib.registry.retry import Hosts
from build_lib.settings import Settings

CHUNK = 1 << 16  # bytes read and sent at once, and the most that a broken connection loses
_SHOWN = 300  # characters of a response in an error message

Body = Callable[[], Iterable[bytes]]  # returns the content to send, from its beginning


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """A request to a host. It may be sent again, and `body` is then read from its beginning."""

    method: str
    path: str  # with the query, or a whole URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | bytes | None = None
    size: int = 0  # bytes of a body in chunks
    stream: bool = False
    timeout: float | None = None  # seconds, instead of the session's

    @property
    def data(self) -> "_Sized | bytes | None":
        """The body for requests. An empty body in chunks would be sent without a length, and is replaced by bytes."""
        if not callable(self.body):
            return self.body
        return _Sized(self.body(), self.size) if self.size else b""


class _Sized:
    """A body of known length, sent in chunks."""

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._chunks = chunks
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Any:
        return iter(self._chunks)


class Session:
    """The requests of one run. Safe to use from several threads."""

    def __init__(self, settings: Settings, connections: int) -> None:
        self.hosts = Hosts()
        self._connections = Connections(settings, connections)
        self._logins = Logins(settings, self._connections, self.hosts)
        self._schemes: dict[str, str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def send(
        self,
        method: str,
        host: str,
        path: str,
        *,
        scopes: Sequence[str] = (),
        expect: Sequence[int] = (200,),
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        size: int = 0,
        stream: bool = False,
    ) -> requests.Response:
        """Send a request, with a login or a token if the registry requires one.

        `path` is a URL's path and query, or a whole URL from the registry. `scopes` are what a token has to cover, such
        as `repository:a/b:pull`. With `stream`, the caller closes the response.

        Raises:
            RegistryError: the status is not one of `expect`, or the request failed.
        """
        self.hosts.check(host)
        asked = _Request(method=method, path=path, headers=headers or {}, body=body, size=size, stream=stream)
        for last in (False, True):
            header = self._logins.authorization(host, tuple(scopes))
            response = self._exchange(host, asked, header)
            if (
                response.status_code != 401
                or last
                or not self._logins.challenged(host, tuple(scopes), response, header)
            ):
                break
            response.close()
        if response.status_code in expect:
            return response
        with response:
            login = self._logins.of(host)
            if response.status_code == 401 and header.startswith("Basic"):
                raise self._logins.refused(host, host, response, login)
            raise _refusal(method, host, response, self._logins.advice(host))

    def api(self, method: str, host: str, path: str, content: Any = None) -> requests.Response:
        """Send a request to a registry's other APIs, by user name and password. Any status is returned."""
        headers = {"Content-Type": "application/json"} if content is not None else {}
        body = json.dumps(content).encode() if content is not None else None
        return self._exchange(
            host, _Request(method=method, path=path, headers=headers, body=body), self._logins.basic(host)
        )

    def answers_within(self, host: str, seconds: float) -> bool:
        """Whether the host answers within this time, including the time to connect."""
        began = time.monotonic()
        try:
            self._exchange(host, _Request(method="GET", path="/v2/", timeout=seconds), "")
        except RegistryError:
            return False
        return time.monotonic() - began < seconds

    def login(self, host: str) -> Login | None:
        """The login for the host, or None for anonymous access."""
        return self._logins.of(host)

    def _exchange(self, host: str, asked: _Request, header: str) -> requests.Response:
        """Send one request. A host that may be insecure is asked by http, and by https if it requires that."""
        scheme = self._scheme(host)
        response = self._request(scheme, host, asked, header)
        if scheme == "https" or not _wants_https(response):
            return response
        response.close()
        with self._lock:
            self._schemes[host] = "https"
        return self._request("https", host, asked, header)

    def _request(self, scheme: str, registry: str, asked: _Request, header: str) -> requests.Response:
        url = urljoin(f"{scheme}://{api_host(registry)}", asked.path)
        host = urlsplit(url).netloc
        elsewhere = host != api_host(registry)
        if not elsewhere:  # behind a proxy, a registry may assume that it was asked by http
            url = urlsplit(url)._replace(scheme=scheme).geturl()
        headers = {"Accept-Encoding": "identity", **asked.headers}
        options = {"timeout": asked.timeout} if asked.timeout else {}
        with translated(host, self.hosts, registry):
            return self._connections.request(
                asked.method,
                host,
                url,
                header="" if elsewhere else header,
                headers=headers,
                data=asked.data,
                stream=asked.stream,
                **options,
            )

    def _scheme(self, host: str) -> str:
        with self._lock:
            return self._schemes.setdefault(host, "http" if self._connections.may_be_insecure(host) else "https")


def broken(host: str) -> translated:
    """Within, failures to read a response are raised as RegistryError."""
    return translated(host)


def _wants_https(response: requests.Response) -> bool:
    """Whether a server requires https instead of http, as Go and nginx say it."""
    if response.status_code != 400:
        return False
    with broken(response.url):
        return b"HTTPS" in response.content[:_SHOWN]


def _refusal(method: str, host: str, response: requests.Response, advice: str) -> RegistryError:
    """The error for an answer; if it is about the login, with the advice about that."""
    status = response.status_code
    said = _said(response) if method != "HEAD" else ""
    message = f"{host} answered {status} {response.reason}{': ' + said if said else ''}"
    hints = {
        401: advice,
        403: f"ask the administrator of {host} for access, or use another login",
        429: f"docker login {host}, or name a mirror with REGISTRY_MIRRORS",
    }
    failed = f"try again later; the log of {host}, or of a proxy in front of it, says more" if status >= 500 else ""
    hint = hints.get(status, failed)
    return RegistryError(message, hint=hint, status=status, retry_after=retry_after(response))


def _said(response: requests.Response) -> str:
    """A registry's error message (distribution specification, "Error codes"), shortened to one line."""
    with broken(response.url):
        text = response.content[: 64 * 1024].decode(errors="replace")
    try:
        errors = response.json()["errors"]
        text = "; ".join(f"{item.get('code', '')}: {item.get('message', '')}" for item in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = "" if "<html" in text.lower() else text
    return " ".join(text.split())[:_SHOWN]
