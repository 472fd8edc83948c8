"""What networks and registries do wrong: through a proxy before real registries that does it when it is told."""

import contextlib
import gc
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import Engine
from build_lib.errors import BuildError, RegistryError
from build_lib.graph import Outcome
from build_lib.reference import Reference
from build_lib.registry import Pushed, Registries
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer import deps_push
from tests.support.commands import inv_command
from tests.support.faults import ALWAYS, Fault, Proxy, proxied
from tests.support.images import Made, layer, make, write, write_large
from tests.support.projects import needs
from tests.support.registries import Registry, free_place, running_registry
from tests.support.tokens import token_server

MB = 1 << 20


@pytest.fixture
def registries(machine: Settings) -> Iterator[Registries]:
    """A client for what is not under test: with all its tries."""
    with Registries(machine) as made:
        yield made


def configured(root: Path, target: str, **settings: str) -> Settings:
    environment = {**os.environ, "HOME": str(root), "PRIVATE_REGISTRY": target, "IMAGE_TAG": "v1", **settings}
    return Settings.load(root, environ=environment)


class Listener:
    def on_start(self, name: str) -> None:
        pass

    def on_pushed(self, outcome: Outcome[Pushed]) -> None:
        pass


def push(settings: Settings, *images: str, **options: Any) -> dict[str, Outcome[Pushed]]:
    wanted = [Dependency(image=Reference.parse(image), needs=()) for image in images]
    outcomes = deps_push.push(wanted, settings, lambda: Engine.connect(settings), Listener(), **options)
    return {outcome.name: outcome for outcome in outcomes}


def pushed(settings: Settings, *images: str, **options: Any) -> list[Pushed]:
    """As push, when nothing may fail."""
    outcomes = push(settings, *images, **options).values()
    assert [outcome.error for outcome in outcomes] == [None] * len(images)
    return [outcome.value for outcome in outcomes if outcome.value]


def error_of(outcome: Outcome[Pushed]) -> BuildError:
    assert outcome.error is not None
    return outcome.error


def place(target: str, image: str, tag: str = "1") -> Reference:
    """Where an image is after a push."""
    host, _, path = image.rpartition(":")[0].partition("/")
    return Reference.parse(f"{target}/p/{host.replace(':', '_')}/{path}:{tag}")


def holds(registries: Registries, where: Reference, image: Made) -> bool:
    """Whether a place has the image, with all its content."""
    there = registries.manifest(where, image.manifest.digest)
    got = [b"".join(registries.blob(where, blob)) for blob in there.blobs]
    top = registries.resolve(where)
    return got == list(image.blobs) and top is not None and top.digest == image.manifest.digest


def noise(size: int) -> bytes:
    """Bytes that gzip does not make smaller."""
    return layer(noise=os.urandom(size))


