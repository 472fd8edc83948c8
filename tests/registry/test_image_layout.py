"""Image layouts and archives, in memory and on disk."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.reference import Reference
from build_lib.registry.blob_store import BlobStore, Truncated, WrongContent
from build_lib.registry.image_layout import Loadable, contents, stream, write_layout
from build_lib.registry.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, digest_of
from tests.registry.test_blob_store import WANTED, cut, descriptor, files


class Content:
    """Blobs in memory, and images of them."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.opened: list[str] = []

    def add(self, content: bytes) -> dict[str, object]:
        self.blobs[digest_of(content)] = content
        return {"mediaType": "application/octet-stream", "digest": digest_of(content), "size": len(content)}

    def manifest(self, *layers: bytes, media_type: str = OCI_MANIFEST) -> Manifest:
        config = self.add(json.dumps([digest_of(layer) for layer in layers]).encode())
        body = {"schemaVersion": 2, "config": config, "layers": [self.add(layer) for layer in layers]}
        return Manifest.read(json.dumps(body).encode(), media_type)

    def read(self, wanted: Descriptor, offset: int) -> Iterable[bytes]:
        return (self.blobs[wanted.digest][offset:],)

    def open(self, wanted: Descriptor) -> Iterator[bytes]:
        self.opened.append(wanted.digest)
        with io.BytesIO(self.blobs[wanted.digest]) as file:
            while chunk := file.read(700):
                yield chunk


def index(*manifests: Manifest) -> Manifest:
    listed = [{"mediaType": each.media_type, "digest": each.digest, "size": len(each.body)} for each in manifests]
    return Manifest.read(json.dumps({"manifests": listed}).encode(), OCI_INDEX)


def alone(name: str, manifest: Manifest) -> Loadable:
    return Loadable(name=Reference.parse(name), manifests=(manifest,), image=manifest)


def unpack(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
    assert {(each.mtime, each.uid, each.gid, each.mode, each.uname) for each, _ in members} == {(0, 0, 0, 0o644, "")}
    assert len({each.name for each, _ in members}) == len(members)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


def _check_blobs(found: dict[str, bytes]) -> set[str]:
    digests = {name.rpartition("/")[2] for name in found if name.startswith("blobs/sha256/")}
    for each in digests:
        assert hashlib.sha256(found[f"blobs/sha256/{each}"]).hexdigest() == each
    return {f"sha256:{each}" for each in digests}


SHARED = b"shared" * 2000


def test_an_archive_is_a_layout_and_what_docker_load_takes() -> None:
    content = Content()
    here, there = content.manifest(SHARED, b"here"), content.manifest(b"there", media_type=DOCKER_MANIFEST)
    top, other = index(here, there), content.manifest(SHARED, b"other", b"")
    images = (
        Loadable(name=Reference.parse("redis:7"), manifests=(top, here, there), image=here),
        alone(f"quay.io/a/b:1@{other.digest}", other),
        alone(f"host:5000/c@{other.digest}", other),
    )
    found = unpack(b"".join(stream(images, content.open)))
    assert _check_blobs(found) == {*content.blobs, top.digest, here.digest, there.digest, other.digest}
    assert sorted(content.opened) == sorted(content.blobs)
    assert [blob.digest for blob in contents(images)] == content.opened
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert [tuple(each.values()) for each in json.loads(found["index.json"])["manifests"]] == [
        (OCI_INDEX, top.digest, len(top.body), _named("docker.io/library/redis:7")),
        (OCI_MANIFEST, other.digest, len(other.body), _named("quay.io/a/b:1")),
        (OCI_MANIFEST, other.digest, len(other.body), _named(f"host:5000/c@{other.digest}")),
    ]
    loaded = json.loads(found["manifest.json"])
    assert [each["RepoTags"] for each in loaded] == [["redis:7"], ["quay.io/a/b:1"], []]
    for each, manifest in zip(loaded, (here, other, other), strict=True):
        assert [each["Config"], *each["Layers"]] == [f"blobs/sha256/{blob.digest[7:]}" for blob in manifest.blobs]


def _named(name: str) -> dict[str, str]:
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}


def test_the_same_input_gives_the_same_bytes_however_it_comes() -> None:
    content = Content()
    images = [alone("a:1", content.manifest(SHARED, b"one")), alone("b:1", content.manifest(SHARED, b"two"))]
    by_chunks = b"".join(stream(images, content.open))
    assert by_chunks == b"".join(stream(images, lambda wanted: [b"", content.blobs[wanted.digest], b""]))
    assert len(by_chunks) % tarfile.BLOCKSIZE == 0


def test_layers_are_left_out_and_configs_are_not() -> None:
    content = Content()
    manifest = content.manifest(SHARED, b"one")
    left_out = {digest_of(SHARED), manifest.blobs[0].digest}
    found = unpack(b"".join(stream([alone("a:1", manifest)], content.open, leave_out=left_out)))
    assert _check_blobs(found) == {manifest.digest, manifest.blobs[0].digest, digest_of(b"one")}
    assert len(json.loads(found["manifest.json"])[0]["Layers"]) == 2


@pytest.mark.parametrize("wrong", [SHARED[:-1], SHARED + b"x", SHARED[:-1] + b"x", b""])
def test_a_blob_with_other_content_ends_the_archive_early(wrong: bytes) -> None:
    content = Content()
    manifest = content.manifest(SHARED, b"last")
    content.blobs[digest_of(SHARED)] = wrong
    with pytest.raises((WrongContent, Truncated), match=digest_of(SHARED)):
        list(stream([alone("a:1", manifest)], content.open))
    assert digest_of(b"last") not in content.opened


def test_an_archive_that_nobody_reads_to_its_end_closes_its_blob(tmp_path: Path) -> None:
    closed = threading.Event()

    def opened(_: Descriptor) -> Iterator[bytes]:
        try:
            yield SHARED[:1]
        finally:
            closed.set()

    manifest = Content().manifest(SHARED)
    archive = stream([alone("a:1", manifest)], opened)
    for chunk in archive:
        if chunk == SHARED[:1]:
            break
    archive.close()
    assert closed.is_set()


def test_a_large_member_has_its_size_in_its_header() -> None:
    size = 9 << 30  # more than the eleven octal digits of old
    config = descriptor(b"{}")
    large = {"digest": digest_of(b"large"), "size": size}
    body = {"config": {"digest": config.digest, "size": 2}, "layers": [large]}
    manifest = Manifest.read(json.dumps(body).encode(), OCI_MANIFEST)
    chunks = stream([alone("a:1", manifest)], lambda wanted: [b"{}"] if wanted.size == 2 else [])
    name = f"blobs/sha256/{digest_of(b'large')[7:]}".encode()
    header = next(chunk for chunk in chunks if chunk.startswith(name))
    assert tarfile.TarInfo.frombuf(header, "utf-8", "strict").size == size


def test_a_directory_becomes_a_layout(tmp_path: Path) -> None:
    content = Content()
    manifest = content.manifest(SHARED, b"one")
    blobs = BlobStore.of_layout(tmp_path)
    with pytest.raises(BuildError, match="the line is cut"):
        blobs.fetch(WANTED, cut)
    for blob in contents([alone("a:1", manifest)]):
        blobs.fetch(blob, partial(content.read, blob))
    for _ in range(2):
        write_layout(tmp_path, [alone("a:1", manifest)])
    found = {name: (tmp_path / name).read_bytes() for name in files(tmp_path) if not name.startswith("partial/")}
    assert _check_blobs(found) == {*content.blobs, manifest.digest}
    assert found == unpack(b"".join(stream([alone("a:1", manifest)], blobs.chunks)))
