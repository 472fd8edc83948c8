"""docs/own-tasks.md: its examples are the tasks.py of repositories here, and do what the page says."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.projects import write

TEXT = (ROOT / "docs/own-tasks.md").read_text()
AROUND, NAMED, SOME = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
[EXECUTOR] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
TEMPLATE = "FROM debian:12\nLABEL release={{IMAGE_TAG}}\n"
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Invoke in a repository with one service, whose Dockerfile is not written yet, and without an engine."""
    write(tmp_path, {"tasks.py": AROUND, "invoke.yaml": EXECUTOR, "src/web/Dockerfile.tpl": TEMPLATE})
    (tmp_path / ".env").write_text("IMAGE_PREFIX=mine-\nIMAGE_TAG=v7\n")
    own = {name: text for name, text in os.environ.items() if name not in ("PROJECT_ROOT", "IMAGE_TAG")}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=tmp_path,
            env={**own, "PYTHONPATH": str(ROOT), "DOCKER_HOST": "unix:///nowhere"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def around(tmp_path: Path, task: str) -> None:
    """Have the example's own tasks run around a task that needs no engine, instead of build-all."""
    code = AROUND.replace("build_all", task).replace("prefetch", task)
    (tmp_path / "tasks.py").write_text(code.replace(f"import {task}, collection, {task}", f"import {task}, collection"))


def test_both_are_listed_and_completed(call: Call) -> None:
    listed = {line.split()[0] for line in call("--list").stdout.splitlines() if line.startswith("  ")}
    assert {"render", "smoke", "build-all", "deps-push"} <= listed
    assert "lint" not in listed
    assert {"render", "smoke", "build-all"} <= set(call("--complete", "--", "inv").stdout.split())


def test_the_own_task_runs_before_step_0_and_what_it_writes_is_built(call: Call, tmp_path: Path) -> None:
    done = call("build-all", "-t", "v8")
    assert (tmp_path / "src/web/Dockerfile").read_text() == "FROM debian:12\nLABEL release=v8\n"
    assert done.stdout.splitlines() == [
        f"rendering {tmp_path}/src/web/Dockerfile.tpl",
        "step 0/5: prefetch",
        "  1 dependency image",
    ]
    assert done.returncode == 1
    assert done.stderr.startswith("error: no Docker Engine answers"), "and so smoke does not run"


def test_the_own_task_s_failure_stops_with_its_message(call: Call, tmp_path: Path) -> None:
    (tmp_path / "src/web/Dockerfile.tpl").write_text("FROM {{BASE}}\n")
    done = call("build-all")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {tmp_path}/src/web/Dockerfile.tpl has a placeholder without a value\n"
        "  next: the only one is {{IMAGE_TAG}}\n"
    )
    assert not (tmp_path / "src/web/Dockerfile").exists()


def test_the_task_after_runs_after_success(call: Call, tmp_path: Path) -> None:
    around(tmp_path, "deps")
    call("render")
    done = call("--dry", "deps", "-t", "v8")
    assert done.returncode == 0, done.stderr
    *before, last = done.stdout.splitlines()
    assert [line.split()[0] for line in before] == ["rendering", "IMAGE", "debian:12"]
    assert "docker run --rm mine-web:v8 true" in last


def test_and_not_after_a_failure(call: Call, tmp_path: Path) -> None:
    around(tmp_path, "deps")
    done = call("deps", "-s", "nothing")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"rendering {tmp_path}/src/web/Dockerfile.tpl"]
    assert done.stderr.startswith("error: there is no service")


def test_in_a_dry_run_nothing_is_written(call: Call, tmp_path: Path) -> None:
    assert "rendering" in call("--dry", "render").stdout
    assert not (tmp_path / "src/web/Dockerfile").exists()


def test_a_task_of_the_same_name_replaces_ours(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(AROUND.replace("def smoke", "def doctor").replace("smoke", "doctor"))
    assert "Run each image that was built." in call("--list").stdout


def test_the_tasks_can_have_a_name_in_a_namespace(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(NAMED)
    (tmp_path / "src/web/Dockerfile").write_text("FROM debian:12\n")
    assert call("greet").stdout == "hello you\n"
    assert call("images.deps", "--plain").stdout == "debian:12\n"
    done = call("images.build-all")
    assert done.stdout.splitlines()[1] == "  1 dependency image", "prefetch works on this repository, too"
    assert "working on" not in done.stderr


def test_a_namespace_can_have_some_of_the_tasks(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(SOME)
    (tmp_path / "src/web/Dockerfile").write_text("FROM debian:12\n")
    listed = [line.split()[0] for line in call("--list").stdout.splitlines() if line.startswith("  ")]
    assert listed == ["build-all", "services"]
    assert "mine-web:v7" in call("services").stdout
    done = call("build-all")
    assert done.stdout.splitlines() == ["step 0/5: prefetch", "  1 dependency image"]
    assert "working on" not in done.stderr
