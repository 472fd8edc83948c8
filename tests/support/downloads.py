"""Recordings of downloads, put into a repository's store as a recorder does it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from build_lib.downloads import Download, Passed, Recording, Store
from build_lib.settings import Settings

AT = "2026-11-29T10:00:00+00:00"


def store_of(root: Path) -> Store:
    root.mkdir(parents=True, exist_ok=True)
    return Store(Settings.load(root, environ={}))


def recorded(service: str, answers: Mapping[str, bytes | None], *, release: str = "v1") -> Recording:
    """A recording of these answers, by URL; None is one without content."""
    return Recording(
        service=service,
        release=release,
        fingerprint="f" * 16,
        path=f"src/{service}/Dockerfile",
        at=AT,
        downloads=tuple(_download(url, content) for url, content in answers.items()),
        passed=(Passed(what="github.com:443", why="encrypted", lines=(4,)),),
    )


def record(root: Path, service: str, answers: Mapping[str, bytes | None], *, release: str = "v1") -> Recording:
    """Put a recording and its content into the store of the repository at `root`."""
    store, made = store_of(root), recorded(service, answers, release=release)
    for content in answers.values():
        if content is not None:
            with store.incoming() as incoming:
                incoming.write(content)
                incoming.keep()
    store.write(made)
    return made


def _download(url: str, content: bytes | None) -> Download:
    return Download(
        url=url,
        kind="http",
        status=404 if content is None else 200,
        sha256="" if content is None else hashlib.sha256(content).hexdigest(),
        size=len(content or b""),
        headers=(("Content-Type", "application/octet-stream"),),
        accept="",
        source=url,
        at=AT,
        lines=(3,),
    )
