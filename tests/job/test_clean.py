"""What clean removes, and above all what it leaves."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from build_lib.downloads import Store
from build_lib.engine import TEMPORARY_LABEL, Engine, owner
from build_lib.fleet import RegistryStore
from build_lib.job import clean
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.repository import discover
from build_lib.settings import Settings
from tests.support.commands import Inv, inv_command
from tests.support.projects import needs
from tests.support.recordings import download, recording

LOCKS = {"build.lock", "copy-slurm.lock", "downloads.lock"}


@pytest.fixture
def built(project: Path, prefix: str, tiny: str, inv: Inv) -> dict[str, str]:
    """A service that was built in three releases, the last of them now; the environment for that."""
    needs(project, "one", tiny, "RUN echo $IMAGE_TAG >/release", "ARG IMAGE_TAG")
    environment = {"IMAGE_PREFIX": prefix}
    for tag in ("v1", "v2", "v3"):
        (project / "src/one/release").write_text(tag)
        done = inv("build-all", IMAGE_TAG=tag, **environment)
        assert done.returncode == 0, done.stderr
    return {**environment, "IMAGE_TAG": "v3"}


def tags(engine: Engine, prefix: str) -> set[str]:
    names = (Reference.parse(name) for name in engine.images.by_name())
    return {name.tag or "" for name in names if str(name).startswith(f"{prefix}one") and not name.digest}


def test_earlier_releases_go_but_the_newest_of_them(
    built: dict[str, str], engine: Engine, prefix: str, tiny: str, project: Path, inv: Inv
) -> None:
    subprocess.run(["docker", "tag", tiny, f"{prefix}one:other"], check=True)  # not made by this tool
    dry = inv("--dry", "clean", **built)
    assert dry.returncode == 0, dry.stderr
    assert f"{prefix}one:v1" in dry.stdout
    assert tags(engine, prefix) == {"v1", "v2", "v3", "other"}
    done = inv("clean", "--yes", **built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tags(engine, prefix) == {"v2", "v3", "other"}
    assert Reference.parse(tiny).canonical in engine.images.by_name()
    assert {path.name for path in (project / ".build").iterdir()} == {*LOCKS, "images"}
    inv("clean", "--yes", "--keep", "0", **built)
    assert tags(engine, prefix) == {"v3", "other"}
    again = inv("clean", "--yes", **built)
    assert (again.returncode, again.stdout) == (0, "nothing to remove\n")


def test_a_killed_run_s_container_goes_and_nobody_else_s(project: Path, tiny: str, inv: Inv, engine: Engine) -> None:
    mine = owner(Settings.load(project, environ=dict(os.environ)))
    ids = []
    try:
        for whose in (mine, f"{mine}-of-another"):
            label = f"{TEMPORARY_LABEL}={whose}"
            command = ["docker", "create", "--label", label, tiny]
            ids.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        done = inv("clean", "--yes")
        assert done.returncode == 0, done.stderr
        command = ["docker", "ps", "--all", "--quiet", "--no-trunc"]
        left = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert [id in left for id in ids] == [False, True]
    finally:
        for id in ids:
            engine.containers.remove(id)


def test_a_dangling_image_goes_if_it_was_made_here(
    built: dict[str, str], engine: Engine, prefix: str, tiny: str, project: Path, inv: Inv
) -> None:
    ours = engine.images.by_name()[f"docker.io/library/{prefix}one:v3"].id
    (project / "Dockerfile").write_text(f"FROM {prefix}one:v3\nLABEL another=1\n")  # inherits our label
    command = ["docker", "build", "--quiet", "--force-rm", str(project)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    theirs = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()
    subprocess.run(["docker", "tag", tiny, f"{prefix}one:v3"], check=True)
    subprocess.run(["docker", "rmi", f"{prefix}one:v2"], check=True)
    try:
        assert theirs in engine.images.dangling()
        inv("clean", "--yes", **built)
        assert theirs in engine.images.dangling()
    finally:
        engine.images.remove(theirs)
    assert ours in engine.images.dangling()
    assert inv("clean", "--yes", **built).returncode == 0
    assert ours not in engine.images.dangling()


def test_nobody_to_ask_is_an_error_and_removes_nothing(built: dict[str, str], project: Path, inv: Inv) -> None:
    done = inv("clean", **built)
    assert done.returncode == 1
    assert "error: nothing was removed: confirmation requires a terminal\n  next: ./inv clean --yes\n" in done.stderr
    assert (project / ".build/report.html").exists()


@pytest.mark.parametrize(("answer", "stays"), [("n", True), ("", True), ("y", False)])
def test_at_a_terminal_it_asks(answer: str, stays: bool, project: Path, machine: Settings) -> None:
    (project / ".build").mkdir()
    (project / ".build/report.html").write_text("")
    leader, follower = pty.openpty()
    try:
        environment = {**os.environ, "PROJECT_ROOT": str(project)}
        process = subprocess.Popen(
            inv_command("clean"), stdin=follower, stdout=follower, stderr=follower, env=environment
        )
        os.close(follower)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(leader, 1000)
        os.write(leader, f"{answer}\n".encode())
        assert process.wait(30) == 0
    finally:
        os.close(leader)
    assert (project / ".build/report.html").exists() is stays


def test_without_an_engine_files_go(project: Path, inv: Inv) -> None:
    (project / ".build").mkdir()
    (project / ".build/report.html").write_text("")
    done = inv("clean", "--yes", DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no Docker Engine answers: only files can be removed\n")
    assert not (project / ".build/report.html").exists()


def test_bundles_stay(project: Path, machine: Settings, inv: Inv) -> None:
    (project / ".build").mkdir()
    for name in ("deps-v1.tar", "deps-v1.tar.001", "inventory.json", "last-run.json", ".last-run.json-abc"):
        (project / ".build" / name).write_text("")
    assert inv("clean", "--yes").returncode == 0
    left = {path.name for path in (project / ".build").iterdir()}
    assert left - LOCKS == {"deps-v1.tar", "deps-v1.tar.001", "inventory.json"}


def test_what_still_runs_keeps_its_files(project: Path, machine: Settings, inv: Inv) -> None:
    assert inv("registry-up").returncode == 0
    try:
        assert inv("clean", "--yes").returncode == 0
        assert (project / ".build/registry/process.json").exists()
    finally:
        assert inv("registry-down").stdout == "registry stopped\n"
    assert inv("clean", "--yes").returncode == 0
    assert not (project / ".build/registry").exists()


def test_a_negative_number_of_releases_is_refused(project: Path, machine: Settings, inv: Inv) -> None:
    done = inv("clean", "--keep=-1", "--yes")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --keep is -1\n")


def test_what_a_fleet_leaves_goes_but_the_records_of_services_that_are_there(
    project: Path, fleet_tools: dict[str, str], inv: Inv
) -> None:
    needs(project, "one", "tiny:1")
    environment = {"DOCKER_HOST": "unix:///nowhere.sock", "IMAGE_PREFIX": "p-", **fleet_tools}
    done = inv("builders", BUILDERS="docker-container://nobody", **environment)
    assert done.returncode == 1, done.stdout
    assert (project / ".build/buildx").is_dir()
    settings = Settings.load(project, environ={"BUILD_REGISTRY": "127.0.0.1:1/x"})
    with Registries(settings) as registries:
        assert settings.build_registry is not None
        store = RegistryStore(registries, settings.build_registry, settings, "linux/amd64")
        for name in ("p-one:v1", "p-one:v2", "p-gone:v1", "p-on:v1"):
            store.put(Reference.parse(name), f"sha256:{64 * 'a'}")
    records = project / ".build/images-built"
    assert len(list(records.iterdir())) == 4
    done = inv("clean", "--yes", IMAGE_TAG="v2", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in records.iterdir()) == [
        "docker.io_library_p-one_v1.json",
        "docker.io_library_p-one_v2.json",
    ]
    assert "record of a service that is gone" in done.stdout
    assert not (project / ".build/buildx").exists()


def test_the_recordings_of_removed_releases_go_and_what_they_alone_need(
    built: dict[str, str], project: Path, inv: Inv
) -> None:
    store = Store(Settings.load(project, environ={}))
    shared, own, newest = (download(store, f"https://files.example/{name}", name) for name in ("a", "b", "c"))
    store.write(recording(shared, own, service="one", release="v1"))
    store.write(recording(shared, newest, service="one", release="v2"))
    store.write(recording(newest, service="one", release="v0"))  # without an image here: a bundle brought it
    begun = store.directory / "incoming/tmp-of-a-killed-run"
    begun.write_text("x")
    dry = inv("--dry", "clean", **built)
    shown = [line.split() for line in dry.stdout.splitlines() if ".build/downloads" in line]
    assert [(words[1], *words[4:]) for words in shown] == [
        (".build/downloads/recordings/v1", "recordings", "of", "an", "earlier", "release"),
        (".build/downloads/sha256", "1", "file", "that", "no", "recording", "needs"),
        (".build/downloads/incoming", "left", "by", "a", "run", "that", "was", "killed"),
    ]
    assert store.releases() == ["v0", "v1", "v2"]
    done = inv("clean", "--yes", **built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert store.releases() == ["v0", "v2"]
    assert {item.url: store.path(item.sha256).exists() for item in (shared, own, newest)} == {
        shared.url: True,
        own.url: False,
        newest.url: True,
    }
    assert not begun.exists()


def test_what_was_recorded_after_it_was_shown_stays(project: Path) -> None:
    settings = Settings.load(project, environ={})
    store = Store(settings)
    used, unused = (download(store, f"https://files.example/{name}", name) for name in ("a", "b"))
    repository = discover(settings)
    leftovers = clean.find(repository, [], None, settings, keep=1)
    [item] = [item for item in leftovers if item.content]
    assert (len(item.content), item.size) == (2, 2)
    store.write(recording(used))
    assert clean.remove(leftovers, None, settings) == []
    assert (store.path(used.sha256).exists(), store.path(unused.sha256).exists()) == (True, False)


def test_nothing_of_the_store_goes_if_a_recording_cannot_be_read(project: Path) -> None:
    settings = Settings.load(project, environ={})
    store = Store(settings)
    download(store, "https://files.example/a", "a")
    store.write(recording())
    (store.directory / "recordings/v1/web.json").write_text('{"format": 2}')  # of a newer program
    assert [item for item in clean.find(discover(settings), [], None, settings, keep=1) if item.content] == []
