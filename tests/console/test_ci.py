"""What services for CI read in the log: annotations with file and line, and sections."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from build_lib.console import BuildReport, Console, failure
from build_lib.errors import BuildError, Incomplete, Place
from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.projects import needs

_COMMAND = re.compile(r"::(?P<kind>error|warning) (?P<properties>[^:]*)::(?P<data>.*)")
_GITLAB = re.compile(r"\x1b\[0Ksection_(start|end):(\d+):([\w.-]+)\r\x1b\[0K(.*)")


def annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As GitHub's runner reads them (ActionCommand.TryParseV2): each line that begins so, split at commas."""
    found = []
    for line in text.splitlines():
        if line.startswith(("::error", "::warning")):
            match = _COMMAND.fullmatch(line)
            assert match, line
            given = (each.partition("=") for each in match["properties"].split(","))
            found.append((match["kind"], {name: unquote(value) for name, _, value in given}, unquote(match["data"])))
    return found


@pytest.fixture
def github(project: Path) -> dict[str, str]:
    return {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(project)}


def test_each_problem_and_remark_is_annotated_once(project: Path, inv: Inv, github: dict[str, str]) -> None:
    needs(project, "web", "debian:12", "RUNN true")
    needs(project, "api", "${BASE}debian:12")
    done = inv("graph", "deps", **github)
    assert done.stderr.count("problem: src/web/Dockerfile:2: unknown instruction 'RUNN'\n") == 1
    done = inv("services", **github)
    told = annotations(done.stderr)
    assert told[1][:2] == ("error", {"file": "src/web/Dockerfile", "line": "2", "title": "build-lib problem"})
    assert told[1][2] == "unknown instruction 'RUNN'"
    assert told[0][:2] == ("warning", {"file": "src/api/Dockerfile", "line": "1", "title": "build-lib remark"})
    assert len(told) == 2, "the last line is a sum of these"
    assert annotations(done.stdout) == []


def test_a_failure_that_is_no_sum_is_annotated(project: Path, inv: Inv, github: dict[str, str]) -> None:
    needs(project, "web", "debian:12")
    done = inv("build", "wbe", DOCKER_HOST="unix:///nowhere.sock", **github)
    [(kind, properties, data)] = annotations(done.stderr)
    assert (kind, properties) == ("error", {"title": "build-lib error"})
    assert data == "there is no service 'wbe'\nnext: did you mean web?"


def test_a_file_is_named_from_the_top_of_the_checkout(project: Path, inv: Inv) -> None:
    (project / ".env").write_text("IMAGE_TAG: v1\n")
    done = inv("services", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(project.parent))
    [(_, properties, _)] = annotations(done.stderr)
    assert (properties["file"], properties["line"]) == (f"{project.name}/.env", "1")


@pytest.mark.parametrize("value", ["", "false", None])
def test_elsewhere_nothing_is_annotated(value: str | None, inv: Inv) -> None:
    done = inv("services", **({} if value is None else {"GITHUB_ACTIONS": value}))
    assert "::" not in done.stderr


@pytest.mark.parametrize("text", ["a%b,c:d", "100%", "%0A", "one\ntwo\r\nthree", "x::error::y"])
def test_what_is_written_is_what_is_read(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    where = Place(path=Path("/a", text.replace("\n", " ").replace("\r", " ")), line=7)
    failure(BuildError(text, hint="this", place=where))
    [line] = [line for line in capsys.readouterr().err.split("\n") if line.startswith("::error file")]
    assert annotations(line) == [
        ("error", {"file": str(where.path), "line": "7", "title": "build-lib error"}, f"{text}\nnext: this")
    ]


def test_a_sum_alone_is_annotated(inv: Inv, github: dict[str, str], project: Path) -> None:
    needs(project, "web", "127.0.0.1:1/a:1")
    done = inv("deps-push", "-r", "127.0.0.1:1/x", TRIES="1", DOCKER_HOST="unix:///nowhere.sock", **github)
    assert [kind for kind, _, _ in annotations(done.stderr)] == ["error"], done.stderr


def report_on(project: Path) -> BuildReport:
    return BuildReport(Console(Settings.load(project, environ={})))


def test_github_groups_the_steps(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITLAB_CI", raising=False)
    report = report_on(project)
    report.step(1, "check")
    report.line("one")
    report.step(2, "build")
    report.line("two")
    failure(Incomplete("it failed"))
    report.line("after")
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "::group::step 1/5: check",
        "one",
        "::endgroup::",
        "::group::step 2/5: build",
        "two",
        "::endgroup::",
        "after",
    ]


def test_gitlab_has_sections_that_end(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    report = report_on(project)
    for number in (1, 2):
        report.step(number, "check")
    failure(Incomplete("it failed"))
    found = [match.groups() for match in _GITLAB.finditer(capsys.readouterr().out)]
    assert [(what, name, heading) for what, _, name, heading in found] == [
        ("start", "step_1", "step 1/5: check"),
        ("end", "step_1", ""),
        ("start", "step_2", "step 2/5: check"),
        ("end", "step_2", ""),
    ]
    times = [int(time) for _, time, _, _ in found]
    assert times == sorted(times)


@pytest.mark.engine
def test_a_missing_image_is_annotated_where_it_is_named(
    project: Path, inv: Inv, github: dict[str, str], tiny: str, prefix: str
) -> None:
    needs(project, "web", tiny, "COPY --from=127.0.0.1:1/none:1 /a /a")
    done = inv("build-all", "--json", TRIES="1", IMAGE_PREFIX=prefix, **github)
    assert done.returncode == 1
    [failure] = json.loads(done.stdout)["failures"]
    assert (failure["file"], failure["line"]) == ("src/web/Dockerfile", 2)
    step, service = annotations(done.stderr)
    assert step[2].startswith("1 of 2 images could not be pulled: 127.0.0.1:1/none:1")
    assert service[1] == {"file": "src/web/Dockerfile", "line": "2", "title": "build-lib error"}
    assert service[2].startswith("web is not built: it needs 127.0.0.1:1/none:1 (127.0.0.1:1: ")
