"""Connections to registries: schemes, certificates, proxies, redirects.

Uses requests, which the Docker SDK depends on, but not its way with redirects: it would send logins from .netrc to
their targets, and read the body of a redirect whatever its size.
"""

import ssl
import threading
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import InsecureRequestWarning

from build_lib.errors import RegistryError
from build_lib.registry.addresses import api_host, check_lead, host_name, is_loopback, joined
from build_lib.registry.answer import Answer
from build_lib.registry.network import translated
from build_lib.registry.retry import Hosts
from build_lib.registry.wire import POOLS
from build_lib.settings import Settings

_CONNECT_SECONDS = 10
_CERTIFICATES = Path("/etc/docker/certs.d")  # HOST/*.crt, as the engine reads them
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10  # of one request, as in Go's client
_MOST_HOSTS = 256  # in one run; registries may lead to others, and each takes memory


class Authorization(AuthBase):
    """Sets the Authorization header, and keeps requests from using a .netrc file."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """See AuthBase."""
        if self._header:
            request.headers["Authorization"] = self._header
        return request


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Not here: Connections follows redirects."""


class _Adapter(HTTPAdapter):
    """An adapter with limits on time and lines. With `context`, it trusts the certificates there."""

    def __init__(self, connections: int, context: ssl.SSLContext | None = None) -> None:
        self._context: dict[str, Any] = {"ssl_context": context} if context else {}
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **(options | self._context))
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """See HTTPAdapter."""
        manager = super().proxy_manager_for(*args, **(options | self._context))
        manager.pool_classes_by_scheme = POOLS
        return manager


class Connections:
    """The connections of one run, with a session for each host. Safe to use from several threads."""

    def __init__(self, settings: Settings, connections: int, hosts: Hosts) -> None:
        self._insecure = frozenset(settings.insecure_registries)
        self._ca_file = settings.registry_ca_file
        self._connections = connections
        self._seconds = settings.stall_seconds
        self._hosts = hosts
        self._sessions: dict[str, _Session] = {}
        self._contexts: dict[tuple[Path, ...], ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all sessions."""
        for session in self._sessions.values():
            session.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        registry: str,
        what: str = "",
        header: str = "",
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send a request on behalf of a registry. If its status is an error, the beginning of its body has been read.

        `header` is the Authorization, or "" for none. It is for the host of `url` alone. Redirects are followed, but
        not if content is sent. `what` was attempted, for the message of a failure; by default, the host.

        Raises:
            RegistryError: the request failed, or was led to where it may not go.
        """
        options = {"headers": headers, "data": data, "timeout": timeout}
        first = at = urlsplit(url)
        for _ in range(_MOST_REDIRECTS + 1):
            with translated(what or at.netloc, self._hosts, registry):
                answer = self._send(method, at, header, options)
            if answer.status < 300:
                return answer
            answer.skim()
            location = answer.headers.get("Location", "")
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD") or not location:
                return answer
            target = self.lead(at, location)
            if not _is_same(first, target):
                header, what = "", f"{first.netloc} leads to {target.netloc}"
            at = target
        raise RegistryError(f"{first.netloc} redirects more than {_MOST_REDIRECTS} times")

    def lead(self, source: SplitResult, given: str) -> SplitResult:
        """The URL to which a server at `source` leads a request.

        Raises:
            RegistryError: it is not valid, or it may not go there.
        """
        target = joined(source.geturl(), given)
        check_lead(source, target, may_be_insecure=self.may_be_insecure(target.netloc))
        return target

    def may_be_insecure(self, host: str) -> bool:
        """Whether plain http and any certificate are accepted for this host."""
        return host in self._insecure or is_loopback(host)

    def _send(self, method: str, url: SplitResult, header: str, options: Mapping[str, Any]) -> Answer:
        host = url.netloc
        response = self._session(host).request(
            method,
            url.geturl(),
            data=options["data"],
            headers={"Accept-Encoding": "identity", **(options["headers"] or {})},
            timeout=options["timeout"] or (_CONNECT_SECONDS, self._seconds),
            proxies={"no_proxy": host_name(host)} if is_loopback(host) else None,
            verify=not self.may_be_insecure(host),  # per request, because REQUESTS_CA_BUNDLE overrides a session's
            auth=Authorization(header),
            stream=True,
        )
        return Answer(response, host, self._seconds)

    def _session(self, host: str) -> _Session:
        """The session of a host. Each host has its own, because each may have its own certificates."""
        with self._lock:
            if host not in self._sessions:
                if len(self._sessions) >= _MOST_HOSTS:
                    raise RegistryError(f"{host} is not asked: this run was led to more than {_MOST_HOSTS} hosts")
                self._sessions[host] = self._new_session(host)
            return self._sessions[host]

    def _new_session(self, host: str) -> _Session:
        session = _Session()
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers["User-Agent"] = "build-lib"
        session.mount("http://", _Adapter(self._connections))
        if self.may_be_insecure(host):
            urllib3.disable_warnings(InsecureRequestWarning)  # the user asked for it
            session.mount("https://", _Adapter(self._connections))
        else:
            session.mount("https://", _Adapter(self._connections, self._context(host)))
        return session

    def _context(self, host: str) -> ssl.SSLContext:
        """What to trust for a host. Hosts without certificates of their own share it, for it is large."""
        files = (*([self._ca_file] if self._ca_file else []), *sorted((_CERTIFICATES / host).glob("*.crt")))
        if files not in self._contexts:
            context = ssl.create_default_context()
            for file in files:
                try:
                    context.load_verify_locations(cafile=str(file))
                except (OSError, ssl.SSLError) as error:
                    raise RegistryError(f"the certificates in {file} cannot be read: {error}") from None
            self._contexts[files] = context
        return self._contexts[files]


def proxy_of(host: str) -> str:
    """The proxy through which the host is reached, as the environment names it; "" if it is reached directly."""
    if is_loopback(host):
        return ""
    url = f"https://{api_host(host)}/"
    return select_proxy(url, get_environ_proxies(url)) or ""


def _is_same(first: SplitResult, target: SplitResult) -> bool:
    """Whether the target may get what is for the first host: it is that host, and not less encrypted."""
    return first.netloc == target.netloc and target.scheme in (first.scheme, "https")
