"""Images out of what `docker save` writes, in the forms of engines that do not run here too."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, cast

import pytest

from build_lib.engine import Engine
from build_lib.engine.saved_images import export
from build_lib.errors import BuildError
from build_lib.reference import Reference
from build_lib.registry import BlobStore, Manifest, digest_of

IMAGE = Reference.parse("local:1")
ONE, EMPTY = b"one" * 400, bytes(1024)
CONFIG = json.dumps({"rootfs": {"type": "layers", "diff_ids": [digest_of(ONE), digest_of(EMPTY)]}}).encode()


class Saves:
    """An engine's streams whose `saved` gives these files; a text is a symbolic link."""

    def __init__(self, files: dict[str, bytes | str]) -> None:
        self.archive = io.BytesIO()
        with tarfile.open(fileobj=self.archive, mode="w") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                if isinstance(content, str):
                    info.type, info.linkname = tarfile.SYMTYPE, content
                    tar.addfile(info)
                else:
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        self.archive.seek(0)

    def saved(self, _image: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        with tarfile.open(fileobj=self.archive, mode="r|") as tar:
            for member in tar:
                yield member, tar.extractfile(member) if member.isfile() else None


def exported(files: dict[str, bytes | str], tmp_path: Path) -> tuple[Manifest, list[bytes]]:
    blobs = BlobStore(tmp_path / "blobs")
    manifest = export(IMAGE, cast(Engine, SimpleNamespace(streams=Saves(files))), blobs, tmp_path / "blobs")
    return manifest, [b"".join(blobs.chunks(blob)) for blob in manifest.blobs]


def documents(config: str, *layers: str) -> dict[str, bytes | str]:
    return {"manifest.json": json.dumps([{"Config": config, "RepoTags": ["local:1"], "Layers": layers}]).encode()}


FORMS: dict[str, dict[str, bytes | str]] = {
    "20.10": {
        "a/layer.tar": ONE,
        "a/json": b"{}",
        "b/layer.tar": EMPTY,
        "c.json": CONFIG,
        **documents("c.json", "a/layer.tar", "b/layer.tar"),
    },
    "20.10, a layer that came before": {
        "a/layer.tar": ONE,
        "b/layer.tar": EMPTY,
        "c/layer.tar": "../a/layer.tar",
        "c.json": CONFIG,
        **documents("c.json", "c/layer.tar", "b/layer.tar"),
    },
    "25": {
        "blobs/sha256/1": ONE,
        "blobs/sha256/2": EMPTY,
        "blobs/sha256/3": CONFIG,
        "index.json": b"{}",
        **documents("blobs/sha256/3", "blobs/sha256/1", "blobs/sha256/2"),
    },
    "the containerd store": {
        "blobs/sha256/1": gzip.compress(ONE, mtime=0),
        "blobs/sha256/2": gzip.compress(EMPTY, mtime=0),
        "blobs/sha256/3": CONFIG,
        **documents("blobs/sha256/3", "blobs/sha256/1", "blobs/sha256/2"),
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_as_a_registry_would_have_it(form: str, tmp_path: Path) -> None:
    manifest, (config, *layers) = exported(FORMS[form], tmp_path)
    assert config == CONFIG
    assert [gzip.decompress(each) for each in layers] == [ONE, EMPTY]
    assert {blob.media_type for blob in manifest.blobs[1:]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    assert exported(FORMS[form], tmp_path / "again")[0] == manifest


def test_what_is_compressed_stays_as_it_is(tmp_path: Path) -> None:
    _, (_, *layers) = exported(FORMS["the containerd store"], tmp_path)
    assert layers == [gzip.compress(ONE, mtime=0), gzip.compress(EMPTY, mtime=0)]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"manifest.json": b"]"},
        {"manifest.json": b"[]"},
        documents("c.json", "a/layer.tar"),
        {"c.json": CONFIG, **documents("c.json", "../../etc/passwd")},
        {"c.json": CONFIG, "a/layer.tar": "../../etc/passwd", **documents("c.json", "a/layer.tar")},
    ],
)
def test_another_form_is_an_error(files: dict[str, bytes | str], tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="the engine saved local:1 in a form that is not known"):
        exported(files, tmp_path)
