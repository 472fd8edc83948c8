"""`watch`, with a real engine: saved files are built again, whoever saves them and however."""

import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.commands import Inv
from tests.support.projects import needs
from tests.support.watching import Watching, built, started

Watch = Callable[..., AbstractContextManager[Watching]]


@pytest.fixture
def watching(project: Path, prefix: str, tmp_path: Path) -> Watch:
    def start(*arguments: str) -> AbstractContextManager[Watching]:
        environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}
        return started(project, tmp_path.with_suffix(".watch.log"), environment, *arguments)

    return start


@pytest.fixture
def chain(project: Path, tiny: str, prefix: str) -> None:
    """`app` depends on `base`; `other` on neither."""
    for name, image in (("base", tiny), ("app", f"{prefix}base:v1"), ("other", tiny)):
        needs(project, name, image, "COPY file /file")
        (project / "src" / name / "file").write_text(f"{name} 1")


@pytest.mark.usefixtures("chain")
def test_what_is_saved_is_built_again_with_its_dependents(project: Path, watching: Watch) -> None:
    with watching() as watch:
        assert sorted(built(watch.printed())) == ["app", "base", "other"]
        (project / "src/base/file").write_text("base 2")
        text = watch.printed()
        assert "changed: src/base/file\n" in text
        assert built(text) == ["base", "app"]
        # as editors save: a new file takes the place of the old one
        (project / "src/other/.file.swp").write_text("other 2")
        (project / "src/other/.file.swp").rename(project / "src/other/file")
        assert built(watch.printed()) == ["other"]
        # what no service depends on is not even told
        (project / "notes.txt").write_text("a note")
        (project / ".git").mkdir()
        (project / ".git/HEAD").write_text("ref: refs/heads/other")
        (project / "src/app/file").write_text("app 2")
        text = watch.printed()
        assert built(text) == ["app"]
        assert ".git" not in text
        assert watch.end() == 0


@pytest.mark.usefixtures("chain")
def test_a_failure_is_tried_again_when_its_files_change(project: Path, tiny: str, watching: Watch) -> None:
    with watching("-s", "base", "-s", "other") as watch:
        assert sorted(built(watch.printed())) == ["base", "other"]
        needs(project, "base", tiny, "RUN false")
        text = watch.printed()
        assert "error: base cannot be built: src/base/Dockerfile:2: RUN false: exit code 1\n" in text
        (project / "src/other/file").write_text("other 2")
        text = watch.printed()
        assert built(text) == ["other"]
        assert "base" not in text
        (project / "src/base/Dockerfile").write_text("FROM\n")
        assert "src/base/Dockerfile:1: FROM takes an image" in watch.printed()
        needs(project, "base", tiny, "RUN true")
        assert built(watch.printed()) == ["base"]
        assert watch.end() == 0


@pytest.mark.usefixtures("chain")
def test_a_checkout_is_one_change(project: Path, tiny: str, prefix: str, watching: Watch) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *identity, *words], cwd=project, check=True, capture_output=True)

    (project / ".gitignore").write_text(".build\n")
    git("init", "--initial-branch=one")
    git("add", ".")
    git("commit", "--message=one")
    git("checkout", "-b", "two")
    (project / "src/other/file").unlink()
    (project / "src/other/Dockerfile").unlink()
    (project / "src/other").rmdir()
    (project / "src/base/file").write_text("base of two")
    needs(project, "new", f"{prefix}base:v1")
    git("add", "--all", ".")
    git("commit", "--message=two")
    git("checkout", "one")
    with watching() as watch:
        assert sorted(built(watch.printed())) == ["app", "base", "other"]
        git("checkout", "two")
        text = watch.printed()
        assert sorted(built(text)) == ["app", "base", "new"]
        assert len(re.findall("^changed: ", text, re.MULTILINE)) == 1
        git("checkout", "one")
        assert sorted(built(watch.printed())) == ["app", "base"]
        (project / "src/other/file").write_text("the directory was made anew")
        assert built(watch.printed()) == ["other"]
        assert watch.end() == 0


def test_a_service_that_is_not_there_is_refused(project: Path, inv: Inv, tiny: str) -> None:
    needs(project, "base", tiny)
    done = inv("watch", "bse")
    assert (done.returncode, done.stderr) == (1, "error: there is no service 'bse'\n  next: did you mean base?\n")
