"""What only newer builders know: ADD with a checksum and of a repository; recorded and replayed through a daemon."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.downloads import Recording, Store
from build_lib.engine import Engine
from build_lib.settings import Settings
from tests.support.engines import install
from tests.support.fleet_sites import Site
from tests.support.fleets import StartDaemon
from tests.support.upstreams import OTHER, PLAIN, RELEASE, REPOSITORY, Upstreams


@pytest.fixture
def upstreams(engine: Engine, machine: Settings, tmp_path: Path) -> Iterator[Upstreams]:
    install("openssl", "openssl", machine)
    network = engine.networks.default()
    assert network is not None
    made = Upstreams(network.gateway, tmp_path / "upstreams")
    yield made
    made.close()


@pytest.fixture
def near(site: Site, daemon: StartDaemon, upstreams: Upstreams) -> Site:
    """A site with one daemon, which reaches the recorder at the address of the servers."""
    site.use(daemon("one"))
    site.environment["RECORDER_ADDRESS"] = upstreams.storage.host.partition(":")[0]
    return site


def recorded(site: Site, service: str) -> Recording:
    found = Store(Settings.load(site.project, environ={})).recording("v1", service)
    assert found is not None
    return found


def test_adds_with_a_checksum_and_of_repositories_are_recorded_and_replayed(near: Site, upstreams: Upstreams) -> None:
    plain, storage = upstreams.storage.files[PLAIN], f"http://{upstreams.storage.host}"
    checksums = [hashlib.sha256(content).hexdigest() for content in (plain, upstreams.tarball)]
    near.service(
        "web",
        f"ADD --checksum=sha256:{checksums[0]} {storage}{PLAIN} /plain",
        f"ARG GITHUB_MIRROR={upstreams.arguments['GITHUB_MIRROR']}",
        f"ADD --checksum=sha256:{checksums[1]} ${{GITHUB_MIRROR}}{RELEASE} /tool.tar.gz",
        f"ADD {storage}{OTHER}#v1 /other",
        f"ADD ${{GITHUB_MIRROR}}{REPOSITORY} /tool",
    )
    near.done("build-all", "--record")
    found = {item.url: item for item in recorded(near, "web").downloads}
    assert {url: (item.kind, item.lines) for url, item in found.items()} == {
        f"{storage}{PLAIN}": ("http", (2,)),
        RELEASE: ("http", (4,)),
        f"{storage}{OTHER}": ("git", (5,)),
        REPOSITORY: ("git", (6,)),
    }
    before = near.files("web")
    assert before["plain"][1] == plain
    assert before["other/second"][1] == f"second of {OTHER}\n".encode()
    asked = upstreams.storage.asked.total() + upstreams.front.asked.total()
    near.done("build-all", "--replay", "--force")
    assert upstreams.storage.asked.total() + upstreams.front.asked.total() == asked
    assert near.files("web") == before


def test_a_wrong_checksum_fails_while_it_is_recorded(near: Site, upstreams: Upstreams) -> None:
    near.service("web", f"ADD --checksum=sha256:{'0' * 64} http://{upstreams.storage.host}{PLAIN} /plain")
    done = near.inv("build-all", "--record")
    assert done.returncode == 1
    assert "web cannot be built: src/web/Dockerfile" in done.stderr
    assert "mismatch" in done.stderr, done.stderr
    assert Store(Settings.load(near.project, environ={})).recording("v1", "web") is None


def test_what_a_cache_mount_has_is_downloaded_again_to_be_recorded(near: Site, upstreams: Upstreams) -> None:
    url = f"http://{upstreams.storage.host}{PLAIN}"
    fetch = f"test -f /cache/plain || busybox wget -q -O /cache/plain {url}"
    near.service("web", f"RUN --mount=type=cache,target=/cache {fetch} && cp /cache/plain /plain")
    near.done("build-all")
    for flags in ([], ["--force"]):
        near.done("build-all", "--record", *flags)
        assert [(item.url, item.lines) for item in recorded(near, "web").downloads] == [(url, (2,))]
    near.done("build-all", "--replay", "--force")
    assert near.files("web")["plain"][1] == upstreams.storage.files[PLAIN]
