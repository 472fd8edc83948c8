"""Go's filepath.Match: rows of its own test (`match_test.go`), and any pattern beside a second way to match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.repository.path_match import compiled

REFUSED = ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a["]
NOT_TOLD = ["[^a]", "a[^b-d]", "[+-9]", "[\\/]"]  # these may match a slash


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*b*c*d*e*", "axbxcxdxexxx", True),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "β", True),
        ("*[a-ζ]", "A", False),
        ("[\\]a]", "]", True),
        ("[\\-x]", "-", True),
        ("[x\\-]", "z", False),
        ("[z-a]", "m", False),
        ("a.c", "abc", False),
        ("*x", "xxx", True),
        ("**", "a", True),
        ("[!a]", "!", True),
    ],
)
def test_go_s_rows(pattern: str, name: str, matches: bool) -> None:
    found = compiled(pattern)
    assert found is not None
    assert (found.fullmatch(name) is not None) is matches


@pytest.mark.parametrize("pattern", [*REFUSED, *NOT_TOLD])
def test_what_is_malformed_or_may_match_a_slash_is_none(pattern: str) -> None:
    assert compiled(pattern) is None


def escaped(pattern: str) -> tuple[str, str]:
    """The first character of a class's range, and the rest: getEsc."""
    if pattern[:1] in ("", "-", "]"):
        raise ValueError(pattern)
    pattern = pattern.removeprefix("\\")
    if len(pattern) < 2:
        raise ValueError(pattern)
    return pattern[0], pattern[1:]


def in_class(pattern: str, character: str) -> tuple[bool, str]:
    """Whether a class that begins here has the character, and the rest: matchChunk."""
    negated = pattern.startswith("^")
    pattern, hit, count = pattern[negated:], False, 0
    while not (pattern.startswith("]") and count):
        low, pattern = escaped(pattern)
        high = low
        if pattern.startswith("-"):
            high, pattern = escaped(pattern[1:])
        hit, count = hit or low <= character <= high, count + 1
    return hit != negated, pattern[1:]


def go_match(pattern: str, name: str) -> bool:
    """One character after the other, with all ways for a star."""
    if not pattern:
        return not name
    first, rest = pattern[0], pattern[1:]
    if first == "*":
        return any(go_match(rest, name[end:]) for end in range(len(name) + 1) if "/" not in name[:end])
    if first == "[":
        hit, rest = in_class(rest, name[:1] or "\0")
        return bool(name) and hit and go_match(rest, name[1:])
    if first == "\\":
        if not rest:
            raise ValueError(pattern)
        first, rest = rest[0], rest[1:]
        return name[:1] == first and go_match(rest, name[1:])
    return bool(name) and (name[0] == first or (first == "?" and name[0] != "/")) and go_match(rest, name[1:])


@given(st.text("ab-*?[]^\\", min_size=1, max_size=8), st.text("ab-*?[]^\\", max_size=5))
def test_any_pattern_matches_what_go_s_does(pattern: str, name: str) -> None:
    found = compiled(pattern)
    if found is None:
        return  # the whole context counts then
    assert (found.fullmatch(name) is not None) is go_match(pattern, name)


@given(st.text("ab*?[-]\\/", min_size=1, max_size=8), st.text("ab/", max_size=5))
def test_no_component_matches_more_than_a_component(pattern: str, name: str) -> None:
    found = [compiled(part) for part in pattern.split("/")]
    if None in found:
        return
    parts = name.split("/")
    ours = len(parts) == len(found) and all(one and one.fullmatch(part) for one, part in zip(found, parts, strict=True))
    assert ours is go_match(pattern, name)
