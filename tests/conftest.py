import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from build_lib.settings import Settings
from tests.browser import Browser, running

ROOT = Path(__file__).resolve().parents[1]

# a busy machine is no failure
hypothesis.settings.register_profile("patient", deadline=None, max_examples=200)
hypothesis.settings.load_profile("patient")

MEMORY_LIMIT = 150 << 20  # bytes that a command may take, whatever the sizes of images
Inv = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty repository to work on."""
    (tmp_path / "src").mkdir()
    return tmp_path


@pytest.fixture
def inv(project: Path) -> Inv:
    """The command line, run in the project by the interpreter of this test."""

    def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(project, arguments, environment)

    return call


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium without a window, for all tests; its package is installed if it is not there."""
    from tests.engine.conftest import install

    settings = Settings.load(tmp_path_factory.mktemp("browser"), environ=dict(os.environ))
    with running(install("chromium", "chromium", settings)) as started:
        yield started


def run_inv(
    project: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        inv_command(*arguments),
        cwd=project,
        env={**os.environ, "PROJECT_ROOT": str(project), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def peak_memory(*arguments: str, **environment: str) -> int:
    """Bytes that the command took at most; it must succeed.

    A process between counts it: what was started from a large one counts as that large.
    """
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", code, *inv_command(*arguments)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


def inv_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "invoke", "--write-pyc", "--search-root", str(ROOT), *arguments]
