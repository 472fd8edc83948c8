"""Images from registries into the engine by our own connections, and by the engine's pulls."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.graph import Outcome
from build_lib.machine import local_registry
from build_lib.reference import Reference, pinned
from build_lib.registry import DOCKER_MANIFEST, OCI_MANIFEST, Progress, Registries
from build_lib.repository import dependencies, services
from build_lib.settings import Settings
from build_lib.transfer import prefetch, source_search
from build_lib.transfer.image_pull import Fetched
from tests.support.commands import MEMORY_LIMIT, Inv, peak_memory
from tests.support.engines import BACKENDS, content, tiny_image
from tests.support.faults import Fault, proxied
from tests.support.images import index, layer, make, write, write_large
from tests.support.projects import needs
from tests.support.registries import Registry, running_registry

WAYS = ("content", "engine")


@pytest.fixture
def registries(machine: Settings) -> Iterator[Registries]:
    with Registries(machine) as made:
        yield made


@pytest.fixture
def images(engine: Engine, registry: Registry) -> Iterator[None]:
    """Remove afterwards what came from the test's registry, and what is pinned."""
    before = set(engine.images.by_name())
    yield
    for name in set(engine.images.by_name()) - before:
        reference = Reference.parse(name)
        if reference.host == registry.host or reference.path.startswith("build-lib/"):
            engine.images.remove(reference)


def static(engine: Engine, machine: Settings, registry: Registry) -> str:
    """An image that can run commands, in the registry under its digest and the tag `static`; its digest."""
    name = f"{registry.host}/base:static"
    tiny_image(engine, name, machine, mark="static")
    subprocess.run(["docker", "push", name], check=True, capture_output=True)
    engine.images.remove(Reference.parse(name))
    with Registries(machine) as registries:
        top = registries.resolve(Reference.parse(name))
    assert top is not None
    return top.digest


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["docker", "oci", "index"])
def test_an_image_of_any_kind_comes_in_under_its_own_name(
    way: str,
    kind: str,
    registries: Registries,
    registry: Registry,
    engine: Engine,
    project: Path,
    inv: Inv,
    images: None,
) -> None:
    name = f"{registry.host}/a:1"
    made = make([layer(mark=f"{way} {kind}")], kind=DOCKER_MANIFEST if kind == "docker" else OCI_MANIFEST)
    other = make([layer(mark="another platform")], platform="linux/s390x")
    write(registries, name, other, made, top=index(other, made) if kind == "index" else None)
    needs(project, "one", name)
    done = inv("prefetch", PULL_THROUGH=way)
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(engine, name, "/mark") == f"{way} {kind}"
    assert not list((project / ".build").glob("blobs/*/*"))


def test_layers_that_the_engine_has_are_not_fetched(
    registries: Registries, registry: Registry, engine: Engine, project: Path, inv: Inv, images: None
) -> None:
    if engine.keeps_content():
        pytest.skip("into a containerd store, an image goes as a whole")
    shared, first, second = layer(shared="x"), layer(own="1"), layer(own="2")
    for tag, own in (("1", first), ("2", second)):
        write(registries, f"{registry.host}/a:{tag}", make([shared, own]))
    needs(project, "one", f"{registry.host}/a:1")
    assert inv("prefetch", PULL_THROUGH="content").returncode == 0
    needs(project, "one", f"{registry.host}/a:2")
    before = len(registry.log.read_text())
    assert inv("prefetch", PULL_THROUGH="content").returncode == 0
    fetched = registry.log.read_text()[before:].count('"GET /v2/a/blobs/')
    assert fetched == 2  # the config, and the layer on top
    assert content(engine, f"{registry.host}/a:2", "/shared") == "x"
    assert content(engine, f"{registry.host}/a:2", "/own") == "2"


