"""What builds downloaded, in a real registry as an artifact: pushed from one repository, fetched into another."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from build_lib.downloads import Recording
from build_lib.errors import BuildError, RegistryError
from build_lib.machine import local_registry
from build_lib.reference import PrivateRegistry
from build_lib.registry import CHUNK, LARGEST, Descriptor, Progress, Registries
from build_lib.settings import Settings
from build_lib.transfer import FetchedDownloads, PushedDownloads, fetch_downloads, push_downloads
from build_lib.transfer import downloads_artifact as artifact
from tests.support.commands import Inv, items_of
from tests.support.downloads import record, recorded, store_of
from tests.support.faults import Fault, proxied
from tests.support.images import layer, make, write
from tests.support.projects import needs
from tests.support.registries import Registry, running_registry

MB = 1 << 20
DEB = "http://deb.debian.org/debian/pool/x.deb"
WHEEL = "https://files.pythonhosted.org/six.whl"
PAGE = "https://pypi.org/simple/six/"
SHARED = b"an index that both services read"
ANSWERS: dict[str, dict[str, bytes | None]] = {
    "web": {DEB: os.urandom(3 * MB), PAGE: SHARED, "https://pypi.org/simple/none/": None, "https://x.example/0": b""},
    "api": {WHEEL: b"a wheel", PAGE: SHARED, "https://x.example/config": artifact.EMPTY},
}
FILES = 5  # of content, each once


def configured(root: Path, registry: str, **settings: str) -> Settings:
    root.mkdir(parents=True, exist_ok=True)
    own = {"HOME": str(root), "PRIVATE_REGISTRY": registry, "IMAGE_TAG": "v1", "TRIES": "1", "PULL_JOBS": "4"}
    return Settings.load(root, environ={**os.environ, **own, **settings})


def push(settings: Settings, **options: Any) -> PushedDownloads:
    outcome = push_downloads(settings, **options)
    assert outcome is not None
    assert outcome.error is None
    assert outcome.value is not None
    return outcome.value


def refused(settings: Settings) -> BuildError:
    outcome = push_downloads(settings)
    assert outcome is not None
    assert outcome.error is not None
    return outcome.error


def fetch(settings: Settings, *services: str, **options: Any) -> FetchedDownloads:
    return fetch_downloads(settings, "v1", services or tuple(ANSWERS), **options)


def recorded_at(root: Path) -> dict[str, Recording]:
    return {service: record(root, service, answers) for service, answers in ANSWERS.items()}


def files_of(root: Path) -> dict[str, bytes]:
    """The content in a store, by its name."""
    return {path.name: path.read_bytes() for path in (store_of(root).directory / "sha256").iterdir()}


def data_of(registry: Registry, content: bytes) -> Path:
    """Where the registry keeps this content."""
    name = hashlib.sha256(content).hexdigest()
    return registry.log.parent / f"data/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"


def requests_to(registry: Registry) -> list[tuple[str, str]]:
    return re.findall(r'"([A-Z]+) (/v2/\S+) HTTP', registry.log.read_text())


def test_downloads_come_back_through_a_registry_with_a_login(machine: Settings, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    made = recorded_at(here)
    login = local_registry.write_login(tmp_path / "login", machine)
    user, password = dotenv_values(tmp_path / "login").values()
    auth = {"htpasswd": {"realm": "r", "path": str(login)}}
    told: list[Progress] = []
    with running_registry(machine, tmp_path / "closed", auth=auth) as closed:
        target, names = f"{closed.host}/p", {"PRIVATE_REGISTRY_USERNAME": user or ""}
        known = names | {"PRIVATE_REGISTRY_PASSWORD": password or ""}
        pushed = push(configured(here, target, **known))
        fetched = fetch(configured(there, target, **known), *ANSWERS, "other", on_progress=told.append)
        wrong = refused(configured(here, target, **names, PRIVATE_REGISTRY_PASSWORD="not-it"))
    assert store_of(there).recordings("v1") == made
    assert files_of(there) == files_of(here)
    assert str(pushed.place) == f"{target}/build_lib/downloads:v1"
    assert (pushed.recordings, pushed.downloads, pushed.files, pushed.present) == (2, 7, FILES, 0)
    assert (fetched.recordings, fetched.without) == (("web", "api"), ("other",))
    assert (fetched.downloads, fetched.files, fetched.present) == (7, FILES, 0)
    assert fetched.moved == sum(map(len, files_of(here).values()))
    assert {(item.total, tuple(item.images)) for item in told} == {(fetched.moved, ("downloads of v1",))}
    assert "refused the login" in wrong.message


def test_the_artifact_is_as_the_specification_says(machine: Settings, private: Registry, tmp_path: Path) -> None:
    made = recorded_at(tmp_path)
    settings = configured(tmp_path, f"{private.host}/p")
    pushed = push(settings)
    with Registries(machine) as registries:
        manifest = registries.manifest(pushed.place, "v1")
        content = [b"".join(registries.blob(pushed.place, blob)) for blob in manifest.blobs]
    body = json.loads(manifest.body)
    assert manifest.digest == pushed.digest
    assert (body["schemaVersion"], body["mediaType"]) == (2, "application/vnd.oci.image.manifest.v1+json")
    assert body["artifactType"] == "application/vnd.build-lib.downloads.v1+json"
    assert body["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
    }
    assert body.keys() == {"schemaVersion", "mediaType", "artifactType", "config", "layers"}
    assert [(each["mediaType"], each.get("annotations")) for each in body["layers"][:2]] == [
        ("application/vnd.build-lib.recording.v1+json", {"org.opencontainers.image.title": f"{name}.json"})
        for name in ("api", "web")
    ]
    assert {(each["mediaType"], each.get("annotations")) for each in body["layers"][2:]} == {
        ("application/octet-stream", None)
    }
    for each, data in zip([body["config"], *body["layers"]], content, strict=True):
        assert (each["digest"], each["size"]) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    assert [artifact.unpacked(pushed.place, data) for data in content[1:3]] == [made["api"], made["web"]]


def test_again_nothing_but_heads_is_sent(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path)
    settings = configured(tmp_path, f"{private.host}/p")
    first = push(settings)
    before = len(requests_to(private))
    again = push(settings)
    assert (again.result, again.digest, again.moved, again.present) == ("there", first.digest, 0, FILES)
    assert {method for method, _ in requests_to(private)[before:]} == {"HEAD"}


def test_only_what_is_new_is_sent(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path)
    settings = configured(tmp_path, f"{private.host}/p")
    push(settings)
    record(tmp_path, "new", {WHEEL: b"a wheel", "https://x.example/new": b"new"})
    dry = push(settings, dry=True)
    before = len(requests_to(private))
    pushed = push(settings)
    asked = [method for method, path in requests_to(private)[before:] if "/blobs/" in path]
    assert sorted(asked) == ["POST"] * 2 + ["PUT"] * 2  # for the recording and its new file
    assert (pushed.files, pushed.present) == (dry.files, dry.present) == (FILES + 1, FILES)
    assert (pushed.moved, pushed.saved, pushed.digest) == (dry.moved, dry.saved, dry.digest)


def test_another_release_sends_only_what_is_new(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path)
    push(configured(tmp_path, f"{private.host}/p"))
    record(tmp_path, "web", {PAGE: SHARED, WHEEL: b"another wheel"}, release="v2")
    pushed = push(configured(tmp_path, f"{private.host}/p", IMAGE_TAG="v2"))
    assert (pushed.result, pushed.files, pushed.present) == ("copied", 2, 1)
    assert fetch(configured(tmp_path / "there", f"{private.host}/p")).files == FILES


def test_an_image_under_the_name_gives_way_to_the_downloads(
    machine: Settings, private: Registry, tmp_path: Path
) -> None:
    with Registries(machine) as registries:
        write(registries, f"{private.host}/p/build_lib/downloads:v1", make([layer(a="1")]))
    recorded_at(tmp_path)
    assert push(configured(tmp_path, f"{private.host}/p")).present == 0
    assert fetch(configured(tmp_path / "there", f"{private.host}/p")).files == FILES


def test_a_dry_run_writes_nothing(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path)
    settings = configured(tmp_path, f"{private.host}/p")
    pushed = push(settings, dry=True)
    assert (pushed.result, pushed.present) == ("copied", 0)
    assert {method for method, _ in requests_to(private)} == {"HEAD"}


def test_more_layers_than_a_manifest_takes_are_below_an_index(
    machine: Settings, private: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "MOST_LAYERS", 3)
    made = recorded_at(tmp_path / "here")
    pushed = push(configured(tmp_path / "here", f"{private.host}/p"))
    with Registries(machine) as registries:
        index = registries.manifest(pushed.place, "v1")
    listed = json.loads(index.body)["manifests"]
    assert [each["artifactType"] for each in listed] == [artifact.ARTIFACT] * 3
    assert fetch(configured(tmp_path / "there", f"{private.host}/p")).files == FILES
    assert store_of(tmp_path / "there").recordings("v1") == made
    assert push(configured(tmp_path / "here", f"{private.host}/p")).result == "there"


def test_the_largest_manifest_is_below_the_limit_of_registries() -> None:
    blob = Descriptor(digest=f"sha256:{'f' * 64}", size=1 << 50, media_type=artifact.RECORDING)
    recordings = {f"{number:0128}": blob for number in range(artifact.MOST_LAYERS)}
    [manifest] = artifact.manifests(recordings, [])
    assert LARGEST * 0.8 < len(manifest.body) < LARGEST


def test_what_a_registry_lost_is_named_and_no_recording_is_written(private: Registry, tmp_path: Path) -> None:
    here, there = tmp_path / "here", configured(tmp_path / "there", f"{private.host}/p")
    recorded_at(here)
    push(configured(here, f"{private.host}/p"))
    data = data_of(private, b"a wheel")
    data.unlink()
    with pytest.raises(RegistryError, match=f"the content of {WHEEL} for api cannot be fetched: .* answered 404"):
        fetch(there)
    assert store_of(tmp_path / "there").releases() == []
    data.write_bytes(b"a wheel")
    assert fetch(there).recordings == ("web", "api")


def test_what_a_registry_lost_is_sent_again_with_what_is_new(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path)
    settings = configured(tmp_path, f"{private.host}/p")
    push(settings)
    data_of(private, b"a wheel").unlink()
    record(tmp_path, "new", {"https://x.example/new": b"new"})
    assert push(settings).present == FILES - 1
    assert data_of(private, b"a wheel").read_bytes() == b"a wheel"


def test_a_fetch_goes_on_where_an_earlier_one_broke(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path / "here")
    push(configured(tmp_path / "here", f"{private.host}/p"))
    digest = hashlib.sha256(ANSWERS["web"][DEB] or b"").hexdigest()
    with proxied(private.host, Fault(method="GET", path=digest, end_at=2 * MB)) as broken:
        there = configured(tmp_path / "there", f"{broken.host}/p")
        with pytest.raises(RegistryError, match=f"the content of {DEB} for web"):
            fetch(there)
        assert store_of(tmp_path / "there").releases() == []
        assert fetch(there).recordings == ("web", "api")
        assert broken.of("GET", digest)[-1].headers["Range"] == f"bytes={2 * MB - CHUNK}-"  # less the unchecked end
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


def test_what_the_store_has_is_not_fetched(private: Registry, tmp_path: Path) -> None:
    recorded_at(tmp_path)
    push(configured(tmp_path, f"{private.host}/p"))
    there = tmp_path / "there"
    own = record(there, "web", {PAGE: SHARED})
    asked = len(requests_to(private))
    assert fetch(configured(there, f"{private.host}/p"), "web") == FetchedDownloads(
        place=None, recordings=(), without=()
    )
    assert len(requests_to(private)) == asked
    fetched = fetch(configured(there, f"{private.host}/p"))
    assert (fetched.recordings, fetched.files, fetched.present) == (("api",), 3, 1)
    assert store_of(there).recording("v1", "web") == own


def test_downloads_that_are_nowhere_are_told_with_the_next_step(private: Registry, tmp_path: Path) -> None:
    for target, told in (("", ""), (f"{private.host}/p", f" and not at {private.host}/p/build_lib/downloads:v1")):
        settings = configured(tmp_path, target)
        with pytest.raises(BuildError) as caught:
            fetch(settings)
        assert caught.value.message == f"the downloads of v1 are not in {store_of(tmp_path).directory}{told}"
        assert caught.value.hint.startswith("./inv deps-load -f BUNDLE loads them")
        assert push_downloads(settings) is None


def test_an_image_under_the_name_is_no_artifact(machine: Settings, private: Registry, tmp_path: Path) -> None:
    settings = configured(tmp_path, f"{private.host}/p")
    with Registries(machine) as registries:
        write(registries, f"{private.host}/p/build_lib/downloads:v1", make([layer(a="1")]))
    with pytest.raises(RegistryError, match=r"has no downloads, but something of the type application/vnd\.oci\.image"):
        fetch(settings)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_images_are_pushed_without_downloads_that_the_store_lacks(
    damage: str, machine: Settings, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    name = f"{registry.host}/a:1"
    with Registries(machine) as registries:
        write(registries, name, make([layer(a="1")]))
    needs(project, "web", name)
    recorded_at(project)
    path = store_of(project).path(hashlib.sha256(b"a wheel").hexdigest())
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"a whale")
    done = inv("deps-push", "-r", f"{private.host}/p", "-t", "v1", "--json")
    image, downloads = items_of(done)
    assert (done.returncode, image["result"], downloads["result"]) == (1, "copied", "failed")
    assert f"the content of {WHEEL} for api is {'not in' if damage == 'missing' else 'damaged: '}" in downloads["error"]
    assert done.stderr.endswith("downloads of v1 not pushed\n")
    again = "--record records it again" if damage == "missing" else "--record --force records it again"
    assert again in done.stderr
    with Registries(machine) as registries:
        assert registries.resolve(PrivateRegistry.parse(f"{private.host}/p").downloads("v1")) is None


def test_deps_push_pushes_the_downloads_of_the_release(private: Registry, project: Path, inv: Inv) -> None:
    needs(project, "web", "scratch")
    recorded_at(project)
    place = f"{private.host}/p/build_lib/downloads:v1"
    files = f"{FILES} files, 0 of them already present"
    dry = inv("--dry", "deps-push", "-r", f"{private.host}/p", "-t", "v1")
    done = inv("deps-push", "-r", f"{private.host}/p", "-t", "v1")
    [item] = items_of(inv("deps-push", "-r", f"{private.host}/p", "-t", "v1", "--json"))
    assert f"downloads of v1: would be copied: 7 downloads of 2 services, {files}; 3.1 MB would be" in dry.stdout
    assert f"downloads of v1: copied: 7 downloads of 2 services, {files}; 3.1 MB transferred" in done.stdout
    assert f"  {place}@{item['digest']}\n" in done.stdout
    assert (item["image"], item["places"], item["result"]) == ("downloads of v1", [place], "there")
    assert item["downloads"] == {"recordings": 2, "downloads": 7, "files": FILES, "files_present": FILES}
    assert inv("deps-push", "-r", f"{private.host}/p", "-t", "v2").stdout == "no dependency images\n"


def test_a_recording_that_no_site_could_fetch_is_not_pushed(
    private: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "web", {PAGE: SHARED})
    monkeypatch.setattr(artifact, "LARGEST_RECORDING", 100)
    assert "100 B is the most for a registry" in refused(configured(tmp_path, f"{private.host}/p")).message
    store_of(tmp_path)._path("v1", "web").write_text("{}")
    assert refused(configured(tmp_path, f"{private.host}/p")).message == "the recording of web in v1 cannot be read"


def test_the_same_recording_is_packed_into_the_same_bytes() -> None:
    made = recorded("web", ANSWERS["web"])
    assert artifact.packed(made) == artifact.packed(recorded("web", ANSWERS["web"]))
    assert len(artifact.packed(recorded("web", {f"{DEB}/{n}": b"x" for n in range(100)}))) < 100 * 700
