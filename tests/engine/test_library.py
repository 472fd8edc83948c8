"""docs/library.md: its code runs, and what it names is there."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from build_lib.settings import Settings
from tests.conftest import ROOT

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
        "one mine-one:v7 stands on no other service",
        "two mine-two:v7 stands on one",
        "debian:12 for one",
        "{'one': 'not built yet', 'two': 'not built yet'}",
    ], done.stderr


def test_what_it_names_is_there() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.*) \|$", TEXT, re.MULTILINE)
    modules = {name: said for names, said in rows for name in re.findall(r"\w+", names)}
    assert len(modules) > 15
    for names, said in rows:
        found = [import_module(f"build_lib.{name}") for name in re.findall(r"\w+", names)]
        for called in re.findall(r"`([A-Za-z_][A-Za-z_.]*)(?:\(|`)", said):
            first = called.split(".")[0]
            known = [getattr(module, first) for module in found if hasattr(module, first)]
            assert known or first in modules, called
