"""Requests to registries, with the scheme and the login that each host requires. Failures are raised as RegistryError.

Uses requests (`connections`). python-dxf 12.1 is not suitable: its `set_manifest` fails on a manifest without
`mediaType`, its `pull_blob` cannot resume in the middle of a blob, and its single token is for one repository and
thread.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from build_lib.errors import RegistryError
from build_lib.registry.addresses import api_host, joined
from build_lib.registry.answer import Answer
from build_lib.registry.connections import Connections
from build_lib.registry.credentials import Login
from build_lib.registry.login import Logins, retry_after
from build_lib.registry.retry import Hosts
from build_lib.settings import Settings
from build_lib.units import shortened

_SHOWN = 300  # bytes of a body that say that https is required

Body = Callable[[], Iterable[bytes]]  # returns the content to send, from its beginning


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """A request to a host. It may be sent again, and `body` is then read from its beginning."""

    method: str
    path: str  # with the query, or a whole URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | bytes | None = None
    size: int = 0  # bytes of a body in chunks
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
        self._connections = Connections(settings, connections, self.hosts)
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
    ) -> Answer:
        """Send a request, with a login or a token if the registry requires one, and read the answer, which is small.

        `path` is a URL's path and query, or a whole URL from the registry. `scopes` are what a token has to cover, such
        as `repository:a/b:pull`.

        Raises:
            RegistryError: the status is not one of `expect`, the request failed, or the answer is not small.
        """
        asked = _Request(method=method, path=path, headers=headers or {}, body=body, size=size)
        with self._ask(host, asked, tuple(scopes), expect) as answer:
            if answer.status < 300:
                answer.read()
            return answer

    @contextmanager
    def stream(
        self,
        host: str,
        path: str,
        *,
        scopes: Sequence[str],
        expect: Sequence[int],
        headers: Mapping[str, str],
    ) -> Iterator[Answer]:
        """Like `send`, for a GET whose answer is read by the caller within the block."""
        asked = _Request(method="GET", path=path, headers=headers)
        with self._ask(host, asked, tuple(scopes), expect) as answer:
            yield answer

    def api(self, method: str, host: str, path: str, content: Any = None) -> Answer:
        """Send a request to a registry's other APIs, by user name and password. Any status is returned."""
        headers = {"Content-Type": "application/json"} if content is not None else {}
        body = json.dumps(content).encode() if content is not None else None
        asked = _Request(method=method, path=path, headers=headers, body=body)
        with self._exchange(host, asked, self._logins.basic(host)) as answer:
            if answer.status < 300:
                answer.read()
            return answer

    def answers_within(self, host: str, seconds: float) -> bool:
        """Whether the host answers within this time, including the time to connect."""
        began = time.monotonic()
        try:
            with self._exchange(host, _Request(method="GET", path="/v2/", timeout=seconds), ""):
                return time.monotonic() - began < seconds
        except RegistryError:
            return False

    def login(self, host: str) -> Login | None:
        """The login for the host, or None for anonymous access."""
        return self._logins.of(host)

    def _ask(self, host: str, asked: _Request, scopes: tuple[str, ...], expect: Sequence[int]) -> Answer:
        """Send a request, again if the host then says which login it requires."""
        self.hosts.check(host)
        header = self._logins.authorization(host, scopes)
        answer = self._exchange(host, asked, header)
        if _is_refused(host, answer) and self._logins.challenged(host, scopes, answer, header):
            header = self._logins.authorization(host, scopes)
            answer = self._exchange(host, asked, header)
        if answer.status in expect:
            return answer
        with answer:
            login = self._logins.of(host)
            if _is_refused(host, answer) and header.startswith("Basic"):
                raise self._logins.refused(host, host, answer, login)
            raise _refusal(host, answer, self._logins.advice(host))

    def _exchange(self, host: str, asked: _Request, header: str) -> Answer:
        """Send one request. A host that may be insecure is asked by http, and by https if it requires that."""
        scheme = self._scheme(host)
        answer = self._request(scheme, host, asked, header)
        if scheme == "https" or not _wants_https(host, answer):
            return answer
        with self._lock:
            self._schemes[host] = "https"
        if answer.status < 300:  # it redirected to https, and answered there
            return answer
        return self._request("https", host, asked, header)

    def _request(self, scheme: str, registry: str, asked: _Request, header: str) -> Answer:
        base = urlsplit(f"{scheme}://{api_host(registry)}")
        url = joined(base.geturl(), asked.path)
        if url.netloc == base.netloc:
            url = url._replace(scheme=scheme)  # behind a proxy, a registry may assume that it was asked by http
        else:
            url, header = self._connections.lead(base, asked.path), ""
        return self._connections.request(
            asked.method,
            url.geturl(),
            registry=registry,
            header=header,
            headers=asked.headers,
            data=asked.data,
            timeout=asked.timeout,
        )

    def _scheme(self, host: str) -> str:
        with self._lock:
            return self._schemes.setdefault(host, "http" if self._connections.may_be_insecure(host) else "https")


def _is_refused(host: str, answer: Answer) -> bool:
    """Whether the host itself requires a login. One that it leads to has no say in where the login is sent."""
    return answer.status == 401 and answer.host == api_host(host)


def _wants_https(host: str, answer: Answer) -> bool:
    """Whether a server requires https instead of http: it redirects there, or says it as Go and nginx do."""
    if answer.url.startswith(f"https://{api_host(host)}/"):
        return True
    return answer.status == 400 and b"HTTPS" in answer.body[:_SHOWN]


def _refusal(host: str, answer: Answer, advice: str) -> RegistryError:
    """The error for an answer; if it is about the login, with the advice about that."""
    said = _said(answer)
    message = f"{host} answered {answer.status} {answer.reason}{': ' + said if said else ''}"
    hints = {
        401: advice,
        403: f"ask the administrator of {host} for access, or use another login",
        429: f"docker login {host}, or name a mirror with REGISTRY_MIRRORS",
    }
    failed = f"try again later; the log of {host}, or of a proxy in front of it, says more"
    hint = hints.get(answer.status, failed if answer.status >= 500 else "")
    return RegistryError(message, hint=hint, status=answer.status, retry_after=retry_after(answer))


def _said(answer: Answer) -> str:
    """A registry's error message (distribution specification, "Error codes"), shortened to one line."""
    try:
        errors = answer.json()["errors"]
        text = "; ".join(f"{item.get('code', '')}: {item.get('message', '')}" for item in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = "" if "<html" in answer.text.lower() else answer.text
    return shortened(text)
