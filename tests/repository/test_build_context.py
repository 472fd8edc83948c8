"""When contents are read again: real files, real stat data."""

import json
import os
import time
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.repository import build_context
from build_lib.repository.service import Service
from build_lib.repository.services import discover
from build_lib.settings import Settings

_LATER = 10_000_000_000  # nanoseconds: more than any clock's tick


@pytest.fixture
def service(project: Path) -> Service:
    directory = project / "src/one"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (directory / "file").write_text("text")
    return discover(Settings.load(project, environ={})).services["one"]


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory/stamps.json"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files are old enough to be remembered."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + _LATER)


def test_what_is_remembered_is_not_read_again(service: Service, memory: Path, later: None) -> None:
    before = build_context.read(service, memory)
    known = json.loads(memory.read_text())
    known["file"] = f"remembered {known['file'].partition(' ')[2]}"
    memory.write_text(json.dumps(known))
    assert build_context.read(service, memory).files["file"] == "file remembered"
    (service.context / "file").write_text("text")  # the same again
    assert build_context.read(service, memory) != before
    assert build_context.read(service, memory).files == before.files


def test_no_change_is_missed_however_quickly_it_comes(service: Service, memory: Path) -> None:
    path, seen = service.context / "file", set()
    for number in range(500):
        path.write_text(f"{number:04}")
        seen.add(build_context.read(service, memory).files["file"])
    assert len(seen) == 500


def test_what_changed_just_now_is_not_remembered(service: Service, memory: Path, later: None) -> None:
    build_context.read(service, memory)
    assert "file" in json.loads(memory.read_text())
    ahead = time.time_ns() + 2 * _LATER
    os.utime(service.context / "file", ns=(ahead, ahead))
    build_context.read(service, memory)
    assert "file" not in json.loads(memory.read_text())


def test_a_time_that_was_put_back_hides_nothing(service: Service, memory: Path, later: None) -> None:
    path = service.context / "file"
    status = path.stat()
    before = build_context.read(service, memory)
    path.write_text("tex2")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert build_context.read(service, memory).files != before.files


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"file": 3}', '{"file": []}'])
def test_a_spoiled_memory_only_costs_time(content: str, service: Service, memory: Path) -> None:
    before = build_context.read(service, memory)
    memory.parent.mkdir(exist_ok=True)
    memory.write_text(content)
    assert build_context.read(service, memory) == before


def test_changes_are_seen_also_where_the_content_is_the_same_again(service: Service, memory: Path) -> None:
    before = build_context.read(service, memory)
    assert before.changes(build_context.read(service, memory)) == []
    (service.context / "file").write_text("text")
    (service.context / "new").mkdir()
    assert before.changes(build_context.read(service, memory)) == ["file", "new"]


@pytest.mark.parametrize("name", ["\udcff\udcfe", "line\nline", "ü"])
def test_names_of_any_bytes_are_remembered(name: str, service: Service, memory: Path, later: None) -> None:
    (service.context / name).write_text("text")
    before = build_context.read(service, memory)
    assert name in json.loads(memory.read_text())
    assert build_context.read(service, memory) == before


def test_what_cannot_be_read_is_named(service: Service, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read all: so the file goes away between the look at its directory and its own."""
    found = list(build_context._entries(service))
    (service.context / "file").unlink()
    monkeypatch.setattr(build_context, "_entries", lambda _service, _skipped, _patterns: found)
    with pytest.raises(BuildError, match=r"service one: .*/file cannot be read: No such file") as caught:
        build_context.read(service, memory)
    assert "run again" in caught.value.hint


def test_additional_contexts_that_are_directories_count_without_what_their_ignore_files_exclude(
    project: Path, memory: Path
) -> None:
    for path, text in {
        "src/one/Dockerfile": "FROM scratch\nCOPY own /\nCOPY --from=shared a /\n",
        "src/one/own": "own\n",
        "shared/a": "a\n",
        "shared/left-out": "-\n",
        "shared/.dockerignore": "left-out\n",
        "compose.yaml": "services:\n  one:\n    build:\n      context: src/one\n"
        "      additional_contexts: {shared: shared, none: not-there, image: 'docker-image://debian:12'}\n",
    }.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    service = discover(Settings.load(project, environ={})).services["one"]
    before = build_context.read(service, memory, patterns=["own"])
    assert sorted(before.files) == ["own", "shared//.dockerignore", "shared//a"]
    (project / "shared/left-out").write_text("changed\n")
    assert build_context.read(service, memory, patterns=["own"]) == before
    (project / "shared/a").write_text("changed\n")
    assert before.changes(build_context.read(service, memory, patterns=["own"])) == ["shared//a"]
