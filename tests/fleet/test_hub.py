"""Slurm's packages into a hub, both built by daemons: no engine has a part in it."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support import images
from tests.support.fleet_hubs import SERVED, download, write_hub, write_packages
from tests.support.fleet_sites import Site
from tests.support.fleets import Daemon, StartDaemon
from tests.support.registries import Registry


@pytest.fixture
def hub(site: Site, pair: tuple[Daemon, Daemon]) -> Site:
    """A site with two packages and a hub."""
    write_packages(site, ("tool", "1.0"), ("other", "2:1~rc1"))
    write_hub(site)
    return site


def served(site: Site) -> dict[str, bytes]:
    """What the hub serves, as its image in the registry has it."""
    below = f"{SERVED.strip('/')}/"
    return {
        path.removeprefix(below): text for path, (_, text) in site.files("apphub").items() if path.startswith(below)
    }


def packages(site: Site) -> set[str]:
    return {name for name in served(site) if name.endswith(".deb")}


def test_packages_are_in_the_hub_and_apt_gets_them(hub: Site, tmp_path: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("there is no apt-get to read the repository with")
    said = hub.done("build-all")
    assert "  2 packages copied into apphub and read back\n" in said
    found = served(hub)
    assert packages(hub) == {"tool_1.0_all.deb", "other_2:1~rc1_all.deb"}
    for name, file in (("tool", "tool_1.0_all.deb"), ("other", "other_2:1~rc1_all.deb")):
        assert download(found, name, tmp_path / name) == (hub.project / f"src/slurm-build/{file}").read_bytes()
    assert found["page"] == b"a hub\n"


def test_the_hub_has_one_layer_more_and_the_rest_unchanged(hub: Site) -> None:
    hub.done("build-all")
    after = hub.config("apphub")
    assert after["history"][-1]["created_by"] == "build-lib copy-slurm"
    assert after["config"]["Labels"]
    assert len(after["rootfs"]["diff_ids"]) == len([each for each in after["history"] if not each.get("empty_layer")])


def test_each_layer_is_downloaded_once_in_a_run(hub: Site, registry: Registry) -> None:
    hub.done("build-all")
    hub.done("build", "-s", "apphub", "--force")
    before = len(registry.log.read_text())
    assert "  2 packages copied" in f"  {hub.done('copy-slurm')}"
    asked = Counter(re.findall(r"\"GET /v2/\S+/blobs/(sha256:[0-9a-f]{64}) ", registry.log.read_text()[before:]))
    assert set(asked.values()) == {1}, asked


def test_a_second_run_does_nothing(hub: Site) -> None:
    hub.done("build-all")
    before = hub.digest("apphub")
    said = hub.done("build-all")
    assert "nothing to build" in said
    assert "  nothing to do: 2 packages already present in apphub\n" in said
    assert hub.digest("apphub") == before


def test_another_machine_finds_the_hub_as_it_is(hub: Site, tmp_path: Path) -> None:
    hub.done("build-all")
    said = hub.same_elsewhere(tmp_path / "elsewhere").done("build-all")
    assert "nothing to build" in said
    assert "  nothing to do: 2 packages already present in apphub\n" in said


def test_a_changed_package_is_copied_again(hub: Site) -> None:
    hub.done("build-all")
    write_packages(hub, ("tool", "1.1"))
    said = hub.done("build-all")
    assert "  1 package copied into apphub and read back\n" in said
    assert "tool_1.1_all.deb" in packages(hub)
    assert "other_2:1~rc1_all.deb" not in packages(hub)
    assert "apphub: built" not in said


def test_the_names_beside_the_release_are_in_the_registry(hub: Site) -> None:
    hub.done("build-all")
    with Registries(hub.machine) as registries:
        tags = {
            tag
            for tag in ("v1", "v1-with-slurm", "v1-without-slurm")
            if registries.resolve(Reference.parse(f"{hub.registry}/site-apphub:{tag}"))
        }
    assert tags == {"v1", "v1-with-slurm", "v1-without-slurm"}


def test_a_hub_that_is_built_again_has_the_packages_again(hub: Site) -> None:
    hub.done("build-all")
    (hub.project / "src/apphub/page").write_text("a newer hub\n")
    assert "  2 packages copied into apphub and read back\n" in hub.done("build-all")
    assert served(hub)["page"] == b"a newer hub\n"
    assert len(packages(hub)) == 2


def test_a_package_that_is_a_link_is_refused_by_its_name(hub: Site) -> None:
    hub.service("slurm-build", "COPY *.deb /out/", "RUN ln -s tool_1.0_all.deb /out/link_1.0_all.deb")
    done = hub.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "link_1.0_all.deb" in done.stderr
    assert hub.digest("apphub") is None


def test_a_package_that_is_a_hard_link_is_copied(hub: Site) -> None:
    hub.service("slurm-build", "COPY *.deb /build/", "RUN mkdir /out && ln /build/*.deb /out/ && rm -r /build")
    assert "  2 packages copied into apphub and read back\n" in hub.done("build-all")


def test_packages_behind_an_absolute_link_are_copied(hub: Site) -> None:
    hub.service("slurm-build", "COPY *.deb /srv/packages/", "RUN ln -s /srv/packages /out")
    assert "  2 packages copied into apphub and read back\n" in hub.done("build-all")


def test_a_package_that_a_later_step_removed_is_not_copied(hub: Site) -> None:
    hub.service("slurm-build", "COPY *.deb /out/", "RUN rm /out/other*")
    assert "  1 package copied into apphub and read back\n" in hub.done("build-all")
    assert packages(hub) == {"tool_1.0_all.deb"}


def test_a_failed_service_leaves_the_hub_without_a_name(hub: Site) -> None:
    hub.service("bad", "RUN false")
    assert hub.inv("build-all").returncode == 1
    assert hub.digest("apphub") is None


def test_a_hub_for_several_platforms_is_refused(
    site: Site, daemon: StartDaemon, machine: Settings, busybox: bytes
) -> None:
    site.use(daemon("one"), daemon("two", platform="linux/arm64"))
    write_packages(site, ("tool", "1.0"))
    write_hub(site)
    made = [images.make([busybox], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    with Registries(machine) as registries:
        images.write(registries, f"{site.registry}/tiny:1", *made, top=images.index(*made))
    done = site.inv("build-all", PLATFORM="linux/amd64,linux/arm64")
    assert done.returncode == 1
    assert "is for several platforms, and copy-slurm adds packages to images of one" in done.stderr
    assert "Traceback" not in done.stderr
