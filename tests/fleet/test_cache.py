"""The cache in a registry: a daemon that has nothing yet begins with it."""

import pytest

from tests.support.fleet_sites import Gate, Site
from tests.support.fleets import StartDaemon
from tests.support.registries import Registry, free_place


@pytest.fixture
def cached(site: Site, daemon: StartDaemon, gate: Gate, registry: Registry) -> Site:
    """A site whose only service was built on a daemon that is gone; its cache is in the registry."""
    gate.open.set()
    first = daemon("first")
    site.use(first)
    site.environment["CACHE_REGISTRY"] = f"{registry.host}/cache"
    site.service("web", gate.step("web"), "RUN cat /proc/sys/kernel/random/uuid > /once")
    site.done("build-all")
    first.kill()
    site.use(daemon("fresh"))
    return site


def test_a_fresh_daemon_takes_steps_from_the_cache(cached: Site, gate: Gate) -> None:
    before = cached.text("web", "once")
    cached.done("build-all", "--force")
    assert "\ncached\n" in cached.log("web")
    assert (cached.text("web", "once"), gate.came["web"]) == (before, 1)


def test_without_a_cache_registry_a_fresh_daemon_repeats_the_steps(cached: Site, gate: Gate) -> None:
    before = cached.text("web", "once")
    cached.done("build-all", "--force", CACHE_REGISTRY="")
    assert cached.text("web", "once") != before
    assert gate.came["web"] == 2


def test_no_cache_repeats_the_steps(cached: Site, gate: Gate) -> None:
    cached.done("build", "--no-cache")
    assert gate.came["web"] == 2


def test_another_release_begins_with_the_cache_of_the_one_that_is_named(cached: Site, gate: Gate) -> None:
    cached.done("build-all", IMAGE_TAG="v2", CACHE_RELEASE="v1")
    assert "\ncached\n" in cached.log("web")
    assert gate.came["web"] == 1


def test_another_release_begins_with_nothing_if_none_is_named(cached: Site, gate: Gate) -> None:
    cached.done("build-all", IMAGE_TAG="v2")
    assert gate.came["web"] == 2


def test_a_cache_registry_that_is_not_there_fails_nothing(cached: Site, gate: Gate) -> None:
    said = cached.done("build-all", "--force", CACHE_REGISTRY=f"{free_place()}/cache")
    assert "  web: built on" in said
    assert gate.came["web"] == 2
