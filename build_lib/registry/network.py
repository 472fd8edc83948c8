"""Failures of the network, raised as RegistryError."""

import re
from urllib.request import getproxies

from requests.exceptions import ProxyError, RequestException
from urllib3.exceptions import HTTPError

from build_lib.errors import RegistryError
from build_lib.registry.addresses import is_loopback
from build_lib.registry.retry import Hosts
from build_lib.settings import without_password_of
from build_lib.units import shortened

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
            reason = shortened(_without_proxies(innermost(error)))
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


def _without_proxies(reason: str) -> str:
    """The reason without what it may quote of the passwords of proxies."""
    for proxy in getproxies().values():
        reason = without_password_of(proxy, reason)
    return reason


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
