"""docs/library.md: its code runs, and what it names is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import build_lib
from build_lib.settings import Settings
from tests.support.commands import ROOT

TEXT = (ROOT / "docs/library.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_its_code_runs_where_a_repository_is(machine: Settings, project: Path) -> None:
    for name, text in {"one": "FROM debian:12\n", "two": "FROM mine-one:v7\n"}.items():
        (project / "src" / name).mkdir()
        (project / "src" / name / "Dockerfile").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "\n".join(CODE)]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "one mine-one:v7 depends on no other service",
        "two mine-two:v7 depends on one",
        "debian:12 for one",
        "{'one': 'not built yet', 'two': 'not built yet'}",
    ], done.stderr


def test_what_it_names_is_there() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT, re.MULTILINE)
    assert len(rows) > 12
    for package, said in rows:
        for called in re.findall(r"`([A-Za-z_][A-Za-z_.]*)(?:\(|`)", said):
            found: object = getattr(build_lib, package)
            for name in called.split("."):
                found = getattr(found, name)


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("bundle", "save verify"),
        ("build", "check build"),
        ("clean", "find remove"),
        ("dependencies", "find"),
        ("dockerfile", "read external_images"),
        ("doctor", "examine"),
        ("engine", "Engine"),
        ("errors", "BuildError"),
        ("inventory", "of_engine of_registry write"),
        ("prefetch", "prefetch plan"),
        ("publish", "push"),
        ("reference", "Reference PrivateRegistry"),
        ("registry", "Registries"),
        ("release", "build_all build push"),
        ("report", "Console"),
        ("services", "discover"),
        ("settings", "Settings"),
        ("slurm", "copy"),
        ("unbundle", "into_engine into_registry"),
    ],
)
def test_the_names_of_the_first_version_are_still_there(name: str, has: str) -> None:
    assert [each for each in has.split() if not hasattr(getattr(build_lib, name), each)] == []
