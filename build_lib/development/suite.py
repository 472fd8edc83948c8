"""The test report: the results of a run of the tests, as a document (`inv test --report`)."""

import platform
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from build_lib.units import seconds

_PLAN = {
    "test_plan_1": "copy-slurm copies the packages to where apphub serves them",
    "test_plan_2": "build-all pulls every dependency image itself, and succeeds",
    "test_plan_3": "a closed site builds from the private registry alone",
}
_PROGRAMS = {  # the command that prints a program's version
    "Docker Engine": ("dockerd", "--version"),
    "docker CLI": ("docker", "--version"),
    "docker-registry": ("docker-registry", "--version"),
    "skopeo": ("skopeo", "--version"),
    "podman": ("podman", "--version"),
    "chromium": ("chromium", "--version"),
}
_PACKAGES = ("invoke", "docker", "python-dotenv", "colorama", "pytest", "hypothesis")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One test: where it is, how it ended ("passed", "failed", "skipped"), why, and how long it took."""

    module: str
    name: str
    result: str
    reason: str
    seconds: float


def read(junit: Path) -> list[Case]:
    """The test cases in a JUnit file as pytest writes it."""
    return [_case(item) for item in ElementTree.parse(junit).iter("testcase")]


def _case(item: ElementTree.Element) -> Case:
    result, reason = "passed", ""
    for kind in ("skipped", "failure", "error"):
        found = item.find(kind)
        if found is not None:
            result = "skipped" if kind == "skipped" else "failed"
            reason = " ".join((found.get("message") or "").split())
    return Case(
        module=(item.get("classname") or "").removeprefix("tests."),
        name=item.get("name") or "",
        result=result,
        reason=reason,
        seconds=float(item.get("time") or 0),
    )


def document(cases: Sequence[Case], arguments: Sequence[str] = ()) -> str:
    """The report, in Markdown, on a run of pytest with these arguments."""
    return "\n".join(_lines(cases, shlex.join(arguments))) + "\n"


def _lines(cases: Sequence[Case], arguments: str) -> Iterator[str]:
    counts = Counter(case.result for case in cases)
    yield "# Test report\n"
    which = f"the tests that `pytest {arguments}` selects" if arguments else "all tests"
    yield f"Written by `./inv test --report` after a run of {which}, with a real Docker Engine and real registries.\n"
    took = seconds(sum(case.seconds for case in cases))
    yield f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped; {took} in tests.\n"
    yield "## The plan's tests\n"
    yield "| test | what it shows | result | time |\n| --- | --- | --- | --- |"
    for prefix, shown in _PLAN.items():
        found = [case for case in cases if case.name.startswith(prefix)]
        yield from (f"| {_name(case)} | {shown} | {case.result} | {seconds(case.seconds)} |" for case in found)
        if not found:
            yield f"| {prefix} | {shown} | did not run | |"
    yield "\n## All modules\n"
    yield "| module | passed | failed | skipped | time |\n| --- | --- | --- | --- | --- |"
    for module in sorted({case.module for case in cases}):
        own = [case for case in cases if case.module == module]
        by = Counter(case.result for case in own)
        spent = seconds(sum(case.seconds for case in own))
        yield f"| `{module}` | {by['passed']} | {by['failed']} | {by['skipped']} | {spent} |"
    for result in ("failed", "skipped"):
        yield f"\n## What {'failed' if result == 'failed' else 'was skipped, and why'}\n"
        listed = [f"- {_name(case)}: {case.reason}" for case in cases if case.result == result]
        yield from listed or ["Nothing."]
    yield "\n## Versions\n"
    yield "| what | version |\n| --- | --- |"
    for what, told in _versions():
        yield f"| {what} | {told} |"


def _name(case: Case) -> str:
    return f"`{case.module}::{case.name}`"


def _versions() -> Iterator[tuple[str, str]]:
    yield "system", f"{_system()}, {platform.machine()}"
    yield "Python", sys.version.split()[0]
    for package in _PACKAGES:
        yield package, version(package)
    for what, command in _PROGRAMS.items():
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            told = (done.stdout or done.stderr).strip().partition("\n")[0]
            yield what, told if done.returncode == 0 else "does not answer"
        else:
            yield what, "not installed"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
