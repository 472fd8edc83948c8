"""`watch` on a fleet: what is saved is built again, and what it needs is copied to the build registry."""

from pathlib import Path

import pytest

from tests.support.fleet_sites import Site, write_tiny
from tests.support.fleets import Daemon
from tests.support.registries import Registry
from tests.support.watching import built, started

pytestmark = pytest.mark.engine


def test_what_is_saved_is_built_again_on_the_fleet(
    site: Site, pair: tuple[Daemon, Daemon], registry: Registry, private: Registry, busybox: bytes, tmp_path: Path
) -> None:
    base = site.service("base", "COPY file /file")
    app = site.service("app", "RUN cat /file > /copy", on="site-base:v1")
    (base / "file").write_text("one\n")
    environment = {**site.environment, "BUILD_REGISTRY": f"{private.host}/build"}
    with started(site.project, tmp_path / "watch.log", environment) as watch:
        text = watch.printed()
        assert f"  tiny:1: from {registry.host}" in text
        assert built(text) == ["base", "app"]
        site.registry = f"{private.host}/build"
        assert site.text("app", "copy") == "one\n"
        (base / "file").write_text("two\n")
        text = watch.printed()
        assert "tiny:1" not in text, "it is there already"
        assert built(text) == ["base", "app"]
        assert site.text("app", "copy") == "two\n"
        assert set(site.builders().values()) <= {daemon.host for daemon in pair}
        write_tiny(site.machine, environment["PRIVATE_REGISTRY"], busybox, "other:1", hello="world")
        site.service("app", "RUN cat /hello > /copy", on="other:1")
        text = watch.printed()
        assert f"  other:1: from {registry.host}" in text
        assert built(text) == ["app"]
        assert site.text("app", "copy") == "world"
        site.service("app", "RUN false", on="other:1")
        assert "error: app cannot be built: src/app/Dockerfile:2: RUN false: exit code 1\n" in watch.printed()
        (app / "Dockerfile").write_text("FROM other:1\nRUN true\n")
        assert built(watch.printed()) == ["app"]
        assert watch.end() == 0


def test_a_fleet_without_a_registry_is_refused_at_once(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("base")
    done = site.inv("watch", PRIVATE_REGISTRY="")
    assert done.returncode == 1
    assert done.stderr.startswith("error: BUILDERS needs a registry, by which images go between builders\n")
