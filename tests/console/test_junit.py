"""The file of `--junit`, as the readers of Jenkins and GitLab take it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from build_lib.console.junit import document
from build_lib.errors import BuildError, Place
from tests.support import run_records
from tests.support.commands import Inv
from tests.support.projects import needs

_SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit-10.xsd")))  # of Jenkins' plugin xunit
_STATES = ("failure", "error", "skipped")


def read(text: str) -> ElementTree.Element:
    """The suite, once the file is valid for Jenkins."""
    _SCHEMA.validate(text.partition("\n")[2])
    [suite] = ElementTree.fromstring(text)
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases)
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    return suite


def states(suite: ElementTree.Element) -> Mapping[str, str]:
    """The state of each case: the first that its element has, as GitLab takes it (gitlab-org/gitlab, JunitParser)."""
    return {
        case.attrib["name"]: next((state for state in _STATES if case.find(state) is not None), "success")
        for case in suite.findall("testcase")
    }


def test_a_record_gives_a_case_for_each_service_and_each_other_failure() -> None:
    other = {"message": "the hub cannot be verified", "hint": "", "file": None, "line": None}
    record = run_records.realistic()
    record["failures"].append(other)
    suite = read(document("build-all", record, BuildError("2 services failed")))
    expected = {"built": "success", "up to date": "success", "failed": "failure"}
    services = {item["name"]: expected.get(item["state"], "skipped") for item in record["services"]}
    assert states(suite).items() >= services.items()
    assert [name for name in states(suite) if name not in services] == ["failure 1"]
    assert suite.findtext("system-err") == "2 services failed"
    [exporter] = suite.findall("testcase[@name='slurm-exporter']")
    assert float(exporter.attrib["time"]) > 0
    failure = exporter.find("failure")
    assert failure is not None
    [service] = [item for item in record["services"] if item["name"] == "slurm-exporter"]
    assert failure.text is not None
    assert failure.text.startswith("src/slurm-exporter/Dockerfile:12\n")
    assert all(line in failure.text for line in service["tail"])
    assert float(suite.attrib["time"]) == record["seconds"]


def test_without_a_record_the_task_is_the_case() -> None:
    error = BuildError("no engine", hint="./inv engine-up", place=Place(path=Path("/a/.env"), line=3))
    suite = read(document("build", None, error))
    assert states(suite) == {"build": "failure"}
    assert re.fullmatch(r"/a/\.env:3\nnext: \S*inv engine-up", suite.findtext("testcase/failure") or "")


def test_a_failure_that_is_no_services_is_the_tasks() -> None:
    suite = read(document("build", run_records.run([run_records.service("web")]), BuildError("1 image is missing")))
    assert states(suite) == {"web": "success", "build": "failure"}


@given(st.text(st.characters(codec=None)))
def test_any_text_is_valid_xml(text: str) -> None:
    failed = run_records.service("web", "failed", error=f"it failed {text}", hint=text, tail=[text])
    failures = [{"message": f"other {text}", "hint": text, "file": None, "line": None}]
    written = document("build", run_records.run([failed], failures=failures), BuildError(text))
    suite = read(written)
    assert list(states(suite).values()) == ["failure", "failure"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]", written)


def test_what_was_said_is_what_is_read() -> None:
    text = "a < b & c > d \"e\" 'f' ]]> 中"
    failed = run_records.service("web", "failed", error=text, hint="", tail=[text, "\x1b[31mred\x1b[0m"])
    [case] = read(document("build", run_records.run([failed]), None)).findall("testcase/failure")
    assert case.attrib["message"] == text
    assert case.text == f"{text}\nred"


def test_a_path_that_cannot_be_written_is_refused_before_the_work(project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12")
    (project / "file").write_text("")
    for path, reason in (("src", "src is a directory"), ("file/x.xml", "file cannot be created")):
        done = inv("build", "--junit", path, DOCKER_HOST="unix:///nowhere.sock")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {reason}")
        assert done.stderr.count("error: ") == 1


@pytest.mark.parametrize("arguments", [(), ("wbe",), ("-t", "a b")])
def test_a_run_that_fails_before_it_builds_has_a_file_too(arguments: tuple[str, ...], project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12")
    path = project / "reports/build.xml"
    done = inv("build", "--junit", str(path), *arguments, DOCKER_HOST="unix:///nowhere.sock")
    assert done.returncode == 1
    suite = read(path.read_text())
    assert states(suite) == {"build": "failure"}
    assert f"error: {suite.findtext('system-err')}\n" in done.stderr
    assert [each.name for each in path.parent.iterdir()] == ["build.xml"]


@pytest.mark.engine
def test_a_build_with_a_failure_is_the_same_in_both_documents_and_in_the_log(
    project: Path, inv: Inv, tiny: str, prefix: str
) -> None:
    needs(project, "good", tiny, "RUN true")
    needs(project, "bad", tiny, "RUN echo it-is-said; exit 3")
    needs(project, "above", f"{prefix}bad:v1")
    environment = {
        "IMAGE_PREFIX": prefix,
        "IMAGE_TAG": "v1",
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(project),
    }
    dry = inv("--dry", "build-all", "--json", "--junit", "dry.xml", **environment)
    assert (dry.returncode, json.loads(dry.stdout)["result"]) == (0, "planned")
    assert not (project / "dry.xml").exists()
    done = inv("build-all", "--json", "--junit", "build.xml", **environment)
    assert done.returncode == 1
    printed = json.loads(done.stdout)
    error = printed.pop("error")
    assert error["message"] == "1 service failed: bad; 1 service not built: above"
    assert printed == json.loads((project / ".build/last-run.json").read_text())
    suite = read((project / "build.xml").read_text())
    assert states(suite) == {"above": "skipped", "bad": "failure", "good": "success"}
    assert "it-is-said" in (suite.findtext("testcase/failure") or "")
    assert done.stderr.count("::error ") == 1
    headings = [line for line in done.stderr.splitlines() if line.startswith(("::group::", "::endgroup::"))]
    assert [line.partition(":: ")[0][:14] for line in headings] == ["::group::step ", "::endgroup::"] * 6
    mended = inv("build", "good", "--json", "--junit", "build.xml", **environment)
    assert mended.returncode == 0
    assert json.loads(mended.stdout)["result"] == "done"
    assert states(read((project / "build.xml").read_text())) == {"good": "success"}
