"""Recordings of downloads, with their content in a store, and a server of plain files."""

import contextlib
import functools
import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from build_lib.downloads import Download, Kind, Passed, Recording, Store

AT = "2026-11-29T10:00:00+00:00"
SIMPLE = "application/vnd.pypi.simple.v1+json"


def put(store: Store, content: bytes) -> str:
    with store.incoming() as incoming:
        incoming.write(content)
        return incoming.keep()


def download(
    store: Store, url: str, content: bytes | str, *, kind: Kind = "http", content_type: str = "", source: str = ""
) -> Download:
    """A download whose content is in the store."""
    content = content.encode() if isinstance(content, str) else content
    return Download(
        url=url,
        kind=kind,
        status=200,
        sha256=put(store, content),
        size=len(content),
        headers=(("Content-Type", content_type),) if content_type else (),
        accept="",
        source=source or url,
        at=AT,
        lines=(3,),
    )


def fetched(store: Store, url: str, *, kind: Kind = "http", accept: str = "*/*") -> tuple[Download, bytes]:
    """A real download, from its upstream."""
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as answer:
        content = answer.read()
        content_type = answer.headers["Content-Type"] or ""
    return download(store, url, content, kind=kind, content_type=content_type), content


def recording(
    *downloads: Download, service: str = "web", release: str = "v1", passed: tuple[Passed, ...] = (), at: str = AT
) -> Recording:
    path = f"src/{service}/Dockerfile"
    return Recording(
        service=service,
        release=release,
        fingerprint="f" * 16,
        path=path,
        at=at,
        downloads=downloads,
        passed=passed,
    )


def of_pypi(store: Store, name: str, file: str) -> list[Download]:
    """The page of a package, as pip asks for it, and one of its files."""
    page, content = fetched(store, f"https://pypi.org/simple/{name}/", kind="pypi", accept=SIMPLE)
    [url] = [each["url"] for each in json.loads(content)["files"] if each["filename"] == file]
    return [page, fetched(store, url)[0]]


def of_npm(store: Store, name: str, version: str) -> list[Download]:
    """The document about a package, as npm asks for it, and the tarball of a version."""
    page, content = fetched(store, f"https://registry.npmjs.org/{name.replace('/', '%2f')}", kind="npm")
    tarball = json.loads(content)["versions"][version]["dist"]["tarball"]
    return [page, fetched(store, tarball, kind="npm")[0]]


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    """The URL at which Python's own server serves a directory."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Nothing is written to stderr."""
