"""Blobs on disk; with real files, processes and signals."""

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.errors import BuildError
from build_lib.registry import retry
from build_lib.registry.blob_store import BlobStore, Truncated, WrongContent
from build_lib.registry.manifests import Descriptor, digest_of

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
    blobs = BlobStore(tmp_path)
    assert not blobs.has(WANTED)
    path = blobs.fetch(WANTED, rest)
    assert path == blobs.path(WANTED) == blobs.fetch(WANTED, nothing)
    assert path.read_bytes() == CONTENT == b"".join(blobs.chunks(WANTED))
    assert blobs.has(WANTED)
    assert files(tmp_path) == complete()


def test_an_empty_blob_is_not_asked_for(tmp_path: Path) -> None:
    assert BlobStore(tmp_path).fetch(descriptor(b""), nothing).read_bytes() == b""


def test_a_removed_blob_is_not_there_and_can_still_be_read(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    blobs.fetch(WANTED, rest)
    with blobs.open(WANTED) as file:
        blobs.remove(WANTED)
        blobs.remove(WANTED)
        assert file.read() == CONTENT
    with pytest.raises(BuildError, match=WANTED.digest):
        blobs.open(WANTED)


def test_a_broken_read_is_gone_on_with(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
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
    blobs = BlobStore(tmp_path)
    with pytest.raises(Truncated, match=f"404B of the {len(CONTENT)}B") as caught:
        blobs.fetch(WANTED, lambda _: (CONTENT[:404],))
    assert retry.classify(caught.value) is retry.Kind.PASSING
    assert blobs.partial_size(WANTED) == 404


def test_wrong_bytes_are_not_kept(tmp_path: Path) -> None:
    wrong = CONTENT[::-1]
    with pytest.raises(WrongContent, match=f"expected {WANTED.digest}, got {digest_of(wrong)}") as caught:
        BlobStore(tmp_path).fetch(WANTED, lambda _: (wrong,))
    assert retry.classify(caught.value) is retry.Kind.PASSING
    assert files(tmp_path) == set()


def test_wrong_bytes_that_came_before_a_break_are_found(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
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

    with pytest.raises(WrongContent, match=f"has {len(CONTENT)}B, but more came"):
        BlobStore(tmp_path).fetch(WANTED, too_much)
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
        BlobStore(tmp_path).fetch(WANTED, read)
    assert closed.is_set(), caught.value  # also while the error, and with it each frame, is kept


def test_a_blob_that_a_power_cut_shortened_is_fetched_again(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
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
        blobs = BlobStore(Path(directory))
        for _ in range(data.draw(st.integers(0, 4))):
            before = blobs.partial_size(wanted)
            try:
                blobs.fetch(wanted, broken)
            except BuildError:
                assert before <= blobs.partial_size(wanted) <= len(content)
        assert blobs.fetch(wanted, whole).read_bytes() == content
        assert files(Path(directory)) == complete(wanted)


def test_threads_that_ask_at_once_download_once(tmp_path: Path) -> None:
    blobs, together, offsets = BlobStore(tmp_path), threading.Barrier(8), []

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
from build_lib.registry.blob_store import BlobStore
from tests.registry.test_blob_store import CONTENT, FIRST, WANTED

def read(offset):
    yield CONTENT[offset:FIRST]
    print("reads", offset, flush=True)
    sys.stdin.readline()
    yield CONTENT[max(offset, FIRST):]

print("asks", flush=True)
BlobStore(Path(sys.argv[1])).fetch(WANTED, read)
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
    assert BlobStore(tmp_path).path(WANTED).read_bytes() == CONTENT


def test_the_next_run_goes_on_where_a_killed_one_was(tmp_path: Path, process: Process) -> None:
    first = process()
    assert _line(first) == "reads 0\n"
    first.kill()
    first.wait()
    assert BlobStore(tmp_path).partial_size(WANTED) == FIRST
    second = process()
    assert _line(second) == f"reads {FIRST}\n"
    second.communicate("\n")
    assert files(tmp_path) == complete()


def test_a_full_disk_is_said_and_what_is_there_is_kept(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from build_lib.errors import BuildError\n"
        "from build_lib.registry.blob_store import BlobStore; from tests.registry.test_blob_store import WANTED, rest\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: BlobStore(Path(sys.argv[1])).fetch(WANTED, rest)\n"
        "except BuildError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write {tmp_path}/partial/{WANTED.digest[7:]}: File too large\n"
    assert BlobStore(tmp_path).partial_size(WANTED) == 100
