"""Requests to registries: schemes, certificates, proxies, logins and tokens; what is refused comes as RegistryError.

Stands on requests, which the Docker SDK brings. python-dxf 12.1 does not serve: its `set_manifest` fails on a manifest
without `mediaType`, its `pull_blob` cannot go on in the middle of a blob, and its one token is for one repository and
one thread. Tokens are those of distribution's `token.md` and `oauth.md`.
"""

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, _basic_auth_str
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from build_lib.credentials import Credentials, Login
from build_lib.errors import RegistryError
from build_lib.reference import DOCKER_HUB
from build_lib.retry import Hosts
from build_lib.settings import Settings

CHUNK = 1 << 16  # bytes read and sent at once: what a connection that breaks may lose
_CONNECT_SECONDS = 10
_HUB_API = "registry-1.docker.io"
_CERTIFICATES = Path("/etc/docker/certs.d")  # HOST/*.crt, as the engine reads them
_TOKEN_SECONDS = 60  # how long a token lasts that does not say so (token.md)
_RENEW_SECONDS = 10  # before its end
_SHOWN = 300  # characters of an answer in an error

# what urllib3 puts before a reason
_WRAPPING = re.compile(r"^(<[^>]*>: |\w+\(host=[^)]*\): )?(Failed to establish a new connection: \[Errno \d+\] )?")

Body = Callable[[], Iterable[bytes]]  # what to send, from its beginning


@dataclass(frozen=True, kw_only=True, slots=True)
class _Challenge:
    """How a registry wants to be shown who asks (WWW-Authenticate)."""

    scheme: str  # "basic" or "bearer"
    realm: str
    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What is asked of a host; `body` may be asked for again from its beginning."""

    method: str
    path: str  # with the query, or a whole URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | bytes | None = None
    size: int = 0  # of a body that comes in chunks
    stream: bool = False
    timeout: float | None = None  # seconds, where it is not what the session has

    @property
    def data(self) -> "_Sized | bytes | None":
        """The body as requests takes it; an empty one in chunks would be sent without a length."""
        if not callable(self.body):
            return self.body
        return _Sized(self.body(), self.size) if self.size else b""


class _Authorization(AuthBase):
    """Sets the header, and keeps requests from taking one out of a .netrc file."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._header:
            request.headers["Authorization"] = self._header
        return request


class _Sized:
    """A body of a known length, sent chunk by chunk."""

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._chunks = chunks
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Any:
        return iter(self._chunks)


