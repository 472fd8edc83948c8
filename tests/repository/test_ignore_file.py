"""The rules of moby/patternmatcher, on real directories."""

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from build_lib.errors import BuildError
from build_lib.repository.ignore_file import _pattern, rules


def ignored(directory: Path, text: str, *paths: str) -> list[str]:
    (directory / ".dockerignore").write_text(text)
    found = rules(directory, directory / "Dockerfile")
    return [path for path in paths if found.ignores(path)]


@pytest.mark.parametrize(
    ("text", "out", "kept"),
    [
        ("*.log", ["a.log"], ["d/a.log", "a.log.txt"]),
        ("**/*.log", ["a.log", "d/a.log", "d/e/a.log"], ["a.txt"]),
        ("d", ["d", "d/a", "d/e/f"], ["de", "e/d"]),
        ("d/", ["d", "d/a"], ["de"]),
        ("/d", ["d/a"], ["e/d"]),
        ("d/*", ["d/a", "d/a/b"], ["d"]),
        ("d/**", ["d/a", "d/a/b"], []),
        ("**/node_modules", ["node_modules/x", "a/node_modules/x"], ["a/node_modules2"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[a-c]x", ["bx"], ["dx"]),
        ("[^a]x", ["bx"], ["ax"]),
        ("*\n!keep", ["a", "d/keep"], ["keep", "keep/x"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README.md"]),
        ("# a\n\n  b  ", ["b"], ["# a", "a"]),
        ("./a/../b", ["b"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        (r"\*", ["*"], ["a"]),
        ("*\n!d/keep", ["d", "d/a"], ["d/keep"]),
        ("a(b|c)+", ["a(b|c)+"], ["ab"]),
    ],
)
def test_rules(tmp_path: Path, text: str, out: list[str], kept: list[str]) -> None:
    assert ignored(tmp_path, text, *out, *kept) == out


def test_a_dockerfile_s_own_ignore_file_wins(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("a")
    (tmp_path / "Dockerfile.dockerignore").write_text("b")
    found = rules(tmp_path, tmp_path / "Dockerfile")
    assert [found.ignores("a"), found.ignores("b")] == [False, True]


def test_without_an_ignore_file_nothing_is_ignored(tmp_path: Path) -> None:
    assert not rules(tmp_path, tmp_path / "Dockerfile").ignores("a")


def test_an_ignore_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").symlink_to("/proc/self/mem")
    with pytest.raises(BuildError, match=r"/\.dockerignore is in /proc: only regular files are read"):
        rules(tmp_path, tmp_path / "Dockerfile")


PIECES = st.sampled_from(["**/", "**", "*", "?", "a", "b", "/"])
_PLAIN = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@given(pieces=st.lists(PIECES, max_size=9), path=st.text("ab/", max_size=12))
def test_any_pattern_matches_what_the_plain_expression_does(pieces: list[str], path: str) -> None:
    """As moby/patternmatcher makes one: it is right, and takes for ever for some patterns."""
    pattern = "".join(pieces)
    assume(not re.search(r"[^/]\*\*/", pattern))  # such a pattern is read so only if it has few wildcards
    elements = re.findall(r"\*\*/|\*\*|.", pattern)
    plain = "".join(_PLAIN.get(element, element) for element in elements)
    found = _pattern(pattern).match(path)
    assert bool(found) == bool(re.fullmatch(f"(?:{plain})(?:/.*)?", path, re.DOTALL)), pattern
