"""Bundles between real registries and real engines: the whole way to a site with no network, deltas, and faults."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_lib.bundle.archive import Archive
from build_lib.engine import Engine
from build_lib.reference import Reference, pinned
from build_lib.registry import Descriptor, Registries, digest_of
from build_lib.settings import Settings
from tests.bundle.bundles import bundle as bundle_of
from tests.bundle.bundles import odd
from tests.support.commands import MEMORY_LIMIT, Inv, ended, inv_command, peak_memory, small_disk, start_inv, until
from tests.support.engines import OwnEngine, content, install, tiny_image
from tests.support.faults import ALWAYS, Fault, proxied
from tests.support.images import (
    FORMS,
    ZSTD_LAYER,
    Made,
    index,
    layer,
    make,
    make_zstd,
    two_platforms,
    write,
    write_large,
)
from tests.support.projects import needs
from tests.support.registries import Registry, push, running_registry

KB, MB = 1 << 10, 1 << 20
_PATIENCE_SECONDS = 60


@pytest.fixture
def registries(machine: Settings) -> Iterator[Registries]:
    with Registries(machine) as made:
        yield made


@pytest.fixture
def clean(engine: Engine) -> Iterator[set[str]]:
    """Hosts whose images are taken out of the engine afterwards, and names of others."""
    unwanted: set[str] = set()
    yield unwanted
    forget(engine, unwanted)


def forget(engine: Engine, unwanted: set[str]) -> None:
    for name in engine.images.by_name():
        reference = Reference.parse(name)
        if reference.host in unwanted or str(reference) in unwanted:
            engine.images.remove(reference)


def of(engine: Engine, registry: Registry) -> dict[str, str]:
    """What the engine has of a test's own registry, by name: others use the engine too."""
    found = engine.images.by_name().items()
    return {name: image.id for name, image in found if Reference.parse(name).host == registry.host}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Where a test writes its bundle."""
    disk = tmp_path / "disk"
    disk.mkdir()
    return disk / "deps.tar"


def ok(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def saved(inv: Inv, path: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    found = json.loads(ok(inv("deps-save", "--json", "-f", str(path), *arguments, **environment)))
    assert isinstance(found, dict)
    return found


def loaded(inv: Inv, path: Path, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
    done = ok(inv("deps-load", "--json", "-f", str(path), *arguments, **environment))
    return {item["image"]: item for item in json.loads(done)}


def noise(size: int) -> bytes:
    return layer(noise=os.urandom(size))


def files_below(path: Path) -> set[str]:
    return {item.name for item in path.glob("*")} if path.exists() else set()


# the way to a site with no network


def test_a_site_with_no_network_builds_from_a_bundle(
    engine: Engine,
    machine: Settings,
    empty_engine: dict[str, str],
    project: Path,
    prefix: str,
    inv: Inv,
    tmp_path: Path,
    bundle: Path,
) -> None:
    there = {**empty_engine, "DOCKER_CONTEXT": "", "IMAGE_PREFIX": prefix}
    with running_registry(machine, tmp_path / "canonical") as canonical, Registries(machine) as registries:
        base, other, run = (f"{canonical.host}/team/{name}:1" for name in ("base", "other", "run"))
        for name in (base, other, run):
            push(engine, machine, name, mark=name)
        top = registries.resolve(Reference.parse(other))
        assert top is not None
        by_digest = f"{canonical.host}/team/other@{top.digest}"
        needs(project, "one", base, f"COPY --from={by_digest} /mark /other", "RUN cat /mark /other >/copy")
        needs(project, "two", f"{prefix}one:v1", "RUN cat /copy >/again")
        (project / "compose.yaml").write_text(f"services:\n  run: {{image: '{run}'}}\n")
        saved(inv, bundle, "-t", "v1", IMAGE_PREFIX=prefix)
    # from here on nobody answers under the registry's name
    names = {base, by_digest, run}
    site = Settings.load(project, environ={**os.environ, **there})
    with Engine.connect(site) as empty:
        try:
            found = loaded(inv, bundle, **there)
            assert {name: item["result"] for name, item in found.items()} == dict.fromkeys(names, "loaded")
            built = ok(inv("build-all", "-t", "v1", **there))
            assert "3 already present" in built
            assert content(empty, f"{prefix}two:v1", "/again") == base + other
            assert {item["result"] for item in loaded(inv, bundle, **there).values()} == {"there"}
        finally:
            pin = pinned(Reference.parse(by_digest))
            assert pin is not None
            for service in ("two", "one"):
                empty.images.remove(Reference.parse(f"{prefix}{service}:v1"))
            for image in (Reference.parse(base), Reference.parse(run), pin):
                empty.images.remove(image)


@pytest.mark.parametrize("form", FORMS)
def test_digests_are_the_same_in_the_sites_registry(
    form: str, registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    images, top = FORMS[form]
    name = f"{registry.host}/a/b:1"
    digest = write(registries, name, *images, top=top)
    needs(project, "one", name)
    saved(inv, bundle, "-t", "v1")
    found = loaded(inv, bundle, "-r", f"{private.host}/p")[name]
    place = f"{private.host}/p/{registry.host.replace(':', '_')}/a/b"
    assert (found["digest"], found["names"]) == (digest, [f"{place}:1-v1", f"{place}:1"])
    for tag in ("1", "1-v1"):
        there = registries.resolve(Reference.parse(f"{place}:{tag}"))
        assert there is not None
        assert there.digest == digest
    for image in images:
        copied = registries.manifest(Reference.parse(place), image.manifest.digest)
        assert copied.body == image.manifest.body
        for blob, body in zip(copied.blobs, image.blobs, strict=True):
            assert b"".join(registries.blob(Reference.parse(place), blob)) == body
    assert loaded(inv, bundle, "-r", f"{private.host}/p")[name]["result"] == "there"


def test_what_deps_push_wrote_is_what_deps_load_writes(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    digest = write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    needs(project, "one", f"{registry.host}/a:1")
    needs(project, "two", f"{registry.host}/a:1@{digest}")
    needs(project, "three", f"{registry.host}/a@{digest}")
    saved(inv, bundle, "-t", "v1")
    found = loaded(inv, bundle, "-r", f"{private.host}/p", "-t", "v2")
    pushes = json.loads(ok(inv("deps-push", "--json", "-r", f"{private.host}/p", "-t", "v2")))
    assert {item["image"]: item["places"] for item in pushes} == {name: item["names"] for name, item in found.items()}
    assert {item["result"] for item in pushes} == {"there"}


def test_docker_load_alone_takes_it_in(
    engine: Engine, registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path, clean: set[str]
) -> None:
    clean.add(registry.host)
    names = {f"{registry.host}/{name}:1": name for name in "abc"}
    for name, mark in names.items():
        write(registries, name, make([layer(shared="x"), layer(mark=mark)]))
        needs(project, mark, name)
    images, top = two_platforms()
    digest = write(registries, f"{registry.host}/two:1", *images, top=top)
    needs(project, "two", f"{registry.host}/two@{digest}")
    saved(inv, bundle)
    subprocess.run(["docker", "load", "--input", str(bundle)], check=True, capture_output=True)
    for name, mark in names.items():
        assert content(engine, name, "/mark") == mark
    local = pinned(Reference.parse(f"{registry.host}/two@{digest}"))
    clean.add(str(local))
    assert content(engine, str(local), "/name") == engine.platform()


def test_parts_joined_by_cat_are_loaded_by_docker(
    engine: Engine, registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path, clean: set[str]
) -> None:
    clean.add(registry.host)
    name = f"{registry.host}/a:1"
    write(registries, name, make([noise(300 * KB), layer(mark="a")]))
    needs(project, "a", name)
    assert len(saved(inv, bundle, "--split", "100K")["parts"]) == 4
    joined = f"cat {bundle}.[0-9]* | docker load"
    subprocess.run(["sh", "-c", joined], check=True, capture_output=True)
    assert content(engine, name, "/mark") == "a"
    engine.images.remove(Reference.parse(name))
    assert loaded(inv, bundle)[name]["result"] == "loaded"
    assert content(engine, name, "/mark") == "a"


def test_skopeo_and_podman_read_it(
    machine: Settings,
    registries: Registries,
    registry: Registry,
    project: Path,
    inv: Inv,
    bundle: Path,
    tmp_path: Path,
) -> None:
    images, top = two_platforms()
    digests = {
        f"{registry.host}/one:1": write(registries, f"{registry.host}/one:1", make([layer(mark="one")])),
        f"{registry.host}/two:1": write(registries, f"{registry.host}/two:1", *images, top=top),
    }
    for number, name in enumerate(digests):
        needs(project, f"s{number}", name)
    saved(inv, bundle)
    skopeo, podman = (install(program, program, machine) for program in ("skopeo", "podman"))
    for number, (name, digest) in enumerate(digests.items()):
        copy = tmp_path / f"copy-{number}"
        command = [skopeo, "copy", "--all", "--quiet", f"oci-archive:{bundle}:{name}", f"oci:{copy}:x"]
        subprocess.run(command, check=True, capture_output=True)
        assert json.loads((copy / "index.json").read_text())["manifests"][0]["digest"] == digest
    with tempfile.TemporaryDirectory() as run:  # podman wants it to be short
        stores = ["--root", str(tmp_path / "podman"), "--runroot", run, "--storage-driver", "vfs"]
        done = subprocess.run([podman, *stores, "load", "-i", str(bundle)], check=True, capture_output=True, text=True)
    assert {line.removeprefix("Loaded image: ") for line in done.stdout.splitlines()} == set(digests)


def test_its_size_is_that_of_its_blobs(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    shared = noise(MB)
    made = [make([shared, noise(MB), layer(own=str(number))]) for number in range(5)]
    for number, image in enumerate(made):
        write(registries, f"{registry.host}/i{number}:1", image)
        needs(project, f"s{number}", f"{registry.host}/i{number}:1")
    size = saved(inv, bundle)["bytes"]
    unique = {digest_of(blob): len(blob) for image in made for blob in image.blobs}
    assert bundle.stat().st_size == size
    assert sum(unique.values()) < size < 1.01 * sum(unique.values())


def test_a_platform_limits_what_is_in_it(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    images, top = two_platforms()
    name = f"{registry.host}/a:1"
    write(registries, name, *images, top=top)
    needs(project, "a", name)
    [listed] = saved(inv, bundle, "--platform", "linux/arm64")["images"]
    assert listed["digest"] == images[1].manifest.digest
    with Archive.open(bundle) as archive:
        assert [item.manifests for item in archive.images] == [(images[1].manifest,)]
    [listed] = saved(inv, bundle)["images"]
    assert listed["digest"] == top.digest
    done = inv("deps-save", "-f", str(bundle), "--platform", "linux/s390x")
    assert done.returncode == 1
    assert "is not available for linux/s390x, only for linux/amd64, linux/arm64" in done.stderr


def test_two_of_three_platforms_are_an_index_of_two(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    platforms = ("linux/amd64", "linux/arm64", "linux/riscv64")
    made = [make([layer(name=platform)], platform=platform) for platform in platforms]
    name = f"{registry.host}/a:1"
    write(registries, name, *made, top=index(*made))
    needs(project, "a", name)
    [listed] = saved(inv, bundle, "--platform", platforms[2], "--platform", platforms[1])["images"]
    with Archive.open(bundle) as archive:
        [image] = archive.images
        assert [item.digest for item in image.manifests[0].manifests] == [each.manifest.digest for each in made[1:]]
        assert not archive.has(made[0].manifest.blobs[1])
    command = ["tar", "xOf", str(bundle), "manifest.json"]
    [to_load] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert to_load["Config"].endswith(made[2].manifest.blobs[0].digest[7:]), "the first that was asked for"
    assert loaded(inv, bundle, "-r", f"{private.host}/p")[name]["digest"] == listed["digest"]


def test_an_engine_gets_the_manifest_of_its_own_platform(
    engine: Engine, registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path, clean: set[str]
) -> None:
    """Also where docker load would get another one's."""
    clean.add(registry.host)
    images, top = two_platforms()
    name = f"{registry.host}/a:1"
    write(registries, name, *images, top=top)
    needs(project, "a", name)
    saved(inv, bundle, PLATFORM="linux/arm64")
    loaded(inv, bundle)
    assert content(engine, name, "/name") == engine.platform()


