"""What makes a difference to a build, and what does not; on real files."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from build_lib.repository import fingerprint
from build_lib.repository.build_context import read
from build_lib.repository.service import Service
from build_lib.repository.services import discover
from build_lib.settings import Settings


@pytest.fixture
def context(project: Path) -> Path:
    directory = project / "src/one"
    (directory / "sub").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nARG IMAGE_TAG\nCOPY . /\n")
    (directory / "sub/file").write_text("text")
    return directory


def service(context: Path, **environment: str) -> Service:
    return discover(Settings.load(context.parents[1], environ=environment)).services["one"]


def parts(context: Path, **environment: str) -> fingerprint.Parts:
    found = service(context, **environment)
    files = read(found, context.parents[1] / "stamps.json").files
    return fingerprint.parts(found, files=files, platform="linux/amd64", bases={}, siblings={})


def changed(context: Path, before: fingerprint.Parts) -> list[str]:
    return fingerprint.changes(before, parts(context))


def test_nothing_changed_is_nothing_to_do(context: Path) -> None:
    assert changed(context, parts(context)) == []


@pytest.mark.parametrize("name", ["sub/new", "sub/ü ñ", "sub/with\nline", os.fsdecode(b"sub/\xff\xfe")])
def test_a_new_file_of_any_name_counts(context: Path, name: str) -> None:
    before = parts(context)
    (context / name).write_text("")
    assert changed(context, before) == ["context"]


def test_content_counts_and_time_does_not(context: Path) -> None:
    before = parts(context)
    os.utime(context / "sub/file", (1, 1))
    assert changed(context, before) == []
    (context / "sub/file").write_text("tex2")
    assert changed(context, before) == ["context"]


def test_the_executable_bit_counts(context: Path) -> None:
    before = parts(context)
    (context / "sub/file").chmod(0o755)
    assert changed(context, before) == ["context"]


def test_an_empty_directory_counts(context: Path) -> None:
    before = parts(context)
    (context / "empty").mkdir()
    assert changed(context, before) == ["context"]


def test_a_link_counts_by_its_target_and_is_not_followed(context: Path) -> None:
    (context / "link").symlink_to("nowhere")
    before = parts(context)
    assert changed(context, before) == []
    (context / "link").unlink()
    (context / "link").symlink_to("/dev/zero")
    assert changed(context, before) == ["context"]


def test_what_is_ignored_does_not_count(context: Path) -> None:
    (context / ".dockerignore").write_text("sub/*\n!sub/kept\n")
    before = parts(context)
    (context / "sub/file").write_text("other")
    assert changed(context, before) == []
    (context / "sub/kept").write_text("")
    assert changed(context, before) == ["context"]


def test_pipes_and_sockets_do_not_hang_it(context: Path) -> None:
    os.mkfifo(context / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(context)  # a socket's path must be short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
    assert changed(context, parts(context)) == []


def test_the_dockerfile_and_each_argument_are_parts_of_their_own(context: Path) -> None:
    before = parts(context)
    assert fingerprint.changes(before, parts(context, IMAGE_TAG="other")) == ["argument IMAGE_TAG"]
    (context / "Dockerfile").write_text("FROM scratch\nARG IMAGE_TAG\nCOPY sub /\n")
    assert changed(context, before) == ["Dockerfile"]


def test_the_compose_file_around_an_inline_dockerfile_is_a_file_of_the_context(project: Path) -> None:
    def look() -> Mapping[str, str]:
        found = discover(Settings.load(project, environ={})).services["one"]
        return read(found, project / ".build/stamps.json", own=project / ".build").files

    text = "services: {one: {build: {context: ., dockerfile_inline: 'FROM scratch'}}}"
    (project / "compose.yaml").write_text(text)
    before = look()
    (project / "compose.yaml").write_text(f"{text} # changed")
    assert fingerprint.changes(before, look()) == ["compose.yaml"]


def test_base_images_and_siblings_are_parts_of_their_own(context: Path) -> None:
    def look(base: str, sibling: str) -> fingerprint.Parts:
        bases, siblings = {"debian:12": base}, {"lib": sibling}
        return fingerprint.parts(service(context), files={}, platform="linux/amd64", bases=bases, siblings=siblings)

    assert fingerprint.changes(look("a", "a"), look("b", "a")) == ["base image debian:12"]
    assert fingerprint.changes(look("a", "a"), look("a", "b")) == ["service lib"]


def test_the_place_of_the_repository_does_not_count(context: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = parts(context)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    context.parents[1].rename(elsewhere)
    assert fingerprint.changes(before, parts(elsewhere / "src/one")) == []


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3"])
def test_a_label_that_is_not_ours_is_none(text: str | None) -> None:
    assert fingerprint.from_label(text) is None


def test_no_value_stands_in_the_label(context: Path) -> None:
    assert "geheim" not in fingerprint.as_label(parts(context, IMAGE_TAG="geheim"))


def test_a_label_tells_what_it_was_made_of(context: Path) -> None:
    assert fingerprint.from_label(fingerprint.as_label(parts(context))) == parts(context)


def test_what_changed_is_said_in_words() -> None:
    before, now = {"a": "1", "b": "1", "gone": "1"}, {"a": "2", "b": "1", "new": "1"}
    context = {"context": "1"}, {"context": "2"}
    assert fingerprint.words(*context, before, now) == "context changed: a, gone, 1 more"
    assert fingerprint.words(*context, None, now) == "context changed"
    old = {"Dockerfile": "1", "argument A": "1", "base image x:1": "1", "base image y:1": "1"}
    new = {"Dockerfile": "2", "argument A": "1", "base image x:1": "2", "base image z:1": "1"}
    copied = {"Dockerfile": "1", "copied files": "1"}, {"Dockerfile": "2", "context": "2"}
    assert fingerprint.words(*copied, before, now) == "Dockerfile changed; it copies other files"
    assert fingerprint.words(old, new, None, {}) == (
        "Dockerfile changed; base image x:1 changed; base image y:1 is no longer used; base image z:1 is new"
    )
