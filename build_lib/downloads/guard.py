"""Where the recorder may go for a build: nowhere that only this machine can reach.

A build's own network does not reach this machine's loopback, and the recorder must not lead it there, nor to
link-local addresses, where clouds answer with credentials.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from build_lib.errors import BuildError


class NotAllowed(BuildError):
    """A build asked for something that the recorder may not fetch."""


def check_address(host: str, address: str) -> None:
    """Check that a host may be reached at this address.

    Raises:
        NotAllowed: it may not.
    """
    found = ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    if found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast:
        raise NotAllowed(f"{host} is not asked: {address} is an address that only this machine reaches")


async def addresses(host: str, port: int) -> Sequence[tuple[socket.AddressFamily, str]]:
    """The addresses of a host, all of which may be reached.

    Raises:
        NotAllowed: one of them may not be reached.
        OSError: the name is not known.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for _, _, _, _, place in found:
        check_address(host, str(place[0]))
    return [(family, str(place[0])) for family, _, _, _, place in found]


class Resolver(AbstractResolver):
    """Resolves names for aiohttp's client, which connects to what is returned and asks no second time."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See AbstractResolver."""
        return [
            ResolveResult(hostname=host, host=address, port=port, family=of, proto=0, flags=socket.AI_NUMERICHOST)
            for of, address in await addresses(host, port)
            if family in (socket.AF_UNSPEC, of)
        ]

    async def close(self) -> None:
        """See AbstractResolver."""


def refused(error: BaseException) -> NotAllowed | None:
    """The refusal that caused an error of aiohttp's client, if one did."""
    seen: Any = error
    while seen is not None:
        if isinstance(seen, NotAllowed):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
