"""Images for several platforms, each built by the daemon that has it; without RUN, so that nothing is emulated."""

import gzip
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from build_lib.downloads import Store
from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.registry import OCI_INDEX, Descriptor, Manifest, Registries
from build_lib.settings import Settings
from tests.support import images
from tests.support.engines import content
from tests.support.fleet_sites import Site
from tests.support.fleets import Daemon, StartDaemon
from tests.support.page_servers import Page, serving
from tests.support.registries import Registry

AMD, ARM = "linux/amd64", "linux/arm64"
BOTH = f"{AMD},{ARM}"


def web_of(site: Site) -> Reference:
    return Reference.parse(f"{site.registry}/{site.prefix}web:v1")


def top_of(site: Site, place: Reference) -> Manifest:
    """What a name stands for."""
    with Registries(site.machine) as registries:
        found = registries.resolve(place)
        assert found, f"{place} is not there"
        return registries.manifest(place, found.digest)


def contents(site: Site, name: str, registry: str = "") -> dict[str, dict[str, str]]:
    """The files of a service's image, for each platform that its index lists; its config must say the same one."""
    place = Reference.parse(f"{registry or site.registry}/{site.prefix}{name}:v1")
    found = {}
    with Registries(site.machine) as registries:
        for listed in top_of(site, place).manifests:
            config, *layers = registries.manifest(place, listed.digest).blobs
            said = json.loads(b"".join(registries.blob(place, config)))
            assert listed.platform == f"{said['os']}/{said['architecture']}"
            found[listed.platform] = {
                path: text
                for layer in layers
                for path, text in files(gzip.decompress(b"".join(registries.blob(place, layer)))).items()
            }
    return found


