"""Recordings of downloads made by hand, and what is in stores of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from build_lib.downloads import Download, Recording, Store
from build_lib.settings import Settings

FILES: dict[str, bytes] = {  # by URL
    "https://pypi.org/simple/six/": b"<a href=six.whl>",
    "https://files.example/six.whl": b"wheel" * 1000,
    "http://deb.debian.org/debian/x.deb": b"deb",
}


def store_of(project: Path) -> Store:
    return Store(Settings.load(project, environ={}))


def download(url: str, content: bytes) -> Download:
    """That of a URL; without content, it was not found."""
    return Download(
        url=url,
        kind="pypi" if "pypi" in url else "http",
        status=200 if content else 404,
        sha256=hashlib.sha256(content).hexdigest() if content else "",
        size=len(content),
        headers=(("Content-Type", "text/html"),),
        accept="",
        source=url,
        at="2026-11-29T10:00:00+00:00",
        lines=(3, 5),
    )


def recording(service: str, files: Mapping[str, bytes], *, release: str = "v1") -> Recording:
    return Recording(
        service=service,
        release=release,
        fingerprint="f" * 16,
        path=f"src/{service}/Dockerfile",
        at="2026-11-29T10:00:00+00:00",
        downloads=tuple(download(url, content) for url, content in files.items()),
        passed=(),
    )


def record(project: Path, service: str, files: Mapping[str, bytes], *, release: str = "v1") -> Recording:
    """Put content into the store of a project, then the recording of it."""
    store = store_of(project)
    for content in filter(None, files.values()):
        with store.incoming() as incoming:
            incoming.write(content)
            incoming.keep()
    made = recording(service, files, release=release)
    store.write(made)
    return made


def held(project: Path) -> dict[str, bytes]:
    """All files in the store of a project, by their paths in it."""
    root = store_of(project).directory
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
