"""Run the tests, checks and benchmarks of this project."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from build_lib import state
from build_lib.development import suite
from build_lib.errors import BuildError, nearest

_TOOLS = ("pytest", "pytest-xdist", "ruff", "mypy", "hypothesis", "websockets")
_WORKERS = min(os.cpu_count() or 1, 4)
# a file's tests share what they made; the first files take longest, and go to the workers in their order
_ALL_TESTS = ("--numprocesses", str(_WORKERS), "--dist", "loadfile", "--no-loadscope-reorder")


def test(root: Path, arguments: Sequence[str], say: Callable[[str], None], *, report: bool, dry: bool) -> None:
    """Run pytest with the arguments; without any, all tests, in several processes.

    With `report`, rewrite docs/test-report.md, also when tests failed.

    Raises:
        BuildError: a test failed, or the tools cannot be installed.
    """
    command = ["pytest", *(arguments or _ALL_TESTS)]
    if not report:
        _run(root, [command], say, dry=dry)
        return
    with tempfile.TemporaryDirectory() as directory:
        junit = Path(directory) / "junit.xml"
        try:
            _run(root, [[*command, f"--junitxml={junit}"]], say, dry=dry)
        finally:
            if junit.exists():
                state.write_text(root / "docs/test-report.md", suite.document(suite.read(junit), arguments))
                say("docs/test-report.md: written")


def lint(root: Path, say: Callable[[str], None], *, dry: bool) -> None:
    """Run the style and the type checker.

    Raises:
        BuildError: one of them reported a problem, or the tools cannot be installed.
    """
    _run(root, [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], say, dry=dry)


def bench(root: Path, names: Sequence[str], say: Callable[[str], None], *, dry: bool) -> None:
    """Run the named benchmarks of `bench/`, or all of them.

    Raises:
        BuildError: a benchmark failed, or there is none with that name.
    """
    known = sorted(path.stem for path in (root / "bench").glob("[!_]*.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        hint = nearest(unknown[0], known) or f"there are: {', '.join(known)}"
        raise BuildError(f"there is no benchmark {unknown[0]!r}", hint=hint)
    _run(root, [[f"bench.{name}"] for name in names or known], say, dry=dry)


def _run(root: Path, commands: Sequence[Sequence[str]], say: Callable[[str], None], *, dry: bool) -> None:
    failed = []
    if not dry:
        _install_tools(root)
    for command in commands:
        say(shlex.join(command))
        if not dry and subprocess.run([sys.executable, "-m", *command], cwd=root, check=False).returncode:
            failed.append(shlex.join(command))
    if failed:
        raise BuildError(f"{' and '.join(failed)} failed")


def _install_tools(root: Path) -> None:
    try:
        for name in _TOOLS:
            distribution(name)
    except PackageNotFoundError:
        command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        if subprocess.run([*command, "--editable", f"{root}[dev]"], check=False).returncode:
            raise BuildError("the tools for tests and lint cannot be installed") from None
