"""Bundles, their parts and their listings, and whatever may be wrong with them: no engine, no network."""

import contextlib
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from build_lib.bundle.archive import Archive, read_base
from build_lib.bundle.contents import Base, Listing, Variant
from build_lib.bundle.members import SUMS, sums_of
from build_lib.bundle.parts import Volume
from build_lib.bundle.parts_writer import Writer
from build_lib.bundle.plan import part_size
from build_lib.errors import BadBundle, BuildError
from build_lib.registry import digest_of
from tests.bundle.bundles import archive, bundle, gathered, members, missing, odd, plan
from tests.support.commands import Inv
from tests.support.images import Made, index, layer, make, make_zstd
from tests.support.terminal import at_a_terminal

SHARED = layer(shared="shared")
IMAGES: dict[str, Made] = {
    "redis:7": make([SHARED, layer(own="redis" * 300)]),
    "quay.io/a/b:1": make([SHARED, layer(own="b")]),
}
WHOLE = bundle(IMAGES)
Files = list[tuple[tarfile.TarInfo, bytes]]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def check(path: Path) -> Listing:
    with Archive.open(path) as opened:
        opened.check(jobs=2)
        return opened.listing


def problem(path: Path) -> str:
    with pytest.raises(BuildError) as caught:
        check(path)
    assert str(path.parent) in caught.value.message
    return caught.value.message


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    with Archive.open(write(tmp_path / "f.tar", WHOLE)) as opened:
        opened.check(jobs=1)
        assert [item.listed.name for item in opened.images] == list(IMAGES)
        for item, made in zip(opened.images, IMAGES.values(), strict=True):
            assert item.listed.digest == made.manifest.digest
            assert item.manifests == (made.manifest,)
            read = [b"".join(opened.chunks(blob)) for blob in made.manifest.blobs]
            assert tuple(read) == made.blobs
        assert opened.listing.release == "v1"


def test_the_same_images_give_the_same_bytes() -> None:
    assert bundle(IMAGES) == WHOLE


def test_each_blob_is_in_it_once() -> None:
    names = [info.name for info, _ in members(WHOLE)]
    assert len(names) == len(set(names))
    assert sum(digest_of(content) == digest_of(SHARED) for _, content in members(WHOLE)) == 1


