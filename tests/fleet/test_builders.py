"""`builders`, with real daemons: what it shows of each, and whose caches it empties."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from build_lib import console, fleet
from build_lib.errors import Incomplete
from build_lib.settings import Settings
from tests.support.commands import ROOT, Inv, items_of
from tests.support.engines import install
from tests.support.fleets import Daemon, StartDaemon
from tests.support.registries import Registry, free_place

_CERTIFICATES = {"cert": "cert.pem", "key": "key.pem", "ca": "ca.pem"}

pytestmark = pytest.mark.engine


@pytest.fixture
def tools(fleet_tools: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a user with buildx, and with builders of his own."""
    return {**fleet_tools, "BUILDX_CONFIG": str(tmp_path / "of-the-user")}


def buildx(tools: dict[str, str], *arguments: str) -> str:
    command = ["docker", "buildx", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **tools})
    assert done.returncode == 0, done.stderr
    return done.stdout


def add(tools: dict[str, str], name: str, daemon: Daemon) -> None:
    """A builder of the user's own."""
    buildx(tools, "create", "--name", name, "--driver", "remote", daemon.address)


def fill(tools: dict[str, str], name: str, directory: Path) -> None:
    """Build something, which the builder keeps in its cache."""
    directory.mkdir()
    (directory / "file").write_bytes(os.urandom(3_000_000))
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    buildx(tools, "build", "--builder", name, str(directory))


def test_each_is_shown_with_what_it_is(daemon: StartDaemon, tools: dict[str, str], inv: Inv) -> None:
    one, two = daemon("one"), daemon("two", platform="linux/arm64")
    given = {**tools, "BUILDERS": f"{one.address} {two.address}", "BUILDER_JOBS": "3", "JOBS": "2"}
    done = inv("builders", "--json", **given)
    assert done.returncode == 0, done.stderr
    found = {item["name"]: item for item in items_of(done)}
    assert [*found] == [one.host, two.host]
    assert {(item["problem"], item["driver"], item["places"], item["own"]) for item in found.values()} == {
        ("", "remote", 3, False)
    }
    assert found[two.host]["platforms"][0] == "linux/arm64"
    assert found[one.host]["cache"] == 0
    table = inv("builders", **given).stdout.splitlines()
    assert table[0].split() == ["NAME", "STATE", "VERSION", "PLATFORMS", "PLACES", "CACHE", "LATENCY"]
    version, latency = found[two.host]["version"], r"\d+\.\d ms"
    assert re.fullmatch(rf"{two.host} +answers +{version} +linux/arm64 +3 +0 B +{latency}", table[2])
    assert table[3:] == ["2 builders with 6 places"]
    assert not Path(tools["BUILDX_CONFIG"]).exists(), "the user's builders stay as they are"


def test_those_that_cannot_be_used_are_told_and_hold_nobody(
    daemon: StartDaemon, registry: Registry, tools: dict[str, str], inv: Inv
) -> None:
    one, hanging, own, dead = daemon("one"), daemon("hanging"), daemon("own"), free_place()
    add(tools, "mine", own)
    for paused in (hanging, own):
        paused.pause()
    listed = f"{one.address} {hanging.address} tcp://{dead} tcp://{registry.host} mine nobody"
    done = inv("builders", "--json", "--prune", **tools, BUILDERS=listed, STALL_SECONDS="2")
    assert done.returncode == 1
    assert {item["name"]: item["problem"] for item in items_of(done)} == {
        one.host: "",
        hanging.host: f"builder {hanging.host} does not answer: timed out",
        dead: f"builder {dead} does not answer: Connection refused",
        registry.host: f"builder {registry.host} is no BuildKit daemon",
        "mine": "builder mine does not answer within 2 s",
        "nobody": 'builder nobody does not answer: no builder "nobody" found',
    }
    assert f"  {dead}: nothing removed: does not answer: Connection refused\n" in done.stderr
    others = ", ".join((hanging.host, dead, registry.host, "mine", "nobody"))
    assert f"error: 5 of 6 builders cannot be used: {others}\n" in done.stderr
    assert "next: does it want a client certificate? BUILDER_CERTS names the directory with it\n" in done.stderr
    done = inv("builders", **tools, BUILDERS=listed, STALL_SECONDS="2")
    assert re.search(rf"^{dead} +does not answer: Connection refused( +-){{5}}$", done.stdout, re.MULTILINE)
    assert done.returncode == 1


def test_only_the_caches_of_ours_are_emptied(
    daemon: StartDaemon, tools: dict[str, str], inv: Inv, tmp_path: Path
) -> None:
    one, own = daemon("one"), daemon("own")
    add(tools, "mine", own)
    add(tools, "one-too", one)  # by another name, to see what it holds
    for name in ("mine", "one-too"):
        fill(tools, name, tmp_path / name)
    before = buildx(tools, "du", "--builder", "mine")
    given = {**tools, "BUILDERS": f"{one.address} mine"}
    dry = inv("--dry", "builders", "--prune", **given)
    assert dry.returncode == 0, dry.stderr
    [amount] = re.findall(rf"^  {one.host}: up to (.+) would be removed$", dry.stdout, re.MULTILINE)
    told = "left alone: it is your own; docker buildx prune --builder mine empties its cache"
    assert f"  mine: {told}\n" in dry.stdout
    [held] = re.findall(r"^Total:\s+(.+)$", buildx(tools, "du", "--builder", "one-too"), re.MULTILINE)
    assert float(held.removesuffix("MB")) > 3
    done = inv("builders", "--prune", "--json", **given)
    assert done.returncode == 0, done.stderr
    assert f"  {one.host}: {amount} removed\n" in done.stderr
    items = {item["name"]: item for item in items_of(done)}
    assert items[one.host]["removed"] == items[one.host]["cache"] == float(held.removesuffix("MB")) * 1e6
    assert (items["mine"]["removed"], items["mine"]["own"]) == (None, True)
    assert re.search(r"^Total:\s+0B$", buildx(tools, "du", "--builder", "one-too"), re.MULTILINE)
    assert _names(buildx(tools, "du", "--builder", "mine")) == _names(before)


