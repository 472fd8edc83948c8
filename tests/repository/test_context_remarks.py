"""Remarks on .git, .env and .build in build contexts, of real repositories."""

from pathlib import Path

import pytest

from build_lib.compose import Problem
from build_lib.repository.services import discover
from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.projects import write

_PASSWORD = "a password in .env may end up in the image"
_COMMIT = ".git changes with each commit, and what copies it is never cached"
_RUN = ".build changes with each run, and what copies it is never cached"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a Dockerfile at its top, and what lies there."""
    root = tmp_path / "app"
    write(root, {".git/config": "", ".env": "", "Dockerfile": "FROM a\nCOPY . /app\n"})
    return root


def remarks(root: Path) -> list[Problem]:
    return list(discover(Settings.load(root, environ={})).problems)


def named(root: Path) -> list[str]:
    """What the remarks say is to be written."""
    return [name for problem in remarks(root) for name in problem.hint.rpartition(": ")[2].split()]


def test_all_three_are_told_at_once_at_the_line_that_takes_them(top: Path) -> None:
    [problem] = remarks(top)
    assert (problem.path, problem.line, problem.remark) == (top / "Dockerfile", 2, True)
    said = "the build context of app has .env, .git and .build, which this line takes along"
    assert problem.reason == f"{said}: {_PASSWORD}; {_COMMIT}; {_RUN}"
    assert problem.hint == "write in .dockerignore, each on a line of its own: .env .git .build"


def test_what_is_written_is_told_no_more(top: Path) -> None:
    written = named(top)
    for number, name in enumerate(written, 1):
        with (top / ".dockerignore").open("a") as file:
            file.write(f"{name}\n")
        assert named(top) == written[number:]


@pytest.mark.parametrize(
    ("lines", "taken"),
    [
        ("ADD ./ /app", [".env", ".git", ".build"]),
        ("COPY src/.. /app", [".env", ".git", ".build"]),
        ("RUN --mount=target=/m make", [".env", ".git", ".build"]),
        ("ARG DIR=.\nCOPY $DIR /app", [".env", ".git", ".build"]),
        ("COPY * /app/", [".env", ".git", ".build"]),
        ("COPY .g* /app/", [".git"]),
        ("COPY --exclude=.git --exclude=.b* . /app/", [".env"]),
        ("COPY --exclude=.git .g* /app/", [".git"]),  # BuildKit excludes what is below it
        ("FROM a\nONBUILD COPY . /app", []),
        ("ONBUILD COPY . /app\nFROM one", [".env", ".git", ".build"]),
        ("COPY . /app\nFROM b", []),
        ("COPY src /app", []),
        ("COPY .env .git .build /app/", []),
        ("COPY .env .git/* /app/", []),
        ("COPY $DIR /app", []),
        ("COPY [^a]* /app/", []),
        ("RUN --mount=source=src,target=/m make", []),
        ("RUN true", []),
    ],
)
def test_a_remark_needs_a_source_that_surely_takes_them_along(lines: str, taken: list[str], top: Path) -> None:
    (top / "Dockerfile").write_text(f"FROM a AS one\n{lines}\n")
    assert named(top) == taken


@pytest.mark.parametrize(
    ("ignored", "taken"),
    [
        (".*", []),
        ("*\n!src", []),
        ("*\n!.env", [".env"]),
        (".git/*\n.build/**\n.env", []),
        (".env\n.git\n.build\n!.git", [".git"]),
        ("src/.git\n/.env", [".git", ".build"]),
    ],
)
def test_an_ignore_file_covers_them(ignored: str, taken: list[str], top: Path) -> None:
    (top / ".dockerignore").write_text(ignored)
    assert named(top) == taken


def test_the_ignore_file_to_write_in_is_the_one_that_applies(top: Path) -> None:
    (top / ".dockerignore").write_text(".*\n")
    (top / "Dockerfile.dockerignore").write_text(".git\n.build\n")
    assert [problem.hint for problem in remarks(top)] == ["write in Dockerfile.dockerignore: .env"]


def test_services_that_share_a_context_have_one_remark(top: Path) -> None:
    names = ("app", "b", "c", "d", "e")
    write(top, {f"{name}.Dockerfile": "FROM a\nRUN true\nCOPY . /\n" for name in names})
    entries = [f"{name}: {{build: {{context: ., dockerfile: {name}.Dockerfile}}}}" for name in names]
    write(top, {"compose.yaml": "\n  ".join(["services:", *entries]), "c.Dockerfile.dockerignore": ".git\n.env\n"})
    shared, own = remarks(top)
    assert (shared.path.name, shared.line) == ("app.Dockerfile", 3)
    assert shared.reason.startswith("the build context of app, b, d and 1 other has .env, .git and .build, which")
    assert own.reason == f"the build context of c has .build, which this line takes along: {_RUN}"


def test_a_directory_below_has_no_directory_of_this_program(tmp_path: Path) -> None:
    write(tmp_path, {"src/one/Dockerfile": "FROM a\nCOPY . /\n", "src/one/.env": "", "src/one/.build/x": ""})
    assert [problem.hint for problem in remarks(tmp_path)] == ["write in src/one/.dockerignore: .env"]


def test_a_context_above_names_the_directory_by_its_path(top: Path) -> None:
    (top / "Dockerfile").unlink()
    write(top, {"deploy/compose.yaml": "services: {one: {build: ..}}", "Dockerfile": "FROM a\nCOPY . /\n"})
    settings = Settings.load(top / "deploy", environ={})
    [problem] = discover(settings).problems
    assert problem.hint.endswith(f"own: .env .git {settings.state_dir.relative_to(top)}")
    assert problem.hint.startswith(f"write in {top}/.dockerignore")


def test_a_worktree_s_git_is_a_file_that_does_not_change(tmp_path: Path) -> None:
    write(tmp_path, {"src/one/Dockerfile": "FROM a\nCOPY . /\n", "src/one/.git": "gitdir: elsewhere\n"})
    assert remarks(tmp_path) == []


def test_it_is_a_remark_that_strict_makes_an_error(top: Path, inv: Inv) -> None:
    environment = {"PROJECT_ROOT": str(top)}
    done = inv("services", **environment)
    assert done.returncode == 0
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith("remark: Dockerfile:2: the build context of app has .env, .git and .build, which")
    assert second == "  next: write in .dockerignore, each on a line of its own: .env .git .build"
    assert done.stderr.endswith("\n1 remark\n")
    strict = inv("services", "--strict", **environment)
    assert strict.returncode == 1
    assert "problem: Dockerfile:2: the build context of app has" in strict.stderr
    assert "write in .dockerignore" in inv("doctor", **environment).stdout