def test_a_kind_of_layer_that_the_engine_does_not_take_is_said(
    engine: Engine,
    registries: Registries,
    registry: Registry,
    private: Registry,
    project: Path,
    inv: Inv,
    bundle: Path,
    clean: set[str],
) -> None:
    clean.add(registry.host)
    zstd, other = f"{registry.host}/zstd:1", f"{registry.host}/other:1"
    write(registries, zstd, make_zstd())
    write(registries, other, make([layer(mark="other")]))
    needs(project, "zstd", zstd)
    needs(project, "other", other)
    text = ok(inv("deps-save", "-f", str(bundle)))
    assert f"docker load cannot load {ZSTD_LAYER} into a classic store: {zstd}" in text
    done = inv("deps-load", "-f", str(bundle))
    if not engine.keeps_content():
        assert done.returncode == 1
        assert f"{zstd}: a load does not take {ZSTD_LAYER}" in done.stdout
        assert f"1 of 2 images not loaded: {zstd}" in done.stderr
    assert content(engine, other, "/mark") == "other"
    assert loaded(inv, bundle, "-r", f"{private.host}/p")[zstd]["result"] == "loaded"
    engine.images.remove(Reference.parse(other))
    subprocess.run(["docker", "load", "--input", str(bundle)], check=True, capture_output=True)
    assert content(engine, other, "/mark") == "other"


