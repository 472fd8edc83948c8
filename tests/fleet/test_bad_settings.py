"""Builders that cannot be used: each is an error that says why, before anything is built."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.fleet_sites import Site
from tests.support.fleets import Daemon
from tests.support.registries import free_place


@pytest.fixture
def web_server() -> Iterator[str]:
    """The host of a web server, which knows nothing of HTTP/2."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads what it would print."""


def refused(site: Site, **environment: str) -> str:
    """The error of a run that builds nothing."""
    site.service("web")
    done = site.inv("build-all", **environment)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1, done.stderr
    assert "web ..." not in done.stdout
    assert site.digest("web") is None
    return done.stderr


@pytest.mark.parametrize("wrong", ["tcp://nowhere", "tcp://host:port", "ssh://user@host/x", "http://127.0.0.1:1234"])
def test_an_entry_of_another_form(site: Site, wrong: str) -> None:
    said = refused(site, BUILDERS=wrong)
    assert "error: BUILDERS in the environment is " in said
    assert f"'{wrong}' has another form than tcp://host:port, " in said


def test_the_same_builder_twice(site: Site) -> None:
    said = refused(site, BUILDERS="tcp://127.0.0.1:1,tcp://127.0.0.1:1")
    assert "each builder once, but 127.0.0.1:1 is there twice" in said


def test_nobody_listens(site: Site) -> None:
    hosts = [free_place(), free_place()]
    said = refused(site, BUILDERS=" ".join(f"tcp://{host}" for host in hosts))
    reasons = "; ".join(f"builder {host} does not answer: Connection refused" for host in hosts)
    assert said.startswith(f"error: none of BUILDERS can be used: {reasons}\n")


def test_a_host_that_does_not_exist(site: Site) -> None:
    said = refused(site, BUILDERS="tcp://no-such-host.invalid:1234")
    assert "error: none of BUILDERS can be used: builder no-such-host.invalid:1234 does not answer: " in said


def test_a_web_server(site: Site, web_server: str) -> None:
    said = refused(site, BUILDERS=f"tcp://{web_server}")
    assert f"error: none of BUILDERS can be used: builder {web_server} is no BuildKit daemon\n" in said


def test_a_builder_that_buildx_does_not_know(site: Site) -> None:
    said = refused(site, BUILDERS="no-such-builder")
    assert "error: none of BUILDERS can be used: builder no-such-builder does not answer: no builder " in said


def test_no_registry(site: Site) -> None:
    said = refused(site, BUILDERS="tcp://127.0.0.1:1", PRIVATE_REGISTRY="")
    assert said.startswith("error: BUILDERS needs a registry, by which images go between builders\n  next: set ")


def test_no_buildx(site: Site) -> None:
    said = refused(site, BUILDERS="tcp://127.0.0.1:1", PATH="/nowhere")
    assert said.startswith("error: BUILDERS needs a docker CLI with buildx, and there is none on the PATH\n  next: ")


def test_newer_base_images_are_not_pulled_by_builders(site: Site) -> None:
    site.service("web")
    done = site.inv("build", "--pull", BUILDERS="tcp://127.0.0.1:1")
    assert done.returncode == 1
    assert (
        "error: --pull is for builds by the engine, but BUILDERS names a fleet\n  next: ./inv deps-push" in done.stderr
    )


def test_a_service_that_needs_another_one_to_run_meanwhile(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("hub", "RUN true")
    site.service("web", "RUN true")
    done = site.inv("build-all", BUILD_WITH="web=hub")
    assert done.returncode == 1
    assert "error: web is not built: hub has to run meanwhile, and BUILDERS cannot reach it\n" in done.stderr
    assert site.states() == {"hub": "built", "web": "failed"}