@pytest.mark.parametrize("fault", ["end", "reset"])
def test_a_download_that_breaks_goes_on_where_it_stopped(
    fault: str, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([noise(5 * MB)])
    write(registries, f"{registry.host}/a:1", image)
    at = 3 * MB + 404  # a number that looks like a status
    broken = Fault(method="GET", path=image.manifest.blobs[1].digest, **{f"{fault}_at": at})  # type: ignore[arg-type]
    with proxied(registry.host, broken) as source:
        pushed(configured(tmp_path, f"{private.host}/p"), f"{source.host}/a:1")
        first, second = source.of("GET", image.manifest.blobs[1].digest)
        assert holds(registries, place(private.host, f"{source.host}/a:1"), image)
    assert "Range" not in first.headers
    # what a reset leaves of the last chunk is not read
    assert second.headers["Range"] == (f"bytes={at}-" if fault == "end" else f"bytes={3 * MB}-")
    assert second.status == 206


def test_an_early_end_is_no_status(registries: Registries, registry: Registry) -> None:
    """`404 bytes read` in a message is no 404."""
    image = make([noise(MB)])
    write(registries, f"{registry.host}/a:1", image)
    faults = [
        Fault(method="GET", path=image.manifest.blobs[1].digest, end_at=404),
        Fault(method="GET", path="/manifests/", end_at=401),
    ]
    with proxied(registry.host, *faults) as source:
        assert holds(registries, Reference.parse(f"{source.host}/a:1"), image)
        assert len(source.of("GET", "/manifests/")) == 2
        assert len(source.of("GET", image.manifest.blobs[1].digest)) == 2


def test_a_registry_without_ranges_gives_the_blob_again(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([noise(4 * MB)])
    write(registries, f"{registry.host}/a:1", image)
    digest = image.manifest.blobs[1].digest
    faults = [
        Fault(method="GET", path=digest, reset_at=2 * MB + 5),
        Fault(method="GET", path=digest, times=ALWAYS, without=("Range",)),
    ]
    with proxied(registry.host, *faults) as source:
        pushed(configured(tmp_path, f"{private.host}/p"), f"{source.host}/a:1")
        assert [item.status for item in source.of("GET", digest)] == [200, 200]
        assert holds(registries, place(private.host, f"{source.host}/a:1"), image)


@pytest.mark.parametrize("at", [0, MB + 7])
def test_an_upload_that_breaks_is_sent_again(
    at: int, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([noise(3 * MB)])
    write(registries, f"{registry.host}/a:1", image)
    with proxied(private.host, Fault(method="PUT", path="digest=", reset_upload_at=at)) as target:
        pushed(configured(tmp_path, f"{target.host}/p", JOBS="1"), f"{registry.host}/a:1")
        assert [item.status for item in target.of("PUT", "digest=")] == [0, 201, 201]
        assert holds(registries, place(target.host, f"{registry.host}/a:1"), image)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_once_is_asked_again(
    status: int, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([layer(a="1")])
    write(registries, f"{registry.host}/a:1", image)
    gateway = {"status": status, "body": b"<html><body>gateway</body></html>"}
    with (
        proxied(registry.host, Fault(method="GET", path="/manifests/", **gateway)) as source,  # type: ignore[arg-type]
        proxied(private.host, Fault(method="PUT", path="/manifests/", **gateway)) as target,  # type: ignore[arg-type]
    ):
        pushed(configured(tmp_path, f"{target.host}/p"), f"{source.host}/a:1")
        assert [item.status for item in source.of("GET", "/manifests/")] == [status, 200]
        assert [item.status for item in target.of("PUT", "/manifests/")][:2] == [status, 201]
        assert holds(registries, place(private.host, f"{source.host}/a:1"), image)


@pytest.mark.parametrize("status", [401, 403])
def test_a_mount_that_is_refused_becomes_a_copy(
    status: int, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    shared = layer(shared="x" * 1000)
    images = {f"{registry.host}/{name}:1": make([shared, layer(own=name)]) for name in ("a", "b")}
    for name, image in images.items():
        write(registries, name, image)
    refused = Fault(method="POST", path="mount=", status=status, times=ALWAYS)
    with proxied(private.host, refused) as target:
        pushed(configured(tmp_path, f"{target.host}/p"), *images)
        assert {item.status for item in target.of("POST", "mount=")} == {status}
        for name, image in images.items():
            assert holds(registries, place(target.host, name), image)


def test_who_is_asked_to_wait_waits(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    busy = Fault(method="HEAD", path="/manifests/", status=429, headers={"Retry-After": "1"})
    with proxied(registry.host, busy) as source:
        pushed(configured(tmp_path, f"{private.host}/p"), f"{source.host}/a:1")
        first, second = source.of("HEAD", "/manifests/")
    assert (first.status, second.status) == (429, 200)
    assert second.at - first.at >= 1


def test_a_registry_that_asks_for_an_hour_is_not_waited_for(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    busy = Fault(method="HEAD", path="/manifests/", status=429, headers={"Retry-After": "3600"}, times=ALWAYS)
    with proxied(registry.host, busy) as source:
        [outcome] = push(configured(tmp_path, f"{private.host}/p"), f"{source.host}/a:1").values()
        assert len(source.of("HEAD", "/manifests/")) == 1
        assert f"{source.host} answered 429" in error_of(outcome).message


def test_a_token_exchange_that_ends_early_is_begun_again(
    machine: Settings, registries: Registries, private: Registry, tmp_path: Path
) -> None:
    with (
        token_server(tmp_path / "tokens", user="secret") as tokens,
        proxied(tokens.host, Fault(method="GET", path="/token", end_at=0)) as realm,
        running_registry(machine, tmp_path / "closed", auth=tokens.auth(host=realm.host)) as closed,
    ):
        login = {"PRIVATE_REGISTRY_USERNAME": "user", "PRIVATE_REGISTRY_PASSWORD": "secret"}
        write(registries, f"{private.host}/a:1", make([layer(a="1")]))
        pushed(configured(tmp_path, f"{closed.host}/p", **login), f"{private.host}/a:1")
        assert [item.status for item in realm.of("GET")][:2] == [0, 200]


def test_a_blob_of_wrong_bytes_once_is_fetched_again(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([noise(3 * MB)])
    write(registries, f"{registry.host}/a:1", image)
    digest = image.manifest.blobs[1].digest
    with proxied(registry.host, Fault(method="GET", path=digest, corrupt_at=MB + 1)) as source:
        pushed(configured(tmp_path, f"{private.host}/p"), f"{source.host}/a:1")
        assert len(source.of("GET", digest)) == 2
        assert holds(registries, place(private.host, f"{source.host}/a:1"), image)


@pytest.mark.parametrize("size", [10, 3 * MB])  # in one chunk, and in several
def test_a_blob_of_wrong_bytes_never_arrives_and_the_others_do(
    size: int, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    bad, good = make([noise(size)]), make([layer(fine="fine")])
    write(registries, f"{registry.host}/bad:1", bad)
    write(registries, f"{registry.host}/good:1", good)
    blob = bad.manifest.blobs[1]
    wrong = Fault(method="GET", path=blob.digest, corrupt_at=blob.size - 1, times=ALWAYS)
    with proxied(registry.host, wrong) as source:
        names = f"{source.host}/bad:1", f"{source.host}/good:1"
        settings = configured(tmp_path, f"{private.host}/p", TRIES="2")
        outcomes = push(settings, *names)
        assert len(source.of("GET", blob.digest)) == 2
    assert (
        error_of(outcomes[names[0]]).message
        == f"{source.host} sent content that does not match its digest {blob.digest}"
    )
    assert holds(registries, place(private.host, names[1]), good)
    assert registries.resolve(place(private.host, names[0])) is None
    assert not registries.has_blob(place(private.host, names[0]), blob.digest)


@pytest.mark.parametrize("times", [1, ALWAYS])
def test_a_manifest_of_wrong_bytes_is_not_taken(
    times: int, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([layer(a="1")])
    write(registries, f"{registry.host}/a:1", image)
    with proxied(registry.host, Fault(method="GET", path="/manifests/", corrupt_at=3, times=times)) as source:
        name = f"{source.host}/a:1"
        [outcome] = push(configured(tmp_path, f"{private.host}/p", TRIES="2"), name).values()
        assert len(source.of("GET", "/manifests/")) == 2
    if times == 1:
        assert holds(registries, place(private.host, name), image)
    else:
        reason = f"{source.host} sent content that does not match its digest {image.manifest.digest}"
        assert f"({source.host}: {reason}" in error_of(outcome).message
        assert registries.resolve(place(private.host, name)) is None


def test_a_full_registry_is_said_at_once(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    big, small = make([noise(2 * MB)]), make([layer(fine="fine")])
    names = f"{registry.host}/big:1", f"{registry.host}/small:1"
    write(registries, names[0], big)
    write(registries, names[1], small)
    digest = big.manifest.blobs[1].digest.replace(":", "%3A")
    full = Fault(method="PUT", path=digest, status=507, body=b"no space left on device", times=ALWAYS)
    with proxied(private.host, full) as target:
        outcomes = push(configured(tmp_path, f"{target.host}/p"), *names)
        assert len(target.of("PUT", digest)) == 1
        assert error_of(outcomes[names[0]]).message == (
            f"{target.host} answered 507 Insufficient Storage: no space left on device"
        )
        assert holds(registries, place(target.host, names[1]), small)


def test_a_layer_that_is_too_large_for_who_stands_before_the_registry_is_said_at_once(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    """As nginx does it: it answers, and hangs up on who still sends."""
    image = make([noise(8 * MB)])
    write(registries, f"{registry.host}/a:1", image)
    digest = image.manifest.blobs[1].digest.replace(":", "%3A")
    limited = Fault(method="PUT", path=digest, status=413, early=True, times=ALWAYS)
    with proxied(private.host, limited) as target:
        [outcome] = push(configured(tmp_path, f"{target.host}/p"), f"{registry.host}/a:1").values()
        assert len(target.of("PUT", digest)) == 1
    assert error_of(outcome).message == f"{target.host} answered 413 {HTTPStatus(413).phrase}"
    del outcome
    gc.collect()  # warns, which is an error here, if the download that fed the upload was left open


@pytest.mark.parametrize("side", ["source", "target"])
def test_what_fails_again_and_again_is_tried_as_often_as_is_set(
    side: str, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    image = make([noise(10)])
    write(registries, f"{registry.host}/a:1", image)
    digest = image.manifest.blobs[1].digest
    failing = {"status": 500, "times": ALWAYS}
    with (
        proxied(registry.host, Fault(method="GET", path=digest, **failing)) as source,  # type: ignore[arg-type]
        proxied(private.host, Fault(method="PUT", path=digest[8:], **failing)) as target,  # type: ignore[arg-type]
    ):
        hosts = (source.host, private.host) if side == "source" else (registry.host, target.host)
        [outcome] = push(configured(tmp_path, f"{hosts[1]}/p", TRIES="3"), f"{hosts[0]}/a:1").values()
        asked = source.of("GET", digest) if side == "source" else target.of("PUT", digest[8:])
        assert len(asked) == 3
        failed = source if side == "source" else target
        assert error_of(outcome).message == f"{failed.host} answered 500 Internal Server Error"


def test_a_blob_that_one_source_spoils_comes_from_another(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    shared = noise(2 * MB)
    digest = make([shared]).manifest.blobs[1].digest
    image = make([shared, layer(b="b")])
    write(registries, f"{registry.host}/a:1", make([shared]))
    write(registries, f"{registry.host}/b:1", image)
    with proxied(registry.host, Fault(method="GET", path=digest, corrupt_at=7, times=ALWAYS)) as source:
        names = f"{source.host}/a:1", f"{registry.host}/b:1"
        outcomes = push(configured(tmp_path, f"{private.host}/p", TRIES="1"), *names)
    assert "does not match its digest" in error_of(outcomes[names[0]]).message
    assert holds(registries, place(private.host, names[1]), image)


def test_a_registry_whose_disk_is_full_does_not_keep_us(
    machine: Settings, registries: Registries, registry: Registry, tmp_path: Path
) -> None:
    write(registries, f"{registry.host}/big:1", make([noise(6 * MB)]))
    with full_disk(tmp_path / "disk") as disk, running_registry(machine, disk / "registry") as small:
        [outcome] = push(configured(tmp_path, f"{small.host}/p", TRIES="2"), f"{registry.host}/big:1").values()
        assert error_of(outcome).message.startswith(f"{small.host} ")
        assert registries.resolve(place(small.host, f"{registry.host}/big:1")) is None


@contextlib.contextmanager
def full_disk(directory: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(directory)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_source_that_goes_away_in_a_transfer_does_not_spoil_the_target(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    lost, kept = make([noise(2 * MB)]), make([layer(fine="fine")])
    write(registries, f"{registry.host}/a:1", lost)
    write(registries, f"{registry.host}/b:1", kept)
    gone = Fault(method="GET", path=lost.manifest.blobs[1].digest, gone=True)
    with proxied(registry.host, gone) as source:
        names = f"{source.host}/a:1", f"{registry.host}/b:1"
        outcomes = push(configured(tmp_path, f"{private.host}/p", JOBS="1"), *names)
    assert error_of(outcomes[names[0]]).message.startswith(f"{source.host}: Connection refused")
    assert holds(registries, place(private.host, names[1]), kept)


def begun_push(project: Path, target: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        inv_command("deps-push", "-r", target, "-t", "v1", *arguments),
        env={**os.environ, "HOME": str(project), "PROJECT_ROOT": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> tuple[str, str]:
    with process:
        out, err = process.communicate(timeout=60)
    return out, err


def test_a_push_that_is_killed_leaves_nothing_half_there_and_may_be_begun_again(
    registries: Registries, registry: Registry, private: Registry, project: Path
) -> None:
    blob = write_large(registries, f"{registry.host}/a:1", 20_000_000)
    stalling = Fault(method="GET", path=blob.digest, hold_at=5_000_000)
    with proxied(registry.host, stalling) as source:
        name = f"{source.host}/a:1"
        needs(project, "one", name)
        first = begun_push(project, f"{private.host}/p")
        try:
            assert source.held.wait(60)
        finally:
            first.send_signal(signal.SIGKILL)
            finished(first)
        assert first.returncode == -signal.SIGKILL
        assert registries.resolve(place(private.host, name)) is None
        assert not registries.has_blob(place(private.host, name), blob.digest)
        source.go_on.set()
        second = begun_push(project, f"{private.host}/p")
        _, said = finished(second)
        assert second.returncode == 0, said
        assert registries.resolve(place(private.host, name)) is not None
        assert sum(len(chunk) for chunk in registries.blob(place(private.host, name), blob)) == blob.size


def test_interrupting_a_push_ends_with_130(
    registries: Registries, registry: Registry, private: Registry, project: Path
) -> None:
    blob = write_large(registries, f"{registry.host}/a:1", 5_000_000)
    with proxied(registry.host, Fault(method="GET", path=blob.digest, hold_at=2_000_000)) as source:
        needs(project, "one", f"{source.host}/a:1")
        process = begun_push(project, f"{private.host}/p")
        try:
            assert source.held.wait(60)
        finally:
            process.send_signal(signal.SIGINT)
            _, said = finished(process)
        assert process.returncode == 130
        assert said.startswith(f"error: interrupted while uploading {source.host}/a:1\n  next: ./inv deps-push ")
    assert registries.resolve(place(private.host, f"{source.host}/a:1")) is None


def test_two_pushes_at_once_both_succeed(
    registries: Registries, registry: Registry, private: Registry, project: Path
) -> None:
    image = make([noise(3 * MB), noise(10)])
    write(registries, f"{registry.host}/a:1", image)
    # the first waits in the middle of a blob until the second has written all
    stalling = Fault(method="GET", path=image.manifest.blobs[1].digest, hold_at=MB)
    with proxied(registry.host, stalling) as source:
        needs(project, "one", f"{source.host}/a:1")
        first = begun_push(project, f"{private.host}/p")
        try:
            assert source.held.wait(60)
            second = begun_push(project, f"{private.host}/p")
            _, said = finished(second)
        finally:
            source.go_on.set()
            _, first_said = finished(first)
        assert (first.returncode, second.returncode) == (0, 0), first_said + said
        assert holds(registries, place(private.host, f"{source.host}/a:1"), image)


def test_a_source_out_of_reach_is_asked_once(private: Registry, project: Path) -> None:
    host = free_place()  # nobody listens there
    for name in ("a", "b", "c"):
        needs(project, name, f"{host}/{name}:1")
    process = begun_push(project, f"{private.host}/p", "-j", "1")
    out, err = finished(process)
    assert process.returncode == 1
    assert out.count(f"not from {host}: {host}: Connection refused") == 3
    assert out.count("(not asked again)") == 2
    assert "3 of 3 images not pushed" in err


@pytest.mark.parametrize("status", [412, 403])
def test_a_tag_that_may_not_be_overwritten_is_said_and_the_release_s_is_written(
    status: int, registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    old, new = make([layer(a="old")]), make([layer(a="new")])
    name = f"{registry.host}/a:1"
    write(registries, name, old)
    pushed(configured(tmp_path, f"{private.host}/p"), name)
    write(registries, name, new)
    body = b'{"errors":[{"code":"PRECONDITION","message":"the tag is immutable, cannot be updated"}]}'
    immutable = Fault(method="PUT", path="/manifests/1$", status=status, body=body, times=ALWAYS)
    with proxied(private.host, immutable) as target:
        settings = configured(tmp_path, f"{target.host}/p", IMAGE_TAG="v2")
        [outcome] = push(settings, name).values()
        assert len(target.of("PUT", "/manifests/1$")) == 1
    said = error_of(outcome).message
    assert said.startswith(f"{place(target.host, name)} already names a different image and may not be overwritten: ")
    assert "the tag is immutable" in said
    assert holds(registries, place(private.host, name, "1-v2"), new)
    assert holds(registries, place(private.host, name), old)


class Harbor:
    """A registry's proxy that has Harbor's own API besides: whether its project is there, and making it."""

    def __init__(self, proxy: Proxy, *, may_create: bool = True) -> None:
        self.proxy = proxy
        proxy.faults += [
            Fault(method="GET", path=r"^/api/v2\.0/ping$", status=200, body=b"Pong", times=ALWAYS),
            Fault(method="HEAD", path=r"^/api/v2\.0/projects\?project_name=aihpc$", status=404, times=ALWAYS),
            Fault(method="POST", path=r"^/api/v2\.0/projects$", status=201 if may_create else 403, times=ALWAYS),
        ]

    @property
    def written(self) -> list[str]:
        return [item.path for item in self.proxy.of("POST|PUT|PATCH", "^/v2/")]


@pytest.fixture
def harbor(private: Registry) -> Iterator[Harbor]:
    with proxied(private.host) as proxy:
        yield Harbor(proxy)


@pytest.mark.parametrize("closed", [False, True])
def test_a_harbor_without_the_project_is_said_before_anything_is_sent(
    closed: bool, registries: Registries, registry: Registry, harbor: Harbor, tmp_path: Path
) -> None:
    write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    if closed:  # as Harbor answers for a project that is not there
        harbor.proxy.faults.append(Fault(method="HEAD", path="^/v2/", status=401, times=ALWAYS))
    with pytest.raises(RegistryError) as caught:
        push(configured(tmp_path, f"{harbor.proxy.host}/aihpc"), f"{registry.host}/a:1")
    assert caught.value.message == f"the Harbor at {harbor.proxy.host} has no project 'aihpc'; nothing was sent"
    assert caught.value.hint.startswith("create it with --create-project")
    assert harbor.written == []
    assert harbor.proxy.of("POST") == []


def test_a_harbor_s_project_is_made_when_that_is_asked_for(
    registries: Registries, registry: Registry, harbor: Harbor, tmp_path: Path
) -> None:
    write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    pushed(configured(tmp_path, f"{harbor.proxy.host}/aihpc"), f"{registry.host}/a:1", create_project=True)
    changes = harbor.proxy.of("POST|PUT|PATCH")
    assert changes[0].path == "/api/v2.0/projects"
    assert [item.status for item in changes if item.path == "/api/v2.0/projects"] == [201]
    assert len(harbor.written) > 2


def test_a_harbor_that_does_not_make_the_project_says_so(
    registries: Registries, registry: Registry, private: Registry, tmp_path: Path
) -> None:
    write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    with proxied(private.host) as proxy:
        harbor = Harbor(proxy, may_create=False)
        with pytest.raises(RegistryError, match="did not create the project 'aihpc': 403 Forbidden"):
            push(configured(tmp_path, f"{proxy.host}/aihpc"), f"{registry.host}/a:1", create_project=True)
        assert harbor.written == []


def test_a_dry_run_makes_no_project(registries: Registries, registry: Registry, harbor: Harbor, tmp_path: Path) -> None:
    write(registries, f"{registry.host}/a:1", make([layer(a="1")]))
    with pytest.raises(RegistryError, match="has no project"):
        push(configured(tmp_path, f"{harbor.proxy.host}/aihpc"), f"{registry.host}/a:1", create_project=True, dry=True)
    assert harbor.proxy.of("POST|PUT|PATCH") == []


def test_a_silent_registry_is_given_up(registries: Registries, private: Registry, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        name = f"127.0.0.1:{silent.getsockname()[1]}/a:1"
        settings = configured(tmp_path, f"{private.host}/p", TRIES="1", STALL_SECONDS="1")
        [outcome] = push(settings, name).values()
    assert "timed out: no complete answer after 1s" in error_of(outcome).message
