"""The recorder's HTTP server: a forward proxy, and mirrors under paths, for the builds of one run."""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from build_lib.downloads import git, routes, serving
from build_lib.downloads.routes import Target
from build_lib.downloads.ways import Way, Ways

_LOGIN = {"Proxy-Authenticate": 'Basic realm="build-lib"'}
_AUDITS = "-/npm/v1/security/"  # what npm asks besides packages, and does without


class Source(Protocol):
    """Where answers come from."""

    async def answer(
        self, request: web.BaseRequest, way: Way, target: Target, to: Callable[[str], str]
    ) -> web.StreamResponse:
        """Answer a request. `to` says what the links of index pages become."""

    async def connect(self, request: web.BaseRequest, way: Way, place: str) -> web.StreamResponse:
        """Answer a CONNECT."""


class Handler:
    """Answers all requests. `authority` is the host and port under which builds reach it.

    `unexpected` are failures that are faults of this program: their clients only get the status 500.
    """

    def __init__(self, ways: Ways, source: Source, repositories: git.Repositories) -> None:
        self.authority = ""  # known once it listens
        self.unexpected: list[Exception] = []
        self._ways = ways
        self._source = source
        self._repositories = repositories

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """See web.Server."""
        try:
            return await self._handle(request)
        except ConnectionError:  # the build has gone
            return web.Response(status=499)
        except Exception as error:
            self.unexpected.append(error)
            raise

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = request.raw_path
        if request.method == "CONNECT":
            return await self._connect(request, raw)
        if raw.startswith("/"):
            return await self._mirror(request, raw)
        parts = urlsplit(raw)
        if parts.netloc == self.authority:  # a mirror, asked for through the proxy
            return await self._mirror(request, parts._replace(scheme="", netloc="").geturl())
        way = self._ways.of_login(request.headers.get("Proxy-Authorization", ""))
        if way is None:
            return await _login(request)
        way.requests += 1
        if parts.scheme != "http" or not parts.netloc:
            return await serving.plain(request, 400, f"{routes.origin(raw)} is no URL of http")
        netloc = parts.netloc.rpartition("@")[2]
        url = parts._replace(netloc=netloc, path=parts.path or "/", fragment="").geturl()
        return await self._answer(request, way, Target(kind="http", url=url, upstream=url))

    async def _connect(self, request: web.BaseRequest, place: str) -> web.StreamResponse:
        way = self._ways.of_login(request.headers.get("Proxy-Authorization", ""))
        if way is None:
            return await _login(request)
        way.requests += 1
        return await self._source.connect(request, way, place)

    async def _mirror(self, request: web.BaseRequest, raw: str) -> web.StreamResponse:
        token, _, path = raw.removeprefix("/").partition("/")
        way = self._ways.of_token(token)
        if way is None:
            return await serving.plain(request, 403, "only builds of this run are answered")
        way.requests += 1
        target = routes.target(path, way.upstreams)
        if target is None or path.startswith(f"npm/{_AUDITS}"):
            return await serving.plain(request, 404, "there is no such mirror")
        return await self._answer(request, way, target)

    async def _answer(self, request: web.BaseRequest, way: Way, target: Target) -> web.StreamResponse:
        if git.is_for(target.url, request.method):
            return await self._repositories.answer(request, way, target)
        base = way.mirror(self.authority)
        return await self._source.answer(request, way, target, lambda url: base + routes.path_of(url))


async def _login(request: web.BaseRequest) -> web.StreamResponse:
    response = web.Response(status=407, headers=_LOGIN, text="only builds of this run are answered\n")
    await response.prepare(request)
    return response
