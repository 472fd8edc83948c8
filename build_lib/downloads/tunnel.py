"""CONNECT: an encrypted connection between a build and a host, of which nothing can be recorded."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from aiohttp import web

from build_lib.downloads import guard
from build_lib.downloads.upstream import CHUNK, Upstream
from build_lib.errors import BuildError

_CONNECT_SECONDS = 15
_LONGEST_HEAD = 1 << 14  # bytes of a proxy's answer


async def open_connection(place: str, upstream: Upstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to `host:port`, through the proxy that the environment names, if it names one.

    Raises:
        NotAllowed: builds may not reach it.
        BuildError: it cannot be reached.
    """
    host, port = _host(place)
    proxy = upstream.proxy(f"https://{place}")
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            if proxy:
                return await _through(proxy, place)
            for _, address in await guard.addresses(host, port):
                with suppress(OSError):
                    return await asyncio.open_connection(address, port)
            raise BuildError(f"{place} cannot be reached")
    except TimeoutError:
        raise BuildError(f"{place} does not answer within {_CONNECT_SECONDS} s") from None
    except OSError as error:
        raise BuildError(f"{place} cannot be reached: {error.strerror or error}") from None


async def relay(
    request: web.BaseRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> web.StreamResponse:
    """Pass on what both sides send, until one of them ends."""
    client = _Client(request)
    response = web.StreamResponse()
    response.force_close()
    await response.prepare(request)

    async def forth() -> None:
        async for chunk in _chunks(client.reader):
            writer.write(chunk)
            await writer.drain()

    async def back() -> None:
        async for chunk in _chunks(reader):
            await response.write(chunk)

    sides = [asyncio.ensure_future(side()) for side in (forth, back)]
    try:
        await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
        writer.close()
    return response


class _Client:
    """What the client of a CONNECT sends: to aiohttp, whatever takes it is a parser, as for a WebSocket."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.reader = asyncio.StreamReader(limit=CHUNK)
        if request.transport is not None:
            self.reader.set_transport(request.transport)  # which is paused while too much is waiting
        request.protocol.set_parser(self)  # type: ignore[arg-type]  # declared for WebSockets alone

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take the next bytes; they never end by themselves."""
        self.reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        """The client has closed the connection."""
        self.reader.feed_eof()


def _host(place: str) -> tuple[str, int]:
    with suppress(ValueError):
        parts = urlsplit(f"//{place}")
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    raise BuildError(f"{place} is no host with a port")


async def _through(proxy: str, place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    header = f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n" if parts.username else ""
    writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{header}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if len(head) > _LONGEST_HEAD or head.split(b" ", 2)[1:2] != [b"200"]:
        writer.close()
        said = head.partition(b"\r\n")[0].decode("ascii", "replace")
        raise BuildError(f"the proxy {parts.hostname} does not lead to {place}: {said}")
    return reader, writer


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(CHUNK):
        yield chunk
