"""Hosts, and the URLs that registries give: redirects, upload locations, further pages, token servers."""

import re
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from build_lib.errors import RegistryError
from build_lib.reference import DOCKER_HUB
from build_lib.units import shortened

_HUB_API = "registry-1.docker.io"
# without a user's name in front
_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def api_host(host: str) -> str:
    """The host of a registry's API, which for Docker Hub differs from its name."""
    return _HUB_API if host == DOCKER_HUB else host


def host_name(host: str) -> str:
    """The host without its port."""
    return urlsplit(f"//{host}").hostname or host


def is_loopback(host: str) -> bool:
    """Whether the host, with or without a port, is a loopback address."""
    address = _address(host)
    return address.is_loopback if address else host_name(host) == "localhost"


def is_here(host: str) -> bool:
    """Whether the host is an address of this machine alone, such as loopback or link-local ones. Names count as others.

    Link-local addresses are those of metadata services.
    """
    address = _address(host)
    return is_loopback(host) or (address is not None and (address.is_link_local or address.is_unspecified))


def joined(base: str, given: str) -> SplitResult:
    """The URL that a server gives, which may be relative to `base`.

    Raises:
        RegistryError: it is not a plain http or https URL.
    """
    with suppress(ValueError):  # "Invalid IPv6 URL", "Port out of range"
        url = urlsplit(urljoin(base, given))
        if url.scheme in ("http", "https") and _HOST.fullmatch(url.netloc) and url.port != 0:
            return url
    raise RegistryError(f"{urlsplit(base).netloc} leads to {shortened(given)!r}, which is not a valid address")


def check_lead(source: SplitResult, target: SplitResult, *, may_be_insecure: bool) -> None:
    """Check that a server at `source` may lead a request to `target`.

    `may_be_insecure` says that the user accepts plain http for the target's host.

    Raises:
        RegistryError: the target is not encrypted although the source is, or it is this machine and the source is not.
    """
    if source.netloc == target.netloc and source.scheme == target.scheme:
        return
    where = f"{source.netloc} leads to {target.scheme}://{target.netloc}"  # a query may contain a signature
    if is_here(target.netloc) and not is_here(source.netloc):
        raise RegistryError(f"{where}, which is an address of this machine alone")
    if target.scheme == "http" and source.scheme == "https" and not may_be_insecure:
        raise RegistryError(f"{where}, which is not encrypted")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The host's address if it is written as one, also in the forms that the resolver accepts, such as 127.1."""
    name = host_name(host)
    with suppress(ValueError):
        found = ip_address(name)
        return getattr(found, "ipv4_mapped", None) or found
    with suppress(OSError):
        return IPv4Address(socket.inet_aton(name))
    return None
