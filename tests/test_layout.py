"""Blobs on disk, and archives; with real files, processes and signals."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.errors import BuildError
from build_lib.reference import Reference
from build_lib.registry import retry
from build_lib.registry.blob_store import Blobs, Truncated, WrongContent
from build_lib.registry.image_layout import Loadable, contents, stream, write_layout
from build_lib.registry.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, digest_of

CONTENT = bytes(range(256)) * 20
FIRST = 1000


def descriptor(content: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    return Descriptor(digest=digest_of(content), size=len(content), media_type=media_type)


WANTED = descriptor(CONTENT)


def nothing(offset: int) -> Iterable[bytes]:
    raise AssertionError(f"asked for bytes from {offset} on")


def cut(offset: int) -> Iterator[bytes]:
    yield CONTENT[offset:FIRST]
    raise BuildError("the line is cut")


def rest(offset: int) -> Iterable[bytes]:
    return (CONTENT[offset:],)


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def complete(wanted: Descriptor = WANTED) -> set[str]:
    return {f"sha256/{wanted.digest[7:]}"}


def test_a_blob_is_fetched_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert not blobs.has(WANTED)
    path = blobs.fetch(WANTED, rest)
    assert path == blobs.path(WANTED) == blobs.fetch(WANTED, nothing)
    assert path.read_bytes() == CONTENT == b"".join(blobs.chunks(WANTED))
    assert blobs.has(WANTED)
    assert files(tmp_path) == complete()


def test_an_empty_blob_is_not_asked_for(tmp_path: Path) -> None:
    assert Blobs(tmp_path).fetch(descriptor(b""), nothing).read_bytes() == b""


def test_a_removed_blob_is_not_there_and_can_still_be_read(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blobs.fetch(WANTED, rest)
    with blobs.open(WANTED) as file:
        blobs.remove(WANTED)
        blobs.remove(WANTED)
        assert file.read() == CONTENT
    with pytest.raises(BuildError, match=WANTED.digest):
        blobs.open(WANTED)


def test_a_broken_read_is_gone_on_with(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(BuildError, match="the line is cut"):
        blobs.fetch(WANTED, cut)
    assert blobs.partial_size(WANTED) == FIRST
    offsets = []

    def read(offset: int) -> Iterable[bytes]:
        offsets.append(offset)
        return rest(offset)

    assert blobs.fetch(WANTED, read).read_bytes() == CONTENT
    assert offsets == [FIRST]
    assert files(tmp_path) == complete()


def test_content_that_ends_early_is_kept_and_tried_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(Truncated, match=f"404B of the {len(CONTENT)}B") as caught:
        blobs.fetch(WANTED, lambda _: (CONTENT[:404],))
    assert retry.classify(caught.value) is retry.Kind.PASSING
    assert blobs.partial_size(WANTED) == 404


def test_wrong_bytes_are_not_kept(tmp_path: Path) -> None:
    wrong = CONTENT[::-1]
    with pytest.raises(WrongContent, match=f"expected {WANTED.digest}, got {digest_of(wrong)}") as caught:
        Blobs(tmp_path).fetch(WANTED, lambda _: (wrong,))
    assert retry.classify(caught.value) is retry.Kind.PASSING
    assert files(tmp_path) == set()


def test_wrong_bytes_that_came_before_a_break_are_found(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(Truncated):
        blobs.fetch(WANTED, lambda _: (b"x" * FIRST,))
    with pytest.raises(WrongContent):
        blobs.fetch(WANTED, rest)
    assert blobs.fetch(WANTED, rest).read_bytes() == CONTENT


def test_more_bytes_than_there_should_be_are_neither_read_nor_kept(tmp_path: Path) -> None:
    taken = []

    def too_much(_: int) -> Iterator[bytes]:
        for _ in range(9):
            taken.append(1)
            yield CONTENT

    with pytest.raises(WrongContent, match=f"has {len(CONTENT)}B, and more came"):
        Blobs(tmp_path).fetch(WANTED, too_much)
    assert len(taken) == 2
    assert files(tmp_path) == set()


def test_a_read_is_closed_where_it_failed(tmp_path: Path) -> None:
    closed = threading.Event()

    def read(_: int) -> Iterator[bytes]:
        try:
            yield CONTENT
            yield CONTENT
        finally:
            closed.set()

    with pytest.raises(WrongContent) as caught:
        Blobs(tmp_path).fetch(WANTED, read)
    assert closed.is_set(), caught.value  # also while the error, and with it each frame, is kept


def test_a_blob_that_a_power_cut_shortened_is_fetched_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blobs.fetch(WANTED, rest).write_bytes(b"")
    assert blobs.fetch(WANTED, rest).read_bytes() == CONTENT


@given(content=st.binary(max_size=300), data=st.data())
def test_any_way_of_breaking_and_chunking_gives_the_same_file(content: bytes, data: st.DataObject) -> None:
    wanted, sizes = descriptor(content), st.lists(st.integers(0, 90), max_size=4)

    def broken(offset: int) -> Iterator[bytes]:
        for size in data.draw(sizes):
            yield content[offset : offset + size]
            offset += size
        raise BuildError("broken")

    def whole(offset: int) -> Iterator[bytes]:
        size = data.draw(st.integers(1, 90))
        yield from (content[at : at + size] for at in range(offset, len(content), size))

    with tempfile.TemporaryDirectory() as directory:
        blobs = Blobs(Path(directory))
        for _ in range(data.draw(st.integers(0, 4))):
            before = blobs.partial_size(wanted)
            try:
                blobs.fetch(wanted, broken)
            except BuildError:
                assert before <= blobs.partial_size(wanted) <= len(content)
        assert blobs.fetch(wanted, whole).read_bytes() == content
        assert files(Path(directory)) == complete(wanted)


def test_threads_that_ask_at_once_download_once(tmp_path: Path) -> None:
    blobs, together, offsets = Blobs(tmp_path), threading.Barrier(8), []

    def read(offset: int) -> Iterable[bytes]:
        offsets.append(offset)
        return (CONTENT[at : at + 100] for at in range(offset, len(CONTENT), 100))

    def ask(_: int) -> Path:
        together.wait()
        return blobs.fetch(WANTED, read)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {blobs.path(WANTED)}
    assert offsets == [0]
    assert files(tmp_path) == complete()


# A process that says what it does, gives part of the content, and the rest once it is told to go on.
PROCESS = """
import sys
from pathlib import Path
from build_lib.registry.blob_store import Blobs
from tests.test_layout import CONTENT, FIRST, WANTED