class _Adapter(HTTPAdapter):
    """Trusts more certificates than the system's."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """See HTTPAdapter."""
        return super().proxy_manager_for(*args, **options, ssl_context=self._context)


class Session:
    """One run's connections to registries; for several threads."""

    def __init__(self, settings: Settings, connections: int) -> None:
        self.hosts = Hosts()
        self._credentials = Credentials(settings)
        self._insecure = frozenset(settings.insecure_registries)
        self._ca_file = settings.registry_ca_file
        self._connections = connections
        self._timeout = (_CONNECT_SECONDS, settings.stall_seconds)
        self._sessions: dict[str, requests.Session] = {}
        self._schemes: dict[str, str] = {}
        self._challenges: dict[str, _Challenge] = {}
        self._tokens: dict[tuple[str, tuple[str, ...]], tuple[str, float]] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            session.close()

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
        """Send a request, with a login or a token if the registry wants one; with `stream`, the caller closes.

        `path` is a URL's path and query, or a whole URL that the registry gave. `scopes` are what a token has to be
        good for, such as `repository:a/b:pull`.

        Raises:
            RegistryError: the status is none of `expect`, or the host cannot be asked.
        """
        self.hosts.check(host)
        asked = _Request(method=method, path=path, headers=headers or {}, body=body, size=size, stream=stream)
        for last in (False, True):
            header = self._authorization(host, tuple(scopes))
            response = self._exchange(host, asked, header)
            if response.status_code != 401 or last or not self._challenged(host, tuple(scopes), response, header):
                break
            response.close()
        if response.status_code in expect:
            return response
        with response:
            login = self._credentials.of(host)
            if response.status_code == 401 and header.startswith("Basic"):
                raise self._refused(host, host, response, login)
            raise _refusal(method, host, response, anonymous=login is None)

    def api(self, method: str, host: str, path: str, content: Any = None) -> requests.Response:
        """A request to what a registry offers beside the distribution API, by user and password; any answer will do."""
        login = self._credentials.of(host)
        header = _basic_auth_str(login.username, login.password) if login else ""
        headers = {"Content-Type": "application/json"} if content is not None else {}
        body = json.dumps(content).encode() if content is not None else None
        return self._exchange(host, _Request(method=method, path=path, headers=headers, body=body), header)

    def _refused(self, host: str, realm: str, response: requests.Response, login: Login | None) -> RegistryError:
        """A login that was not accepted is not tried again for every image: some registries lock users out."""
        error = _login_refused(host, realm, response, login)
        if login is not None and error.status == 401:
            self.hosts.refuse(host, error)
        return error

    def answers_within(self, host: str, seconds: float) -> bool:
        """Whether the host answers so soon, the making of the connection included."""
        began = time.monotonic()
        try:
            self._exchange(host, _Request(method="GET", path="/v2/", timeout=seconds), "")
        except RegistryError:
            return False
        return time.monotonic() - began < seconds

    def login(self, host: str) -> Login | None:
        """Who logs in at the host, if anybody does."""
        return self._credentials.of(host)

    def _exchange(self, host: str, asked: _Request, header: str) -> requests.Response:
        """One request; to a host that may be insecure by https if that is what it speaks."""
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
        if not elsewhere:  # behind a proxy, a registry may think that it is asked by http
            url = urlsplit(url)._replace(scheme=scheme).geturl()
        with _translated(host, self.hosts, registry):
            return self._session(host).request(
                asked.method,
                url,
                headers={"Accept-Encoding": "identity", **asked.headers},
                data=asked.data,
                auth=_Authorization("" if elsewhere else header),
                timeout=asked.timeout or self._timeout,
                verify=self._verify(host),
                proxies={"no_proxy": _name(host)} if _is_loopback(host) else None,
                stream=asked.stream,
            )

    def _session(self, host: str) -> requests.Session:
        """Each host has its own, for each may have its own certificates."""
        with self._lock:
            if host not in self._sessions:
                session = requests.Session()
                session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
                session.headers["User-Agent"] = "build-lib"
                session.mount("http://", HTTPAdapter(pool_maxsize=self._connections))
                session.mount("https://", HTTPAdapter(pool_maxsize=self._connections))
                if self._may_be_insecure(host):
                    urllib3.disable_warnings(InsecureRequestWarning)  # that is what the user asked for
                else:
                    session.mount("https://", _Adapter(self._context(host), self._connections))
                self._sessions[host] = session
            return self._sessions[host]

    def _context(self, host: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        extra = [self._ca_file] if self._ca_file else []
        for file in (*extra, *sorted((_CERTIFICATES / host).glob("*.crt"))):
            try:
                context.load_verify_locations(cafile=str(file))
            except (OSError, ssl.SSLError) as error:
                raise RegistryError(f"the certificates in {file} cannot be read: {error}") from None
        return context

    def _verify(self, host: str) -> bool:
        """For each request, for REQUESTS_CA_BUNDLE in the environment wins over what a session says."""
        return not self._may_be_insecure(host)

    def _may_be_insecure(self, host: str) -> bool:
        return host in self._insecure or _is_loopback(host)

    def _scheme(self, host: str) -> str:
        with self._lock:
            return self._schemes.setdefault(host, "http" if self._may_be_insecure(host) else "https")

    def _authorization(self, host: str, scopes: tuple[str, ...]) -> str:
        """The header for what is known of the host so far; "" to be anonymous."""
        with self._lock:
            challenge = self._challenges.get(host)
        if challenge is None:
            return ""
        login = self._credentials.of(host)
        if challenge.scheme == "basic":
            return _basic_auth_str(login.username, login.password) if login else ""
        return f"Bearer {self._token(host, challenge, scopes, login)}"

    def _challenged(self, host: str, scopes: tuple[str, ...], response: requests.Response, sent: str) -> bool:
        """Learn how the host wants to be asked; whether it is worth asking again."""
        found = _parse_challenge(response.headers.get("WWW-Authenticate", ""))
        if found is None:
            return False
        with self._lock:
            self._challenges[host] = found
            self._tokens.pop((host, scopes), None)
        return not sent or found.scheme == "bearer"

    def _token(self, host: str, challenge: _Challenge, scopes: tuple[str, ...], login: Login | None) -> str:
        key = (host, scopes)
        with self._lock:
            token, until = self._tokens.get(key, ("", 0.0))
        if time.monotonic() < until:
            return token
        token, seconds = self._ask_for_token(host, challenge, scopes, login)
        with self._lock:
            self._tokens[key] = (token, time.monotonic() + max(seconds - _RENEW_SECONDS, 1))
        return token

    def _ask_for_token(
        self, host: str, challenge: _Challenge, scopes: tuple[str, ...], login: Login | None
    ) -> tuple[str, float]:
        realm = urlsplit(challenge.realm)
        if realm.scheme != "https" and login and not (self._may_be_insecure(host) or _is_loopback(realm.netloc)):
            raise RegistryError(f"{host} wants the login sent to {challenge.realm}, which is not encrypted")
        with _translated(f"token from {realm.netloc}", self.hosts, host):
            response = self._ask_realm(challenge, scopes, login)
        with response:
            if response.status_code != 200:
                raise self._refused(host, realm.netloc, response, login)
            try:
                content = response.json()
                token = content.get("token") or content["access_token"]
                return str(token), float(content.get("expires_in") or _TOKEN_SECONDS)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise RegistryError(f"{realm.netloc} gave no token for {host}") from None

    def _ask_realm(self, challenge: _Challenge, scopes: tuple[str, ...], login: Login | None) -> requests.Response:
        host = urlsplit(challenge.realm).netloc
        options: dict[str, Any] = {"timeout": self._timeout, "verify": self._verify(host)}
        if _is_loopback(host):
            options["proxies"] = {"no_proxy": _name(host)}
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": "build-lib"}
            form |= {"service": challenge.service, "scope": " ".join(scopes)}
            return self._session(host).post(challenge.realm, data=form, auth=_Authorization(""), **options)
        query = [("service", challenge.service)] if challenge.service else []
        query += [("scope", scope) for scope in scopes]
        header = _basic_auth_str(login.username, login.password) if login else ""
        return self._session(host).get(challenge.realm, params=query, auth=_Authorization(header), **options)


class _translated:  # noqa: N801  # used as a with statement's function
    """The network's failures as RegistryError: what was asked of whom, and the innermost reason.

    A host that is out of reach is noted; a failure of the source of what is sent comes as RegistryError already, and
    says nothing of the host.
    """

    def __init__(self, what: str, hosts: Hosts | None = None, host: str = "") -> None:
        self._what = what
        self._hosts = hosts
        self._host = host

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RequestException, HTTPError, OSError)):
            translated = RegistryError(f"{self._what}: {_innermost(error)}")
            if self._hosts is not None:
                self._hosts.note(self._host, translated)
            raise translated from None


