"""What git says of a working tree, asked of real ones."""

import os
import subprocess
from pathlib import Path

import pytest

from build_lib.git import Commit, commit, index_lock

_WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@y.example"}
_ENVIRON = {**os.environ, **_WHO, "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@y.example"}


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], env=_ENVIRON, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A repository with a commit, and the project in a directory of it."""
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/Dockerfile").write_text("FROM scratch\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message=one")
    return tmp_path


def _of(directory: Path, environ: dict[str, str] | None = None) -> Commit | None:
    return commit(directory, environ or dict(os.environ), except_for=directory / ".build")


def test_a_commit_and_whether_something_was_changed_since(committed: Path) -> None:
    shop, head = committed / "shop", _git(committed, "rev-parse", "HEAD")
    assert _of(shop) == Commit(hash=head, changed=False)
    (shop / ".build").mkdir()
    (shop / ".build/last-run.json").write_text("{}")
    assert _of(shop) == Commit(hash=head, changed=False)
    (shop / "new").touch()
    assert _of(shop) == Commit(hash=head, changed=True)
    (shop / "new").unlink()
    (committed / "elsewhere").touch()  # a context may be outside of the project
    assert _of(shop) == Commit(hash=head, changed=True)


def test_a_changed_file_and_a_staged_one_are_changes(committed: Path) -> None:
    (committed / "shop/Dockerfile").write_text("FROM scratch AS x\n")
    for _ in range(2):
        found = _of(committed / "shop")
        assert found is not None
        assert found.changed
        _git(committed, "add", ".")


def test_without_a_repository_a_commit_or_git_there_is_none(tmp_path: Path, committed: Path) -> None:
    nowhere = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert _of(committed / "shop", {**os.environ, "PATH": str(empty)}) is None
    _git(empty, "init", "--quiet")
    assert _of(empty) is None
    (empty / ".git").rename(tmp_path / "away")
    (committed / ".git").rename(tmp_path / "away too")
    assert _of(empty, nowhere) is None


def test_the_answer_is_of_this_repository_within_a_hook_of_another(committed: Path) -> None:
    found = _of(committed / "shop", {**os.environ, "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere"})
    assert found == Commit(hash=_git(committed, "rev-parse", "HEAD"), changed=False)


def test_the_lock_of_the_index_is_known_in_a_directory_of_a_repository_and_in_a_second_working_tree(
    committed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environ = dict(os.environ)
    second = tmp_path_factory.mktemp("second") / "tree"
    _git(committed, "worktree", "add", "--quiet", str(second))
    for directory in (committed, committed / "shop", second, second / "shop"):
        lock = index_lock(directory, environ)
        assert lock is not None
        lock.touch()
        with pytest.raises(subprocess.CalledProcessError) as failed:
            _git(directory, "reset", "--quiet", "--hard")
        assert "index.lock" in failed.value.stderr
        lock.unlink()
        _git(directory, "reset", "--quiet", "--hard")
    assert index_lock(tmp_path_factory.mktemp("no-repository"), environ) is None