def files(layer: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        found = {info.name: archive.extractfile(info) for info in archive if info.isreg()}
        return {name: content.read().decode() for name, content in found.items() if content}


@pytest.fixture
def amd(daemon: StartDaemon) -> Daemon:
    return daemon("amd")


@pytest.fixture
def arm(daemon: StartDaemon) -> Daemon:
    return daemon("arm", platform=ARM)


@pytest.fixture
def both(site: Site, amd: Daemon, arm: Daemon, machine: Settings) -> Site:
    """A site for two platforms: `base`, and `web` on it, each with a file of its platform alone."""
    site.use(amd, arm)
    site.environment["PLATFORM"] = BOTH
    made = [images.make([images.layer(tiny=platform)], platform=platform) for platform in (AMD, ARM)]
    with Registries(machine) as registries:
        images.write(registries, f"{site.registry}/tiny:1", *made, top=images.index(*made))
    for name, on in (("base", "tiny:1"), ("web", "site-base:v1")):
        directory = site.service(name, "ARG TARGETARCH", f"COPY {name}-$TARGETARCH /{name}", on=on)
        for architecture in ("amd64", "arm64"):
            (directory / f"{name}-{architecture}").write_text(f"{name} for {architecture}")
    return site


WHOLE = {
    f"linux/{name}": {"tiny": f"linux/{name}", "base": f"base for {name}", "web": f"web for {name}"}
    for name in ("amd64", "arm64")
}


def test_the_index_has_both_and_each_its_own_files(both: Site) -> None:
    both.done("build-all")
    assert contents(both, "web") == WHOLE
    assert contents(both, "base").keys() == WHOLE.keys()
    assert top_of(both, web_of(both)).media_type == OCI_INDEX


def test_each_platform_is_built_by_the_daemon_that_has_it(both: Site, amd: Daemon, arm: Daemon) -> None:
    both.done("build-all")
    made = {listed.platform: _config(both, listed) for listed in top_of(both, web_of(both)).manifests}
    assert {name for name, config in made.items() if _has(amd, config)} == {AMD}
    assert {name for name, config in made.items() if _has(arm, config)} == {ARM}


def _config(site: Site, manifest: Descriptor) -> str:
    with Registries(site.machine) as registries:
        return registries.manifest(web_of(site), manifest.digest).blobs[0].digest


def _has(daemon: Daemon, digest: str) -> bool:
    """Whether the daemon has this content."""
    name = digest.removeprefix("sha256:")
    return any(daemon.seen_by_itself.glob(f"root/runc-*/content/blobs/sha256/{name}"))


def test_what_is_downloaded_for_each_platform_is_recorded_and_replayed(both: Site) -> None:
    with serving() as upstream:
        for architecture in ("amd64", "arm64"):
            upstream.pages[f"/{architecture}"] = Page(body=architecture.encode())
        with (both.project / "src/web/Dockerfile").open("a") as file:
            file.write(f"ADD {upstream.url}/$TARGETARCH /got\n")
        both.done("build-all", "--record", RECORDER_ADDRESS="127.0.0.1")
        web = Store(Settings.load(both.project, environ={})).recordings("v1")["web"]
        assert {item.url for item in web.downloads} == {f"{upstream.url}/amd64", f"{upstream.url}/arm64"}
        asked = len(upstream.asked)
        said = both.done("build-all", "--replay", "--force", RECORDER_ADDRESS="127.0.0.1")
        assert "2 downloads" in said
        assert len(upstream.asked) == asked
    assert {each["got"] for each in contents(both, "web").values()} == {"amd64", "arm64"}


def test_a_second_run_does_nothing(both: Site, amd: Daemon, arm: Daemon, tmp_path: Path) -> None:
    both.done("build-all")
    before = both.digest("web")
    amd.kill()
    arm.kill()
    for each in (both, both.same_elsewhere(tmp_path / "elsewhere")):
        said = each.done("build-all")
        assert "nothing to build" in said
        assert "written to" not in said
    assert both.digest("web") == before
    assert both.status() == {"base": "built", "web": "built"}


def test_one_more_platform_builds_again(both: Site) -> None:
    both.done("build-all", PLATFORM=AMD)
    assert top_of(both, web_of(both)).media_type != OCI_INDEX
    both.done("build-all")
    assert both.states() == {"base": "built", "web": "built"}
    assert contents(both, "web") == WHOLE


def test_a_change_for_one_platform_builds_both_again(both: Site) -> None:
    both.done("build-all")
    (both.project / "src/base/base-arm64").write_text("newer")
    both.done("build-all")
    assert both.states() == {"base": "built", "web": "built"}
    found = contents(both, "web")
    assert (found[AMD], found[ARM]["base"]) == (WHOLE[AMD], "newer")


def test_a_failure_on_one_platform_fails_the_service_and_names_nothing(both: Site) -> None:
    (both.project / "src/web/web-arm64").unlink()
    done = both.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: web cannot be built: ") == 1
    assert both.digest("base") is None
    assert both.states() == {"base": "built", "web": "failed"}


def test_push_carries_it_whole(both: Site, private: Registry) -> None:
    both.done("build-all", BUILD_REGISTRY=both.registry)
    given = {"BUILD_REGISTRY": both.registry, "PRIVATE_REGISTRY": f"{private.host}/other"}
    both.done("push", **given)
    top = Reference.parse(f"{private.host}/other/site-web:v1")
    assert top_of(both, top).digest == both.digest("web")
    assert contents(both, "web", f"{private.host}/other") == WHOLE


def test_a_bundle_carries_it_whole(both: Site, private: Registry, tmp_path: Path) -> None:
    both.done("build-all")
    bundle = str(tmp_path / "services.tar")
    both.done("deps-save", "--with-services", "-f", bundle)
    both.done("deps-load", "-f", bundle, "-r", f"{private.host}/other")
    assert top_of(both, Reference.parse(f"{private.host}/other/site-web:v1")).digest == both.digest("web")
    assert contents(both, "web", f"{private.host}/other") == WHOLE


def test_docker_pull_gets_its_own(both: Site, machine: Settings) -> None:
    both.done("build-all")
    name = f"{both.registry}/site-web:v1"
    subprocess.run(["docker", "pull", "--quiet", name], check=True, capture_output=True)
    try:
        command = ["docker", "image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", name]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == AMD
    finally:
        subprocess.run(["docker", "image", "rm", name], check=True, capture_output=True)


def test_one_daemon_that_claims_both_builds_both(both: Site, daemon: StartDaemon) -> None:
    one = daemon("one", platform=BOTH)
    both.use(one)
    both.done("build-all")
    assert set(both.builders().values()) == {one.host}
    assert contents(both, "web") == WHOLE


def test_without_a_registry_the_engine_gets_its_own(
    both: Site, daemon: StartDaemon, machine: Settings, prefix: str, engine: Engine
) -> None:
    made = [images.make([images.layer(tiny=platform)], platform=platform) for platform in (AMD, ARM)]
    with Registries(machine) as registries:
        images.write(registries, f"{both.registry}/library/tiny:1", *made, top=images.index(*made))
    (both.project / "src/web/Dockerfile").write_text(f"FROM {prefix}base:v1\nCOPY web-amd64 /web\n")
    both.use(daemon("one", platform=BOTH))
    given = {
        "PRIVATE_REGISTRY": "",
        "BUILD_OUTPUT": "engine",
        "REGISTRY_MIRRORS": both.registry,
        "IMAGE_PREFIX": prefix,
    }
    given["DOCKER_HOST"] = os.environ.get("DOCKER_HOST", "")
    assert "  2 images loaded into the engine\n" in both.done("build-all", **given)
    assert content(engine, f"{prefix}web:v1", "/base") == "base for amd64"
    said = both.done("build-all", **given)
    assert "nothing to build" in said
    assert "  no images loaded into the engine\n" in said


def test_a_platform_whose_only_daemon_is_lost_is_told(both: Site, arm: Daemon) -> None:
    arm.kill()
    done = both.inv("build-all")
    assert done.returncode == 1
    assert "error: base is not built: no builder has the platform linux/arm64\n  next: ./inv builders " in done.stderr
    assert both.digest("base") is None


def test_a_platform_that_no_builder_has_is_told(site: Site, amd: Daemon, machine: Settings) -> None:
    site.use(amd)
    made = images.make([images.layer(mark="s390x")], platform="linux/s390x")
    with Registries(machine) as registries:
        images.write(registries, f"{site.registry}/tiny:1", made)
    site.service("web")
    done = site.inv("build-all", PLATFORM="linux/s390x")
    assert done.returncode == 1
    assert "error: web is not built: no builder has the platform linux/s390x\n" in done.stderr


def test_an_engine_builds_for_one_platform(both: Site) -> None:
    done = both.inv("build-all", BUILDERS="")
    assert done.returncode == 1
    assert f"PLATFORM names several platforms, but an engine keeps images of one: {BOTH}\n" in done.stderr
    assert "Traceback" not in done.stderr
