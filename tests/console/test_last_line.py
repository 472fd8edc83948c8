"""The last line of a run, which says why the exit code is what it is."""

from pathlib import Path

import pytest

from build_lib.build import Built
from build_lib.console import BuildReport, Console, PrefetchReport
from build_lib.errors import BuildError, BuildFailed, Incomplete, Unavailable
from build_lib.graph import Outcome
from build_lib.job import Result
from build_lib.repository import Repository, discover
from build_lib.settings import Settings
from build_lib.transfer import Fetched
from tests.support.commands import Inv
from tests.support.projects import needs


@pytest.fixture
def settings(project: Path) -> Settings:
    """Of a repository in which one of three services has a syntax error; another one is built on the third."""
    needs(project, "web", "debian:12")
    needs(project, "bad", "debian:12", "RUNN true")
    needs(project, "app", "ai-infra-bad:v1")
    return Settings.load(project, {"tag": "v1"}, environ={})


@pytest.fixture
def repository(settings: Settings) -> Repository:
    return discover(settings)


def test_it_counts_everything_that_failed_is_not_built_or_could_not_be_understood(
    settings: Settings, repository: Repository
) -> None:
    broke = BuildFailed("bad cannot be built")
    outcomes: tuple[Outcome[Built], ...] = (
        Outcome(name="app", blocked_by=("bad",)),
        Outcome(name="bad", error=broke),
        Outcome(name="web", skipped=True),
    )
    result = Result(outcomes=outcomes, failures=(broke, BuildError("the packages are damaged")))
    with pytest.raises(Incomplete) as caught:
        BuildReport(Console(settings)).end(result, repository)
    assert caught.value.message == (
        "1 service failed: bad; 2 services not built: app, web; 1 failure after the builds, see above; "
        "1 error in the repository's files, see above"
    )


def test_a_build_of_some_services_is_judged_by_these(
    settings: Settings, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    BuildReport(Console(settings)).end(Result(outcomes=(), failures=()), repository, ["web"])
    assert capsys.readouterr().err == "warning: src/bad/Dockerfile:2: unknown instruction 'RUNN'\n"


@pytest.mark.parametrize("name", ["bad", "app"])
def test_and_by_what_they_need(
    name: str, settings: Settings, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Incomplete, match=r"^1 error in the repository's files, see above$"):
        BuildReport(Console(settings)).end(Result(outcomes=(), failures=()), repository, [name])
    assert capsys.readouterr().err == "problem: src/bad/Dockerfile:2: unknown instruction 'RUNN'\n"


@pytest.mark.parametrize("arguments", [("deps", "web"), ("graph", "-s", "web"), ("--dry", "deps", "-s", "web")])
def test_so_is_every_other_task(arguments: tuple[str, ...], settings: Settings, inv: Inv) -> None:
    done = inv(*arguments, IMAGE_TAG="v1")
    assert (done.returncode, done.stderr) == (0, "warning: src/bad/Dockerfile:2: unknown instruction 'RUNN'\n")
    assert inv(*arguments, "-s", "bad", IMAGE_TAG="v1").returncode == 1


def test_a_problem_that_may_concern_every_service_is_one_for_the_chosen_too(
    project: Path, settings: Settings, inv: Inv
) -> None:
    (project / "compose.yaml").write_text("services: [\n")
    done = inv("deps", "-s", "web", IMAGE_TAG="v1")
    assert done.returncode == 1
    assert "problem: compose.yaml:2: this is not valid YAML" in done.stderr


def test_a_service_that_is_no_service_because_of_a_problem_is_refused_with_that(project: Path, inv: Inv) -> None:
    (project / "compose.yaml").write_text("services:\n  db:\n    build: nowhere\n")
    done = inv("deps", "-s", "db")
    where = f"{project}/compose.yaml:2: service db: the context {project}/nowhere is not a local directory"
    assert done.stderr.splitlines()[0] == f"error: service db cannot be used: {where}"


def test_a_prefetch_by_itself_reports_files_and_one_before_a_build_leaves_them_to_the_build(
    settings: Settings, repository: Repository
) -> None:
    missing: Outcome[Fetched] = Outcome(name="redis:7", error=Unavailable("redis:7", []))
    report = PrefetchReport(Console(settings))
    for caller, told in (("", "; 1 error in the repository's files, see above"), ("build", "")):
        report.begin([], repository, caller=caller)
        with pytest.raises(Incomplete) as caught:
            report.end([missing], repository)
        assert caught.value.message == f"1 of 1 image could not be pulled: redis:7{told}"