def test_blobs_that_images_share_are_fetched_once_and_kept_if_wanted(
    registries: Registries, registry: Registry, project: Path, inv: Inv, images: None
) -> None:
    shared = layer(shared="y" * 1000)
    for name in ("a", "b"):
        write(registries, f"{registry.host}/{name}:1", make([shared, layer(own=name)]))
        needs(project, name, f"{registry.host}/{name}:1")
    before = len(registry.log.read_text())
    assert inv("prefetch", PULL_THROUGH="content", KEEP_BLOBS="yes").returncode == 0
    assert len(re.findall(r'"GET /v2/./blobs/', registry.log.read_text()[before:])) == 5
    assert len(list((project / ".build/blobs/sha256").iterdir())) == 5


@pytest.mark.parametrize("form", ["{host}/base@{digest}", "{host}/base:static@{digest}"])
def test_a_pinned_image_from_the_private_registry_is_found_by_every_builder(
    backend: dict[str, str],
    form: str,
    machine: Settings,
    registry: Registry,
    private: Registry,
    engine: Engine,
    project: Path,
    prefix: str,
    inv: Inv,
    images: None,
) -> None:
    digest = static(engine, machine, registry)
    name = form.format(host=registry.host, digest=digest)
    needs(project, "one", "$BASE AS first", f"FROM {name}", "COPY --from=first /mark /copy", "RUN cat /copy")
    dockerfile = project / "src/one/Dockerfile"
    dockerfile.write_text(f"ARG BASE={name}\n{dockerfile.read_text()}")
    assert inv("deps-push", "-r", f"{private.host}/p", "-t", "v1").returncode == 0
    registry_log = len(registry.log.read_text())
    environment = {"IMAGE_PREFIX": prefix, "PULL_THROUGH": "content", **backend}
    done = inv("build-all", "-r", f"{private.host}/p", "-t", "v1", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert BACKENDS[backend["BUILDER_BACKEND"]] in done.stdout
    assert len(registry.log.read_text()) == registry_log, "its own registry was asked"
    assert content(engine, f"{prefix}one:v1", "/copy") == "static"
    again = inv("build-all", "-r", f"{private.host}/p", "-t", "v1", **environment)
    assert "nothing to build" in again.stdout
    local = pinned(Reference.parse(name))
    assert local is not None
    assert local.identity in engine.images.by_name()


def test_a_mirror_comes_before_the_registry_itself(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv, engine: Engine, images: None
) -> None:
    name = f"{registry.host}/team/a:1"
    write(registries, f"{private.host}/cache/team/a:1", make([layer(mark="mirrored")]))
    needs(project, "one", name)
    done = inv("prefetch", REGISTRY_MIRRORS=f"{registry.host}={private.host}/cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: from {private.host}/cache/team/a:1" in done.stdout
    assert content(engine, name, "/mark") == "mirrored"


def _tells_platforms(engine: Engine) -> None:
    if engine.keeps_content():
        pytest.skip("of an image in a containerd store, an engine tells one platform, its own if that is there")


def test_another_platform_can_be_asked_for(
    registries: Registries, registry: Registry, engine: Engine, project: Path, inv: Inv, images: None
) -> None:
    _tells_platforms(engine)
    made = [make([layer(mark=platform)], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    write(registries, f"{registry.host}/a:1", *made, top=index(*made))
    needs(project, "one", f"--platform=linux/arm64 {registry.host}/a:1")
    done = inv("prefetch", PULL_THROUGH="content")
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(engine, f"{registry.host}/a:1", "/mark") == "linux/arm64"
    needs(project, "one", f"--platform=linux/s390x {registry.host}/b:1")
    write(registries, f"{registry.host}/b:1", *made, top=index(*made))
    done = inv("prefetch", PULL_THROUGH="content")
    assert "it is not available for linux/s390x, only for linux/amd64, linux/arm64" in done.stdout


@pytest.mark.parametrize("way", WAYS)
def test_an_image_for_another_platform_is_not_there(
    way: str, registries: Registries, registry: Registry, engine: Engine, project: Path, inv: Inv, images: None
) -> None:
    _tells_platforms(engine)
    name = f"{registry.host}/a:1"
    made = [make([layer(mark=platform)], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    write(registries, name, *made, top=index(*made))
    needs(project, "one", name)
    assert inv("prefetch", PULL_THROUGH=way).returncode == 0
    assert content(engine, name, "/mark") == "linux/amd64"
    dry = inv("--dry", "prefetch", PULL_THROUGH=way, PLATFORM="linux/arm64")
    assert f"{name}: would come from {registry.host}\n" in dry.stdout
    assert inv("prefetch", PULL_THROUGH=way, PLATFORM="linux/arm64").returncode == 0
    assert content(engine, name, "/mark") == "linux/arm64"
    assert "1 already present" in inv("prefetch", PULL_THROUGH=way, PLATFORM="linux/arm64").stdout


def test_a_wrong_password_is_said_and_the_registry_is_not_asked_again(
    registries: Registries, registry: Registry, machine: Settings, project: Path, inv: Inv, images: None, tmp_path: Path
) -> None:
    login = local_registry.write_login(tmp_path / "login", machine)
    for name in ("a", "b", "c"):
        write(registries, f"{registry.host}/{name}:1", make([layer(own=name)]))
        needs(project, name, f"{registry.host}/{name}:1")
    auth = {"htpasswd": {"realm": "r", "path": str(login)}}
    environment = {"PRIVATE_REGISTRY_USERNAME": "build-lib", "PRIVATE_REGISTRY_PASSWORD": "not-the-right-one"}
    with running_registry(machine, tmp_path / "closed", auth=auth) as closed:
        done = inv("prefetch", "-r", f"{closed.host}/p", "-j", "1", **environment)
        asked = len(re.findall(r'"HEAD /v2/', closed.log.read_text()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{closed.host} refused the login as 'build-lib'" in done.stdout
    assert "(not asked again)" in done.stdout
    assert "not-the-right-one" not in done.stdout + done.stderr
    assert asked <= 2 * 3  # with and without the login, for those that are looked up at once


class Silent:
    """A listener that only keeps how far the downloads were."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []

    def on_start(self, name: str) -> None:
        pass

    def on_progress(self, progress: Progress) -> None:
        self.progress.append(progress)

    def on_fetched(self, outcome: Outcome[Fetched]) -> None:
        pass


@pytest.mark.parametrize("broken", [False, True])
def test_from_a_near_registry_the_engine_pulls_and_if_that_fails_we_do(
    broken: bool,
    registries: Registries,
    registry: Registry,
    engine: Engine,
    project: Path,
    images: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_search, "_NEAR_SECONDS", 60.0)  # however busy this machine is
    made = make([layer(mark="there", noise=os.urandom(3 << 20))])
    write(registries, f"{registry.host}/a:1", made)
    unlike = Fault(method="GET", path=made.manifest.blobs[1].digest, corrupt_at=1 << 20)
    with proxied(registry.host, *([unlike] if broken else [])) as proxy:
        name = f"{proxy.host}/a:1"
        needs(project, "one", name)
        settings = Settings.load(project, environ=dict(os.environ))
        wanted = dependencies.find(services.discover(settings), settings, ())
        listener = Silent()
        try:
            [outcome] = prefetch.prefetch(wanted, engine, settings, listener)
            assert outcome.value is not None, outcome.error
            assert content(engine, name, "/mark") == "there"
        finally:
            engine.images.remove(Reference.parse(name))
        blobs = [item.headers["User-Agent"] for item in proxy.of("GET", made.manifest.blobs[1].digest)]
        assert blobs[0].startswith("docker/")
        assert blobs[1:] == (["build-lib"] if broken else [])
        assert (outcome.value.source, outcome.value.refusals) == (proxy.host, ())
        assert broken or listener.progress
        assert not list((project / ".build").glob("blobs/*/*"))


def test_a_large_layer_takes_little_memory(
    registries: Registries, registry: Registry, engine: Engine, project: Path
) -> None:
    name = f"{registry.host}/large:1"
    write_large(registries, name, 2 * MEMORY_LIMIT)
    needs(project, "one", name)
    try:
        assert peak_memory("prefetch", PROJECT_ROOT=str(project), PULL_THROUGH="content") < MEMORY_LIMIT
        assert engine.images.by_name()[name].size >= 2 * MEMORY_LIMIT
    finally:
        engine.images.remove(Reference.parse(name))
