"""A release whose recording lost content, or whose builds partly fail: what a recording run says, and records."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.downloads import Store
from build_lib.settings import Settings
from tests.support.commands import run_inv, said
from tests.support.page_servers import Page, Upstream, serving
from tests.support.projects import needs

BODY = b"first\n"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        server.pages["/first"] = Page(body=BODY)
        yield server


class Site:
    """A repository whose builds are recorded as v1."""

    def __init__(self, project: Path, tiny: str, prefix: str) -> None:
        self.project = project
        self.tiny = tiny
        self.environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}
        self.store = Store(Settings.load(project, environ={}))

    def fetches(self, service: str, url: str) -> None:
        """A service that needs this URL."""
        needs(self.project, service, self.tiny, f"RUN busybox wget -q -O /got {url}")

    def inv(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.project, arguments, self.environment)


@pytest.fixture
def site(project: Path, tiny: str, prefix: str) -> Site:
    return Site(project, tiny, prefix)


def test_content_that_is_lost_is_recorded_again(site: Site, upstream: Upstream) -> None:
    site.fetches("web", f"{upstream.url}/first")
    assert site.inv("build-all", "--record").returncode == 0
    recording = site.store.recording("v1", "web")
    assert recording is not None
    path = site.store.path(recording.downloads[0].sha256)
    path.unlink()
    done = site.inv("build-all", "--record")
    assert "web: out of date: the content of recorded downloads is missing" in said(done)
    assert (done.returncode, path.read_bytes()) == (0, BODY)
    path.write_bytes(b"F" + BODY[1:])
    damaged = site.inv("downloads", "--verify")
    assert (damaged.returncode, "next: ./inv build-all --record --force -t v1\n" in damaged.stderr) == (1, True)
    assert site.inv("build-all", "--record", "--force", "-t", "v1").returncode == 0
    assert path.read_bytes() == BODY


def test_only_what_was_built_counts_as_recorded(site: Site, upstream: Upstream) -> None:
    site.fetches("web", f"{upstream.url}/first")
    site.fetches("bad", f"{upstream.url}/first && busybox wget -q -O /none {upstream.url}/none")
    done = site.inv("build-all", "--record")
    assert done.returncode == 1
    assert "  recorded for v1: 1 download, 6 B, from 1 host, by 1 service; 1 service not built\n" in said(done)
    assert site.store.services("v1") == ["web"]
