"""The recorder: what stands between the builds of one run and everything outside, in a thread of its own."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from build_lib.downloads import git, mirror_args
from build_lib.downloads.fetching import Fetching
from build_lib.downloads.recording import Download, Recording
from build_lib.downloads.replaying import Replaying
from build_lib.downloads.server import Handler
from build_lib.downloads.store import Store
from build_lib.downloads.upstream import Upstream
from build_lib.downloads.ways import Seen, Way, Ways
from build_lib.errors import BuildError
from build_lib.repository import Service
from build_lib.settings import Settings

T = TypeVar("T")
_ENDING_SECONDS = 10.0
_PROXIES = ("http_proxy", "https_proxy")
_CACHES = "BUILDKIT_CACHE_MOUNT_NS"  # of BuildKit's front end: what the caches of RUN --mount=type=cache belong to


class Recorder:
    """Records what builds download, or replays `recordings`, within a `with` block.

    It listens at `address`, a host of this machine that builds reach, at any free port if it names none. If the host is
    none of this machine's addresses, it listens at all of them.
    """

    def __init__(self, address: str, store: Store, settings: Settings, recordings: Mapping[str, Recording] | None):
        host, _, port = address.rpartition(":") if address.rpartition(":")[2].isdecimal() else (address, "", "0")
        self._host, self._port = host.strip("[]"), int(port)
        self._store = store
        self._settings = settings
        self._recordings = recordings
        self._ways = Ways()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recorder", daemon=True)
        self._ends: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._handler: Handler | None = None
        self.authority = ""

    @property
    def replays(self) -> bool:
        """Whether it serves only what was recorded."""
        return self._recordings is not None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._do(self._start())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ENDING_SECONDS)
        self._loop.close()
        if error is None and self._handler and self._handler.unexpected:
            raise self._handler.unexpected[0]

    def open(self, service: Service) -> tuple[Way, dict[str, str]]:
        """Open the way of a service, and return it with the build arguments that lead its build there."""
        arguments = mirror_args.given(service, self._settings.mirror_args)
        way = self._do(self._opened(service.name, mirror_args.upstreams(arguments)))
        found = dict(mirror_args.values(arguments, way, self.authority, replay=self.replays))
        proxy = way.proxy(self.authority)
        found |= {name: proxy for each in _PROXIES for name in (each, each.upper())}
        return way, found | {_CACHES: way.token}  # what an earlier build left in a cache would not be asked for

    def close(self, way: Way) -> Seen:
        """Close a way, and return what was asked for on it."""
        return self._do(self._closed(way))

    async def _start(self) -> None:
        # it would print what builds send that is no HTTP; failures of this program are raised at the end
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        recorded = self._recordings
        of_git = None if recorded is None else {name: _of_git(each) for name, each in recorded.items()}
        repositories = git.Repositories(self._store, self._settings.environment, of_git)
        self._ends.append(lambda: _closing(repositories))
        if recorded is None:
            upstream = Upstream(self._settings)
            self._ends.append(upstream.close)
            source: Fetching | Replaying = Fetching(self._store, upstream)
        else:
            source = Replaying(self._store, recorded)
        handler = self._handler = Handler(self._ways, source, repositories)
        runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0)
        await runner.setup()
        self._ends.append(runner.cleanup)
        listening = self._listen()
        await web.SockSite(runner, listening).start()
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.authority = handler.authority = f"{shown}:{listening.getsockname()[1]}"

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server((self._host, self._port), family=_family(self._host))
        except OSError as first:
            if not self._port:
                raise self._cannot_listen(first) from None
        try:  # the address is another machine's, which leads to this one
            return socket.create_server(("", self._port))
        except OSError as error:
            raise self._cannot_listen(error) from None

    def _cannot_listen(self, error: OSError) -> BuildError:
        return BuildError(
            f"the recorder cannot listen at {self._host}, port {self._port or 'any'}: {error.strerror or error}",
            hint="set RECORDER_ADDRESS to an address of this machine that builds reach, host or host:port",
        )

    async def _end(self) -> None:
        for end in reversed(self._ends):
            await end()

    async def _opened(self, service: str, upstreams: Mapping[str, str]) -> Way:
        return self._ways.open(service, upstreams)

    async def _closed(self, way: Way) -> Seen:
        self._ways.close(way)
        downloads = ((item, tuple(way.moments[key])) for key, item in way.downloads.items())
        return Seen(downloads=tuple(downloads), events=tuple(way.events), requests=way.requests)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _of_git(recording: Recording) -> dict[str, Download]:
    return {item.url: item for item in recording.downloads if item.kind == "git"}


async def _closing(repositories: git.Repositories) -> None:
    repositories.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
