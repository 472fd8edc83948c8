"""A build registry that wants a login: builders get it, and nothing else does."""

import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.settings import Settings
from tests.support.commands import ended, until
from tests.support.engines import install
from tests.support.fleet_sites import Gate, Site, commands_with, write_tiny
from tests.support.fleets import StartDaemon
from tests.support.registries import running_registry

USER, PASSWORD = "builder", "a-secret-of-this-test"


@pytest.fixture
def closed_site(
    machine: Settings, fleet_tools: dict[str, str], busybox: bytes, daemon: StartDaemon, tmp_path: Path
) -> Iterator[Site]:
    """A site whose registry lets nobody in without the login, which only the settings have."""
    program = install("htpasswd", "apache2-utils", machine)
    done = subprocess.run([program, "-inB", USER], input=PASSWORD, capture_output=True, text=True, check=True)
    (tmp_path / "htpasswd").write_text(done.stdout)
    auth = {"htpasswd": {"realm": "a test", "path": str(tmp_path / "htpasswd")}}
    (tmp_path / "temporary").mkdir()
    with running_registry(machine, tmp_path / "closed", auth=auth) as registry:
        site = Site(tmp_path / "project", registry, machine, fleet_tools)
        site.environment |= {"PRIVATE_REGISTRY_USERNAME": USER, "PRIVATE_REGISTRY_PASSWORD": PASSWORD}
        site.environment["TMPDIR"] = str(tmp_path / "temporary")
        site.machine = Settings.load(machine.project_root, environ={**machine.environment, **site.environment})
        write_tiny(site.machine, site.registry, busybox)
        site.use(daemon("one"), daemon("two"))
        yield site


def test_builders_log_in_and_the_password_is_nowhere(closed_site: Site, gate: Gate, tmp_path: Path) -> None:
    site = closed_site
    for name in ("a", "b"):
        site.service(name, gate.step(name))
        site.service(f"on-{name}", "RUN true", on=f"site-{name}:v1")
    run = site.start("build-all")
    until(lambda: gate.came.total() == 2, "not both daemons build")
    assert len(commands_with(str(site.project))) >= 2
    assert not commands_with(PASSWORD)
    [config] = (tmp_path / "temporary").glob("*/config.json")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    gate.open.set()
    said = ended(run)
    assert run.returncode == 0, said + site.logs()
    assert all(site.digest(name) for name in ("a", "b", "on-a", "on-b"))
    assert PASSWORD not in said
    _nothing_is_left(site, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_ended_run_leaves_no_login(closed_site: Site, gate: Gate, tmp_path: Path, number: signal.Signals) -> None:
    closed_site.service("a", gate.step("a"))
    run = closed_site.start("build-all")
    gate.wait_for("a")
    assert [*(tmp_path / "temporary").glob("*/config.json")]
    run.send_signal(number)
    assert PASSWORD not in ended(run)
    _nothing_is_left(closed_site, tmp_path)


def _nothing_is_left(site: Site, tmp_path: Path) -> None:
    assert [*(tmp_path / "temporary").iterdir()] == []
    kept = [path for path in site.project.rglob("*") if path.is_file()]
    assert site.project / ".build/logs/a.log" in kept
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]


def test_a_wrong_password_is_one_error(closed_site: Site, tmp_path: Path) -> None:
    closed_site.service("a")
    done = closed_site.inv("build-all", PRIVATE_REGISTRY_PASSWORD="another-secret")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "another-secret" not in done.stdout + done.stderr
    assert closed_site.environment["PRIVATE_REGISTRY"].partition("/")[0] in done.stderr
    assert [*(tmp_path / "temporary").iterdir()] == []


def test_the_login_of_the_docker_config_serves_builders(
    closed_site: Site, fleet_tools: dict[str, str], tmp_path: Path
) -> None:
    site = closed_site
    login = {name: site.environment.pop(f"PRIVATE_REGISTRY_{name}") for name in ("USERNAME", "PASSWORD")}
    assert login == {"USERNAME": USER, "PASSWORD": PASSWORD}
    _docker_login(site, fleet_tools, tmp_path / "own")
    site.service("a", "RUN true")
    site.done("build-all")
    assert site.digest("a")
    assert [*(tmp_path / "temporary").iterdir()] == []


def _docker_login(site: Site, tools: dict[str, str], directory: Path) -> None:
    """Write a docker config with the login, as the user's own."""
    directory.mkdir()
    if "DOCKER_CONFIG" in tools:
        (directory / "cli-plugins").symlink_to(Path(tools["DOCKER_CONFIG"]) / "cli-plugins")
    site.environment["DOCKER_CONFIG"] = str(directory)
    host = site.registry.partition("/")[0]
    command = ["docker", "--config", str(directory), "login", "--username", USER, "--password-stdin", host]
    subprocess.run(command, input=PASSWORD, text=True, check=True, capture_output=True)
