"""Downloads in bundles: saved, checked, loaded, and left out where the site has them."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.registry import Registries, digest_of
from build_lib.settings import Settings
from tests.bundle.bundles import bundle, members, with_downloads
from tests.bundle.downloads import FILES, held, record, sha256, store_of
from tests.support.commands import MEMORY_LIMIT, Inv, peak_memory, run_inv, small_disk
from tests.support.engines import OwnEngine, content
from tests.support.images import Made, layer, make, write
from tests.support.projects import needs
from tests.support.registries import Registry

MB = 1 << 20
NOWHERE = {"DOCKER_HOST": "unix:///nowhere"}
API = {"https://pypi.org/simple/six/": FILES["https://pypi.org/simple/six/"], "https://gone.example/": b""}
ALL = {sha256(content) for content in FILES.values()}


class Outside:
    """A machine with a network: a repository of two services on one image, whose downloads were recorded."""

    def __init__(self, project: Path, registry: Registry, machine: Settings, image: Made) -> None:
        self.project = project
        self.image = f"{registry.host}/base:1"
        self.site = project / "site"  # another repository, at the site
        (self.site / "src").mkdir(parents=True)
        self.disk = project / "disk"
        self.disk.mkdir()
        self.bundle = self.disk / "deps.tar"
        self.machine = machine
        with Registries(machine) as registries:
            write(registries, self.image, image)
        for service in ("api", "web"):
            needs(project, service, self.image)
        self.recordings = {"api": record(project, "api", API), "web": record(project, "web", FILES)}

    def save(self, *arguments: str, path: Path | None = None) -> dict[str, Any]:
        file = str(path or self.bundle)
        done = self.run(self.project, "deps-save", "--downloads", "--json", "-t", "v1", "-f", file, *arguments)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def load(self, *arguments: str, path: Path | None = None) -> dict[str, dict[str, Any]]:
        done = self.run(self.site, "deps-load", "--json", "-f", str(path or self.bundle), *arguments)
        assert done.returncode == 0, done.stderr
        return {item["downloads_of"]: item for item in json.loads(done.stdout) if "downloads_of" in item}

    def run(self, project: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(project, arguments, environment)


@pytest.fixture
def outside(project: Path, registry: Registry, machine: Settings, engine: Engine) -> Iterator[Outside]:
    made = Outside(project, registry, machine, make([layer(mark="base")]))
    yield made
    engine.images.remove(Reference.parse(made.image))


def test_the_site_gets_recordings_and_content(outside: Outside) -> None:
    found = outside.save()["downloads"]
    assert found == {
        "services": [
            {"service": "api", "downloads": 2, "bytes": 16},
            {"service": "web", "downloads": 3, "bytes": 5019},
        ],
        "files": 3,
        "bytes": 5019,
        "left_out": [],
    }
    told = outside.run(outside.site, "deps-verify", "-f", str(outside.bundle), **NOWHERE)
    assert "api           2       16 B\nweb           3       5.0 kB\n" in told.stdout, told.stderr
    assert "  downloads of 2 services: 3 files, 5.0 kB\n" in told.stdout
    would = outside.run(outside.site, "--dry", "deps-load", "-f", str(outside.bundle))
    assert "web in v1     would be loaded  5.0 kB  3\n" in would.stdout, would.stderr
    assert not (outside.site / ".build/downloads").exists()
    loaded = outside.load()
    assert {name: (item["result"], item["bytes_new"]) for name, item in loaded.items()} == {
        "api": ("loaded", 16),
        "web": ("loaded", 5003),
    }
    assert store_of(outside.site).recordings("v1") == outside.recordings
    assert held(outside.site) == held(outside.project)
    assert {item["result"] for item in outside.load().values()} == {"there"}


def test_with_a_registry_they_go_into_the_store_here(outside: Outside, private: Registry) -> None:
    outside.save()
    outside.load("-r", f"{private.host}/p")
    assert held(outside.site) == held(outside.project)
    with Registries(outside.machine) as registries:
        place = f"{private.host}/p/{outside.image.replace(':', '_', 1)}"
        assert registries.resolve(Reference.parse(place)) is not None


def test_a_recording_of_the_same_release_is_replaced_and_damage_at_the_site_is_repaired(outside: Outside) -> None:
    outside.save()
    record(outside.site, "web", {"https://other.example/": b"other"})
    record(outside.site, "web", API, release="v0")
    wrong = store_of(outside.site).path(sha256(b"deb"))
    wrong.write_bytes(b"bed")
    result = {name: item["result"] for name, item in outside.load().items()}
    assert result == {"api": "loaded", "web": "replaced"}
    assert wrong.read_bytes() == b"deb"
    assert store_of(outside.site).recordings("v1") == outside.recordings
    assert store_of(outside.site).releases() == ["v0", "v1"]


def test_a_load_that_was_killed_is_followed_by_one_that_goes_on(outside: Outside) -> None:
    outside.save()
    whole = FILES["https://files.example/six.whl"]
    begun = store_of(outside.site).directory / "partial" / sha256(whole)
    begun.parent.mkdir(parents=True)
    begun.write_bytes(whole[:1234])
    outside.load()
    assert held(outside.site) == held(outside.project)


def test_one_service_brings_its_own_alone(outside: Outside) -> None:
    found = outside.save("-s", "api")["downloads"]
    assert [item["service"] for item in found["services"]] == ["api"]
    assert found["files"] == 1


def test_what_is_not_recorded_is_an_error_before_anything_is_fetched(outside: Outside) -> None:
    store_of(outside.project).remove("v1")
    for names in ((), ("-s", "web")):
        done = outside.run(outside.project, "deps-save", "--downloads", "-t", "v1", "-f", str(outside.bundle), *names)
        assert (done.returncode, done.stdout) == (1, "")
        services = "web" if names else "api, web"
        assert done.stderr == (
            f"error: downloads of v1 are not recorded: {services}\n"
            "  next: ./inv build-all --record -t v1 records them\n"
        )
    assert list(outside.disk.iterdir()) == []
    assert not (outside.project / ".build/blobs").exists()


@pytest.mark.parametrize("how", ["missing", "cut", "changed"])
def test_content_that_is_damaged_is_named_and_nothing_is_written(how: str, outside: Outside) -> None:
    path = store_of(outside.project).path(sha256(FILES["https://files.example/six.whl"]))
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(b"wheel" * 999 + (b"" if how == "cut" else b"Wheel"))
    done = outside.run(outside.project, "deps-save", "--downloads", "-t", "v1", "-f", str(outside.bundle))
    assert done.returncode == 1
    assert how == "changed" or done.stdout == "", "it is told before images are looked up"
    where = outside.project / ".build/downloads"
    assert f"downloads are missing or damaged in {where}: https://files.example/six.whl of web\n" in done.stderr
    assert list(outside.disk.iterdir()) == []


@pytest.mark.parametrize("since", ["inventory", "registry", "listing"])
def test_a_delta_carries_what_is_new(since: str, outside: Outside, private: Registry) -> None:
    place = ("-r", f"{private.host}/p") if since == "registry" else ()
    outside.save()
    outside.load(*place)
    base = outside.bundle
    if since in ("inventory", "registry"):
        base = outside.disk / "site.json"
        needs(outside.site, "web", outside.image)
        done = outside.run(outside.site, "deps-inventory", "--json", "-f", str(base), *place)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["downloads"] == 3
    elif since == "listing":
        base = outside.disk / "build-lib.json"
        command = ["tar", "xOf", str(outside.bundle), base.name]
        base.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    made = record(outside.project, "web", {**FILES, "https://new.example/": b"new"})
    delta = outside.disk / "delta.tar"
    found = outside.save("--since", str(base), path=delta)["downloads"]
    assert {item["digest"].removeprefix("sha256:") for item in found["left_out"]} == ALL
    files = [content for _, content in members(delta.read_bytes())]
    assert b"new" in files
    assert not ALL & {sha256(content) for content in files}
    told = outside.run(outside.site, "deps-verify", "-f", str(delta))
    assert "a valid delta (needs 1 layer and 3 downloaded files of the site)" in told.stdout, told.stderr
    assert "  downloads of 2 services: 4 files, 5.0 kB\n    of these, 3 files left out, 5.0 kB\n" in told.stdout
    results = outside.load(*place, path=delta)
    assert {name: item["result"] for name, item in results.items()} == {"api": "there", "web": "replaced"}
    assert store_of(outside.site).recording("v1", "web") == made
    assert held(outside.site) == held(outside.project)


@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_delta_that_does_not_fit_the_site_is_refused(how: str, outside: Outside, private: Registry) -> None:
    outside.save()
    outside.load()
    delta = outside.disk / "delta.tar"
    record(outside.project, "web", {**FILES, "https://new.example/": b"new"})
    outside.save("--since", str(outside.bundle), path=delta)
    path = store_of(outside.site).path(sha256(b"deb"))
    path.unlink()
    if how == "changed":
        path.write_bytes(b"bed")
    before = held(outside.site)
    load = ("deps-load", "-f", str(delta))
    for arguments in (load, (*load, "-r", f"{private.host}/p"), ("--dry", *load)):
        done = outside.run(outside.site, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "is a delta against deps.tar, and " in done.stderr
        assert "needs: http://deb.debian.org/debian/x.deb of web; nothing was changed\n" in done.stderr
    assert held(outside.site) == before
    assert "/v2/p/" not in private.log.read_text()


def test_parts_carry_them_too(outside: Outside) -> None:
    assert len(outside.save("--split", "3K")["parts"]) > 2
    outside.load()
    assert held(outside.site) == held(outside.project)


def test_a_full_disk_at_the_site_leaves_no_recording(outside: Outside) -> None:
    record(outside.project, "web", {**FILES, "https://big.example/": bytes(3 * MB)})
    outside.save()
    (outside.site / ".build/downloads").mkdir(parents=True)
    with small_disk(outside.site / ".build/downloads", "size=1m"):
        done = outside.run(outside.site, "deps-load", "-f", str(outside.bundle))
        assert done.returncode == 1
        assert "downloads of api, web: not loaded\n    cannot write " in done.stdout
        assert "the downloads of 2 services are not loaded" in done.stderr
        assert store_of(outside.site).releases() == []


def test_they_take_little_memory_whatever_their_size(outside: Outside, private: Registry) -> None:
    record(outside.project, "web", {"https://big.example/": bytes(200 * MB)})
    file = ("-f", str(outside.bundle))
    save = ("deps-save", "--downloads", "-t", "v1", *file)
    assert peak_memory(*save, PROJECT_ROOT=str(outside.project)) < MEMORY_LIMIT
    load = ("deps-load", "-r", f"{private.host}/p", *file)
    assert peak_memory(*load, PROJECT_ROOT=str(outside.site)) < MEMORY_LIMIT
    assert held(outside.site).keys() >= {f"sha256/{sha256(bytes(200 * MB))}"}


def test_docker_load_passes_over_them(outside: Outside, engine: Engine) -> None:
    outside.save()
    subprocess.run(["docker", "load", "--input", str(outside.bundle)], check=True, capture_output=True)
    assert content(engine, outside.image, "/mark") == "base"


def test_so_does_a_newer_one_with_either_store(newer_engine: OwnEngine, project: Path, prefix: str) -> None:
    """The content is an image's manifest, which index.json does not name."""
    image, other = make([layer(mark="base")]), make([layer(mark="other")])
    record(project, "web", {**FILES, "https://registry.example/v2/other/manifests/1": other.manifest.body})
    path = project / "deps.tar"
    path.write_bytes(with_downloads(project, {f"{prefix}base:1": image}))
    settings = Settings.load(project, environ=newer_engine.environment)
    with Engine.connect(settings) as engine, path.open("rb") as file:
        engine.streams.load(iter(lambda: file.read(MB), b""))
        names = [Reference.parse(name) for name in engine.images.by_name()]
        assert {name.repository for name in names} == {Reference.parse(f"{prefix}base:1").repository}
        assert content(engine, f"{prefix}base:1", "/mark") == "base"
        engine.images.remove(Reference.parse(f"{prefix}base:1"))


