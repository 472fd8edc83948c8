"""Answers to builds from the store: whole, in ranges, or only that nothing changed (RFC 9110)."""

from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from build_lib.downloads import links
from build_lib.downloads.recording import Download
from build_lib.downloads.store import Store
from build_lib.downloads.upstream import CHUNK
from build_lib.foreign import on_one_line

LARGEST_PAGE = 64 << 20  # bytes of a page whose links are rewritten


async def answer(
    request: web.BaseRequest, download: Download, store: Store, to: Callable[[str], str] | None
) -> web.StreamResponse:
    """Answer a GET or HEAD with what was recorded. `to` says what the links of index pages become, if they change."""
    headers = dict(download.headers)
    if download.status != 200:
        response = web.Response(status=download.status, headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        return response
    if _is_unchanged(request, headers):
        unchanged = web.Response(status=304, headers=headers)
        await unchanged.prepare(request)
        return unchanged
    page = _page(download, store, to)
    if page is not None:
        response = web.Response(body=page, headers=headers)
        await response.prepare(request)
        return response
    return await _file(request, store.path(download.sha256), download.size, headers)


def _is_page(download: Download) -> bool:
    """Whether it is an index of packages, whose links lead to other mirrors than the recorder."""
    return download.kind in ("pypi", "npm") and download.status == 200 and links.is_index(download.url, _type(download))


async def plain(request: web.BaseRequest, status: int, reason: str) -> web.StreamResponse:
    """Answer with a status and a reason, which programs such as apt print."""
    line = on_one_line(reason)[:200]
    response = web.Response(status=status, reason=line.encode("ascii", "replace").decode(), text=f"{line}\n")
    await response.prepare(request)
    return response


def _page(download: Download, store: Store, to: Callable[[str], str] | None) -> bytes | None:
    if to is None or not download.sha256 or download.size > LARGEST_PAGE or not _is_page(download):
        return None
    content = store.path(download.sha256).read_bytes()
    return links.rewritten(content, _type(download), download.source, to)  # a mirror's own relative links


def _type(download: Download) -> str:
    return dict(download.headers).get("Content-Type", "")


def _is_unchanged(request: web.BaseRequest, headers: dict[str, str]) -> bool:
    """Whether the client has this content already (RFC 9110, 13.2.2)."""
    etag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
    known = request.headers.get("If-None-Match", "")
    if known:
        return known.strip() == "*" or (bool(etag) and etag.removeprefix("W/") in _tags(known))
    return bool(changed) and request.headers.get("If-Modified-Since", "") == changed


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


async def _file(request: web.BaseRequest, path: Path, size: int, headers: dict[str, str]) -> web.StreamResponse:
    try:
        begin, end = _range(request, size, headers)
    except ValueError:
        refusal = web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        await refusal.prepare(request)
        return refusal
    response = web.StreamResponse(headers={**headers, "Accept-Ranges": "bytes"})
    if end - begin < size:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    response.content_length = end - begin
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(response, path, begin, end)
    await response.write_eof()
    return response


async def _send(response: web.StreamResponse, path: Path, begin: int, end: int) -> None:
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end and (chunk := file.read(min(CHUNK, end - begin))):
            await response.write(chunk)
            begin += len(chunk)


def _range(request: web.BaseRequest, size: int, headers: dict[str, str]) -> tuple[int, int]:
    """The first byte that is asked for and the one after the last. Several ranges are answered with the whole.

    Raises:
        ValueError: there are no such bytes.
    """
    validator, asked = request.headers.get("If-Range", ""), request.headers.get("Range", "")
    if "," in asked or not asked.startswith("bytes="):
        return 0, size
    if validator and validator not in (headers.get("ETag"), headers.get("Last-Modified")):
        return 0, size
    given = request.http_range
    begin, end, _ = given.indices(size)
    if begin >= end:
        raise ValueError(asked)
    return begin, end
