"""Bundles that mean harm: what they say twice they say alike, and whatever they hold costs little memory and time."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.bundle import Listing
from build_lib.errors import BadBundle, BuildError
from build_lib.registry import OCI_INDEX, digest_of
from tests.bundle.bundles import gathered, plan
from tests.bundle.forger import (
    IMAGES,
    MB,
    NAMES,
    base_of,
    blob_name,
    checked,
    files_of,
    forged,
    listing,
    many_names,
    packed,
    woven,
)
from tests.hostile.attempts import NOWHERE
from tests.hostile.limits import MEMORY_LIMIT, run
from tests.registry.test_foreign_bytes import VALUES
from tests.support.images import layer
from tests.support.outcomes import outcome

REDIS, OTHER = IMAGES.values()
FIRST = json.loads(files_of()["manifest.json"])[0]
INDEX, MANIFEST = files_of()["index.json"], files_of()["manifest.json"]


def first(**changes: Any) -> Callable[[Any], None]:
    """Changes the first entry of a list of images, or of what lists them."""

    def change(found: Any) -> None:
        images = found if isinstance(found, list) else found.get("images") or found["manifests"]
        images[0].update(changes)

    return change


DIFFERENT: dict[str, tuple[bytes, str]] = {
    "another name for docker load": (forged(manifest_json=first(RepoTags=["web:v1"])), "manifest.json"),
    "one more name": (forged(manifest_json=first(RepoTags=["redis:7", "web:v1"])), "manifest.json"),
    "no name": (forged(manifest_json=first(RepoTags=[])), "manifest.json"),
    "one more image": (forged(manifest_json=lambda all: [*all, {**FIRST, "RepoTags": ["web:v1"]}]), "manifest.json"),
    "the same image twice": (forged(manifest_json=lambda all: [*all, all[0]]), "manifest.json"),
    "one image less": (forged(manifest_json=lambda all: all[1:]), "manifest.json"),
    "another order": (forged(manifest_json=lambda all: all[::-1]), "manifest.json"),
    "no images": (forged(manifest_json=lambda _all: []), "manifest.json"),
    "another image's config": (forged(manifest_json=first(Config=blob_name(OTHER.blobs[0]))), "manifest.json"),
    "another image's layers": (forged(manifest_json=first(Layers=[blob_name(OTHER.blobs[1])] * 2)), "manifest.json"),
    "layers in another order": (forged(manifest_json=first(Layers=FIRST["Layers"][::-1])), "manifest.json"),
    "layers outside": (forged(manifest_json=first(Layers=["../../etc/passwd"] * 2)), "manifest.json"),
    "a key of Docker's": (forged(manifest_json=first(Parent="sha256:" + "0" * 64)), "manifest.json"),
    "a key in other letters, which Go reads": (forged(manifest_json=first(repotags=["web:v1"])), "manifest.json"),
    "a key twice": (
        forged(manifest_json=MANIFEST.replace(b'"RepoTags":', b'"RepoTags":["web:v1"],"RepoTags":', 1)),
        "manifest.json",
    ),
    "a key twice, the other way round": (
        forged(manifest_json=MANIFEST.replace(b'["redis:7"]', b'["redis:7"],"RepoTags":["web:v1"]', 1)),
        "manifest.json",
    ),
    "white space": (forged(manifest_json=MANIFEST + b"\n"), "manifest.json"),
    "two documents in one": (forged(manifest_json=MANIFEST + MANIFEST), "manifest.json"),
    "an object for a list": (forged(manifest_json=lambda all: all[0]), "manifest.json"),
    "numbers for images": (forged(manifest_json=b"[1e999,NaN]"), "manifest.json"),
    "a number of 5000 digits": (forged(manifest_json=b"9" * 5000), "manifest.json"),
    "no JSON": (forged(manifest_json=b"\xff\xfe"), "manifest.json"),
    "deep JSON": (forged(manifest_json=b"[" * 100_000 + b"]" * 100_000), "manifest.json"),
    "nothing": (forged(manifest_json=b""), "manifest.json"),
    "another name in the index": (
        forged(index_json=first(annotations={"io.containerd.image.name": "docker.io/library/web:v1"})),
        "index.json",
    ),
    "another name for one reader": (
        forged(
            index_json=INDEX.replace(b'"org.opencontainers.image.ref.name":"docker.io/library/redis:7"', b'"a":"b"')
        ),
        "index.json",
    ),
    "another digest in the index": (forged(index_json=first(digest=OTHER.manifest.digest)), "index.json"),
    "another type in the index": (forged(index_json=first(mediaType="application/x")), "index.json"),
    "another size in the index": (forged(index_json=first(size=1)), "index.json"),
    "one more in the index": (
        forged(index_json=lambda all: {**all, "manifests": [*all["manifests"], all["manifests"][0]]}),
        "index.json",
    ),
    "a deep index": (forged(index_json=b'{"a":' * 100_000), "index.json"),
    "no index": (forged(index_json=b"{}"), "index.json"),
    "another version of the layout": (forged(oci_layout=b'{"imageLayoutVersion":"9"}'), "oci-layout"),
    "no layout": (forged(oci_layout=b"[]"), "oci-layout"),
    "names exchanged in the listing": (
        forged(listing=lambda all: {**all, "images": [{**all["images"][0], "image": "web:v1"}, *all["images"][1:]]}),
        "manifest.json",
    ),
    "an image less in the listing": (
        forged(listing=lambda all: {**all, "images": all["images"][:1]}),
        "index.json",
    ),
    "an image that docker load shall not see": (forged(listing=first(not_loaded="zstd")), "manifest.json"),
}


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(BadBundle) as caught:
        checked(path)
    assert str(path) in caught.value.message
    assert len(caught.value.message) < 1000
    return caught.value.message


@pytest.mark.parametrize("attack", DIFFERENT)
def test_documents_that_differ_are_refused(attack: str, tmp_path: Path) -> None:
    content, name = DIFFERENT[attack]
    said = refused(tmp_path / "f.tar", content)
    assert said.endswith(f"{name} and build-lib.json in it name different images")


ZEROS = "0" * 64
EMPTY = b'{"manifests":[]}'
WRONG: dict[str, tuple[bytes, str]] = {
    "a pinned image with another digest": (
        forged(listing=first(image=f"redis@sha256:{ZEROS}")),
        f"redis@sha256:{ZEROS} is listed with the digest {REDIS.manifest.digest}",
    ),
    "a blob that no image needs": (forged(IMAGES, layer(own="x")), f"no image needs {blob_name(layer(own='x'))}"),
    "a size of 4000 digits": (forged(listing=first(size=10**4000)), "is not a size"),
    "a size that is not finite": (forged(listing=first(size=float("inf"))), "is not a size"),
    "a list that is deep": (forged(listing=first(source=[[[[]]]])), "list is not a printable text"),
    "a name of a megabyte": (forged(listing=first(image="a" * MB)), "is damaged"),
    "a source of a megabyte and a control character": (
        forged(listing=first(source="a" * MB + "\x1b")),
        "is not a printable text",
    ),
    "no text for a name": (forged(listing=first(image=7)), "7 is not a printable text"),
    "a digest of another kind": (forged(listing=first(digest="sha512:" + ZEROS * 2)), "is not a digest"),
    "an object for the images": (forged(listing=listing(images={"a": {}})), "is damaged"),
    "a text for the images": (forged(listing=listing(images="a")), "is damaged"),
    "a list for what is missing": (forged(listing=listing(missing=["a"])), "is damaged"),
    "an index of nothing": (
        forged(IMAGES, EMPTY, listing=first(digest=digest_of(EMPTY), media_type=OCI_INDEX)),
        "name different images",
    ),
    "an index of an index": (woven(1, 2), "name different images"),
}


@pytest.mark.parametrize("attack", WRONG)
def test_what_is_wrong_is_named(attack: str, tmp_path: Path) -> None:
    content, reason = WRONG[attack]
    assert reason in refused(tmp_path / "f.tar", content)


def put(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(make())


def with_many_files(path: Path) -> None:
    with path.open("wb") as file:
        for number in range(120_001):
            info = tarfile.TarInfo(f"blobs/sha256/{number:064x}")
            file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1024))


def with_a_hole(path: Path) -> None:
    """A file of a terabyte, most of which is a hole."""
    info = tarfile.TarInfo(f"blobs/sha256/{ZEROS}")
    info.size = 1 << 40
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(info.size + 2048)


LARGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a listing of 64 MB": (put(lambda: forged(listing=listing(since="a" * (64 * MB)))), "is too large"),
    "a listing of 64 MB of lists": (put(lambda: forged(listing=b"[" + b"[]," * (21 * MB) + b"0]")), "is too large"),
    "a listing of one letter that needs four bytes": (
        put(lambda: forged(listing=listing(since="a" * (19 * MB) + "\N{SPOUTING WHALE}"))),
        "name different images",
    ),
    "a listing of lists": (put(lambda: forged(listing=listing(images=[[]] * (4 * MB)))), "values, and at most"),
    "a listing of small lists": (put(lambda: forged(listing=listing(images=[[]] * 240_000))), "is damaged"),
    "a listing of names": (
        put(lambda: forged(listing=listing(missing={f"{number}": "" for number in range(490_000)}))),
        "name different images",
    ),
    "a deep listing": (put(lambda: forged(listing=b'{"a":' * 240_000 + b"0" + b"}" * 240_000)), "is not a JSON object"),
    "a manifest.json of 64 MB": (put(lambda: forged(manifest_json=b" " * (64 * MB))), "is too large"),
    "a manifest.json of lists": (
        put(lambda: forged(manifest_json=b"[]," * 6 * MB)),
        "values, and at most",
    ),
    "an index.json of 64 MB": (put(lambda: forged(index_json=b" " * (64 * MB))), "is too large"),
    "an index.json of 20 MB": (put(lambda: forged(index_json=b" " * (20 * MB))), "name different images"),
    "a manifest of 4 MB under 1000 names": (
        put(lambda: many_names(REDIS.manifest.body + b" " * (3 * MB), 1000)),
        "exceed the limits of a bundle",
    ),
    "a manifest under 60,000 names": (put(lambda: many_names(REDIS.manifest.body, 60_000)), "values, and at most"),
    "a manifest under 25,000 names": (put(lambda: many_names(REDIS.manifest.body, 25_000)), "name different images"),
    "indexes of indexes": (put(lambda: woven(400, 4)), "exceed the limits of a bundle"),
    "many files": (with_many_files, "more than 120000 files"),
    "a file with a hole": (with_a_hole, "it has no oci-layout"),
}


@pytest.mark.parametrize("attack", LARGE)
def test_what_is_large_costs_little(attack: str, project: Path) -> None:
    make, reason = LARGE[attack]
    make(project / "f.tar")
    run(project, "deps-verify", "-f", "f.tar", DOCKER_HOST=NOWHERE).check_refused(reason)


@pytest.mark.parametrize("content", [b"{" + b" " * (64 * MB), b'{"a":' + b"[]," * (21 * MB)], ids=["space", "lists"])
def test_so_does_a_base_of_a_delta(content: bytes, project: Path) -> None:
    (project / "base.json").write_bytes(content)
    (project / "src/web").mkdir()
    (project / "src/web/Dockerfile").write_text("FROM redis:7\n")
    ran = run(project, "deps-save", "--since", "base.json", "-f", "f.tar", DOCKER_HOST=NOWHERE)
    assert ran.code == 1, ran.said
    assert "base.json is too large" in ran.said
    assert ran.memory < MEMORY_LIMIT
    assert not (project / "f.tar").exists()


def test_ten_thousand_images_are_not_too_many() -> None:
    names = tuple(f"sha256:{number:064x}" for number in range(8))
    [entry] = plan([gathered("harbor.example/team/an-image-of-some-length:1.2.3", REDIS)]).listing.images
    variants = (replace(entry.variants[0], layers=names, diff_ids=names),)
    images = tuple(replace(entry, variants=variants) for _ in range(10_000))
    assert len(Listing(release="v1", images=images, missing={}).to_bytes()) > 15 * MB


def test_a_bundle_that_could_not_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [gathered(name, made) for name, made in IMAGES.items()]
    for limit, value in (("documents._MOST_DESCRIPTORS", 7), ("documents._LARGEST_MANIFESTS", 500)):
        with monkeypatch.context() as changed:
            changed.setattr(f"build_lib.bundle.{limit}", value)
            with pytest.raises(BuildError, match="the images of the bundle exceed the limits of a bundle"):
                plan(outcomes)
    for limit, value in (("LARGEST_DOCUMENT", 1000), ("_MOST_VALUES", 20)):
        with monkeypatch.context() as changed:
            changed.setattr(f"build_lib.bundle.values.{limit}", value)
            with pytest.raises(BuildError, match="the listing of the bundle would be too large: "):
                plan(outcomes)
    assert len(plan(outcomes).images) == 2


# any bytes

IN_TIME = settings(deadline=2000, max_examples=150)
HONEST = files_of()


@IN_TIME
@given(name=st.sampled_from(NAMES), value=VALUES | st.lists(VALUES))
def test_any_value_for_a_document_is_refused(name: str, value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    key = {"oci-layout": "oci_layout", "build-lib.json": "listing"}.get(name, name.replace(".", "_"))
    refused(tmp_path_factory.mktemp("any") / "f.tar", forged(**{key: json.dumps(value).encode()}))


@IN_TIME
@given(data=st.data())
def test_any_value_in_a_document_is_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = data.draw(st.sampled_from(NAMES))
    found = json.loads(HONEST[name])
    place: Any = found
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    changed = {"oci-layout": "oci_layout", "build-lib.json": "listing"}.get(name, name.replace(".", "_"))
    path = tmp_path_factory.mktemp("any") / "f.tar"
    path.write_bytes(forged(**{changed: lambda _found: found}))
    images, said = outcome(lambda: checked(path), BadBundle)
    assert images is None or images == {name: made.manifest.digest for name, made in IMAGES.items()}
    assert images or str(path) in said
    assert len(said) < 1000


@IN_TIME
@given(content=st.binary(max_size=2000), at=st.integers(0, 20_000), cut=st.integers(0, 3000))
def test_any_bytes_in_a_bundle_are_refused(
    content: bytes, at: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = packed(HONEST)
    at %= len(whole)
    changed = whole[:at] + content + whole[at + cut :]
    if changed == whole:
        return
    path = tmp_path_factory.mktemp("any") / "f.tar"
    path.write_bytes(changed)
    with pytest.raises(BadBundle):
        checked(path)


@IN_TIME
@given(value=VALUES, content=st.binary(max_size=300))
def test_any_base_is_refused(value: Any, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "base.json"
    made = {"build-lib": "inventory", "format": 1, "of": "engine", "name": value, "images": value}
    for each in (content, b"{" + content, json.dumps(value).encode(), json.dumps(made).encode()):
        path.write_bytes(each)
        base, said = outcome(lambda: base_of(path), BuildError)
        assert base is None or base.images == ()
        assert len(said) < 1000
