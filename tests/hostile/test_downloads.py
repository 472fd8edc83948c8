"""Registries that mean harm with what builds downloaded: they are named, and no recording of theirs is written."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build_lib.downloads import Recording, recording
from build_lib.errors import BuildError
from build_lib.registry import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, digest_of
from build_lib.transfer import downloads_artifact as artifact
from build_lib.transfer import fetch_downloads, push_downloads
from tests.hostile.attacks import DEEP, DIGEST, GOOD, HTML, KB, LARGE, MB, NOT_JSON, UPLOADS
from tests.hostile.attempts import settings
from tests.hostile.limits import limits
from tests.hostile.lying_registry import Handler, Lie, endlessly, gives, head, lying, says
from tests.support.downloads import record, recorded, store_of
from tests.support.images import Made

URL = "https://pypi.org/simple/six/"
CONTENT = os.urandom(300 * KB)
WEB = recorded("web", {URL: CONTENT}, release="1")
CANNOT_BE_READ = "has a recording that cannot be read: "
NOT_FETCHED = f"the content of {URL} for web cannot be fetched: .*"


def made(*recordings: bytes, content: tuple[bytes, ...] = (CONTENT,)) -> Made:
    """The artifact of these recordings."""
    described = {str(number): artifact.described(each) for number, each in enumerate(recordings)}
    layers = [Descriptor(digest=digest_of(each), size=len(each), media_type="a/b") for each in content]
    [manifest] = artifact.manifests(described, layers)
    return Made(manifest, (artifact.EMPTY, *recordings, *content), "")


def with_recording(**changes: Any) -> Made:
    """The artifact of a recording with these changes."""
    return made(json.dumps({**recording.as_json(WEB), **changes}).encode())


def with_manifest(change: Callable[[dict[str, Any]], object]) -> Made:
    """The artifact with another manifest."""
    body = json.loads(HONEST.manifest.body)
    change(body)
    content = json.dumps(body).encode()
    return Made(replace(HONEST.manifest, body=content), HONEST.blobs, "")


def with_layer(**changes: Any) -> Made:
    """The artifact with another descriptor of the recording."""
    return with_manifest(lambda body: body["layers"][0].update(changes))


def with_content(**changes: Any) -> Made:
    """The artifact with another descriptor of the content."""
    return with_manifest(lambda body: body["layers"][1].update(changes))


def index(*listed: Mapping[str, Any]) -> Made:
    """An index of these."""
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": artifact.ARTIFACT, "manifests": listed}
    return Made(Manifest(body=json.dumps(body).encode(), media_type=OCI_INDEX, manifests=(), blobs=()), (), "")


def at_blob(content: bytes, lie: Lie) -> Lie:
    """The lie, told of this blob alone."""

    def told(handler: Handler) -> None:
        lie(handler) if handler.name == digest_of(content) else handler.tell_the_truth()

    return told


def sized(size: int) -> Made:
    """The artifact with content of so many bytes, in the recording as well."""
    item = replace(WEB.downloads[0], size=size)
    changed = made(artifact.packed(replace(WEB, downloads=(item,))))
    body = json.loads(changed.manifest.body)
    body["layers"][1]["size"] = size
    return Made(replace(changed.manifest, body=json.dumps(body).encode()), changed.blobs, "")


PACKED = artifact.packed(WEB)
HONEST = made(PACKED)
ITEM = {"mediaType": OCI_MANIFEST, "digest": HONEST.manifest.digest, "size": len(HONEST.manifest.body)}
NESTED = index(ITEM)

# ruff: noqa: E501  # a row for each attack
# fmt: off
# name: the artifact, the reason why it is not taken
ARTIFACTS: dict[str, tuple[tuple[Made, ...], str]] = {
    "an image": ((GOOD,), "has no downloads, but something of the type"),
    "no recording": ((made(),), "lists 0 recordings of downloads"),
    "a recording of 100 MB": ((with_layer(size=100 * MB),), "has a recording of 104.9 MB, and 8.4 MB is the most"),
    "a recording with a wrong digest": ((with_layer(digest=digest_of(b"")),), "answered 404"),
    "a recording of a wrong size": ((with_layer(size=len(PACKED) - 1),), "sent more than"),
    "a page of HTML": ((made(HTML.encode()),), CANNOT_BE_READ),
    "lists in lists": ((made(DEEP),), CANNOT_BE_READ),
    "8 MB of lists": ((made(b"[" + b"[]," * (8 * MB // 3 - 2) + b"1]"),), f"{CANNOT_BE_READ}it has more lists"),
    "a number that is too long": ((made(b"9" * 5000),), CANNOT_BE_READ),
    "8 MB of numbers": ((made(b"[" + b"999," * (2 * MB - 1) + b"1]"),), f"{CANNOT_BE_READ}an object is expected"),
    "half letters": ((made(b"\xff\xfe"),), CANNOT_BE_READ),
    "another format": ((with_recording(format=2),), f"{CANNOT_BE_READ}its format is 2"),
    "a service that is a path": ((with_recording(service="../../x"),), f"{CANNOT_BE_READ}'../../x' is no name"),
    "a path with a control character": ((with_recording(path="\x1b[2J"),), f"{CANNOT_BE_READ}a printable text"),
    "another release": ((with_recording(release="2"),), "has a recording of another release, 2"),
    "a service twice": ((made(PACKED, PACKED + b" "),), "has several recordings of one service"),
    "content that is not listed": ((made(PACKED, content=()),), f"does not list the content of {URL} for web"),
    "content of another size": ((with_content(size=7),), f"does not list the content of {URL} for web"),
    "content with a path as its digest": ((with_content(digest="sha256:../../etc/passwd"),), "an invalid digest or size"),
    "content of a petabyte": ((sized(1 << 50),), "cannot write .* are needed"),
    "content of a byte more": ((sized(len(CONTENT) + 1),), f"{NOT_FETCHED}closed the connection"),
    "20000 layers": ((with_manifest(lambda body: body.update(layers=body["layers"] * 10_000)),), "lists more than 10000 layers"),
    "an index of 100": ((HONEST, index(*[ITEM] * 100)), "lists more than 64 manifests of downloads"),
    "an index of an index": ((HONEST, NESTED, index(ITEM | {"digest": NESTED.manifest.digest})), "has no downloads, but"),
    "an index with a wrong size": ((HONEST, index(ITEM | {"size": 7})), "gives sha256:.* a wrong size"),
    "an index of what is not there": ((index(ITEM),), "answered 404"),
    "an index of an image": ((GOOD, index(ITEM | {"digest": GOOD.manifest.digest})), "has no downloads, but"),
}
# name: the request, the answer, the reason why it is not taken
ANSWERS: dict[str, tuple[str, Lie, str]] = {
    "a page of HTML as a manifest": ("manifest", gives(HTML), NOT_JSON),
    "a manifest of 5 MB": ("manifest", gives(b" " * 5 * MB), LARGE),
    "another recording": ("layer", at_blob(PACKED, says("200 OK", PACKED.replace(b"web", b"bew"))), DIGEST),
    "a recording without end": ("layer", at_blob(PACKED, endlessly(head("200 OK"), then=b" " * KB)), "sent more than"),
    "no recording": ("layer", at_blob(PACKED, says("404 Not Found")), "answered 404"),
    "other content": ("layer", at_blob(CONTENT, says("200 OK", bytes(len(CONTENT)))), f"{NOT_FETCHED}{DIGEST}"),
    "half the content": ("layer", at_blob(CONTENT, says("200 OK", CONTENT[:-9])), f"{NOT_FETCHED}closed the connection"),
    "content without end": ("layer", at_blob(CONTENT, endlessly(head("200 OK"), then=bytes(KB))), f"{NOT_FETCHED}sent more than"),
    "no content": ("layer", at_blob(CONTENT, says("404 Not Found")), f"{NOT_FETCHED}answered 404"),
}
# fmt: on


def refused(root: Path, host: str, *, wanted: str = "web") -> str:
    """What is said when the downloads are not taken."""
    with limits(), pytest.raises(BuildError) as caught:
        fetch_downloads(settings(root, PRIVATE_REGISTRY=f"{host}/p"), "1", [wanted])
    store = store_of(root)
    assert store.releases() == []
    for path in store.directory.glob("sha256/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert {path.name for path in root.iterdir()} <= {".build"}
    assert len(caught.value.message) < 1000
    return caught.value.message


@pytest.mark.parametrize("attack", ARTIFACTS)
def test_an_artifact_that_is_wrong_is_refused(attack: str, tmp_path: Path) -> None:
    images, reason = ARTIFACTS[attack]
    with lying(*images) as registry:
        said = refused(tmp_path, registry.host)
    assert re.search(reason, said), said


@pytest.mark.parametrize("attack", ANSWERS)
def test_a_lie_about_downloads_is_refused_and_named(attack: str, tmp_path: Path) -> None:
    at, lie, reason = ANSWERS[attack]
    with lying(HONEST, at=at, lie=lie) as registry:
        said = refused(tmp_path, registry.host)
    assert registry.host in said
    assert re.search(reason, said), said


def test_the_same_artifact_without_a_lie_is_taken(tmp_path: Path) -> None:
    for images in ((HONEST,), (HONEST, NESTED)):
        with lying(*images) as registry:
            root = tmp_path / str(len(images))
            store = store_of(root)
            fetch_downloads(settings(root, PRIVATE_REGISTRY=f"{registry.host}/p"), "1", ["web"])
        assert store.recordings("1") == {"web": WEB}
        assert store.path(WEB.downloads[0].sha256).read_bytes() == CONTENT


def test_a_recording_that_nobody_asked_for_is_not_written(tmp_path: Path) -> None:
    with lying(HONEST) as registry:
        assert "the downloads of 1 are not in" in refused(tmp_path, registry.host, wanted="api")
        assert [item.path.rpartition("/")[2] for item in registry.asked("layer")] == [digest_of(PACKED)]


def test_a_recording_is_that_of_its_release(tmp_path: Path) -> None:
    other: Recording = replace(WEB, release="2")
    with lying(made(PACKED, artifact.packed(other))) as registry:
        assert "of another release, 2" in refused(tmp_path, registry.host)


@pytest.mark.parametrize("attack", UPLOADS)
def test_a_registry_that_downloads_are_pushed_to_can_lie_too(attack: str, tmp_path: Path) -> None:
    at, lie, reason = UPLOADS[attack]
    record(tmp_path, "web", {URL: CONTENT})
    with lying(at=at, lie=lie) as registry, limits():
        outcome = push_downloads(settings(tmp_path, PRIVATE_REGISTRY=f"{registry.host}/p"))
    assert outcome is not None
    assert outcome.error is not None
    assert re.search(reason, outcome.error.message), outcome.error.message
