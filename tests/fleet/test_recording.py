"""What the builds of a fleet download is recorded and replayed, whichever daemon builds."""

from collections.abc import Iterator

import pytest

from build_lib.downloads import Store
from build_lib.settings import Settings
from tests.support.fleet_sites import Site
from tests.support.fleets import Daemon
from tests.support.page_servers import Page, Upstream, serving

HERE = {"RECORDER_ADDRESS": "127.0.0.1"}  # the daemons of the tests have the network of this machine


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        server.pages["/first"] = Page(body=b"first\n")
        server.pages["/second"] = Page(body=b"second\n")
        yield server


def services(site: Site, upstream: Upstream) -> None:
    """Two services, one on the other, each with a download of its own."""
    site.service("base", f"RUN wget -q -O /first {upstream.url}/first")
    site.service("top", f"RUN wget -q -O /second {upstream.url}/second", on="site-base:v1")


def test_it_is_recorded_and_replayed_on_any_of_them(
    site: Site, pair: tuple[Daemon, Daemon], upstream: Upstream
) -> None:
    services(site, upstream)
    said = site.done("build-all", "--record", **HERE)
    assert "recorded for v1: 2 downloads, 13 B, from 1 host, by 2 services\n" in said
    recordings = Store(Settings.load(site.project, environ={})).recordings("v1")
    assert {name: [(item.url, item.lines) for item in each.downloads] for name, each in recordings.items()} == {
        "base": [(f"{upstream.url}/first", (2,))],
        "top": [(f"{upstream.url}/second", (2,))],
    }
    asked = len(upstream.asked)
    pair[0].kill()
    said = site.done("build-all", "--replay", "--force", **HERE)
    assert "closed room: not proved, because builds had another way out" in said
    assert "2 requests, 2 downloads, 13 B, from 1 host" in said
    assert (site.text("base", "first"), site.text("top", "second")) == ("first\n", "second\n")
    assert len(upstream.asked) == asked


def test_only_its_user_knows_where_a_fleet_reaches_this_machine(
    site: Site, pair: tuple[Daemon, Daemon], upstream: Upstream
) -> None:
    services(site, upstream)
    done = site.inv("build-all", "--record")
    assert done.returncode == 1
    assert "error: the recorder needs an address of this machine that builds reach" in done.stderr
    assert "next: set RECORDER_ADDRESS in .env" in done.stderr
    assert upstream.asked == []
