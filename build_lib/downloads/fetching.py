"""Recording: what builds ask for is fetched, passed on while it comes, and kept."""

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from aiohttp import web

from build_lib.downloads import links, serving, tunnel
from build_lib.downloads.guard import NotAllowed
from build_lib.downloads.recording import HEADERS, Download
from build_lib.downloads.routes import Target, origin
from build_lib.downloads.store import Incoming, Store
from build_lib.downloads.upstream import CHUNK, Answer, Upstream
from build_lib.downloads.ways import Key, Way, event, note
from build_lib.errors import BuildError
from build_lib.foreign import on_one_line

_KEPT = (200, 404, 410)  # statuses that are answers: something is there, or is not
_PASSED_ON = ("Accept", "User-Agent", "Authorization")  # headers of requests
_OF_A_MIRROR = ("Accept", "User-Agent")  # whose own login is in its URL
_OF_A_BODY = ("Content-Type", "Content-Length")
_PAGES = ("pypi", "npm")


class Fetching:
    """Answers builds from upstream, and records that. It lives in one event loop."""

    def __init__(self, store: Store, upstream: Upstream) -> None:
        self._store = store
        self._upstream = upstream
        self._known: dict[Key, Download] = {}  # of this run, for all services
        self._coming: dict[Key, asyncio.Event] = {}

    async def answer(
        self, request: web.BaseRequest, way: Way, target: Target, to: Callable[[str], str]
    ) -> web.StreamResponse:
        """Answer a request for a target, and record the answer for the way's service."""
        try:
            if request.method not in ("GET", "HEAD"):
                return await self._pass(request, way, target)
            return await self._recorded(request, way, target, to)
        except BuildError as error:
            return await _failed(request, way, target.url, error)

    async def connect(self, request: web.BaseRequest, way: Way, place: str) -> web.StreamResponse:
        """Pass on an encrypted connection, and note it."""
        try:
            reader, writer = await tunnel.open_connection(place, self._upstream)
        except BuildError as error:
            return await _failed(request, way, place, error)
        way.events.append(event("passed", place, "it is encrypted"))
        return await tunnel.relay(request, reader, writer)

    async def _recorded(
        self, request: web.BaseRequest, way: Way, target: Target, to: Callable[[str], str]
    ) -> web.StreamResponse:
        """Answer from what was recorded in this run, or else record it; one that is coming is waited for."""
        key = (target.url, _accept(request, target))
        while key not in self._known and key in self._coming:
            await self._coming[key].wait()
        if key in self._known:
            return await self._known_answer(request, way, key, to)
        self._coming[key] = asyncio.Event()
        try:
            return await self._fetch(request, way, target, key, to)
        finally:
            self._coming.pop(key).set()

    async def _known_answer(
        self, request: web.BaseRequest, way: Way, key: Key, to: Callable[[str], str]
    ) -> web.StreamResponse:
        note(way, key, self._known[key])
        return await serving.answer(request, self._known[key], self._store, to)

    async def _fetch(
        self, request: web.BaseRequest, way: Way, target: Target, key: Key, to: Callable[[str], str]
    ) -> web.StreamResponse:
        names = _PASSED_ON if target.kind == "http" else _OF_A_MIRROR
        headers = {**_passed_on(request, names), "Accept-Encoding": "identity"}
        async with self._upstream.ask("GET", target.upstream, headers) as answer:
            if answer.status not in _KEPT:
                way.events.append(event("failed", target.url, f"{answer.status} {answer.reason}"))
                return await _unchanged(request, answer)
            direct = answer.status == 200 and request.method == "GET" and "Range" not in request.headers
            if direct and target.kind not in _PAGES:
                return await self._passing(request, way, target, key, answer)
            await self._keep(target, key, answer, None)
        return await self._known_answer(request, way, key, to)

    async def _passing(
        self, request: web.BaseRequest, way: Way, target: Target, key: Key, answer: Answer
    ) -> web.StreamResponse:
        """Pass on an answer while it is kept."""
        response = web.StreamResponse(headers=dict(_kept(answer)))
        if answer.size is not None:
            response.content_length = answer.size
        await response.prepare(request)
        try:
            await self._keep(target, key, answer, response)
        except BuildError as error:  # the client must not take the part for the whole
            way.events.append(event("failed", target.url, error.message))
            if request.transport is not None:
                request.transport.abort()
            return response
        note(way, key, self._known[key])
        await response.write_eof()
        return response

    async def _keep(self, target: Target, key: Key, answer: Answer, response: web.StreamResponse | None) -> None:
        headers = dict(_kept(answer))
        sha256, size = "", 0
        if answer.status == 200:
            with self._store.incoming() as incoming:
                if response is None and target.kind in _PAGES and links.is_index(target.url, _type(headers)):
                    await _take_page(answer, headers, incoming)
                else:
                    await _take(answer, response, incoming)
                sha256, size = incoming.keep(), incoming.size
        self._known[key] = Download(
            url=target.url,
            kind=target.kind,
            status=answer.status,
            sha256=sha256,
            size=size,
            headers=tuple(headers.items()),
            accept=key[1],
            source=origin(answer.url),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            lines=(),
        )

    async def _pass(self, request: web.BaseRequest, way: Way, target: Target) -> web.StreamResponse:
        """Pass on a request that sends something: its answer says nothing about the next one."""
        body = request.content.iter_any() if request.can_read_body else None
        headers = _passed_on(request, (*_PASSED_ON, *_OF_A_BODY))
        async with self._upstream.ask(request.method, target.upstream, headers, body) as answer:
            way.events.append(event("passed", origin(target.url), f"{request.method} cannot be recorded"))
            return await _unchanged(request, answer)