def test_what_only_the_engine_has_comes_from_it(
    engine: Engine,
    machine: Settings,
    registries: Registries,
    registry: Registry,
    private: Registry,
    project: Path,
    prefix: str,
    inv: Inv,
    bundle: Path,
    clean: set[str],
) -> None:
    clean.add(registry.host)
    base, local = f"{registry.host}/base:1", f"{registry.host}/local:1"
    push(engine, machine, base, mark="base")
    tiny_image(engine, local, machine, mark="local")
    needs(project, "one", base, "COPY empty /empty", "COPY empty /empty", "RUN cat /mark >/copy")
    (project / "src/one/empty").write_text("")
    ok(inv("build-all", "-t", "v1", IMAGE_PREFIX=prefix))
    arguments, own = ("--with-services", "-t", "v1"), {"IMAGE_PREFIX": prefix, "EXTRA_IMAGES": local}
    found = {item["image"]: item for item in saved(inv, bundle, *arguments, **own)["images"]}
    service = f"{prefix}one:v1"
    assert {name: (item["source"], item["service"]) for name, item in found.items()} == {
        base: (registry.host, False),
        local: ("engine", False),
        service: ("engine", True),
    }
    again = saved(inv, bundle.with_name("again.tar"), *arguments, **own)
    assert {item["image"]: item["digest"] for item in again["images"]} == {
        name: item["digest"] for name, item in found.items()
    }, "the same image gives the same digest"
    ids = {name: engine.images.by_name()[Reference.parse(name).canonical].id for name in (local, service)}
    there = loaded(inv, bundle, "-r", f"{private.host}/p")
    assert there[service]["names"] == [f"{private.host}/p/{service}"]
    assert {name: item["digest"] for name, item in there.items()} == {
        name: item["digest"] for name, item in found.items()
    }
    for name in (local, service):
        engine.images.remove(Reference.parse(name))
    loaded(inv, bundle)
    # the id is the config's; a containerd store takes the manifest's, and deps-save made that
    assert engine.keeps_content() or ids == {
        name: engine.images.by_name()[Reference.parse(name).canonical].id for name in (local, service)
    }
    assert content(engine, service, "/copy") == "base"
    assert content(engine, local, "/mark") == "local"


