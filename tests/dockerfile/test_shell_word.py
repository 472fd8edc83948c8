"""Words as `frontend/dockerfile/shell/lex.go` of BuildKit reads them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.dockerfile.shell_pattern import LIMIT, Refused
from build_lib.dockerfile.shell_word import Expansion, Variable, expand, split

VARIABLES = {
    "SET": Variable(text="value"),
    "EMPTY": Variable(text=""),
    "DOTS": Variable(text="a.b.c"),
    "MADE": Variable(text="x-", missing="LOST"),
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$SET'$SET'\"$SET\"", "value$SETvalue"),
        (r"\$SET\\\x", r"$SET\x"),
        (r'"\$SET \" \\ \x"', r'$SET " \ \x'),
        ("a\\", "a"),
        ('"a b"  c', "a b  c"),
        ("''\"\"", ""),
        ('"it\'s"', "it's"),
        ("$", "$"),
        ("$.", "$."),
        ("${SET}}", "value}"),
        ("${EMPTY:-a:-b}", "a:-b"),
        ("${EMPTY:-'}'}", "}"),
        ("${EMPTY:-\\}}", "}"),
        ('${EMPTY:-"a b"}', "a b"),
        ('"${EMPTY:-a b}"', "a b"),
        ("${DOTS//./${SET}}", "avaluebvaluec"),
        ("${DOTS/*/x}", "x"),
        ("${DOTS//?/x}", "xxxxx"),
        ("${DOTS//*/x}", "x"),
        ("${DOTS#'a.'}", "b.c"),
        ("${DOTS///-}", "-a-.-b-.-c-"),
        ("${DOTS%%}", "a.b.c"),
    ],
)
def test_words_are_expanded(word: str, expected: str) -> None:
    assert expand(word, VARIABLES, "\\").text == expected


@pytest.mark.parametrize(
    ("word", "expected"), [("`$SET", "$SET"), (r"a\b", r"a\b"), ('"`""', '"'), ("``", "`"), (r"\$SET", r"\value")]
)
def test_the_escape_character_may_be_another(word: str, expected: str) -> None:
    assert expand(word, VARIABLES, "`").text == expected


@pytest.mark.parametrize(
    "word",
    ["'", '"', "${", "${SET", "${}", "${:-a}", "${{a}}", "${SET:", "${SET!}", "${SET:#a}", "${SET/a}", r"${SET#\a}"],
)
def test_what_buildkit_cannot_read_is_refused(word: str) -> None:
    with pytest.raises(Refused) as refused:
        expand(word, VARIABLES, "\\")
    assert refused.value.argument is None


def test_what_an_argument_lacks_is_told_through_the_one_that_has_it() -> None:
    assert expand("$MADE$NONE$EMPTY$NONE", VARIABLES, "\\") == Expansion(
        text="x-", missing=("LOST", "NONE"), blank=("EMPTY",)
    )


def test_what_a_word_in_braces_lacks_counts_only_if_it_is_taken() -> None:
    assert expand("${SET:-$NONE}", VARIABLES, "\\").missing == ()
    assert expand("${EMPTY:-$NONE}", VARIABLES, "\\").missing == ("NONE",)


@pytest.mark.parametrize(
    ("text", "words", "bare"),
    [
        ("a  'b c' d", ["a", "'b c'", "d"], ["a", "b c", "d"]),
        ("cat <<EOF >x", ["cat", "<<EOF", ">x"], ["cat", "<<EOF", ">x"]),
        ("<<'E F'", ["<<'E F'"], ["<<E F"]),
        ("$A ${B} ${C:-d}", ["$A", "${B}", "${C:-d}"], ["$A", "${B}", "${C:-d}"]),
        (r"a\ b", [r"a\ b"], ["a b"]),
    ],
)
def test_words_are_split_with_variables_as_written(text: str, words: list[str], bare: list[str]) -> None:
    assert split(text, keep_quotes=True) == words
    assert split(text, keep_quotes=False) == bare


def test_nothing_grows_without_bound() -> None:
    huge = {"HUGE": Variable(text="x" * 10 * LIMIT)}
    assert len(expand("$HUGE" * 100, huge, "\\").text) == LIMIT
    assert expand("${NONE:-" * 20_000 + "x" + "}" * 20_000, {}, "\\").text == "x"


@settings(deadline=None)
@given(st.text("ab", max_size=10), st.lists(st.sampled_from(["a", "b", "*", "?", "ab"]), min_size=1, max_size=6))
def test_patterns_match_as_regular_expressions_that_try_everything(value: str, pattern: list[str]) -> None:
    """lex.go: trimPrefix, trimSuffix and the first match of `/`."""
    variables = {"V": Variable(text=value)}
    shortest, longest = ("".join({"*": star, "?": "."}.get(part, part) for part in pattern) for star in (".*?", ".*"))
    backwards = "".join({"*": ".*?", "?": "."}.get(part, part[::-1]) for part in reversed(pattern))
    glob = "".join(pattern)
    for form, expected in [
        (f"${{V#{glob}}}", re.sub(f"^{shortest}", "", value, count=1)),
        (f"${{V##{glob}}}", re.sub(f"^{longest}", "", value, count=1)),
        (f"${{V%{glob}}}", re.sub(f"^{backwards}", "", value[::-1], count=1)[::-1]),
        (f"${{V%%{glob}}}", re.sub(f"{longest}$", "", value, count=1)),
        (f"${{V/{glob}/-}}", re.sub(longest, "-", value, count=1)),
    ]:
        assert expand(form, variables, "\\").text == expected
