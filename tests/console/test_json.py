"""What `--json` prints: one document on stdout, as docs/schemas says, also if the task fails."""

import inspect
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

import build_lib.tasks
from build_lib.executor import Task
from tests.support import run_records
from tests.support.commands import Inv, start_inv, until
from tests.support.projects import needs
from tests.support.schemas import SCHEMAS, check

ERROR = {"message": "it failed", "hint": "", "file": None, "line": None}


@pytest.fixture
def web(project: Path) -> Path:
    """A repository with a service, on a machine without an engine."""
    needs(project, "web", "debian:12")
    return project


def error_of(inv: Inv, *arguments: str, **environment: str) -> dict[str, Any]:
    """The error of a command that fails before it has a result, with its message on stderr too."""
    done = inv(*arguments, DOCKER_HOST="unix:///nowhere.sock", **environment)
    assert done.returncode == 1
    [(key, error)] = json.loads(done.stdout).items()
    assert key == "error"
    assert f"error: {error['message']}\n" in done.stderr
    return dict(error)


def test_each_task_with_json_has_a_schema() -> None:
    tasks = [item for item in vars(build_lib.tasks).values() if isinstance(item, Task)]
    names = {task.name.replace("_", "-") for task in tasks if "json" in inspect.signature(task.body).parameters}
    assert names - {"build-all"} == SCHEMAS.keys() - {"error", "last-run"}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_one_of_its_draft(name: str) -> None:
    schema = json.loads(SCHEMAS[name].read_text())
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - {"last-run"}))
def test_an_error_alone_is_what_each_task_may_print(name: str) -> None:
    check(name, {"error": ERROR})
    for wrong in (
        {},
        {"error": ERROR, "more": 1},
        {"error": {**ERROR, "more": 1}},
        {"error": {"message": "it failed"}},
    ):
        with pytest.raises(ValidationError):
            check(name, wrong)


def test_a_record_is_what_its_schema_says_with_every_field() -> None:
    record = run_records.realistic()
    check("last-run", record)
    check("build", {**record, "error": ERROR})
    with pytest.raises(ValidationError):
        check("last-run", {**record, "error": ERROR})
    for field in record:
        with pytest.raises(ValidationError):
            check("last-run", {name: value for name, value in record.items() if name != field})


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "--json"),
        ("build-all", "--json"),
        ("copy-slurm", "--json"),
        ("push", "--json", "-r", "127.0.0.1:1/x"),
        ("prefetch", "--json"),
        ("status", "--json"),
        ("--dry", "build-all", "--json"),
        ("deps-inventory", "--json"),
    ],
)
def test_without_an_engine_the_document_says_so(arguments: tuple[str, ...], web: Path, inv: Inv) -> None:
    error = error_of(inv, *arguments)
    assert error["message"].startswith("no Docker Engine answers at unix:///nowhere.sock")
    assert "engine-up" in error["hint"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("build", "--json", "wbe"), "there is no service 'wbe'", "did you mean web?"),
        (("deps", "--json", "--kind", "bild"), "--kind is 'bild'", "did you mean build?"),
        (("build", "--json", "-t", "a b"), "--tag is 'a b'", ""),
        (("build", "--json", "-t"), "-t has no value", ""),
        (("build", "--jsno", "--json"), "build has no flag --jsno", "did you mean --json"),
        (("biuld", "--json"), "there is no task 'biuld'", "did you mean build"),
        (("deps-verify", "--json", "-f", "no.tar"), "there is no no.tar", ""),
    ],
)
def test_so_are_mistakes(arguments: tuple[str, ...], message: str, hint: str, web: Path, inv: Inv) -> None:
    error = error_of(inv, *arguments)
    assert error["message"].startswith(message)
    assert hint in error["hint"]


def test_a_mistake_in_a_setting_has_its_file_and_line(web: Path, inv: Inv) -> None:
    (web / ".env").write_text("A=1\n\nIMAGE_TAG: v1\n")
    error = error_of(inv, "services", "--json")
    assert (error["file"], error["line"]) == (str(web / ".env"), 3)


def test_so_has_one_in_a_compose_file(web: Path, inv: Inv) -> None:
    (web / "compose.yaml").write_text("services:\n  db:\n    build: nowhere\n")
    error = error_of(inv, "deps", "--json", "-s", "db")
    assert (error["file"], error["line"]) == ("compose.yaml", 2)


def test_a_list_that_lacks_something_is_the_result_beside_the_error(web: Path, inv: Inv) -> None:
    needs(web, "bad", "debian:12", "RUNN true")
    done = inv("services", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [item["name"] for item in document["result"]] == ["bad", "web"]
    assert document["error"]["message"] == "1 error in the repository's files, see above"
    assert done.stderr.startswith("problem: src/bad/Dockerfile:2: unknown instruction 'RUNN'\n")


def test_words_after_dashes_ask_for_nothing(inv: Inv) -> None:
    done = inv("deps", "--", "--json")
    assert (done.returncode, done.stdout) == (1, "")


def test_what_cannot_be_encoded_is_escaped(project: Path, inv: Inv) -> None:
    name = b"\xff.tar".decode(errors="surrogateescape")
    done = inv("deps-verify", "--json", "-f", name)
    assert done.returncode == 1
    assert "\\udcff.tar" in done.stdout


@pytest.mark.engine
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_has_its_record_and_the_error(
    end: signal.Signals, project: Path, tiny: str, prefix: str
) -> None:
    needs(project, "slow", tiny, "RUN sleep 60")
    running = start_inv(project, ("build", "--json"), {"IMAGE_PREFIX": prefix})
    until((project / ".build/logs/slow.log").exists, "the build did not begin")
    running.send_signal(end)
    out, _ = running.communicate(timeout=60)
    document = json.loads(out)
    check("build", document)
    assert running.returncode == 128 + end
    assert document["result"] == "interrupted"
    assert document["services"][0]["state"] == "interrupted"
    assert document["error"]["message"].endswith("while building slow")