async def _take(answer: Answer, response: web.StreamResponse | None, incoming: Incoming) -> None:
    """Keep a body, and pass it on while it comes."""
    async for chunk in answer.chunks():
        incoming.write(chunk)
        if response is not None:
            await response.write(chunk)
    if answer.size is not None and incoming.size != answer.size:
        raise BuildError(f"{origin(answer.url)}: unexpected EOF after {incoming.size}B of {answer.size}B")


async def _take_page(answer: Answer, headers: dict[str, str], incoming: Incoming) -> None:
    """Keep an index page, unpacked: it is sent with other links."""
    unpacked = _unpacked(headers)
    async for chunk in answer.chunks():
        for piece in unpacked(chunk):
            incoming.write(piece)
            if incoming.size > serving.LARGEST_PAGE:
                raise BuildError(f"{origin(answer.url)}: an index page of more than {serving.LARGEST_PAGE} bytes")


def _type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "")


def _accept(request: web.BaseRequest, target: Target) -> str:
    """What the answer depends on: the indexes of PyPI and npm come in two forms."""
    return on_one_line(request.headers.get("Accept", "")) if target.kind in _PAGES else ""


def _passed_on(request: web.BaseRequest, names: Sequence[str]) -> dict[str, str]:
    return {name: request.headers[name] for name in names if name in request.headers}


async def _failed(request: web.BaseRequest, way: Way, what: str, error: BuildError) -> web.StreamResponse:
    """Answer that something cannot be fetched, or may not be."""
    refused = isinstance(error, NotAllowed)
    way.events.append(event("refused" if refused else "failed", what, error.message))
    return await serving.plain(request, 403 if refused else 502, error.message)


def _kept(answer: Answer) -> list[tuple[str, str]]:
    return [(name, on_one_line(answer.headers[name])) for name in HEADERS if name in answer.headers]


async def _unchanged(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Pass on an answer that is not recorded."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=dict(_kept(answer)))
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.chunks():
            await response.write(chunk)
    await response.write_eof()
    return response


def _unpacked(headers: dict[str, str]) -> Callable[[bytes], Iterator[bytes]]:
    """What unpacks a page that came compressed although that was not asked for."""
    if headers.pop("Content-Encoding", "").lower() not in ("gzip", "x-gzip"):
        return lambda chunk: iter((chunk,))
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def pieces(chunk: bytes) -> Iterator[bytes]:
        try:
            while piece := unpacking.decompress(chunk, CHUNK):
                yield piece
                chunk = unpacking.unconsumed_tail
        except zlib.error as error:
            raise BuildError(f"an index page cannot be unpacked: {error}") from None

    return pieces
