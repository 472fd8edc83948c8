"""Replay: builds get what was recorded for their service, and nothing else."""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from build_lib.downloads import serving
from build_lib.downloads.recording import Download, Recording
from build_lib.downloads.routes import Target, origin
from build_lib.downloads.store import Store
from build_lib.downloads.ways import Way, event, note
from build_lib.foreign import on_one_line
from build_lib.registry import Descriptor

_NOT_RECORDED = "not recorded"


class Replaying:
    """Answers builds from their recordings, with content that has the recorded digest."""

    def __init__(self, store: Store, recordings: Mapping[str, Recording]) -> None:
        self._store = store
        self._of_service = {name: _by_url(each) for name, each in recordings.items()}
        self._reading: dict[str, asyncio.Lock] = {}
        self._whole: set[str] = set()

    async def answer(
        self, request: web.BaseRequest, way: Way, target: Target, to: Callable[[str], str]
    ) -> web.StreamResponse:
        """Answer a request with what was recorded for the way's service, or refuse it."""
        if request.method not in ("GET", "HEAD"):
            return await self._refuse(request, way, origin(target.url), f"{request.method} cannot be recorded")
        variants = self._of_service.get(way.service, {}).get(target.url, {})
        accept = on_one_line(request.headers.get("Accept", ""))
        found = variants.get(accept) or next(iter(variants.values()), None)
        if found is None:
            return await self._refuse(request, way, target.url, _NOT_RECORDED)
        if found.blob and (fault := await self._fault(found.blob)):
            return await self._refuse(request, way, target.url, f"its content, sha256:{found.sha256}, is {fault}")
        note(way, (found.url, found.accept), found)
        return await serving.answer(request, found, self._store, to)

    async def connect(self, request: web.BaseRequest, way: Way, place: str) -> web.StreamResponse:
        """Refuse an encrypted connection."""
        return await self._refuse(request, way, place, "an encrypted connection cannot be recorded")

    async def _fault(self, blob: Descriptor) -> str:
        """What is wrong with this content, which is read once, by a thread: others are answered meanwhile."""
        async with self._reading.setdefault(blob.digest, asyncio.Lock()):
            if blob.digest in self._whole and self._store.blobs.has(blob):
                return ""
            fault = await asyncio.to_thread(self._store.fault, blob)
            if not fault:
                self._whole.add(blob.digest)
            return fault

    async def _refuse(self, request: web.BaseRequest, way: Way, what: str, why: str) -> web.StreamResponse:
        way.events.append(event("refused", what, why))
        return await serving.plain(request, 403, f"build-lib: {why}")


def _by_url(recording: Recording) -> dict[str, dict[str, Download]]:
    found: dict[str, dict[str, Download]] = {}
    for item in recording.downloads:
        found.setdefault(item.url, {})[item.accept] = item
    return found