def test_tar_and_sha256sum_check_the_documents(tmp_path: Path) -> None:
    write(tmp_path / "f.tar", WHOLE)
    subprocess.run(["tar", "xf", "f.tar"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=tmp_path, check=True)


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    """All of the first 8 KiB, with headers and documents in them, and then one in 37."""
    path = tmp_path / "f.tar"
    places = [*range(8192), *range(8192, len(WHOLE), 37)]
    for at in places:
        changed = bytearray(WHOLE)
        changed[at] ^= 1 << at % 8
        write(path, bytes(changed))
        with pytest.raises(BadBundle):
            check(path)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = tmp_path / "f.tar"
    for size in [*range(1, len(WHOLE), 331), len(WHOLE) - 1, len(WHOLE) - 512, len(WHOLE) - 1024]:
        assert "cut off" in problem(write(path, WHOLE[:size])) or size < 512


def test_what_is_damaged_is_named(tmp_path: Path) -> None:
    at = WHOLE.index(SHARED) + 5
    changed = WHOLE[:at] + b"X" + WHOLE[at + 1 :]
    text = problem(write(tmp_path / "f.tar", changed))
    assert f"blobs/sha256/{digest_of(SHARED)[7:]} of redis:7, quay.io/a/b:1" in text
    assert f"at byte {WHOLE.index(SHARED)}, does not match its digest" in text


def info(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


def huge(size: int) -> bytes:
    """A header that says so many bytes, and a few of them."""
    return info("blobs/sha256/" + "0" * 64, size=size).tobuf(tarfile.GNU_FORMAT) + bytes(2048)


def with_one_more(extra: tarfile.TarInfo, content: bytes = b"") -> bytes:
    return archive([*members(WHOLE), (extra, content)])


def with_document(name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Another document, and the checksums that belong to it."""
    files = {each.name: content for each, content in members(WHOLE)}
    files[name] = change(files[name])
    documents = {each: files[each] for each in ("oci-layout", "index.json", "manifest.json", "build-lib.json")}
    files[SUMS] = sums_of(documents)
    return archive([(info(each, size=len(content)), content) for each, content in files.items()])


def with_listing(change: Callable[[dict[str, object]], object]) -> bytes:
    def edit(content: bytes) -> bytes:
        found = json.loads(content)
        change(found)
        return json.dumps(found).encode()

    return with_document("build-lib.json", edit)


def setuid() -> bytes:
    files = members(WHOLE)
    for each, _ in files:
        each.mode = 0o4755
    return archive(files)


def without(name: str) -> bytes:
    return archive([(each, content) for each, content in members(WHOLE) if each.name != name])


BLOB = "blobs/sha256/" + digest_of(SHARED)[7:]

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "no tar": (b"GIF89a" * 500, "it is not a tar archive"),
    "gzipped": (b"\x1f\x8b" + bytes(1000), "it is not a tar archive"),
    "nothing in it": (bytes(10240), "it has no oci-layout"),
    "a way out": (with_one_more(info("../../etc/cron.d/x")), "'../../etc/cron.d/x' points outside the archive"),
    "a way out within": (with_one_more(info("blobs/../../x")), "'blobs/../../x' points outside"),
    "an absolute path": (with_one_more(info("/etc/passwd")), "'/etc/passwd' points outside the archive"),
    "an unknown name": (with_one_more(info("blobs/sha256/x")), "'blobs/sha256/x' does not belong in one"),
    "a symbolic link": (with_one_more(info("blobs/sha256/" + "1" * 64, tarfile.SYMTYPE, link="/etc")), "symbolic link"),
    "a hard link": (with_one_more(info("blobs/sha256/" + "1" * 64, tarfile.LNKTYPE, link="index.json")), "a hard link"),
    "a device": (with_one_more(info("blobs/sha256/" + "1" * 64, tarfile.CHRTYPE)), "a device"),
    "a block device": (with_one_more(info("blobs/sha256/" + "1" * 64, tarfile.BLKTYPE)), "a device"),
    "a pipe": (with_one_more(info("blobs/sha256/" + "1" * 64, tarfile.FIFOTYPE)), "a pipe"),
    "a directory": (with_one_more(info("blobs", tarfile.DIRTYPE)), "a directory"),
    "a long name": (with_one_more(info("././@LongLink", tarfile.GNUTYPE_LONGNAME)), "an entry of the type b'L'"),
    "a sparse file": (with_one_more(info("index.json", tarfile.GNUTYPE_SPARSE)), "an entry of the type b'S'"),
    "a duplicate blob": (with_one_more(info(BLOB, size=len(SHARED)), SHARED), f"it has two files named {BLOB}"),
    "a duplicate document": (with_one_more(info("index.json", size=2), b"{}"), "it has two files named index.json"),
    "a huge size": (huge(1 << 60), "cut off"),
    "a negative size": (huge(-(1 << 40)), "has the size -1099511627776"),
    "other bytes": (
        archive([(each, content[::-1] if each.name == BLOB else content) for each, content in members(WHOLE)]),
        "does not match its digest",
    ),
    "a setuid file": (setuid(), "unexpected tar header"),
    "something behind the end": (WHOLE + b"x" * 512, "there is data after the end of the archive"),
    "no listing": (without("build-lib.json"), "it has no build-lib.json"),
    "a missing blob": (without(BLOB), "of redis:7 is missing"),
    "a missing manifest": (
        without("blobs/sha256/" + IMAGES["redis:7"].manifest.digest[7:]),
        "of redis:7 is missing",
    ),
    "another index": (
        archive([(each, b"{}") if each.name == "index.json" else (each, text) for each, text in members(WHOLE)]),
        "damaged",
    ),
    "a listing that is no JSON": (with_document("build-lib.json", lambda _: b"]"), "is not a JSON object"),
    "a deep listing": (with_document("build-lib.json", lambda _: b"[" * 100_000), "is not a JSON object"),
    "a listing of something else": (
        with_listing(lambda found: found.update({"build-lib": "x"})),
        "is not that of a bundle",
    ),
    "a later format": (with_listing(lambda found: found.update(format=3)), "has the format 3; this program supports 2"),
    "downloads that are not listed": (with_listing(lambda found: found.update(format=2)), "is damaged: 'downloads'"),
    "no images": (with_listing(lambda found: found.pop("images")), "is damaged: 'images'"),
    "a wrong release": (with_listing(lambda found: found.update(release="../x")), "the release '../x'"),
    "a release that writes on the terminal": (
        with_listing(lambda found: found.update(since="\x1b[2J")),
        "is not a printable text",
    ),
    "an image twice": (
        with_listing(lambda found: found.update(images=[*found["images"], *found["images"]])),  # type: ignore[misc]
        "an image is listed twice",
    ),
    "no image's name": (
        with_listing(lambda found: found["images"][0].update(image="UPPER CASE")),  # type: ignore[index]
        "'UPPER CASE'",
    ),
    "a digest of another kind": (
        with_listing(lambda found: found["images"][0].update(digest="md5:0")),  # type: ignore[index]
        "'md5:0' is not a digest",
    ),
    "a config for a manifest": (
        with_listing(
            lambda found: found["images"][0].update(  # type: ignore[index]
                digest=IMAGES["redis:7"].manifest.blobs[0].digest, media_type=""
            )
        ),
        "are not supported",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused(case: str, tmp_path: Path) -> None:
    content, said = HOSTILE[case]
    assert said in problem(write(tmp_path / "f.tar", content))
    assert [path.name for path in tmp_path.iterdir()] == ["f.tar"]


@pytest.mark.parametrize("case", ["a way out", "other bytes", "a listing that is no JSON"])
def test_the_command_refuses_it_in_one_line(case: str, project: Path, inv: Inv) -> None:
    path = write(project / "f.tar", HOSTILE[case][0])
    for command in ("deps-load", "deps-verify"):
        done = inv(command, "-f", str(path), DOCKER_HOST="unix:///nowhere")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert HOSTILE[case][1] in done.stderr
        assert "Traceback" not in done.stderr


def test_verify_needs_no_engine_and_says_what_a_bundle_is(project: Path, inv: Inv) -> None:
    write(project / "f.tar", WHOLE)
    base = Base.of_bundle(plan([gathered(name, made) for name, made in IMAGES.items()]).listing, "f.tar")
    write(project / "d.tar", bundle(IMAGES, base))
    for name, state in (("f.tar", "whole"), ("d.tar", "delta")):
        done = inv("deps-verify", "--json", "-f", str(project / name), DOCKER_HOST="unix:///nowhere")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["state"], found["release"], [item["image"] for item in found["images"]]) == (
            state,
            "v1",
            list(IMAGES),
        )
    plain = inv("deps-verify", "-f", str(project / "d.tar"), DOCKER_HOST="unix:///nowhere")
    assert "a valid delta (needs 3 layers of the site): 2 images of v1" in plain.stdout
    assert "a delta against f.tar: 3 layers" in plain.stdout


def test_at_a_terminal_an_error_stands_on_a_line_of_its_own(project: Path) -> None:
    large = bundle(
        {"large:1": make([b"not compressed" * (4 << 20)], layer_type="application/vnd.oci.image.layer.v1.tar")}
    )
    path = write(project / "f.tar", large[:-2000] + b"X" + large[-1999:])
    with at_a_terminal(project, "deps-verify", "-f", str(path), environment={}) as terminal:
        assert terminal.ended() == 1
    assert any(re.search(r"^  all .* MB ", frame, re.MULTILINE) for frame in terminal.frames), "no bar was drawn"
    assert terminal.text.startswith("error: ")


def test_what_was_missing_is_listed() -> None:
    planned = plan([gathered("redis:7", IMAGES["redis:7"]), missing("gone:1", "nobody\nhas it")])
    assert planned.listing.missing == {"gone:1": "nobody has it"}
    with pytest.raises(BuildError, match="none of 2 images is available: a:1, b:1"):
        plan([missing("a:1", "x"), missing("b:1", "y")])
    with pytest.raises(BuildError, match="no dependency images"):
        plan([])


# parts


def split(path: Path, content: bytes, limit: int | None) -> tuple[Path, ...]:
    with Writer(path, limit) as writer:
        for at in range(0, len(content), 1000):
            writer.write(content[at : at + 1000])
        return writer.finish()


def parts(tmp_path: Path, count: int = 4) -> tuple[Path, ...]:
    made = split(tmp_path / "f.tar", WHOLE, -(-len(WHOLE) // count))
    assert len(made) == count
    return made


def test_parts_are_the_file_cut(tmp_path: Path) -> None:
    made = parts(tmp_path)
    assert [part.name for part in made] == ["f.tar.001", "f.tar.002", "f.tar.003", "f.tar.004"]
    assert b"".join(part.read_bytes() for part in made) == WHOLE
    assert {path.name for path in tmp_path.iterdir()} == {*(part.name for part in made), "f.tar.sha256"}
    subprocess.run(["sha256sum", "--check", "--quiet", "f.tar.sha256"], cwd=tmp_path, check=True)
    assert [item.name for item in check(tmp_path / "f.tar").images] == list(IMAGES)
    assert [item.name for item in check(made[2]).images] == list(IMAGES)
    joined = write(tmp_path / "joined.tar", b"".join(part.read_bytes() for part in made))
    assert check(joined) == check(made[0])


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, len(WHOLE) - 1, len(WHOLE), len(WHOLE) + 1, None])
def test_any_size_of_parts_can_be_read(size: int | None, tmp_path: Path) -> None:
    content = WHOLE if size != 1 else WHOLE[:999]
    made = split(tmp_path / "f", content, size)
    assert len(made) == (-(-len(content) // size) if size else 1)
    with Volume.open(tmp_path / "f") as volume:
        assert volume.size == len(content)
        assert volume.read(0, volume.size + 9) == content
        assert volume.read(700, 5000) == content[700:5700]
        assert volume.wrong_parts() == []


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    made = parts(tmp_path)
    made[1].unlink()
    assert "are missing: f.tar.002" in problem(tmp_path / "f.tar")
    made[3].unlink()
    assert "are missing: f.tar.002, f.tar.004" in problem(tmp_path / "f.tar")
    (tmp_path / "f.tar.sha256").unlink()
    assert "are missing: f.tar.002" in problem(tmp_path / "f.tar")


def test_a_last_part_that_is_missing_is_noticed_without_checksums_too(tmp_path: Path) -> None:
    parts(tmp_path)[3].unlink()
    assert "are missing: f.tar.004" in problem(tmp_path / "f.tar")
    (tmp_path / "f.tar.sha256").unlink()
    assert "cut off" in problem(tmp_path / "f.tar")


def test_a_part_that_is_damaged_is_named(tmp_path: Path) -> None:
    made = parts(tmp_path)
    at = made[2].stat().st_size // 2
    content = made[2].read_bytes()
    write(made[2], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert "f.tar.003 is damaged: its checksum is not the one in f.tar.sha256" in problem(tmp_path / "f.tar")
    (tmp_path / "f.tar.sha256").unlink()
    assert "of f.tar.003" in problem(tmp_path / "f.tar")


def test_parts_in_the_wrong_order_are_said_to_be(tmp_path: Path) -> None:
    made = parts(tmp_path)
    one, two = made[1].read_bytes(), made[2].read_bytes()
    write(made[1], two)
    write(made[2], one)
    text = problem(tmp_path / "f.tar")
    assert "f.tar.002 is what f.tar.003 should be: the parts are in the wrong order" in text
    assert "f.tar.003 is what f.tar.002 should be" in text
    (tmp_path / "f.tar.sha256").unlink()
    assert "f.tar is " in problem(tmp_path / "f.tar")


def test_a_part_too_many_is_named(tmp_path: Path) -> None:
    parts(tmp_path)
    write(tmp_path / "f.tar.005", b"x")
    assert "f.tar.sha256 does not list: f.tar.005" in problem(tmp_path / "f.tar")


@pytest.mark.parametrize("text", ["x", "0" * 64, "0" * 64 + "  ../../etc/passwd", "0" * 64 + "  f.tar.002", "\xff"])
def test_a_list_of_checksums_that_is_none_is_said(text: str, tmp_path: Path) -> None:
    parts(tmp_path)
    (tmp_path / "f.tar.sha256").write_text(text, encoding="latin-1")
    assert "f.tar.sha256 is damaged" in problem(tmp_path / "f.tar")


def test_what_is_written_anew_leaves_no_older_part(tmp_path: Path) -> None:
    other = write(tmp_path / "f.tar.900", b"not ours")
    parts(tmp_path, 4)
    assert other.exists()
    parts(tmp_path, 2)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"f.tar.001", "f.tar.002", "f.tar.sha256", "f.tar.900"}
    split(tmp_path / "f.tar", WHOLE, None)
    assert {path.name for path in tmp_path.iterdir()} == {"f.tar", "f.tar.900"}
    parts(tmp_path, 2)
    assert not (tmp_path / "f.tar").exists()


@pytest.mark.parametrize("limit", [None, 100])
def test_a_writer_that_fails_leaves_what_was_there(limit: int | None, tmp_path: Path) -> None:
    split(tmp_path / "f.tar", WHOLE, limit and 10_000)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with contextlib.suppress(ZeroDivisionError), Writer(tmp_path / "f.tar", limit) as writer:
        writer.write(b"x" * 250)
        raise ZeroDivisionError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with Writer(tmp_path / "f.tar", None) as first:
        first.write(b"first")
        with pytest.raises(BuildError, match="another process is writing"), Writer(tmp_path / "f.tar", None):
            pass
        first.finish()
    assert (tmp_path / "f.tar").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["f.tar"]


def test_what_a_kill_left_is_overwritten(tmp_path: Path) -> None:
    for name in (".f.tar.partial", ".f.tar.partial.001", ".f.tar.partial.007"):
        write(tmp_path / name, b"left" * 9999)
    split(tmp_path / "f.tar", WHOLE, 9999)
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
    assert [item.name for item in check(tmp_path / "f.tar").images] == list(IMAGES)


def test_a_file_that_may_not_grow_is_no_traceback(tmp_path: Path) -> None:
    """What FAT says of files over 4 GiB."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from build_lib.bundle.parts_writer import Writer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from build_lib.errors import BuildError\n"
        "try:\n"
        "    with Writer(Path(sys.argv[1]), None) as writer: writer.write(bytes(2000))\n"
        "except BuildError as error: print(error.message, '|', error.hint)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "f.tar")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "does not support files of this size | --split 4G writes parts" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "size"),
    [("650M", 650_000_000), ("4G", 4_000_000_000), ("4gb", 4_000_000_000), ("10k", 10_000), ("1T", 10**12), ("99", 99)],
)
def test_sizes_of_parts(text: str, size: int) -> None:
    assert part_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "4X", "1.5G", "G", "4 G", "٣M", "0M"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(BuildError, match="--split is"):
        part_size(text)


# deltas


def variant(*names: str, layers: str = "", diff_ids: str = "") -> Variant:
    """Layers by letters: `layers` where the digests are other ones, `diff_ids` where the uncompressed ones are."""
    names_ = "".join(names)
    return Variant(
        layers=tuple(f"sha256:{letter * 64}" for letter in layers or names_),
        diff_ids=tuple(f"sha256:{letter * 64}" for letter in (diff_ids or names_) if letter != "-"),
    )


HELD: dict[str, tuple[str, list[Variant], list[Variant], str]] = {
    "nothing there": ("engine", [], [variant("ab")], ""),
    "all there": ("engine", [variant("ab")], [variant("ab")], "ab"),
    "the lower ones there": ("engine", [variant("ab")], [variant("abc")], "ab"),
    "more there than wanted": ("engine", [variant("abc")], [variant("ab")], "ab"),
    "upon another layer": ("engine", [variant("xb")], [variant("ab")], ""),
    "in another order": ("engine", [variant("ba")], [variant("ab")], ""),
    "one image has it so, another not": ("engine", [variant("ab")], [variant("ab"), variant("cb")], "a"),
    "compressed otherwise": ("engine", [variant("ab", layers="xy")], [variant("ab")], "ab"),
    "twice in an image": ("engine", [variant("aba")], [variant("abac")], "ab"),
    "twice, there once": ("engine", [variant("ab")], [variant("aba")], "b"),
    "no known uncompressed ones": ("engine", [variant("ab")], [variant("ab", diff_ids="-")], ""),
    "a registry needs no order": ("registry", [variant("xb")], [variant("ab")], "b"),
    "a registry knows digests alone": ("registry", [variant("ab", layers="xy")], [variant("ab")], ""),
    "a bundle serves both": ("bundle", [variant("ab")], [variant("abc")], "ab"),
    "a bundle, compressed otherwise": ("bundle", [variant("ab", layers="ay")], [variant("ab")], "a"),
    "a bundle, in another order": ("bundle", [variant("ba")], [variant("ab")], ""),
}


@pytest.mark.parametrize("case", HELD)
def test_what_need_not_be_brought(case: str) -> None:
    kind, there, wanted, held = HELD[case]
    base = Base(kind=kind, name="x", images=tuple(("there:1", each) for each in there))  # type: ignore[arg-type]
    found = base.held(wanted)
    assert {digest[7] for digest in found} == set(held)
    assert set(found.values()) <= {"there:1"}


def test_an_inventory_is_read_as_it_was_written(tmp_path: Path) -> None:
    base = Base(kind="engine", name="the engine of x", images=(("redis:7", variant("ab", layers="-")),))
    base = replace(base, images=(("redis:7", Variant(layers=(), diff_ids=variant("ab").diff_ids)),))
    assert read_base(write(tmp_path / "inventory.json", base.to_bytes())) == base


def test_a_bundle_and_its_listing_say_the_same(tmp_path: Path) -> None:
    [listing] = [content for each, content in members(WHOLE) if each.name == "build-lib.json"]
    of_listing = read_base(write(tmp_path / "build-lib.json", listing))
    split(tmp_path / "f.tar", WHOLE, 9999)
    of_bundle = read_base(tmp_path / "f.tar")
    assert of_bundle.images == of_listing.images
    assert len(of_bundle.images) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"x" * 600, "not a tar archive"),
        (b"{", "is not a JSON object"),
        (b"{}", "is neither an inventory nor the build-lib.json of a bundle"),
        (b'{"build-lib": "inventory"}', "has the format None"),
        (b'{"build-lib": "inventory", "format": 1}', "is damaged: 'of'"),
        (b'{"build-lib": "inventory", "format": 1, "of": "moon"}', "it is an inventory of 'moon'"),
        (b'{"build-lib": "inventory", "format": 1, "of": "engine", "name": "x", "images": [7]}', "is damaged"),
        (
            b'{"build-lib": "inventory", "format": 1, "of": "engine", "name": "x", "images":'
            b' [{"image": "a", "platform": "", "layers": [], "diff_ids": "sha256:0"}]}',
            "is not a list",
        ),
    ],
)
def test_an_inventory_that_is_none_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        read_base(write(tmp_path / "i.json", content))
    assert said in caught.value.message
    assert str(tmp_path / "i.json") in caught.value.message