def test_what_is_no_image_is_named_and_the_others_are_loaded(
    engine: Engine, prefix: str, inv: Inv, bundle: Path
) -> None:
    good = make([layer(mark=prefix)])
    bundle.write_bytes(bundle_of({f"{prefix}odd:1": odd(b"{}"), f"{prefix}good:1": good}))
    done = inv("deps-load", "-f", str(bundle))
    assert done.returncode == 1
    assert f"{prefix}odd:1: its config names no layers" in done.stdout
    assert f"1 of 2 images not loaded: {prefix}odd:1" in done.stderr
    assert content(engine, f"{prefix}good:1", "/mark") == prefix


def test_dry_says_what_would_be_and_changes_nothing(
    engine: Engine,
    machine: Settings,
    registries: Registries,
    registry: Registry,
    private: Registry,
    project: Path,
    inv: Inv,
    bundle: Path,
    clean: set[str],
) -> None:
    clean.add(registry.host)
    name, local = f"{registry.host}/a:1", f"{registry.host}/local:1"
    write(registries, name, make([noise(MB)]))
    needs(project, "a", name)
    tiny_image(engine, local, machine, mark="local")
    would = ok(inv("--dry", "deps-save", "-f", str(bundle), EXTRA_IMAGES=local))
    assert f"{bundle}: would contain 2 images, " in would
    assert files_below(bundle.parent) == set()
    assert not files_below(project / ".build")
    size = saved(inv, bundle)["bytes"]
    assert f"would contain 1 image, {size / 1e6:.1f} MB" in ok(inv("--dry", "deps-save", "-f", str(bundle)))
    before = of(engine, registry)
    assert "would be loaded" in ok(inv("--dry", "deps-load", "-f", str(bundle)))
    assert of(engine, registry) == before
    assert "would be loaded" in ok(inv("--dry", "deps-load", "-f", str(bundle), "-r", f"{private.host}/p"))
    assert "PUT" not in private.log.read_text()
    assert "POST" not in private.log.read_text()
    inventory = project / "inventory.json"
    assert "would be written" in ok(inv("--dry", "deps-inventory", "-f", str(inventory)))
    assert not inventory.exists()


