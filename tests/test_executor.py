"""invoke itself runs these task files, from the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

TASKS = """
from build_lib.errors import BuildError, Incomplete
from build_lib.executor import task

@task(iterable=["service"])
def fetch(ctx, tag="none", service=None, json=False):
    print("fetch", tag, service, json, ctx.get("caller"))
    if tag == "broken":
        raise BuildError("fetch broke", hint="mend it")
    if tag == "partly":
        raise Incomplete("fetch lacks one")

@task
def smoke(ctx, tag="none"):
    print("smoke", tag)

@task(pre=[fetch], post=[smoke], iterable=["service"])
def build(ctx, tag="none", service=None, force=False):
    print("build", tag, service)

@task(pre=[build])
def ship(ctx, tag="none"):
    print("ship", tag)

@task(pre=[fetch])
def lame(ctx, tag="none"):
    raise Incomplete("lame lacks two", hint="mend both")

@task
def other(ctx):
    print("other")

@task
def run(ctx, hide=False):
    ctx.run("echo spoken; echo loud >&2; exit 3 # secret", hide=hide, in_stream=False)

@task
def bug(ctx):
    raise ZeroDivisionError("a bug")

@task
def boil(ctx, signal):
    import os, threading
    from build_lib.graph import run
    def work(name, cancel):
        os.kill(os.getpid(), int(signal)) if name == "egg" else cancel.sleep(30)
    run({"water": (), "egg": ()}, work, jobs=2, doing=lambda names: f"boiling {names[0]}")
    threading.Event().wait(30)

@task
def hang(ctx):
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)
    import threading
    threading.Event().wait(30)
"""


@pytest.fixture
def call(tmp_path: Path):  # type: ignore[no-untyped-def]  # a function of many forms
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "invoke.yaml").write_text("tasks:\n  executor_class: build_lib.executor.Executor\n")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "invoke", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_a_pre_task_gets_its_caller_s_arguments(call) -> None:  # type: ignore[no-untyped-def]
    assert call("build", "-t", "x", "-s", "a", "-s", "b").stdout.splitlines() == [
        "fetch x ['a', 'b'] False build",
        "build x ['a', 'b']",
        "smoke x",
    ]


def test_arguments_go_through_a_chain_of_pre_tasks(call) -> None:  # type: ignore[no-untyped-def]
    lines = ["fetch x [] False build", "build x []", "smoke x", "ship x"]
    assert call("ship", "--tag", "x").stdout.splitlines() == lines


def test_the_same_pre_task_runs_once(call) -> None:  # type: ignore[no-untyped-def]
    lines = ["fetch x [] False build", "build x []", "smoke x"]
    assert call("fetch", "-t", "x", "build", "-t", "x").stdout.splitlines() == lines
    assert len(call("fetch", "-t", "y", "build", "-t", "x").stdout.splitlines()) == 4


def test_a_failure_is_one_line_with_its_next_step_and_exit_code_1(call) -> None:  # type: ignore[no-untyped-def]
    done = call("build", "-t", "broken", "other")
    assert (done.returncode, done.stderr) == (1, "not run: other\nerror: fetch broke\n  next: mend it\n")
    assert done.stdout.splitlines() == ["fetch broken [] False build"]


def test_an_incomplete_pre_task_does_not_keep_its_caller_from_the_rest(call) -> None:  # type: ignore[no-untyped-def]
    done = call("build", "-t", "partly")
    assert done.stdout.splitlines() == ["fetch partly [] False build", "build partly []"]
    assert (done.returncode, done.stderr) == (1, "error: fetch lacks one\n" * 2), "at once, and at the end"


def test_the_last_line_has_what_both_lack_and_the_one_before_what_is_not_run(call) -> None:  # type: ignore[no-untyped-def]
    done = call("ship", "-t", "partly", "other")
    assert done.stdout.splitlines() == ["fetch partly [] False build", "build partly []"]
    assert done.stderr.splitlines() == ["error: fetch lacks one", "not run: other", "error: fetch lacks one"]
    done = call("lame", "-t", "partly", "other")
    assert done.stderr.splitlines()[1:] == ["not run: other", "error: lame lacks two; fetch lacks one"]


@pytest.mark.parametrize("tasks", [("build", "-t", "partly", "other"), ("ship", "-t", "partly")])
def test_after_that_nothing_runs_that_is_to_follow_a_success(call, tasks: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    done = call(*tasks)
    assert done.stdout.splitlines() == ["fetch partly [] False build", "build partly []"]
    assert done.returncode == 1


@pytest.mark.parametrize(("flags", "shown"), [((), "loud\n"), (("--hide",), "")])
def test_a_command_that_fails_is_an_expected_failure_of_its_task(call, flags: tuple[str, ...], shown: str) -> None:  # type: ignore[no-untyped-def]
    done = call("run", *flags, "other")
    hidden = ":\n  | spoken\n  | loud" if flags else ""
    assert done.returncode == 1
    assert done.stderr == f"{shown}not run: other\nerror: run: a command failed with exit code 3{hidden}\n"
    assert done.stdout == ("" if flags else "spoken\n")


def test_an_incomplete_task_keeps_the_next_one_of_the_line_from_running(call) -> None:  # type: ignore[no-untyped-def]
    done = call("fetch", "-t", "partly", "other")
    assert (done.returncode, done.stdout) == (1, "fetch partly [] False \n")


def test_a_wrong_flag_is_refused_before_any_task_runs(call) -> None:  # type: ignore[no-untyped-def]
    done = call("other", "build", "-t", "a b")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --tag is 'a b'\n  next: allowed: ")


def test_an_unexpected_error_keeps_its_traceback(call) -> None:  # type: ignore[no-untyped-def]
    done = call("bug")
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr


@pytest.mark.parametrize(("number", "word", "code"), [(2, "interrupted", 130), (15, "terminated", 143)])
def test_the_end_of_a_run_says_what_was_going_on(call, number: int, word: str, code: int) -> None:  # type: ignore[no-untyped-def]
    done = call("boil", "--signal", str(number))
    hint = f"  next: inv boil --signal {number} does the rest\n"  # no ./inv is beside these tasks
    assert (done.returncode, done.stderr) == (code, f"error: {word} while boiling water\n{hint}")


def test_interrupting_ends_with_130(call) -> None:  # type: ignore[no-untyped-def]
    done = call("hang")
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")