def test_a_delta_is_what_is_new_and_metadata(tmp_path: Path) -> None:
    base = read_base(write(tmp_path / "f.tar", WHOLE))
    new = layer(new="n" * 5000 + hashlib.sha256(b"noise").hexdigest())
    images = {**IMAGES, "redis:7": make([SHARED, new])}
    delta = bundle(images, base)
    layers = {digest_of(content) for _, content in members(delta)} & {
        digest_of(each) for made in images.values() for each in made.blobs[1:]
    }
    assert layers == {digest_of(new)}
    listing = check(write(tmp_path / "d.tar", delta))
    assert {item.digest for item in listing.left_out} == {
        digest_of(SHARED),
        digest_of(IMAGES["quay.io/a/b:1"].blobs[2]),
    }
    assert listing.since == "f.tar"


def test_a_delta_upon_a_delta_relies_on_both(tmp_path: Path) -> None:
    first = read_base(write(tmp_path / "f.tar", WHOLE))
    delta = bundle(IMAGES, first)
    second = bundle(IMAGES, read_base(write(tmp_path / "d.tar", delta)))
    assert len(check(write(tmp_path / "e.tar", second)).left_out) == 3


def test_an_index_is_kept_whole(tmp_path: Path) -> None:
    made = [make([layer(a=name)], platform=name) for name in ("linux/amd64", "linux/arm64")]
    top = index(*made)
    planned = plan([gathered("two:1", *made, top=top)])
    assert [each.platform for each in planned.listing.images[0].variants] == ["linux/amd64", "linux/arm64"]
    index_json = json.loads(planned.documents["index.json"])
    assert [item["digest"] for item in index_json["manifests"]] == [top.digest]
    [loaded] = json.loads(planned.documents["manifest.json"])
    assert loaded["Config"] == f"blobs/sha256/{made[0].manifest.blobs[0].digest[7:]}"