# without an engine


IMAGE = make([layer(own="a")])


def test_content_that_is_also_in_an_image_is_there_once(project: Path, inv: Inv) -> None:
    """As a layer, a config or a manifest."""
    wanted = {f"https://x.example/{number}": body for number, body in enumerate((*IMAGE.blobs, IMAGE.manifest.body))}
    record(project, "web", {**FILES, **wanted})
    (project / "f.tar").write_bytes(with_downloads(project, {"redis:7": IMAGE}))
    names = [info.name for info, _ in members((project / "f.tar").read_bytes())]
    assert len(names) == len(set(names))
    done = inv("deps-verify", "--json", "-f", "f.tar", **NOWHERE)
    assert json.loads(done.stdout)["downloads"]["files"] == len({*FILES.values(), *wanted.values()}), done.stderr


def test_the_same_downloads_give_the_same_bytes_and_none_what_there_was(project: Path) -> None:
    record(project, "web", FILES)
    first, plain = with_downloads(project, {"redis:7": IMAGE}), bundle({"redis:7": IMAGE})
    assert first == with_downloads(project, {"redis:7": IMAGE})
    with_them, without = ({info.name: body for info, body in members(each)} for each in (first, plain))
    assert {name for name in without if with_them[name] != without[name]} == {"build-lib.json", "build-lib.sha256"}
    listing = json.loads(without["build-lib.json"])
    assert (listing["format"], "downloads" in listing) == (1, False)


def test_damage_is_named_by_its_url(project: Path, inv: Inv) -> None:
    record(project, "web", FILES)
    body = FILES["https://files.example/six.whl"]
    (project / "f.tar").write_bytes(with_downloads(project, {"redis:7": IMAGE}).replace(body, body[:-1] + b"!"))
    for command in ("deps-verify", "deps-load"):
        done = inv(command, "-f", "f.tar", **NOWHERE)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"blobs/sha256/{digest_of(body)[7:]} of https://files.example/six.whl of web, at byte " in done.stderr