def test_a_builder_that_is_lost_before_its_cache_is_emptied_is_told(
    daemon: StartDaemon, tools: dict[str, str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = daemon("one"), daemon("two")
    listed = {"BUILDERS": f"{one.address} {two.address}"}
    settings = Settings.load(project, environ={**os.environ, **tools, **listed})
    inspected = fleet.inspect(settings)
    one.kill()
    pruned = fleet.prune(inspected, settings)
    with pytest.raises(Incomplete, match=f"1 cache could not be emptied: {one.host}$"):
        console.builders.inspected(console.Console(settings), inspected, pruned, settings)
    lines = capsys.readouterr().out.splitlines()
    [told] = [line for line in lines if line.startswith(f"  {one.host}: ")]
    assert told.startswith(f"  {one.host}: nothing removed: its cache cannot be emptied: ")
    assert f"  {two.host}: 0 B removed" in lines


def test_a_builder_of_the_user_s_own_is_found_with_a_login_too(
    daemon: StartDaemon, fleet_tools: dict[str, str], project: Path, tmp_path: Path
) -> None:
    config = tmp_path / "docker-config"  # where buildx keeps builders, unless it is told another place
    (config / "cli-plugins").mkdir(parents=True)
    if "DOCKER_CONFIG" in fleet_tools:
        [plugin] = Path(fleet_tools["DOCKER_CONFIG"]).glob("cli-plugins/docker-buildx")
        (config / "cli-plugins/docker-buildx").symlink_to(plugin.resolve())
    tools = {"DOCKER_CONFIG": str(config)}
    add(tools, "mine", daemon("one"))
    login = {"PRIVATE_REGISTRY": "127.0.0.1:1/x", "PRIVATE_REGISTRY_USERNAME": "me", "PRIVATE_REGISTRY_PASSWORD": "pw"}
    settings = Settings.load(project, environ={**os.environ, **tools, **login, "BUILDERS": "mine"})
    [address] = settings.builders
    with fleet.environment(settings) as environment:
        seen = fleet.Member(address, fleet.buildx(settings).program, environment, settings).prepare()
    assert seen.driver == "remote"


def test_a_daemon_that_wants_certificates(
    daemon: StartDaemon, machine: Settings, tools: dict[str, str], inv: Inv, tmp_path: Path
) -> None:
    install("openssl", "openssl", machine)
    for name in ("fleet", "other"):
        script = [str(ROOT / "docs/fleet/certificates.sh"), str(tmp_path / name), "127.0.0.1"]
        subprocess.run(script, check=True, capture_output=True)
    own = tmp_path / "fleet/daemon"
    files = "".join(f'  {key} = "{own / name}"\n' for key, name in _CERTIFICATES.items())
    one = daemon("one", config=f"[grpc.tls]\n{files}")
    given = {**tools, "BUILDERS": one.address}
    done = inv("builders", **given, BUILDER_CERTS=str(tmp_path / "fleet/client"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{one.host} +answers ", done.stdout, re.MULTILINE)
    done = inv("builders", **given)
    assert done.returncode == 1
    assert re.search(rf"^{one.host} +is no BuildKit daemon ", done.stdout, re.MULTILINE)
    assert "next: does it want a client certificate? BUILDER_CERTS names the directory with it\n" in done.stderr
    done = inv("builders", **given, BUILDER_CERTS=str(tmp_path / "other/client"))
    assert done.returncode == 1
    assert re.search(rf"^{one.host} +does not answer: .*certificate verify failed", done.stdout, re.MULTILINE)


def test_without_builders_it_says_how_to_have_some(inv: Inv) -> None:
    done = inv("builders", "--prune")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "BUILDERS is not set: the engine builds",
        "  for a fleet, list builders in .env, such as BUILDERS=tcp://host:1234",
    ]
    assert items_of(inv("builders", "--json")) == []


def test_buildx_has_to_be_there_and_new_enough(inv: Inv, tmp_path: Path) -> None:
    done = inv("builders", BUILDERS="tcp://127.0.0.1:1", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: BUILDERS needs a docker CLI with buildx, and there is none on the PATH\n")
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho github.com/docker/buildx v0.12.1 30feaa1\n")
    docker.chmod(0o755)
    done = inv("builders", BUILDERS="tcp://127.0.0.1:1", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: BUILDERS needs buildx 0.13 or newer, and the one on the PATH is v0.12.1\n")


def _names(du: str) -> set[str]:
    """The records of a cache, without when each was used."""
    return set(re.findall(r"^(\w{20,})\b", du, re.MULTILINE))