def test_what_the_classic_store_does_not_load_is_not_in_the_docker_load_part() -> None:
    planned = plan([gathered("z:1", make_zstd()), gathered("redis:7", IMAGES["redis:7"])])
    assert [item["RepoTags"] for item in json.loads(planned.documents["manifest.json"])] == [["redis:7"]]
    assert len(json.loads(planned.documents["index.json"])["manifests"]) == 2
    assert [bool(item.not_loaded) for item in planned.listing.images] == [True, False]


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{}",
        b"7",
        b"[" * 100_000,
        b'{"rootfs": {"diff_ids": ["not a digest"]}, "os": "\\u001b[2J", "architecture": 7}',
        b'{"rootfs": {"diff_ids": 7}}',
    ],
)
def test_what_is_no_image_can_be_in_a_bundle(config: bytes, tmp_path: Path) -> None:
    """An artifact, or the work of a broken builder: a registry takes it, and what is written is read."""
    listing = check(write(tmp_path / "f.tar", bundle({"odd:1": odd(config)})))
    [variant] = listing.images[0].variants
    assert (variant.layers, variant.diff_ids) == ((digest_of(SHARED),), ())


def test_a_manifest_that_nests_too_deep_is_refused(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    wrong = with_listing(lambda found: found["images"][0].update(digest=digest_of(deep)))  # type: ignore[index]
    extra = (info("blobs/sha256/" + digest_of(deep)[7:], size=len(deep)), deep)
    assert "a manifest is not JSON" in problem(write(tmp_path / "f.tar", archive([*members(wrong), extra])))


def test_a_tar_of_python_can_be_read_too() -> None:
    with tarfile.open(fileobj=io.BytesIO(WHOLE)) as tar:
        assert tar.getnames()[:5] == ["oci-layout", "index.json", "manifest.json", "build-lib.json", SUMS]
