"""Archives that a real engine takes in while they are made."""

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.errors import EngineError
from build_lib.reference import Reference
from build_lib.registry import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    BlobStore,
    Descriptor,
    Loadable,
    Manifest,
    WrongContent,
    digest_of,
    image_layout,
)
from tests.support.engines import content

_TAR_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


class Images:
    """Images made by hand, and their blobs."""

    def __init__(self, prefix: str, platform: str) -> None:
        self._prefix = prefix
        self._platform = platform
        self.blobs: dict[str, bytes] = {}

    @property
    def platform(self) -> dict[str, str]:
        system, architecture = self._platform.split("/")[:2]
        return {"os": system, "architecture": architecture}

    def layer(self, *, pack: Callable[[bytes], bytes] = lambda tar: gzip.compress(tar, mtime=0), **files: str) -> bytes:
        """A layer of text files in /f; its content has the test's prefix, no other image has it."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, text in files.items():
                info = tarfile.TarInfo(f"f/{name}")
                info.size = len(self._prefix + text)
                tar.addfile(info, io.BytesIO((self._prefix + text).encode()))
        return pack(archive.getvalue())

    def manifest(self, *layers: bytes, media_type: str = OCI_MANIFEST) -> Manifest:
        diffs = [digest_of(gzip.decompress(each) if each[:2] == b"\x1f\x8b" else each) for each in layers]
        root = {"type": "layers", "diff_ids": diffs}
        config = json.dumps({**self.platform, "config": {}, "rootfs": root}).encode()
        kinds = ["application/vnd.oci.image.config.v1+json", *(_TAR_GZIP for _ in layers)]
        first, *rest = (self._add(each, kind) for each, kind in zip((config, *layers), kinds, strict=True))
        body = {"schemaVersion": 2, "mediaType": media_type, "config": first, "layers": rest}
        return Manifest.read(json.dumps(body).encode(), media_type)

    def image(self, name: str, *layers: bytes) -> Loadable:
        manifest = self.manifest(*layers)
        return Loadable(name=self.name(name), manifests=(manifest,), image=manifest)

    def name(self, name: str) -> Reference:
        return Reference.parse(self._prefix + name)

    def text(self, text: str) -> str:
        return self._prefix + text

    def open(self, wanted: Descriptor) -> Iterable[bytes]:
        return (self.blobs[wanted.digest],)

    def read(self, wanted: Descriptor) -> Callable[[int], Iterable[bytes]]:
        return lambda offset: (self.blobs[wanted.digest][offset:],)

    def _add(self, blob: bytes, media_type: str) -> dict[str, object]:
        self.blobs[digest_of(blob)] = blob
        return {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)}


@pytest.fixture
def images(engine: Engine, prefix: str) -> Images:
    return Images(prefix, engine.platform())


def texts(engine: Engine, image: Loadable) -> dict[str, str]:
    with engine.containers.temporary(str(image.name), owner="test") as container:
        return {member.name: file.read().decode() for member, file in container.files("/f") if file}


def has(engine: Engine, image: Loadable) -> bool:
    return image.name.canonical in engine.images.by_name()


def test_an_image_comes_under_its_name_and_id(engine: Engine, images: Images) -> None:
    image = images.image("tiny:1", images.layer(a="below", b="b"), images.layer(a="above", pack=bytes))
    engine.streams.load(image_layout.stream([image], images.open))
    ids = {image.image.blobs[0].digest, image.image.digest}  # the classic store's, the containerd store's
    assert engine.images.by_name()[image.name.canonical].id in ids
    assert texts(engine, image) == {"f/a": images.text("above"), "f/b": images.text("b")}


def test_an_image_of_several_platforms_comes_as_the_engines_own(engine: Engine, images: Images) -> None:
    here, there = images.manifest(images.layer(a="here")), Images("", "linux/riscv64")
    other = there.manifest(images.layer(a="there"), media_type=DOCKER_MANIFEST)
    images.blobs |= there.blobs
    listed = [
        {"mediaType": each.media_type, "digest": each.digest, "size": len(each.body), "platform": at.platform}
        for each, at in ((other, there), (here, images))
    ]
    top = Manifest.read(json.dumps({"schemaVersion": 2, "manifests": listed}).encode(), OCI_INDEX)
    name = Reference.parse(f"{images.name('tiny:1')}@{top.digest}")
    engine.streams.load(
        image_layout.stream([Loadable(name=name, manifests=(top, other, here), image=here)], images.open)
    )
    loaded = Loadable(name=images.name("tiny:1"), manifests=(here,), image=here)
    assert texts(engine, loaded) == {"f/a": images.text("here")}


def test_images_that_share_a_layer_come_together(engine: Engine, images: Images) -> None:
    shared = images.layer(a="shared")
    one, two = (images.image(f"{each}:1", shared, images.layer(b=each)) for each in ("one", "two"))
    engine.streams.load(image_layout.stream([one, two], images.open))
    for image, text in ((one, "one"), (two, "two")):
        assert texts(engine, image) == {"f/a": images.text("shared"), "f/b": images.text(text)}
    assert engine.images.layers(str(one.name))[0] == engine.images.layers(str(two.name))[0]


def test_layers_that_the_engine_has_may_be_left_out(engine: Engine, images: Images) -> None:
    shared = images.layer(a="shared")
    one, two = (images.image(f"{each}:1", shared, images.layer(b=each)) for each in ("one", "two"))
    engine.streams.load(image_layout.stream([one], images.open))
    del images.blobs[digest_of(shared)]
    engine.streams.load(image_layout.stream([two], images.open, leave_out={digest_of(shared)}))
    assert texts(engine, two) == {"f/a": images.text("shared"), "f/b": images.text("two")}


@pytest.mark.parametrize("below", [(), ("other",)])
def test_layers_that_the_engine_has_not_at_that_place_may_not(
    engine: Engine, images: Images, below: tuple[str, ...]
) -> None:
    """It is of no use to a classic store that it has the layer as part of another image, upon other layers."""
    if below and engine.keeps_content():
        pytest.skip("a containerd store finds a layer wherever it is")
    shared = images.layer(a="shared")
    if below:
        engine.streams.load(image_layout.stream([images.image("has:1", shared)], images.open))
    image = images.image("wants:1", *(images.layer(c=each) for each in below), shared)
    with pytest.raises(EngineError, match=digest_of(shared)[7:]):
        engine.streams.load(image_layout.stream([image], images.open, leave_out={digest_of(shared)}))
    assert not has(engine, image)


def test_an_image_without_a_tag_comes_by_its_id(engine: Engine, images: Images) -> None:
    manifest = images.manifest(images.layer(a="a"))
    name = Reference.parse(f"{images.name('pinned').repository}@{manifest.digest}")
    id = manifest.digest if engine.keeps_content() else manifest.blobs[0].digest
    try:
        engine.streams.load(
            image_layout.stream([Loadable(name=name, manifests=(manifest,), image=manifest)], images.open)
        )
        assert content(engine, id, "/f/a") == images.text("a")
    finally:
        engine.images.remove(id)


def test_wrong_content_stops_the_load_and_nothing_comes(engine: Engine, images: Images) -> None:
    layer = images.layer(a="a")
    image = images.image("tiny:1", layer)
    right, images.blobs[digest_of(layer)] = layer, layer[::-1]
    with pytest.raises(WrongContent, match=digest_of(layer)):
        engine.streams.load(image_layout.stream([image], images.open))
    assert not has(engine, image)
    images.blobs[digest_of(layer)] = right
    engine.streams.load(image_layout.stream([image], images.open))
    assert has(engine, image)


@pytest.mark.parametrize("wrong", [b"no tar archive" * 99, bytes(1 << 24)])
def test_what_is_no_archive_is_refused(engine: Engine, wrong: bytes) -> None:
    with pytest.raises(EngineError):
        engine.streams.load([wrong])


def test_a_layer_that_is_no_archive_is_refused(engine: Engine, images: Images) -> None:
    image = images.image("tiny:1", b"no tar archive" * 99)
    with pytest.raises(EngineError):
        engine.streams.load(image_layout.stream([image], images.open))
    assert engine.keeps_content() or not has(engine, image)  # which names an image before it unpacks it


@pytest.fixture
def docker() -> str:
    found = shutil.which("docker")
    if found is None:
        pytest.skip("needs the docker CLI")
    return found


def test_a_file_and_a_directory_are_loaded_by_docker_alone(
    engine: Engine, images: Images, docker: str, tmp_path: Path
) -> None:
    one, two = images.image("one:1", images.layer(a="one")), images.image("two:1", images.layer(a="two"))
    (tmp_path / "one.tar").write_bytes(b"".join(image_layout.stream([one], images.open)))
    blobs = BlobStore.of_layout(tmp_path / "two")
    for blob in two.image.blobs:
        blobs.fetch(blob, images.read(blob))
    image_layout.write_layout(tmp_path / "two", [two])
    with tarfile.open(tmp_path / "two.tar", "w") as tar:
        tar.add(tmp_path / "two", ".")
    for file in ("one.tar", "two.tar"):
        subprocess.run([docker, "load", "--input", str(tmp_path / file)], check=True, capture_output=True)
    assert texts(engine, one) == {"f/a": images.text("one")}
    assert texts(engine, two) == {"f/a": images.text("two")}
