"""The program as it is called: `./inv`, and `inv` as invoke installs it."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from invoke.collection import Collection

import build_lib.console
import tasks
from build_lib.pipes import READER_GONE
from tests.support.commands import ROOT, Inv, inv_command, run_inv, said
from tests.support.projects import needs

_NAMES = sorted(Collection.from_module(tasks).task_names)
_INV = [str(Path(sys.executable).with_name("inv")), "--search-root", str(ROOT)]  # invoke's own
UNREAD = [
    inv_command(),
    inv_command("--list"),
    inv_command("--help"),
    inv_command("services"),
    [*_INV, "--list"],
    [*_INV, "services"],
]


def test_without_a_task_each_task_stands_in_a_group_after_the_three_to_begin_with(inv: Inv) -> None:
    done = inv()
    assert done.returncode == 0, said(done)
    [_, first, *groups, foot] = done.stdout.split("\n\n")
    lines = [line.split() for group in groups for line in group.splitlines()[1:]]
    assert sorted(words[0] for words in lines) == _NAMES
    assert [line.split()[0] for line in first.splitlines()[1:]] == ["doctor", "services", "build-all"]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "./inv TASK --help" in foot


def test_tasks_of_another_repository_have_a_group_of_their_own() -> None:
    groups = build_lib.console.start.groups(["build", "doctor", "greet"])
    assert groups == {
        "To begin with": ["doctor"],
        "What there is": ["doctor"],
        "Building": ["build"],
        "Of this repository": ["greet"],
    }


def test_the_version_is_ours_and_invoke_s(inv: Inv) -> None:
    assert inv("--version").stdout == f"build-lib {version('build-lib')}, invoke {version('invoke')}\n"


def test_a_mistake_is_found_before_any_task_runs(inv: Inv) -> None:
    done = inv("services", "deps", "--plian")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: deps has no flag --plian\n  next: did you mean --plain?\n"


def test_advice_names_the_program_as_it_was_typed(project: Path) -> None:
    own = {**os.environ, "PROJECT_ROOT": str(project), "DOCKER_HOST": "unix:///nowhere"}
    own["PATH"] = f"{Path(sys.executable).parent}:{own['PATH']}"
    needs(project, "one", "scratch")
    for command, called in (
        (inv_command("status"), "./inv"),
        (["inv", "--search-root", str(ROOT), "status"], "inv"),
        ([sys.executable, "-m", "build_lib", "status"], "python -m build_lib"),
    ):
        done = subprocess.run(command, cwd=project, env=own, capture_output=True, text=True, check=False)
        assert f"  next: {called} engine-up " in done.stderr


@pytest.mark.parametrize(
    ("words", "begins", "advice"),
    [
        ((), "usage: inv TASK", ""),
        (("servcies",), "", "error: there is no task 'servcies'\n  next: did you mean services?\n"),
        (("build", "oen"), "", "error: there is no service 'oen'\n  next: did you mean one?\n"),
        (("deps", "-s", ""), "", "error: --service is empty\n  next: give it a value, or leave it out\n"),
        (("deps", "--plain"), "", ""),
    ],
)
def test_invoke_s_own_inv_answers_the_same(words: tuple[str, ...], begins: str, advice: str, project: Path) -> None:
    needs(project, "one", "scratch")
    own = {**os.environ, "PROJECT_ROOT": str(project), "PATH": f"{Path(_INV[0]).parent}:{os.environ['PATH']}"}
    for command in (["inv", *_INV[1:]], [sys.executable, "-m", "invoke", *_INV[1:]]):
        done = subprocess.run([*command, *words], cwd=project, env=own, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1 if advice else 0, advice)
        assert done.stdout.startswith(begins) if begins else not done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", UNREAD, ids=lambda command: " ".join(command[-2:]))
def test_if_nobody_reads_the_output_it_ends_silently(command: list[str], unbuffered: str, project: Path) -> None:
    needs(project, "one", "scratch")
    reading, writing = os.pipe()
    os.close(reading)
    own = {**os.environ, "PROJECT_ROOT": str(project), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, env=own, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == READER_GONE or command[0] == _INV[0]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_the_caller_closed_is_no_error(stream: str, project: Path) -> None:
    needs(project, "one", "scratch")
    script = f'exec "$@" {1 if stream == "stdout" else 2}>&-'
    command = ["sh", "-c", script, "sh", *inv_command("services")]
    own = {**os.environ, "PROJECT_ROOT": str(project)}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, said(done)


def test_what_stands_behind_dashes_has_to_be_for_a_task(project: Path) -> None:
    done = run_inv(project, ("--dry", "lint", "--", "x"), {})
    assert done.returncode == 1
    assert done.stderr.startswith("error: lint takes nothing after --, but got 'x'\n")
