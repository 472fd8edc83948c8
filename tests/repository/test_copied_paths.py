"""Which files of a context are a part of a fingerprint, on real files."""

import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.repository import build_context, copied_paths, path_match
from build_lib.repository.service import Service
from build_lib.repository.services import discover
from build_lib.settings import Settings
from tests.support.copied_files import ROWS, Row


@pytest.fixture
def context(project: Path) -> Path:
    directory = project / "src/one"
    directory.mkdir()
    return directory


def service(context: Path, **environment: str) -> Service:
    return discover(Settings.load(context.parents[1], environ=environment)).services["one"]


def files(context: Path) -> dict[str, str]:
    found = service(context)
    memory = context.parents[1] / "stamps.json"
    return dict(build_context.read(found, memory, patterns=copied_paths.patterns(found)).files)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_file_counts_if_the_dockerfile_copies_it(row: Row, context: Path) -> None:
    row.write(context)
    before = files(context)
    row.change(context)
    assert (files(context) != before) is row.rebuilt


def test_what_is_not_copied_is_not_even_looked_at(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Row("COPY src/a.txt link/deep top.??? /x/", "", False).write(context)
    seen: list[str] = []

    def content(place: str) -> str:
        seen.append(Path(place).relative_to(context).as_posix())
        return ""

    monkeypatch.setattr(build_context, "_content", content)
    files(context)
    assert sorted(seen) == ["src/a.txt", "src/deep/b.txt", "top.txt"]


def test_the_program_s_own_directory_is_left_out_also_where_it_is_copied(context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY own/file own x /\n")
    for name in ("own/file", "own/below/file", "x"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text("text")
    found = service(context)
    patterns = copied_paths.patterns(found)
    scan = build_context.read(found, context / "stamps", own=context / "own", patterns=patterns)
    assert list(scan.files) == ["x"]


@pytest.mark.parametrize(
    ("contexts", "whole"),
    [
        ("{a: ./src}", False),
        ("{a: 'docker-image://b:1'}", False),
        ("{a: 'service:one'}", False),
        ("{a: 'oci-layout://b'}", True),
    ],
)
def test_an_additional_context_may_be_an_image_with_triggers(contexts: str, whole: bool, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM a\nCOPY src /x\n")
    entry = f"two: {{build: {{context: src/one, additional_contexts: {contexts}}}}}"
    (context.parents[1] / "compose.yaml").write_text(f"services:\n  one: {{build: src/one}}\n  {entry}\n")
    found = discover(Settings.load(context.parents[1], environ={})).services["two"]
    assert (copied_paths.patterns(found) is None) is whole


def test_the_images_that_stages_are_based_on_are_those_with_triggers_that_run(context: Path) -> None:
    text = "FROM unused\nFROM a AS b\nCOPY --from=copied /x /x\nFROM b\nRUN --mount=from=mounted true\n"
    (context / "Dockerfile").write_text(f"# syntax=docker/dockerfile:1\n{text}")
    assert list(map(str, copied_paths.bases(service(context)))) == ["a:latest"]


def test_links_are_followed_as_far_as_builders_follow_them(tmp_path: Path) -> None:
    (tmp_path / "above/directory").mkdir(parents=True)
    (tmp_path / "above/file").write_text("")
    for name, target in {
        "loop": "loop/loop", "round": "about", "about": "round", "top": "/", "up": "above/directory/../../above",
    }.items():  # fmt: skip
        (tmp_path / name).symlink_to(target)
    wild = ["loop/a", "*/round/*", "up/file", "top/top/up/directory"]
    found = ["about", "above/directory", "above/file", "loop", "round", "top", "up"]
    assert copied_paths.roots(tmp_path, wild) == found
    assert copied_paths.roots(tmp_path, ["top"]) == [""]


NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip("."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.lists(st.text("ab.*?[]-", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join)


@given(st.sets(PATHS, max_size=6), st.lists(PATTERNS, max_size=3))
def test_roots_are_all_that_match_and_nothing_else(paths: set[str], patterns: list[str]) -> None:
    patterns = [pattern for pattern in patterns if _is_plain(pattern)]
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        for path in paths:
            (context / path).mkdir(parents=True, exist_ok=True)
        named = [PurePosixPath(path) for path in paths]
        entries = {entry for path in named for entry in (path, *path.parents)}
        matching = {entry for entry in entries for pattern in patterns if _matches(entry, pattern)}
        top = {str(entry) for entry in matching if not matching & set(entry.parents)}
        assert set(copied_paths.roots(context, patterns)) == top


def _is_plain(pattern: str) -> bool:
    """Whether it is clean and certain."""
    return path_match.components(pattern) is not None and not {".", ".."} & set(pattern.split("/"))


def _matches(entry: PurePosixPath, pattern: str) -> bool:
    parts, wanted = entry.parts, path_match.components(pattern) or ()
    return len(parts) == len(wanted) and all(
        part == one if isinstance(one, str) else one.fullmatch(part) for part, one in zip(parts, wanted, strict=True)
    )
