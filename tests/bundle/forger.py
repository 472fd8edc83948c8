"""Forged bundles: whole but for one thing, with checksums that match."""

import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from build_lib.bundle.archive import Archive, read_base
from build_lib.bundle.carry import Carry
from build_lib.bundle.contents import Base
from build_lib.bundle.members import DOCUMENTS, SUMS, sums_of
from build_lib.registry import OCI_INDEX, OCI_MANIFEST, Manifest, digest_of
from tests.bundle.bundles import archive, bundle, members
from tests.bundle.downloads import FILES, record, store_of
from tests.support.images import Made, layer, make

MB = 1 << 20
NAMES = DOCUMENTS  # of the documents
IMAGES: dict[str, Made] = {
    "redis:7": make([layer(shared="shared"), layer(own="redis")]),
    "quay.io/a/b:1": make([layer(shared="shared"), layer(own="b")]),
}
Change = Callable[[Any], Any]  # changes the value of a JSON document, or returns another one


def checked(path: Path) -> dict[str, str]:
    """The digests of the images of a bundle, in which every byte was checked."""
    with Archive.open(path) as opened:
        opened.check(jobs=1)
        return {item.listed.name: item.listed.digest for item in opened.images}


def base_of(path: Path) -> Base:
    """What a delta would be made against."""
    return read_base(path)


def files_of(images: Mapping[str, Made] = IMAGES) -> dict[str, bytes]:
    """The files of an honest bundle, by name."""
    return {info.name: content for info, content in members(bundle(dict(images)))}


def packed(files: Mapping[str, bytes]) -> bytes:
    """A bundle of these files."""
    made = []
    for name, content in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        made.append((info, content))
    return archive(made)


def forged(images: Mapping[str, Made] = IMAGES, /, *blobs: bytes, **documents: bytes | Change) -> bytes:
    """A bundle with other documents (`index_json`, …) and more blobs."""
    files = files_of(images)
    for key, change in documents.items():
        name = {"oci_layout": "oci-layout", "listing": "build-lib.json"}.get(key, key.replace("_", "."))
        files[name] = change if isinstance(change, bytes) else _changed(files[name], change)
    files[SUMS] = sums_of({name: files[name] for name in DOCUMENTS})
    return packed(files | {blob_name(content): content for content in blobs})


def carrying(*blobs: bytes, recording: bytes | Change = dict, listing: Change = dict) -> bytes:
    """A bundle with the downloads of a service, of which the recording and the listing are changed, and more blobs.

    The listing has the digest and the size of the changed recording, unless its own change is another one.
    """
    with tempfile.TemporaryDirectory() as directory:
        record(Path(directory), "web", FILES)
        carry = Carry.of(store_of(Path(directory)), "v1", ["web"], ())
        files = {info.name: content for info, content in members(bundle(IMAGES, carry=carry))}
    body = files.pop(_blob_name(carry.carried.recordings[0].digest))
    made = recording if isinstance(recording, bytes) else _changed(body, recording)
    document = json.loads(files["build-lib.json"])
    document["downloads"]["recordings"][0] |= {"digest": digest_of(made), "size": len(made)}
    files["build-lib.json"] = _changed(json.dumps(document).encode(), listing)
    files[SUMS] = sums_of({name: files[name] for name in DOCUMENTS})
    return packed(files | {blob_name(content): content for content in (made, *blobs)})


def without(content: bytes, bundle: bytes) -> bytes:
    """The bundle without this blob."""
    return packed({info.name: each for info, each in members(bundle) if info.name != blob_name(content)})


def listing(**changes: Any) -> bytes:
    """A listing without images, and with these values."""
    empty = {"release": "v1", "images": [], "missing": {}, "since": "", "left_out": []}
    return json.dumps(
        {"build-lib": "bundle", "format": 1, "version": "1", **empty, **changes}, ensure_ascii=False
    ).encode()


def many_names(body: bytes, count: int) -> bytes:
    """One manifest under many names, which all are in the listing."""
    manifest = Manifest.read(body, OCI_MANIFEST)
    entry = json.loads(files_of()["build-lib.json"])["images"][0]
    entry |= {"digest": manifest.digest, "media_type": manifest.media_type, "variants": []}
    return forged(
        IMAGES, body, listing=listing(images=[{**entry, "image": f"a/{number}:1"} for number in range(count)])
    )


def woven(width: int, depth: int) -> bytes:
    """An index of indexes: each of a level lists all of the next level, which differ in a note."""
    level = [IMAGES["redis:7"].manifest]
    blobs = []
    for number in range(depth):
        index = {"mediaType": OCI_INDEX, "manifests": [item.descriptor.to_json() for item in level]}
        bodies = [json.dumps({**index, "annotations": {"n": f"{number}-{each}"}}).encode() for each in range(width)]
        blobs += bodies
        level = [Manifest.read(body, OCI_INDEX) for body in bodies]

    def change(found: Any) -> None:
        found["images"][0] |= {"digest": level[0].digest, "media_type": OCI_INDEX}

    return forged(IMAGES, *blobs, listing=change)


def blob_name(content: bytes) -> str:
    return _blob_name(digest_of(content))


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _changed(content: bytes, change: Change) -> bytes:
    found = json.loads(content)
    other = change(found)
    return json.dumps(found if other is None else other, separators=(",", ":")).encode()