def broken(host: str) -> _translated:
    """Within, a response's content is read: what breaks comes as RegistryError."""
    return _translated(host)


def _innermost(error: BaseException) -> str:
    """The reason at the bottom of what requests and urllib3 wrap around it, without addresses of objects."""
    seen = error
    while True:
        inner = getattr(seen, "reason", None) or next(
            (arg for arg in seen.args if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        seen = inner
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return " ".join(_WRAPPING.sub("", str(seen)).split()) or type(seen).__name__


def _wants_https(response: requests.Response) -> bool:
    """Whether a server says that it was asked by http and speaks https, in Go's words or in nginx's."""
    if response.status_code != 400:
        return False
    with broken(response.url):
        return b"HTTPS" in response.content[:_SHOWN]


def _refusal(method: str, host: str, response: requests.Response, *, anonymous: bool) -> RegistryError:
    status = response.status_code
    said = _said(response) if method != "HEAD" else ""
    message = f"{host} answered {status} {response.reason}{': ' + said if said else ''}"
    hint = f"docker login {host}, or PRIVATE_REGISTRY_USERNAME and …_PASSWORD" if status == 401 and anonymous else ""
    return RegistryError(message, hint=hint, status=status, retry_after=_retry_after(response))


def _login_refused(host: str, realm: str, response: requests.Response, login: Login | None) -> RegistryError:
    status = response.status_code
    if status in (401, 403):
        message = (
            f"{host} refused the login as {login.username!r}" if login else f"{host} lets nobody in without a login"
        )
        hint = f"docker login {host} with the right password" if login else f"docker login {host}"
        return RegistryError(message, hint=hint, status=401)
    message = f"{realm} gave no token for {host}: {status} {response.reason}"
    return RegistryError(message, status=status, retry_after=_retry_after(response))


def _said(response: requests.Response) -> str:
    """A registry's own words (distribution specification, "Error codes"), cut to what fits into a line."""
    with broken(response.url):
        text = response.content[: 64 * 1024].decode(errors="replace")
    try:
        errors = response.json()["errors"]
        text = "; ".join(f"{item.get('code', '')}: {item.get('message', '')}" for item in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = "" if "<html" in text.lower() else text
    return " ".join(text.split())[:_SHOWN]


def _retry_after(response: requests.Response) -> float | None:
    """Seconds; the date form of the header is rare, and then the usual wait does."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _parse_challenge(header: str) -> _Challenge | None:
    """`Bearer realm="…",service="…"` or `Basic realm="…"`; of several, the first that is known."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() not in ("basic", "bearer"):
        return None
    found = parse_keqv_list([item for item in parse_http_list(rest) if "=" in item])
    if scheme.lower() == "bearer" and not found.get("realm"):
        return None
    return _Challenge(scheme=scheme.lower(), realm=found.get("realm", ""), service=found.get("service", ""))


def api_host(host: str) -> str:
    """Where a registry's API is: Docker Hub's has another name."""
    return _HUB_API if host == DOCKER_HUB else host


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or host


def _is_loopback(host: str) -> bool:
    name = _name(host)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