def read(offset):
    yield CONTENT[offset:FIRST]
    print("reads", offset, flush=True)
    sys.stdin.readline()
    yield CONTENT[max(offset, FIRST):]

print("asks", flush=True)
Blobs(Path(sys.argv[1])).fetch(WANTED, read)
print("has it", flush=True)
"""
Process = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    begun: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", PROCESS, str(tmp_path)]
        begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert _line(begun[-1]) == "asks\n"
        return begun[-1]

    yield begin
    for each in begun:
        with each:
            each.kill()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _wait_until_it_waits(process: "subprocess.Popen[str]", path: Path) -> None:
    """Until the kernel lists somebody who waits for the file's lock."""
    locks = Path("/proc/locks")
    if not locks.exists():
        pytest.skip("needs Linux, which tells who waits for a lock")
    inode = f":{path.stat().st_ino} "
    while not any("->" in line and inode in line for line in locks.read_text().splitlines()):
        assert process.poll() is None


def test_processes_that_ask_at_once_download_once(tmp_path: Path, process: Process) -> None:
    first = process()
    assert _line(first) == "reads 0\n"
    second = process()
    _wait_until_it_waits(second, tmp_path / "partial" / WANTED.digest[7:])
    first.communicate("\n")
    assert _line(second) == "has it\n"
    assert files(tmp_path) == complete()


def test_who_waits_goes_on_where_a_killed_process_was(tmp_path: Path, process: Process) -> None:
    first = process()
    assert _line(first) == "reads 0\n"
    second = process()
    _wait_until_it_waits(second, tmp_path / "partial" / WANTED.digest[7:])
    first.send_signal(signal.SIGKILL)
    assert _line(second) == f"reads {FIRST}\n"
    second.communicate("\n")
    assert Blobs(tmp_path).path(WANTED).read_bytes() == CONTENT


def test_the_next_run_goes_on_where_a_killed_one_was(tmp_path: Path, process: Process) -> None:
    first = process()
    assert _line(first) == "reads 0\n"
    first.kill()
    first.wait()
    assert Blobs(tmp_path).partial_size(WANTED) == FIRST
    second = process()
    assert _line(second) == f"reads {FIRST}\n"
    second.communicate("\n")
    assert files(tmp_path) == complete()


def test_a_full_disk_is_said_and_what_is_there_is_kept(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from build_lib.errors import BuildError\n"
        "from build_lib.registry.blob_store import Blobs; from tests.test_layout import WANTED, rest\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: Blobs(Path(sys.argv[1])).fetch(WANTED, rest)\n"
        "except BuildError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write {tmp_path}/partial/{WANTED.digest[7:]}: File too large\n"
    assert Blobs(tmp_path).partial_size(WANTED) == 100


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
    blobs = Blobs.of_layout(tmp_path)
    with pytest.raises(BuildError, match="the line is cut"):
        blobs.fetch(WANTED, cut)
    for blob in contents([alone("a:1", manifest)]):
        blobs.fetch(blob, partial(content.read, blob))
    for _ in range(2):
        write_layout(tmp_path, [alone("a:1", manifest)])
    found = {name: (tmp_path / name).read_bytes() for name in files(tmp_path) if not name.startswith("partial/")}
    assert _check_blobs(found) == {*content.blobs, manifest.digest}
    assert found == unpack(b"".join(stream([alone("a:1", manifest)], blobs.chunks)))