def test_an_image_that_nobody_has_is_named_and_the_rest_is_saved(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    name, gone = f"{registry.host}/a:1", f"{registry.host}/gone:1"
    write(registries, name, make([layer(a="a")]))
    needs(project, "a", name)
    needs(project, "b", gone)
    done = inv("deps-save", "-f", str(bundle))
    assert done.returncode == 1
    assert f"{gone}: not available\n    not from {registry.host}: there is no such image\n" in done.stdout
    assert "not from engine: it has no such image" in done.stdout
    assert f"1 of 2 images not in the bundle: {gone}" in done.stderr
    verified = json.loads(ok(inv("deps-verify", "--json", "-f", str(bundle))))
    assert [item["image"] for item in verified["images"]] == [name]
    assert [item["image"] for item in verified["missing"]] == [gone]


# deltas


class Ten:
    """Ten images on one base, of three layers each."""

    def __init__(self, host: str, registries: Registries, project: Path) -> None:
        self.registries = registries
        self.base = noise(500 * KB)
        self.names = [f"{host}/team/i{number}:1" for number in range(10)]
        self.made = {name: self._image(name) for name in self.names}
        for number, name in enumerate(self.names):
            write(registries, name, self.made[name])
            needs(project, f"s{number}", name)

    def _image(self, name: str) -> Made:
        return make([self.base, noise(100 * KB), layer(mark=name)])

    def change(self) -> bytes:
        """One image changes by its last layer; that layer."""
        name = self.names[3]
        changed = layer(mark="changed", noise=os.urandom(50 * KB))
        self.made[name] = make([*self.made[name].blobs[1:3], changed])
        write(self.registries, name, self.made[name])
        return changed

    @property
    def layers(self) -> set[str]:
        return {digest_of(blob) for made in self.made.values() for blob in made.blobs[1:]}


@pytest.mark.parametrize("since", ["inventory", "bundle", "listing"])
def test_a_delta_is_the_layer_that_changed(
    since: str,
    engine: Engine,
    registries: Registries,
    registry: Registry,
    project: Path,
    inv: Inv,
    bundle: Path,
    clean: set[str],
) -> None:
    clean.add(registry.host)
    ten = Ten(registry.host, registries, project)
    saved(inv, bundle)
    loaded(inv, bundle)
    former = engine.images.by_name()[Reference.parse(ten.names[3]).canonical].id
    changed = ten.change()
    base = bundle.with_name("since")
    if since == "inventory":
        ok(inv("deps-inventory", "-f", str(base)))
    elif since == "listing":
        command = ["tar", "xOf", str(bundle), "build-lib.json"]
        base.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    else:
        bundle.rename(base)
    delta = bundle.with_name("delta.tar")
    found = saved(inv, delta, "--since", str(base))
    metadata = [made.manifest.body for made in ten.made.values()] + [made.blobs[0] for made in ten.made.values()]
    assert found["bytes"] < len(changed) + sum(map(len, metadata)) + 40 * KB  # headers, padding, documents
    assert {item["digest"] for item in found["left_out"]} == ten.layers - {digest_of(changed)}
    with Archive.open(delta) as archive:
        blobs = {digest for item in archive.images for digest, blob in item.blobs.items() if archive.has(blob)}
    assert blobs & ten.layers == {digest_of(changed)}

    there = loaded(inv, delta)
    assert {name for name, item in there.items() if item["result"] == "loaded"} == {ten.names[3]}
    assert there[ten.names[3]]["bytes_new"] < len(changed) + KB
    assert content(engine, ten.names[3], "/mark") == "changed"

    forget(engine, {registry.host})
    engine.images.remove(former)  # it has lost its name, and would still give its layers
    before = of(engine, registry)
    refused = inv("deps-load", "-f", str(delta))
    assert (refused.returncode, refused.stdout) == (1, "")
    for name in ten.names:
        assert f"{name} needs " in refused.stderr
    assert digest_of(ten.base)[7:19] in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert of(engine, registry) == before


def test_docker_load_alone_takes_a_delta_in(
    engine: Engine, registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path, clean: set[str]
) -> None:
    clean.add(registry.host)
    ten = Ten(registry.host, registries, project)
    saved(inv, bundle)
    subprocess.run(["docker", "load", "--input", str(bundle)], check=True, capture_output=True)
    inventory = bundle.with_name("inventory.json")
    ok(inv("deps-inventory", "-f", str(inventory)))
    ten.change()
    delta = bundle.with_name("delta.tar")
    saved(inv, delta, "--since", str(inventory))
    subprocess.run(["docker", "load", "--input", str(delta)], check=True, capture_output=True)
    assert content(engine, ten.names[3], "/mark") == "changed"


def test_a_delta_for_a_registry_is_the_layer_that_changed(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    ten = Ten(registry.host, registries, project)
    site = f"{private.host}/site"
    saved(inv, bundle)
    loaded(inv, bundle, "-r", site)
    inventory = bundle.with_name("inventory.json")
    ok(inv("deps-inventory", "-r", site, "-f", str(inventory)))
    changed = ten.change()
    # an image that was not there before, on layers that are there in other repositories
    new = f"{registry.host}/team/new:1"
    write(registries, new, make([ten.base, layer(mark="new")]))
    needs(project, "new", new)
    delta = bundle.with_name("delta.tar")
    found = saved(inv, delta, "--since", str(inventory))
    assert {item["digest"] for item in found["left_out"]} == ten.layers - {digest_of(changed)}
    there = loaded(inv, delta, "-r", site)
    assert {name for name, item in there.items() if item["result"] == "loaded"} == {ten.names[3], new}
    for name in (ten.names[3], new):
        source = registries.resolve(Reference.parse(name))
        target = registries.resolve(Reference.parse(there[name]["names"][-1]))
        assert source is not None
        assert target is not None
        assert target.digest == source.digest
        manifest = registries.manifest(Reference.parse(there[name]["names"][-1]), target.digest)
        for blob in manifest.blobs:
            assert b"".join(registries.blob(Reference.parse(there[name]["names"][-1]), blob))

    before = private.log.read_text().count('"P')
    refused = inv("deps-load", "-f", str(delta), "-r", f"{private.host}/elsewhere")
    assert (refused.returncode, refused.stdout) == (1, "")
    for name in (*ten.names, new):
        assert f"{name} needs " in refused.stderr
    assert private.log.read_text().count('"P') == before, "nothing was sent"


def test_a_registry_with_more_tags_than_a_page_is_read_to_the_end(registries: Registries, registry: Registry) -> None:
    """Debian's registry knows no pages: the first one here is the proxy's."""
    write(registries, f"{registry.host}/a:1", make([layer(a="a")]))
    link = {"Link": '</v2/a/tags/list?last=0&n=1>; rel="next"'}
    first = Fault(method="GET", path="/a/tags/list$", status=200, headers=link, body=b'{"name": "a", "tags": ["0"]}')
    with proxied(registry.host, first) as proxy:
        assert registries.tags(Reference.parse(f"{proxy.host}/a:1")) == ("0", "1")
        assert [item.path for item in proxy.of("GET")] == ["/v2/a/tags/list", "/v2/a/tags/list?last=0&n=1"]
        assert registries.tags(Reference.parse(f"{proxy.host}/none:1")) == ()


# faults


def damaged(path: Path, how: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    if how == "flipped":
        content = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    else:
        content = content[:middle]
    path.write_bytes(content)


@pytest.mark.parametrize(("how", "said"), [("flipped", "does not match its digest"), ("cut", "is cut off")])
def test_a_damaged_bundle_touches_nothing(
    how: str,
    said: str,
    engine: Engine,
    registries: Registries,
    registry: Registry,
    private: Registry,
    project: Path,
    inv: Inv,
    bundle: Path,
) -> None:
    small, large = f"{registry.host}/a:1", f"{registry.host}/b:1"
    write(registries, small, make([layer(a="a")]))
    write(registries, large, make([noise(MB)]))
    needs(project, "a", small)
    needs(project, "b", large)
    saved(inv, bundle)
    damaged(bundle, how)
    before = of(engine, registry)
    for arguments in (("deps-load",), ("deps-load", "-r", f"{private.host}/p"), ("deps-verify",)):
        done = inv(*arguments, "-f", str(bundle))
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert how == "cut" or large in done.stderr
    assert of(engine, registry) == before
    assert "/v2/p" not in private.log.read_text()


def test_parts_that_are_missing_damaged_or_mixed_up_touch_nothing(
    engine: Engine, registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    name = f"{registry.host}/a:1"
    write(registries, name, make([noise(MB)]))
    needs(project, "a", name)
    parts = [Path(part) for part in saved(inv, bundle, "--split", "300K")["parts"]]
    before = of(engine, registry)
    contents = {part: part.read_bytes() for part in parts}

    def refused() -> str:
        done = inv("deps-load", "-f", str(bundle))
        assert (done.returncode, done.stdout) == (1, "")
        for part, held in contents.items():
            part.write_bytes(held)
        return done.stderr

    parts[1].unlink()
    assert "are missing: deps.tar.002" in refused()
    damaged(parts[2], "flipped")
    assert "deps.tar.003 is damaged" in refused()
    parts[1].write_bytes(contents[parts[2]])
    parts[2].write_bytes(contents[parts[1]])
    assert "deps.tar.002 is what deps.tar.003 should be" in refused()
    assert of(engine, registry) == before


def test_a_blob_with_wrong_bytes_is_fetched_again_or_from_elsewhere(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    made = make([noise(MB)])
    write(registries, f"{registry.host}/a:1", made)
    big = made.manifest.blobs[1]
    with proxied(registry.host, Fault(method="GET", path=big.digest, times=1, corrupt_at=99)) as proxy:
        needs(project, "a", f"{proxy.host}/a:1")
        saved(inv, bundle)
        assert len(proxy.of("GET", big.digest)) == 2
    ok(inv("deps-verify", "-f", str(bundle)))
    write(registries, f"{registry.host}/p/mirrored:1", made)
    wrong = Fault(method="GET", path=f"/p/.*{big.digest}", times=ALWAYS, status=404)
    with proxied(registry.host, wrong) as proxy:
        needs(project, "a", f"{registry.host}/mirrored:1")
        write(registries, f"{registry.host}/mirrored:1", made)
        write(registries, f"{registry.host}/p/{registry.host.replace(':', '_')}/mirrored:1", made)
        found = saved(inv, bundle, "-r", f"{proxy.host}/p")
        assert [item["source"] for item in found["images"]] == [proxy.host]
        assert proxy.of("GET", big.digest)
    ok(inv("deps-verify", "-f", str(bundle)))


def test_a_registry_that_breaks_off_for_good_leaves_no_bundle(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    made = make([noise(MB)])
    write(registries, f"{registry.host}/a:1", made)
    big = made.manifest.blobs[1]
    with proxied(registry.host, Fault(method="GET", path=big.digest, times=ALWAYS, status=404)) as proxy:
        needs(project, "a", f"{proxy.host}/a:1")
        done = inv("deps-save", "-f", str(bundle))
        assert done.returncode == 1
        assert big.digest in done.stderr
        assert "Traceback" not in done.stderr
        assert not files_below(bundle.parent)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_is_followed_by_one_that_fetches_the_rest(
    how: signal.Signals, registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    whole, broken = make([noise(MB)]), make([noise(3 * MB)])
    write(registries, f"{registry.host}/a:1", whole)
    write(registries, f"{registry.host}/b:1", broken)
    big, done_already = broken.manifest.blobs[1], whole.manifest.blobs[1]
    with proxied(registry.host, Fault(method="GET", path=big.digest, hold_at=2 * MB)) as proxy:
        for name in "ab":
            needs(project, name, f"{proxy.host}/{name}:1")
        process = start_inv(project, ("deps-save", "-f", str(bundle)))
        try:
            assert proxy.held.wait(_PATIENCE_SECONDS)
            until(lambda: blob_size(project, "sha256", done_already) == done_already.size, "the other blob")
            until(lambda: blob_size(project, "partial", big) > MB, "what came is not on disk")
        finally:
            process.send_signal(how)
            text = "".join(process.communicate(timeout=_PATIENCE_SECONDS))
        codes = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}
        assert process.returncode == codes[how], text
        assert "Traceback" not in text
        assert not bundle.exists()
        assert how == signal.SIGKILL or not files_below(bundle.parent)
        begun = blob_size(project, "partial", big)
        proxy.go_on.set()
        asked = len(proxy.seen)
        found = saved(inv, bundle)
        again = [item for item in proxy.seen[asked:] if "/blobs/" in item.path]
        assert [item.headers.get("Range") for item in again] == [f"bytes={begun}-"]
        assert found["bytes"] == bundle.stat().st_size
    ok(inv("deps-verify", "-f", str(bundle)))
    assert files_below(bundle.parent) == {bundle.name}
    assert not files_below(project / ".build/blobs/sha256")
    assert not files_below(project / ".build/blobs/partial")


def blob_size(project: Path, state: str, blob: Descriptor) -> int:
    path = project / ".build/blobs" / state / blob.digest.removeprefix("sha256:")
    return path.stat().st_size if path.exists() else 0


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    made = make([noise(3 * MB)])
    write(registries, f"{registry.host}/a:1", made)
    needs(project, "a", f"{registry.host}/a:1")
    with small_disk(bundle.parent, "size=2m"):
        done = inv("deps-save", "-f", str(bundle))
        assert (done.returncode, files_below(bundle.parent)) == (1, set())
        assert f"not enough space for the bundle in {bundle.parent}: " in done.stderr
    assert made.manifest.blobs[1].digest not in registry.log.read_text().partition("GET")[2]


def test_a_disk_that_fills_while_it_is_written_leaves_no_bundle(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    made = make([noise(3 * MB)])
    write(registries, f"{registry.host}/a:1", made)
    big = made.manifest.blobs[1]
    with (
        small_disk(bundle.parent, "size=4m"),
        proxied(registry.host, Fault(method="GET", path=big.digest, hold_at=MB)) as proxy,
    ):
        needs(project, "a", f"{proxy.host}/a:1")
        process = start_inv(project, ("deps-save", "-f", str(bundle)))
        try:
            assert proxy.held.wait(_PATIENCE_SECONDS)
            with contextlib.suppress(OSError), (bundle.parent / "other").open("wb", buffering=0) as other:
                while other.write(bytes(64 * KB)):
                    pass
        finally:
            proxy.go_on.set()
            text = "".join(process.communicate(timeout=_PATIENCE_SECONDS))
        assert process.returncode == 1, text
        assert f"cannot write {bundle}: No space left on device" in text
        assert files_below(bundle.parent) == {"other"}
        (bundle.parent / "other").unlink()
        asked = len(proxy.seen)
        saved(inv, bundle)
        assert not [item for item in proxy.seen[asked:] if "/blobs/" in item.path], "nothing is fetched again"
        ok(inv("deps-verify", "-f", str(bundle)))


def test_two_runs_for_one_file_do_not_mix(
    registries: Registries, registry: Registry, project: Path, inv: Inv, bundle: Path
) -> None:
    made = make([noise(MB)])
    write(registries, f"{registry.host}/a:1", made)
    hold = Fault(method="GET", path=made.manifest.blobs[1].digest, hold_at=100 * KB)
    with proxied(registry.host, hold) as proxy:
        needs(project, "a", f"{proxy.host}/a:1")
        first = start_inv(project, ("deps-save", "-f", str(bundle)))
        try:
            assert proxy.held.wait(_PATIENCE_SECONDS)
            second = inv("deps-save", "-f", str(bundle))
        finally:
            proxy.go_on.set()
            text = "".join(first.communicate(timeout=_PATIENCE_SECONDS))
        assert second.returncode == 1
        assert f"another process is writing {bundle}" in second.stderr
        assert first.returncode == 0, text
    ok(inv("deps-verify", "-f", str(bundle)))


# memory


def test_a_layer_of_a_gigabyte_takes_little_memory(
    registries: Registries, registry: Registry, private: Registry, project: Path, bundle: Path
) -> None:
    name = f"{registry.host}/large:1"
    write_large(registries, name, 1_000_000_000)
    needs(project, "one", name)
    file = ("-f", str(bundle))
    for arguments in (("deps-save", "--split", "400M", *file), ("deps-load", "-r", f"{private.host}/p", *file)):
        assert peak_memory(*arguments, PROJECT_ROOT=str(project)) < MEMORY_LIMIT
    there = registries.resolve(Reference.parse(f"{private.host}/p/{registry.host.replace(':', '_')}/large:1"))
    assert there == registries.resolve(Reference.parse(name))
    assert there is not None


def test_loading_and_saving_by_the_engine_takes_little_memory(
    engine: Engine, registries: Registries, registry: Registry, project: Path, bundle: Path, clean: set[str]
) -> None:
    clean.add(registry.host)
    name = f"{registry.host}/large:1"
    write(registries, name, make([layer(zeros=bytes(500 * MB))]))  # the registry has little of it, the engine all
    needs(project, "one", name)
    file = ("-f", str(bundle))
    assert peak_memory("deps-save", *file, PROJECT_ROOT=str(project)) < MEMORY_LIMIT
    assert peak_memory("deps-load", *file, PROJECT_ROOT=str(project)) < MEMORY_LIMIT
    local = f"{registry.host}/local:1"
    engine.images.tag(name, Reference.parse(local))
    needs(project, "one", local)
    assert peak_memory("deps-save", *file, PROJECT_ROOT=str(project)) < MEMORY_LIMIT


def test_an_engine_that_dies_in_a_load_is_named_and_the_next_load_goes_on(
    registries: Registries, registry: Registry, mortal_engine: OwnEngine, project: Path, bundle: Path, inv: Inv
) -> None:
    names = [f"{registry.host}/{name}:1" for name in "ab"]
    for name in names:
        write(registries, name, make([noise(40 * MB), layer(mark=name)]))
        needs(project, name.partition("/")[2].partition(":")[0], name)
    saved(inv, bundle)
    process = subprocess.Popen(
        inv_command("deps-load", "-f", str(bundle)),
        env={**os.environ, "PROJECT_ROOT": str(project), **mortal_engine.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(mortal_engine.takes_in, "nothing is loaded")
    finally:
        mortal_engine.kill()
        text = ended(process)
    assert process.returncode == 1
    assert f"error: the Docker Engine at {mortal_engine.address} ended in the middle of the work" in text
    assert "Traceback" not in text
    mortal_engine.start()
    assert set(loaded(inv, bundle, **mortal_engine.environment)) == set(names)
    settings = Settings.load(project, environ={**os.environ, **mortal_engine.environment})
    with Engine.connect(settings) as engine:
        assert {content(engine, name, "/mark") for name in names} == set(names)
