"""The test report, from a real run of pytest."""

import subprocess
import sys
from pathlib import Path

from build_lib.development import suite

_TESTS = """
import pytest

def test_plan_1_one():
    assert True

def test_fails():
    assert 1 == 2, "with | a bar"

@pytest.mark.skip(reason="needs a moon")
def test_skipped():
    pass

@pytest.fixture
def broken():
    raise RuntimeError("a broken fixture")

def test_error(broken):
    pass
"""


def test_a_run_is_told_with_its_failures_its_skips_and_the_plan_s_tests(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(_TESTS)
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    text = suite.document(suite.read(junit))
    lines = text.splitlines()
    assert "after a run of all tests" in lines[2]
    assert "of the tests that `pytest -k one` selects" in suite.document(suite.read(junit), ["-k", "one"])
    assert lines[4].startswith("1 passed, 2 failed, 1 skipped; ")
    assert any(line.startswith("| `test_some::test_plan_1_one` |") and "| passed |" in line for line in lines)
    assert any(line.startswith("| test_plan_2 |") and "did not run" in line for line in lines)
    assert "- `test_some::test_skipped`: needs a moon" in lines
    assert any(line.startswith("- `test_some::test_fails`: ") and "with | a bar" in line for line in lines)
    assert any(line.startswith("- `test_some::test_error`: ") and "a broken fixture" in line for line in lines)
    assert f"| Python | {sys.version.split()[0]} |" in lines
