"""A single daemon without a registry of its own: images travel by a layout on this machine, and end in the engine."""

import gzip
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.fleet import Layout
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support import images
from tests.support.engines import content
from tests.support.fleet_hubs import SERVED, write_hub, write_packages
from tests.support.fleet_sites import Site, write_tiny
from tests.support.fleets import Daemon, StartDaemon
from tests.support.registries import free_place


@pytest.fixture
def one(daemon: StartDaemon) -> Daemon:
    return daemon("one")


@pytest.fixture
def local(site: Site, one: Daemon, machine: Settings, prefix: str, busybox: bytes) -> Site:
    """A site with the machine's engine, whose registry is a mirror of Docker Hub, and no private registry."""
    del site.environment["PRIVATE_REGISTRY"], site.environment["DOCKER_HOST"]
    if "DOCKER_HOST" in os.environ:
        site.environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    site.prefix = site.environment["IMAGE_PREFIX"] = prefix
    site.environment |= {"REGISTRY_MIRRORS": site.registry, "BUILD_OUTPUT": "engine"}
    write_tiny(machine, site.registry, busybox, "library/tiny:1", mark="tiny\n")
    site.use(one)
    return site


@pytest.fixture
def two_services(local: Site) -> Site:
    """Their layers are those of this test alone, so that the engine has none of them already."""
    local.service("base", f"RUN echo base > /base && echo {local.prefix} > /own")
    local.service("web", "RUN echo web > /web", 'CMD ["cat", "/mark", "/base", "/web"]', on=f"{local.prefix}base:v1")
    return local


