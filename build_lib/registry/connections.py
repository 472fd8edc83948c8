"""Connections to registries: schemes, certificates, proxies. Network failures are raised as RegistryError.

Uses requests, which the Docker SDK depends on.
"""

import re
import ssl
import threading
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ProxyError, RequestException
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from build_lib.errors import RegistryError
from build_lib.reference import DOCKER_HUB
from build_lib.registry.retry import Hosts
from build_lib.settings import Settings

_CONNECT_SECONDS = 10
_HUB_API = "registry-1.docker.io"
_CERTIFICATES = Path("/etc/docker/certs.d")  # HOST/*.crt, as the engine reads them

# what to do about failures to connect, by their reasons
_ADVICE = (
    ("refused", "check the host and the port: nothing accepts connections there"),
    ("resolve|name or service not known|name resolution", "check the name, or set HTTPS_PROXY if a proxy is needed"),
    ("timed out|timeout|no route|unreachable", "check the address and the network, or set HTTPS_PROXY"),
    ("certificate verify failed", "set REGISTRY_CA_FILE to the certificate of the authority that signed the host's"),
    ("wrong version number|record layer", "if the host uses plain http, add it to INSECURE_REGISTRIES"),
)
_PROXY_ADVICE = "correct the proxy that HTTPS_PROXY names, or list the host in NO_PROXY"

# what urllib3 puts before a reason
_WRAPPING = re.compile(r"^(<[^>]*>: |\w+\(host=[^)]*\): )?(Failed to establish a new connection: \[Errno \d+\] )?")


class Authorization(AuthBase):
    """Sets the Authorization header, and keeps requests from using a .netrc file."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """See AuthBase."""
        if self._header:
            request.headers["Authorization"] = self._header
        return request


class _Adapter(HTTPAdapter):
    """An adapter that trusts certificates in addition to the system's."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """See HTTPAdapter."""
        return super().proxy_manager_for(*args, **options, ssl_context=self._context)


class Connections:
    """The connections of one run, with a session for each host. Safe to use from several threads."""

    def __init__(self, settings: Settings, connections: int) -> None:
        self._insecure = frozenset(settings.insecure_registries)
        self._ca_file = settings.registry_ca_file
        self._connections = connections
        self._timeout = (_CONNECT_SECONDS, settings.stall_seconds)
        self._sessions: dict[str, requests.Session] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all sessions."""
        for session in self._sessions.values():
            session.close()

    def request(self, method: str, host: str, url: str, *, header: str = "", **options: Any) -> requests.Response:
        """Send a request to a host, with the options of `requests`. `header` is its Authorization, or "" for none."""
        if is_loopback(host):
            options["proxies"] = {"no_proxy": _host_name(host)}
        options = {"timeout": self._timeout, "verify": self._verify(host), "auth": Authorization(header), **options}
        return self._session(host).request(method, url, **options)

    def may_be_insecure(self, host: str) -> bool:
        """Whether plain http and any certificate are accepted for this host."""
        return host in self._insecure or is_loopback(host)

    def _verify(self, host: str) -> bool:
        """Whether to verify certificates. Set per request, because REQUESTS_CA_BUNDLE overrides a session's setting."""
        return not self.may_be_insecure(host)

    def _session(self, host: str) -> requests.Session:
        """The session of a host. Each host has its own, because each may have its own certificates."""
        with self._lock:
            if host not in self._sessions:
                session = requests.Session()
                session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
                session.headers["User-Agent"] = "build-lib"
                session.mount("http://", HTTPAdapter(pool_maxsize=self._connections))
                session.mount("https://", HTTPAdapter(pool_maxsize=self._connections))
                if self.may_be_insecure(host):
                    urllib3.disable_warnings(InsecureRequestWarning)  # the user asked for it
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


class translated:  # noqa: N801  # used as a with statement's function
    """Within, network failures are raised as RegistryError, with `what` was attempted and the innermost reason.

    An unreachable host is noted in `hosts`. A failure of the source of an upload is a RegistryError already and passes
    unchanged, because it says nothing about the host.
    """

    def __init__(self, what: str, hosts: Hosts | None = None, host: str = "") -> None:
        self._what = what
        self._hosts = hosts
        self._host = host

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RequestException, HTTPError, OSError)):
            reason = innermost(error)
            hint = _PROXY_ADVICE if isinstance(error, ProxyError) else _advice(reason, self._host)
            proxy = "the proxy: " if isinstance(error, ProxyError) else ""
            translated = RegistryError(f"{self._what}: {proxy}{reason}", hint=hint)
            if self._hosts is not None:
                self._hosts.note(self._host, translated)
            raise translated from None


def _advice(reason: str, host: str) -> str:
    """What to do about a failure to connect to a host; "" if it is of another kind."""
    if is_loopback(host) and "refused" in reason:
        return "./inv registry-up starts a registry on this machine; or name another one"
    return next((advice for pattern, advice in _ADVICE if re.search(pattern, reason, re.IGNORECASE)), "")


def innermost(error: BaseException) -> str:
    """The innermost reason within the exceptions of requests and urllib3, without the addresses of objects."""
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


def api_host(host: str) -> str:
    """The host of a registry's API, which for Docker Hub differs from its name."""
    return _HUB_API if host == DOCKER_HUB else host


def proxy_of(host: str) -> str:
    """The proxy through which the host is reached, as the environment names it; "" if it is reached directly."""
    if is_loopback(host):
        return ""
    url = f"https://{api_host(host)}/"
    return select_proxy(url, get_environ_proxies(url)) or ""


def _host_name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or host


def is_loopback(host: str) -> bool:
    """Whether the host, with or without a port, is a loopback address."""
    name = _host_name(host)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
