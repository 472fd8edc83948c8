"""The main job from nothing, on an engine without any image, with the distribution's own Slurm packages.

The plan's tests 1 and 2 are here: `test_plan_1…` and `test_plan_2…`.
"""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import TEMPORARY_LABEL, Engine
from build_lib.engine import owner as owner_of
from build_lib.hub import EngineImages, copy_slurm, find_hubs
from build_lib.reference import Reference
from build_lib.repository import discover
from build_lib.settings import Settings
from tests.support.commands import ROOT, run_inv
from tests.support.registries import Registry

PUBLISHED = "/usr/share/nginx/html/pkgs/slurm-deb"
APPHUB = "ai-infra-apphub:v0.3.6-dev"
SLURM_BUILD = "ai-infra-slurm-build:v0.3.6-dev"


@dataclass(frozen=True)
class Job:
    """A project, the engine that it is built on, and what the first build-all said."""

    project: Path
    environment: dict[str, str]
    first: "subprocess.CompletedProcess[str]"
    engine: Engine

    def inv(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.project, arguments, self.environment | environment)

    def docker(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", *arguments], env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def config(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("image", "inspect", image))[0]["Config"]
        return {key: found[key] for key in ("Cmd", "Entrypoint", "User", "Labels", "ExposedPorts", "Env", "StopSignal")}


@pytest.fixture(scope="module")
def job(empty_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "src", project / "src")
    environment = {**empty_engine, "SLURM_FROM": "distro", "DOCKER_CONTEXT": ""}
    with Engine.connect(Settings.load(project, environ={**os.environ, **environment})) as engine:
        assert engine.images.by_name() == {}
        first = run_inv(project, ("build-all",), environment)
        yield Job(project, environment, first, engine)


def test_plan_2_build_all_brings_every_dependency_by_itself_and_succeeds(job: Job) -> None:
    assert job.first.returncode == 0, job.first.stdout + job.first.stderr
    assert {SLURM_BUILD, APPHUB, "debian:bookworm-slim"} <= {
        str(Reference.parse(name)) for name in job.engine.images.by_name()
    }
    assert "from apt archive" in job.first.stdout


def test_the_steps_are_announced_in_order(job: Job) -> None:
    steps = [line.partition(":")[0] for line in job.first.stdout.splitlines() if line.startswith("step ")]
    assert steps == [f"step {number}/5" for number in range(6)]


def test_output_on_a_pipe_has_no_control_characters(job: Job) -> None:
    assert not [char for char in job.first.stdout + job.first.stderr if ord(char) < 32 and char != "\n"]


def test_a_second_build_all_builds_nothing(job: Job) -> None:
    before = job.engine.images.by_name()
    again = job.inv("build-all")
    assert again.returncode == 0, again.stderr
    assert "nothing to build" in again.stdout
    assert re.search(r"nothing to do: [1-9]\d* packages already present in apphub\n", again.stdout)
    assert job.engine.images.by_name() == before


def test_plan_1_the_packages_are_where_apphub_serves_them(job: Job) -> None:
    listed = job.docker("run", "--rm", "--entrypoint", "ls", APPHUB, "-la", PUBLISHED)
    assert " Packages\n" in listed
    for name in ("slurm-client_", "slurmd_", "slurmctld_"):
        assert name in listed


def test_every_package_is_slurm_builds_own_byte_for_byte(job: Job) -> None:
    source, served = (_files(job.engine, image, path) for image, path in ((SLURM_BUILD, "/out"), (APPHUB, PUBLISHED)))
    assert len(source) > 20
    assert {name: content for name, content in served.items() if name.endswith(".deb")} == source


def _files(engine: Engine, image: str, path: str) -> dict[str, bytes]:
    with engine.containers.temporary(image, owner="test") as container:
        return {member.name.rpartition("/")[2]: content.read() for member, content in container.files(path) if content}


def test_copying_leaves_the_image_as_it_was_but_for_the_packages(job: Job) -> None:
    config = job.config(APPHUB)
    assert config == job.config(f"{APPHUB}-without-slurm")
    assert config["User"] == "101:101"
    assert config["ExposedPorts"] == {"8080/tcp": {}}


def test_apt_installs_the_built_version_from_apphub(job: Job) -> None:
    hub = job.docker("run", "--detach", "--read-only", "--tmpfs", "/tmp", APPHUB).strip()
    try:
        address = job.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", hub).strip()
        script = f"""
            set -e
            echo 'deb [trusted=yes] http://{address}:8080/pkgs/slurm-deb ./' >/etc/apt/sources.list.d/slurm.list
            apt-get -qq update
            apt-get -qq install -y --no-install-recommends curl slurm-client >/dev/null 2>&1
            # this Slurm reads its configuration before its arguments
            printf 'ClusterName=test\\nSlurmctldHost=localhost\\n' >/etc/slurm/slurm.conf
            sinfo --version
            apt-cache policy slurm-client
            curl -s http://{address}:8080/health
            curl -s -L http://{address}:8080/pkgs/slurm-deb/
        """
        said = job.docker("run", "--rm", "debian:bookworm-slim", "sh", "-c", script)
    finally:
        job.docker("rm", "--force", hub)
    [package] = [name for name in _files(job.engine, SLURM_BUILD, "/out") if name.startswith("slurm-client_")]
    version = package.split("_")[1]
    assert f"slurm-wlm {version.partition('-')[0]}" in said
    assert f"Installed: {version}" in said
    assert f"http://{address}:8080/pkgs/slurm-deb" in said
    assert "\nok\n" in said
    assert '<a href="slurm-client_' in said


def test_a_second_copy_finds_nothing_to_do(job: Job) -> None:
    before = job.engine.images.by_name()
    done = job.inv("copy-slurm")
    assert done.returncode == 0, done.stderr
    assert re.match(r"nothing to do: [1-9]\d* packages already present in apphub\n", done.stdout)
    assert job.engine.images.by_name() == before


def test_copy_names_the_command_that_builds_a_missing_image(job: Job) -> None:
    done = job.inv("copy-slurm", "-t", "never-built")
    assert done.returncode == 1
    assert "error: ai-infra-slurm-build:never-built is not built" in done.stderr
    assert "next: ./inv build -s slurm-build -t never-built" in done.stderr


@pytest.fixture
def release(job: Job) -> Iterator[str]:
    """A release of its own with apphub as it was built, and room for a slurm-build of the test's own."""
    tag = "faulty"
    job.docker("tag", f"{APPHUB}-without-slurm", f"ai-infra-apphub:{tag}")
    yield tag
    job.docker("rmi", "--force", f"ai-infra-slurm-build:{tag}", check=False)
    for suffix in ("", "-without-slurm", "-with-slurm"):
        job.docker("rmi", "--force", f"ai-infra-apphub:{tag}{suffix}", check=False)


def _slurm_build(job: Job, tag: str, **packages: bytes) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("out")
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
        for name, content in packages.items():
            info = tarfile.TarInfo(f"out/{name}.deb")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive.seek(0)
    job.engine.streams.import_root(archive, Reference.parse(f"ai-infra-slurm-build:{tag}"), [])


def _deb(job: Job, tmp_path: Path, name: str, version: str) -> bytes:
    """A real package, made by dpkg-deb."""
    (tmp_path / name / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tmp_path / name / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <x@y>\nDescription: {name}\n"
    )
    made = tmp_path / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", str(tmp_path / name), str(made)], check=True, capture_output=True)
    return made.read_bytes()


def test_no_packages_are_an_error_and_apphub_stays(job: Job, release: str) -> None:
    _slurm_build(job, release)
    before = job.engine.images.by_name()
    done = job.inv("copy-slurm", "-t", release)
    assert done.returncode == 1
    assert (
        f"ai-infra-slurm-build:{release} has no .deb or .rpm in /out; ai-infra-apphub:{release} is unchanged"
        in done.stderr
    )
    assert job.engine.images.by_name() == before


def test_a_damaged_package_is_an_error_by_name_and_apphub_stays(job: Job, release: str, tmp_path: Path) -> None:
    _slurm_build(job, release, good=_deb(job, tmp_path, "good", "1"), bad=b"no package at all")
    before = job.engine.images.by_name()[f"docker.io/library/ai-infra-apphub:{release}"]
    done = job.inv("copy-slurm", "-t", release)
    assert done.returncode == 1
    assert "bad.deb is damaged" in done.stderr
    assert job.engine.images.by_name()[f"docker.io/library/ai-infra-apphub:{release}"] == before
    assert not job.docker("ps", "--all", "--quiet")


def test_packages_of_an_earlier_copy_do_not_stay_behind(job: Job, release: str, tmp_path: Path) -> None:
    _slurm_build(job, release, old=_deb(job, tmp_path, "old", "1"))
    assert job.inv("copy-slurm", "-t", release).stdout == "1 package copied into apphub and read back\n"
    _slurm_build(job, release, new=_deb(job, tmp_path, "new", "2"))
    assert job.inv("copy-slurm", "-t", release).stdout == "1 package copied into apphub and read back\n"
    files = _files(job.engine, f"ai-infra-apphub:{release}", PUBLISHED)
    indexes = {name for name in files if not re.fullmatch("[0-9a-f]{64}", name)}  # without those by their hashes
    assert indexes == {".gitkeep", ".signing-key", "Packages", "Packages.gz", "Packages.xz", "Release", "new.deb"}
    assert b"Package: new\n" in files["Packages"]


def test_an_index_that_does_not_fit_is_made_anew(job: Job, release: str, tmp_path: Path) -> None:
    _slurm_build(job, release, one=_deb(job, tmp_path, "one", "1"))
    assert job.inv("copy-slurm", "-t", release).returncode == 0
    image = f"ai-infra-apphub:{release}"
    hub = job.docker("create", image).strip()
    (tmp_path / "Packages").write_text("")
    job.docker("cp", str(tmp_path / "Packages"), f"{hub}:{PUBLISHED}/Packages")
    job.docker("commit", hub, image)
    job.docker("rm", hub)
    assert job.inv("copy-slurm", "-t", release).stdout == "1 package copied into apphub and read back\n"
    assert b"Package: one\n" in _files(job.engine, image, PUBLISHED)["Packages"]


def test_leftovers_of_a_killed_run_are_removed_by_the_next(job: Job) -> None:
    job.docker("tag", APPHUB, "ai-infra-apphub:copying-0123")
    owner = owner_of(Settings.load(job.project, environ={}))
    job.docker("create", "--label", f"{TEMPORARY_LABEL}={owner}", APPHUB)
    job.docker("create", "--name", "somebody-elses", "--label", f"{TEMPORARY_LABEL}=somebody", APPHUB)
    try:
        assert job.inv("copy-slurm").returncode == 0
        assert job.docker("ps", "--all", "--format", "{{.Names}}").split() == ["somebody-elses"]
        assert "copying-" not in job.docker("images", "--format", "{{.Tag}}")
    finally:
        job.docker("rm", "somebody-elses")


def test_dry_changes_nothing_and_says_what_it_would(job: Job, release: str, tmp_path: Path) -> None:
    _slurm_build(job, release, one=_deb(job, tmp_path, "one", "1"))
    before = job.engine.images.by_name()
    done = job.inv("--dry", "copy-slurm", "-t", release)
    assert (done.returncode, done.stdout) == (0, "1 package would be copied into apphub\n")
    assert job.engine.images.by_name() == before


def test_a_change_in_apphub_rebuilds_it_alone_and_copies_again(job: Job) -> None:
    changed = job.project / "src/apphub/nginx.conf"
    original = changed.read_text()
    changed.write_text(original + "# changed\n")
    try:
        done = job.inv("build-all")
    finally:
        changed.write_text(original)
    assert done.returncode == 0, done.stderr
    assert "apphub: out of date: context changed: nginx.conf\n" in done.stdout
    assert "slurm-build: up to date" in done.stdout
    assert "packages copied into apphub and read back" in done.stdout


def test_status_tells_what_is_built_and_what_is_out_of_date(job: Job) -> None:
    assert job.inv("build-all").returncode == 0
    states = {item["service"]: item["state"] for item in json.loads(job.inv("status", "--json").stdout)}
    assert states == {"apphub": "built", "slurm-build": "built"}
    states = {item["service"]: item["state"] for item in json.loads(job.inv("status", "--json", "-t", "x").stdout)}
    assert states == {"apphub": "missing", "slurm-build": "missing"}


def test_verify_and_push_find_an_apphub_without_the_packages(job: Job, private: Registry) -> None:
    settings = Settings.load(job.project, environ=job.environment)
    repository = discover(settings)
    [hub] = find_hubs(repository, settings)
    images = EngineImages(job.engine, settings)
    job.docker("tag", f"{APPHUB}-without-slurm", APPHUB)
    assert copy_slurm.difference(hub, repository, images, settings).startswith("it is missing ")
    pushed = job.inv("push", "-s", "apphub", "-r", f"{private.host}/p")
    assert pushed.returncode == 1
    assert "apphub is not pushed: packages not copied: it is missing " in pushed.stdout
    assert "  next: ./inv copy-slurm, or push it anyway with --force\n" in pushed.stderr
    assert job.inv("build-all").returncode == 0
    assert copy_slurm.difference(hub, repository, images, settings) == ""