def runs(site: Site) -> str:
    command = ["docker", "run", "--rm", "--network=none", f"{site.prefix}web:v1"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def blobs(site: Site) -> dict[str, Path]:
    return {path.name: path for path in (site.project / ".build/layout/blobs/sha256").iterdir()}


def test_base_images_come_from_a_mirror_and_images_go_into_the_engine(two_services: Site) -> None:
    said = two_services.done("build-all")
    assert "  2 images loaded into the engine\n" in said
    assert runs(two_services) == "tiny\nbase\nweb\n"
    assert two_services.builders().keys() == {"base", "web"}
    for name in ("base", "web"):
        assert "OCI load from client" in two_services.log(name)
    assert blobs(two_services)


def test_a_second_run_does_nothing_and_needs_neither_mirror_nor_daemon(two_services: Site, one: Daemon) -> None:
    two_services.done("build-all")
    before = set(blobs(two_services))
    one.kill()
    said = two_services.done("build-all", REGISTRY_MIRRORS=free_place())
    assert "nothing to build" in said
    assert "  no images loaded into the engine\n" in said
    assert set(blobs(two_services)) == before


def test_an_image_that_the_engine_lost_is_loaded_again(two_services: Site, engine: Engine, one: Daemon) -> None:
    two_services.done("build-all")
    engine.images.remove(Reference.parse(f"{two_services.prefix}web:v1"))
    one.kill()
    said = two_services.done("build-all")
    assert "nothing to build" in said
    assert "  1 image loaded into the engine\n" in said
    assert runs(two_services) == "tiny\nbase\nweb\n"


def test_a_change_builds_what_depends_on_it(two_services: Site) -> None:
    two_services.service("alone")
    two_services.done("build-all")
    two_services.service("base", "RUN echo newer > /base")
    assert "  2 images loaded into the engine\n" in two_services.done("build-all")
    assert two_services.states()["alone"] == "up to date"
    assert runs(two_services) == "tiny\nnewer\nweb\n"


def test_a_failed_run_gives_the_engine_nothing_and_what_was_built_stays(two_services: Site, engine: Engine) -> None:
    two_services.service("bad", "RUN false")
    assert two_services.inv("build-all").returncode == 1
    assert not [name for name in engine.images.by_name() if two_services.prefix in name]
    two_services.service("bad", "RUN true")
    assert "  3 images loaded into the engine\n" in two_services.done("build-all")
    assert two_services.states() == {"base": "up to date", "web": "up to date", "bad": "built"}


def test_a_base_image_that_no_source_has_is_an_error(local: Site) -> None:
    local.service("web", on="nothing:1")
    done = local.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "nothing:1" in done.stderr


def test_two_builders_need_a_registry(local: Site, one: Daemon, daemon: StartDaemon) -> None:
    local.use(one, daemon("two"))
    local.service("web")
    done = local.inv("build-all")
    assert done.returncode == 1
    assert done.stderr.startswith("error: BUILDERS needs a registry, by which images go between builders\n  next: set ")


def test_a_registry_as_the_output_needs_one(local: Site) -> None:
    local.service("web")
    done = local.inv("build-all", BUILD_OUTPUT="registry")
    assert done.returncode == 1
    assert done.stderr.startswith("error: BUILDERS needs a registry, by which images go between builders\n")


def layers(site: Site) -> dict[str, Path]:
    return {name: path for name, path in blobs(site).items() if path.read_bytes()[:2] == b"\x1f\x8b"}


def forget(site: Site, engine: Engine) -> None:
    """Let the engine have none of the services' images."""
    for name in ("web", "base"):
        engine.images.remove(Reference.parse(f"{site.prefix}{name}:v1"))


def damage(site: Site) -> None:
    """Change a byte in the middle of each layer."""
    for path in layers(site).values():
        found = bytearray(path.read_bytes())
        found[len(found) // 2] ^= 0xFF
        path.write_bytes(found)


def test_a_damaged_blob_is_named_and_made_again(two_services: Site, engine: Engine) -> None:
    two_services.done("build-all")
    forget(two_services, engine)
    [own] = [path for path in layers(two_services).values() if two_services.prefix.encode() in unpacked(path)]
    own.write_bytes(own.read_bytes()[:-1] + b"\xff")
    done = two_services.inv("build-all")
    assert done.returncode == 1
    assert f"error: {own} is damaged\n  next: it was removed; the next run fetches or builds it" in done.stderr
    assert not [name for name in engine.images.by_name() if two_services.prefix in name]
    two_services.done("build-all")
    assert runs(two_services) == "tiny\nbase\nweb\n"


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_a_damaged_blob_is_named_when_a_build_needs_it(two_services: Site, one: Daemon, daemon: StartDaemon) -> None:
    two_services.done("build-all")
    damage(two_services)
    one.kill()
    two_services.use(daemon("fresh"))
    two_services.service("web", "RUN echo newer > /web", on=f"{two_services.prefix}base:v1")
    done = two_services.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "  nothing is loaded into the engine, because not all services were built\n" in done.stdout
    assert [name for name in blobs(two_services) if name in done.stderr], done.stderr
    two_services.done("clean", "--yes")
    assert not (two_services.project / ".build/layout").exists()
    two_services.use(daemon("another"))  # a daemon keeps what it was sent of a damaged blob
    two_services.done("build-all")


def test_what_lacks_a_blob_is_fetched_or_built_again(two_services: Site, one: Daemon, daemon: StartDaemon) -> None:
    two_services.done("build-all")
    for path in layers(two_services).values():
        path.unlink()
    assert set(two_services.status().values()) == {"missing"}
    one.kill()
    two_services.use(daemon("fresh"))
    two_services.done("build-all")
    assert set(two_services.states().values()) == {"built"}
    assert runs(two_services) == "tiny\nbase\nweb\n"


def test_names_that_many_threads_give_are_all_kept(tmp_path: Path) -> None:
    layout, image = Layout(tmp_path), images.make([])
    names = [Reference.parse(f"layout.invalid/images/{number}:1") for number in range(200)]
    layout.fetch(image.manifest.blobs[0], lambda offset: [image.blobs[0][offset:]])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: layout.put_manifest(name, "1", image.manifest), names))
    assert [found.digest for name in names if (found := layout.resolve(name))] == [image.manifest.digest] * len(names)


def test_packages_are_copied_into_a_hub(local: Site, engine: Engine) -> None:
    write_packages(local, ("tool", "1.0"))
    write_hub(local)
    said = local.done("build-all")
    assert "  1 package copied into apphub and read back\n" in said
    assert "Package: tool\nVersion: 1.0\n" in content(engine, f"{local.prefix}apphub:v1", f"{SERVED}/Packages")
    said = local.done("build-all")
    assert "  nothing to do: 1 package already present in apphub\n" in said
    assert "  no images loaded into the engine\n" in said
    write_packages(local, ("tool", "1.1"))
    local.done("build-all")
    assert "Version: 1.1\n" in content(engine, f"{local.prefix}apphub:v1", f"{SERVED}/Packages")
