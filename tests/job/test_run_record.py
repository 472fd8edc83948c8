"""The record of a run and its page, as real builds leave them: the commit, and the line of a real log that decided."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.commands import run_inv, said
from tests.support.html import Element, read
from tests.support.projects import needs

_WHO = ("-c", "user.name=a", "-c", "user.email=a@y.example")


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *_WHO, *arguments], cwd=project, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _built(project: Path, environment: dict[str, str], code: int) -> tuple[dict[str, Any], Element]:
    """The record and the page of a run that ended with this exit code."""
    done = run_inv(project, ("build-all",), environment)
    assert done.returncode == code, said(done)
    record: dict[str, Any] = json.loads((project / ".build/last-run.json").read_text())
    return record, read((project / ".build/report.html").read_text())


def test_the_commit_is_in_the_record_and_the_heading(project: Path, tiny: str, prefix: str) -> None:
    environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1", "GIT_CEILING_DIRECTORIES": str(project.parent)}
    needs(project, "one", tiny)
    record, page = _built(project, environment, 0)
    assert (record["commit"], record["uncommitted"]) == (None, None)
    assert page.one("hgroup").one("p").text.startswith("Release v1 · build-all · ")
    _git(project, "init", "--quiet")
    _git(project, "add", "src")
    _git(project, "commit", "--quiet", "--message=one")
    head = _git(project, "rev-parse", "HEAD")
    record, page = _built(project, environment, 0)
    assert (record["commit"], record["uncommitted"]) == (head, False)
    assert page.one("hgroup").one("p").text.startswith(f"Release v1, commit {head[:12]} · build-all · ")
    needs(project, "one", tiny, "RUN true")
    record, page = _built(project, environment, 0)
    assert (record["commit"], record["uncommitted"]) == (head, True)
    assert f", commit {head[:12]} with uncommitted changes · " in page.one("hgroup").text


def test_without_packages_the_page_has_none(project: Path, tiny: str, prefix: str) -> None:
    needs(project, "one", tiny)
    record, page = _built(project, {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}, 0)
    assert record["packages"] is None
    assert "Packages" not in [name.text for name in page.all("dt")]


def test_of_a_real_log_the_line_that_says_why_is_marked(
    project: Path, tiny: str, prefix: str, backend: dict[str, str]
) -> None:
    command = "echo looking for munge.h; echo 'main.c:3: error: munge.h is missing'; echo going on; exit 3"
    needs(project, "one", tiny, f"RUN {command}")
    needs(project, "two", f"{prefix}one:v1")
    _, page = _built(project, {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1", **backend}, 1)
    [failure] = page.one("section", id="failures").all("article")
    assert failure.one("h3").text == f"one cannot be built: src/one/Dockerfile:2: RUN {command}: exit code 3"
    assert failure.one("mark").text.endswith("main.c:3: error: munge.h is missing")
    assert "echo" not in failure.one("mark").text
    assert "Not built because of it: two" in failure.text
