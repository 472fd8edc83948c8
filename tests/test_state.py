import subprocess
import sys
from pathlib import Path

import pytest

from build_lib import state
from build_lib.errors import BuildError


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    state.write(tmp_path / "new/record.json", {"ü": [1, None]})
    assert state.read(tmp_path / "new/record.json") == {"ü": [1, None]}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["record.json"]


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    state.write(path, 1)
    with pytest.raises(TypeError):
        state.write(path, object())
    assert state.read(path) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_no_record_and_a_broken_one_are_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "record.json").write_bytes(content)
    assert state.read(tmp_path / "record.json") is None


def test_a_lock_that_is_held_says_by_whom(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from build_lib import state\n"
        "with state.lock(Path(sys.argv[1]), 'copy-slurm'): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said = rf"another copy-slurm \(pid {holder.pid}\) is running in this repository"
        with pytest.raises(BuildError, match=said), _lock(tmp_path):
            pass
        holder.kill()
    with _lock(tmp_path):  # the kernel freed it
        pass


def _lock(directory: Path):  # type: ignore[no-untyped-def]  # a context manager
    return state.lock(directory / "lock", "test")
