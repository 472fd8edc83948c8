"""deps-push between two real registries: one that images name, and the user's own.

The plan's test 3 is here: `test_plan_3…`.
"""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from build_lib.engine import Engine
from build_lib.machine import local_registry
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support.commands import MEMORY_LIMIT, Inv, items_of, peak_memory
from tests.support.engines import tiny_image
from tests.support.images import FORMS, layer, make, two_platforms, write, write_large
from tests.support.projects import needs
from tests.support.registries import Registry, push, running_registry


@pytest.fixture
def registries(machine: Settings) -> Iterator[Registries]:
    with Registries(machine) as made:
        yield made


def pushed(inv: Inv, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
    done = inv("deps-push", "--json", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return {item["image"]: item for item in items_of(done)}


def requests_to(registry: Registry) -> list[tuple[str, str]]:
    """Method and path of all requests to the registry's API so far."""
    found = re.findall(r'"([A-Z]+) (/v2/\S+) HTTP', registry.log.read_text())
    return [(method, path) for method, path in found]


def test_plan_3_a_closed_site_builds_from_the_private_registry_alone(
    engine: Engine, machine: Settings, private: Registry, project: Path, prefix: str, inv: Inv, tmp_path: Path
) -> None:
    with running_registry(machine, tmp_path / "canonical") as canonical:
        base, runtime = f"{canonical.host}/team/base:1", f"{canonical.host}/proxy:2"
        push(engine, machine, base, mark="base")
        push(engine, machine, runtime, mark="runtime")
        needs(project, "one", base, "RUN cat /mark >/copy")
        (project / "compose.yaml").write_text(f"services:\n  proxy: {{image: '{runtime}'}}\n")
        found = pushed(inv, "-r", f"{private.host}/aihpc", "-t", "v1")
        assert {item["result"] for item in found.values()} == {"copied"}
    target = f"{private.host}/aihpc"
    try:
        done = inv("build-all", "-r", target, "-t", "v1", IMAGE_PREFIX=prefix)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{base}: from {target}/{canonical.host.replace(':', '_')}/team/base:1-v1" in done.stdout
        assert "one: built" in done.stdout
    finally:
        for image in (base, runtime):
            engine.images.remove(Reference.parse(image))


def test_prefetch_logs_in_as_the_settings_say(
    engine: Engine, machine: Settings, private: Registry, project: Path, inv: Inv, tmp_path: Path
) -> None:
    name = f"blt-{secrets.token_hex(4)}/needed:1"
    login = local_registry.write_login(tmp_path / "login", machine)
    user, password = dotenv_values(tmp_path / "login").values()
    with running_registry(
        machine, tmp_path / "closed", auth={"htpasswd": {"realm": "r", "path": str(login)}}
    ) as closed:
        needs(project, "one", name)
        tiny_image(engine, name, machine)
        environment = {"PRIVATE_REGISTRY_USERNAME": user or "", "PRIVATE_REGISTRY_PASSWORD": password or ""}
        pushed(inv, "-r", f"{closed.host}/p", TRIES="1", **environment)
        engine.images.remove(Reference.parse(name))
        try:
            done = inv("prefetch", "-r", f"{closed.host}/p", **environment)
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"{name}: from {closed.host}/p/" in done.stdout
        finally:
            engine.images.remove(Reference.parse(name))


def test_a_local_registry_starts_is_used_and_ends(machine: Settings, project: Path, inv: Inv) -> None:
    needs(project, "one", "scratch")  # a repository without any service is refused
    up = inv("registry-up", "--password")
    try:
        assert up.returncode == 0, up.stderr
        [host] = re.findall(r"registry at (\S+): started", up.stdout)
        assert inv("registry-up").stdout.startswith(f"registry at {host}: already running")
        assert f"{host}/" in inv("--complete", "--", "./inv deps-push -r ").stdout.split()
        login = project / ".build/registry/login"
        assert login.stat().st_mode & 0o077 == 0
        (project / ".env").write_text(login.read_text())
        password = dotenv_values(login)["PRIVATE_REGISTRY_PASSWORD"] or ""
        assert inv("deps-push", "-r", f"{host}/p").returncode == 0
        wrong = inv("deps-push", "-r", f"{host}/p", EXTRA_IMAGES="a:1", PRIVATE_REGISTRY_PASSWORD="not-it")
        assert wrong.stderr.startswith(f"error: {host} refused the login as 'build-lib'\n")
        assert wrong.returncode == 1
        assert password not in up.stdout + up.stderr
    finally:
        down = inv("registry-down")
    assert down.stdout == "registry stopped\n"
    assert inv("registry-down").stdout.startswith("registry-up started no registry")


def test_layers_of_an_image_that_is_there_already_are_mounted(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    shared = layer(base=secrets.token_bytes(9 << 20))  # large enough to be asked for before it is sent
    first, second = f"{registry.host}/a/first:1", f"{registry.host}/a/second:1"
    write(registries, first, make([shared]))
    image = make([shared, layer(own="2")])
    write(registries, second, image)
    needs(project, "one", first)
    assert pushed(inv, "-r", f"{private.host}/p")[first]["result"] == "copied"
    needs(project, "two", second)
    dry = json.loads(inv("--dry", "deps-push", "--json", "-r", f"{private.host}/p").stdout)[1]
    done = pushed(inv, "-r", f"{private.host}/p")
    assert done[first]["result"] == "there"
    assert done[second]["bytes_saved"] == len(shared)
    assert done[second]["bytes_moved"] == dry["bytes_moved"] == image.size - len(shared)


def test_images_that_a_manifest_names_are_pushed_and_saved(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    name = f"{registry.host}/a/tool:1"
    digest = write(registries, name, make([layer(own="1")]))
    (project / "pod.yaml").write_text("spec: {containers: [{image: '{{HUB}}/a/tool:1'}]}\n")
    environment = {"IMAGE_FILES": "*.yaml", "HUB": registry.host}
    assert pushed(inv, "-r", f"{private.host}/p", **environment)[name]["digest"] == digest
    done = inv("deps-save", "--json", "-f", str(project / "deps.tar"), **environment)
    assert [item["image"] for item in json.loads(done.stdout)["images"]] == [name], done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_digests_are_the_same_at_the_target(
    form: str, registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    images, top = FORMS[form]
    name = f"{registry.host}/a/b:1"
    digest = write(registries, name, *images, top=top)
    needs(project, "one", name)
    assert pushed(inv, "-r", f"{private.host}/p", "-t", "v1")[name]["digest"] == digest
    for tag in ("1", "1-v1"):
        place = Reference.parse(f"{private.host}/p/{registry.host.replace(':', '_')}/a/b:{tag}")
        there = registries.resolve(place)
        assert there is not None
        assert there.digest == digest
        for image in images:
            copied = registries.manifest(place, image.manifest.digest)
            assert copied.body == image.manifest.body
            for blob, content in zip(copied.blobs, image.blobs, strict=True):
                assert b"".join(registries.blob(place, blob)) == content


def test_a_pinned_image_is_there_under_its_digest_and_its_tag(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    digest = write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    tagged, bare = f"{registry.host}/a:1@{digest}", f"{registry.host}/a@{digest}"
    needs(project, "one", tagged)
    needs(project, "two", bare)
    found = pushed(inv, "-r", f"{private.host}/p", "-t", "v1")
    place = f"{private.host}/p/{registry.host.replace(':', '_')}/a"
    assert found[tagged]["places"] == [f"{place}@{digest}", f"{place}:1-v1", f"{place}:1"]
    assert found[bare]["places"] == [f"{place}@{digest}"]


def test_a_layer_of_a_gigabyte_takes_little_memory(
    registries: Registries, registry: Registry, private: Registry, project: Path
) -> None:
    name = f"{registry.host}/large:1"
    write_large(registries, name, 1_000_000_000)
    needs(project, "one", name)
    assert peak_memory("deps-push", "-r", f"{private.host}/p", PROJECT_ROOT=str(project)) < MEMORY_LIMIT


def test_blobs_that_images_share_travel_once(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    shared = layer(shared="x" * 10_000)
    for name in ("a", "b", "c"):
        write(registries, f"{registry.host}/{name}:1", make([shared, layer(own=name)]))
        needs(project, name, f"{registry.host}/{name}:1")
    found = pushed(inv, "-r", f"{private.host}/p", "-j", "3")
    sent = [path for method, path in requests_to(private) if method == "PUT" and "/blobs/" in path]
    assert len(sent) == 1 + 3 + 3  # the shared layer; each one's own, and its config
    assert sum(item["bytes_saved"] for item in found.values()) >= 2 * len(shared)


def test_again_nothing_moves_and_only_heads_are_on_the_wire(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    for name in ("a", "b"):
        write(registries, f"{registry.host}/{name}:1", make([layer(own=name)]))
        needs(project, name, f"{registry.host}/{name}:1")
    pushed(inv, "-r", f"{private.host}/p", "-t", "v1")
    before = [len(requests_to(registry)), len(requests_to(private))]
    found = pushed(inv, "-r", f"{private.host}/p", "-t", "v1")
    assert {(item["result"], item["bytes_moved"]) for item in found.values()} == {("there", 0)}
    source, target = requests_to(registry)[before[0] :], requests_to(private)[before[1] :]
    assert {method for method, _ in source + target} == {"HEAD"}
    assert len(source) == 2


def test_another_release_writes_names_alone(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    name = f"{registry.host}/a:1"
    write(registries, name, make([layer(own="a")]))
    needs(project, "a", name)
    pushed(inv, "-r", f"{private.host}/p", "-t", "v1")
    before = len(requests_to(private))
    pushed(inv, "-r", f"{private.host}/p", "-t", "v2")
    written = [path for method, path in requests_to(private)[before:] if method in ("PUT", "POST", "PATCH")]
    assert [path.rpartition("/")[2] for path in written] == ["1-v2"]


def test_names_that_differ_in_anything_never_meet(
    registries: Registries,
    machine: Settings,
    registry: Registry,
    private: Registry,
    project: Path,
    inv: Inv,
    tmp_path: Path,
) -> None:
    with running_registry(machine, tmp_path / "third") as third:
        names = [f"{registry.host}/a/x:1", f"{registry.host}/b/x:1", f"{registry.host}/a/x:2", f"{third.host}/a/x:1"]
        digests = {name: write(registries, name, make([layer(own=name)])) for name in names}
        for number, name in enumerate(names):
            needs(project, f"s{number}", name)
        found = pushed(inv, "-r", f"{private.host}/p", "-t", "v1")
    for name, digest in digests.items():
        for place in found[name]["places"]:
            there = registries.resolve(Reference.parse(place))
            assert there is not None
            assert there.digest == digest
    assert len({place for item in found.values() for place in item["places"]}) == 8


def test_a_platform_limits_what_is_copied(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    images, top = two_platforms()
    name = f"{registry.host}/a:1"
    write(registries, name, *images, top=top)
    needs(project, "a", name)
    found = pushed(inv, "-r", f"{private.host}/p", "--platform", "linux/arm64")
    assert found[name]["digest"] == images[1].manifest.digest
    again = pushed(inv, "-r", f"{private.host}/p", "--platform", "linux/arm64")[name]
    assert (again["result"], again["bytes_moved"], again["digest"]) == ("there", 0, images[1].manifest.digest)
    done = inv("deps-push", "-r", f"{private.host}/q", "--platform", "linux/s390x")
    assert done.returncode == 1
    assert "is not available for linux/s390x, only for linux/amd64, linux/arm64" in done.stdout


def test_dry_says_what_would_be_copied_and_writes_nothing(
    registries: Registries, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    name, gone = f"{registry.host}/a:1", f"{registry.host}/gone:1"
    write(registries, name, make([layer(own="a" * 5000)]))
    needs(project, "a", name)
    needs(project, "b", gone)
    done = inv("--dry", "deps-push", "-r", f"{private.host}/p")
    assert done.returncode == 1
    assert re.search(rf"{name} +would be copied +{registry.host} +[0-9.]+ k?B", done.stdout)
    assert f"{gone}: not pushed\n    not from {registry.host}: there is no such image\n" in done.stdout
    assert "not from engine: it has no such image" in done.stdout
    assert {method for method, _ in requests_to(private)} == {"HEAD"}


def test_an_image_that_only_the_engine_has_is_pushed_by_it_and_the_table_says_so(
    engine: Engine, machine: Settings, registry: Registry, private: Registry, project: Path, inv: Inv
) -> None:
    name = f"{registry.host}/local:1"
    tiny_image(engine, name, machine, only="here")
    needs(project, "a", name)
    try:
        done = inv("deps-push", "-r", f"{private.host}/p", "-t", "v1")
        assert done.returncode == 0, done.stderr
        assert "pushed by the engine, new digest" in done.stdout
        found = pushed(inv, "-r", f"{private.host}/p", "-t", "v1")
        assert (found[name]["result"], found[name]["source"]) == ("there", "engine")
        assert not [image for image in engine.images.by_name() if image.startswith(private.host)]
    finally:
        engine.images.remove(Reference.parse(name))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: no private registry is set\n  next: name one with -r host[:port]/project"),
        (["-r", "harbor.example/p", "-t", "v" * 126], "which is too long"),
        (["-r", "127.0.0.1:1/p"], "error: 127.0.0.1:1: Connection refused"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    project: Path, inv: Inv, arguments: list[str], said: str
) -> None:
    needs(project, "a", "redis:7-alpine")
    done = inv("deps-push", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
