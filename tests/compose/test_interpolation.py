"""Variables in compose files, by the compose specification's "Interpolation"."""

import subprocess
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.compose.interpolation import InvalidInterpolation, expand

VARIABLES = {"SET": "value", "EMPTY": "", "Mixed_1": "m", "DOLLAR": "$SET", "_": "u"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$SET", "value"),
        ("${SET}", "value"),
        ("a$SET.b", "avalue.b"),
        ("$SETTER", ""),
        ("$Mixed_1-${Mixed_1}$_", "m-mu"),
        ("${UNSET:-d} ${EMPTY:-d} ${SET:-d}", "d d value"),
        ("${UNSET-d} ${EMPTY-d} ${SET-d}", "d  value"),
        ("${UNSET:+x} ${EMPTY:+x} ${SET:+x}", "  x"),
        ("${UNSET+x} ${EMPTY+x} ${SET+x}", " x x"),
        ("${SET:?m} ${SET?m} [${EMPTY?m}]", "value value []"),
        ("${UNSET:-}", ""),
        ("${UNSET:-${EMPTY:-${SET}}}", "value"),
        ("${UNSET:-a${SET}b$SET}c", "avaluebvaluec"),
        ("${SET:+${UNSET:-d}}", "d"),
        ("${UNSET:-a:-b?c+d}", "a:-b?c+d"),
        ("${UNSET:-/path/${SET}:1}", "/path/value:1"),
        ("$UNSET${UNSET}", ""),
        ("$DOLLAR ${UNSET:-$DOLLAR}", "$SET $SET"),
    ],
)
def test_values_are_those_that_a_posix_shell_gives(text: str, expected: str) -> None:
    shell = subprocess.run(["sh", "-c", f'printf %s "{text}"'], env=VARIABLES, capture_output=True, check=True)
    assert expand(text, VARIABLES) == expected == shell.stdout.decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$$SET", "$SET"),
        ("$${SET}", "${SET}"),
        ("$$$SET", "$value"),
        ("$$$$", "$$"),
        ("${UNSET:-$$SET}", "$SET"),
    ],
)
def test_two_dollars_are_one_and_begin_no_variable(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize("text", ["a $ b", "^x$", "$}", "$", "$1", "{SET}", "é"])
def test_a_dollar_that_begins_no_variable_stays(text: str) -> None:
    assert expand(text, VARIABLES) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('${UNSET:-{"a": {}}}', '{"a": {}}'),
        ("${UNSET:-{}", "{"),
        ("${UNSET:-two\nlines}", "two\nlines"),
        ("{ ${SET} }", "{ value }"),
    ],
)
def test_braces_in_a_default_are_balanced(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    "text",
    [
        "${",
        "${}",
        "${ }",
        "${ SET}",
        "${SET }",
        "${SET!}",
        "${SET/a/b}",
        "${SET",
        "${1}",
        "${SET:=d}",
        "${UNSET:-${SET}",
    ],
)
def test_other_shell_expansions_are_refused(text: str) -> None:
    with pytest.raises(InvalidInterpolation, match="is not a variable"):
        expand(text, VARIABLES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET:?say which}", "UNSET is required and not set: say which"),
        ("${EMPTY:?say which}", "EMPTY is required and not set: say which"),
        ("${UNSET?of $SET}", "UNSET is required and not set: of value"),
        ("${UNSET?}", "UNSET is required and not set$"),
        ("${UNSET:-${EMPTY:?inner}}", "EMPTY is required and not set: inner"),
    ],
)
def test_a_required_variable_that_is_missing_is_refused_with_its_message(text: str, message: str) -> None:
    with pytest.raises(InvalidInterpolation, match=message):
        expand(text, VARIABLES)


def test_a_default_that_is_not_taken_requires_nothing() -> None:
    assert expand("${SET:-${UNSET:?no}}", VARIABLES) == "value"


@pytest.mark.parametrize(
    "text", ["${a:-" * 100_000, "${a:-" * 100_000 + "}" * 100_000, "{" * 300_000 + "$a", "${a" * 100_000]
)
def test_nesting_is_bounded(text: str) -> None:
    with suppress(InvalidInterpolation):
        assert expand(text, {}) == text.removesuffix("$a")


def test_growth_is_bounded() -> None:
    with pytest.raises(InvalidInterpolation, match="make the text longer"):
        expand("$A" * 100, {"A": "a" * 1000})


@given(st.text())
def test_a_text_with_its_dollars_doubled_comes_back_as_it_was(text: str) -> None:
    assert expand(text.replace("$", "$$"), VARIABLES) == text


@given(st.lists(st.sampled_from(["$", "$$", "{", "}", "${", "SET", "UNSET", ":", "-", "+", "?", " ", "\n", "é", "1"])))
def test_any_text_is_expanded_or_refused(pieces: list[str]) -> None:
    with suppress(InvalidInterpolation):
        assert len(expand("".join(pieces), VARIABLES)) <= 5 * sum(map(len, pieces))


@dataclass(frozen=True)
class Sample:
    """A text, and what has to come of it."""

    text: str
    value: str


def _braced(operator: str, word: Sample, name: str) -> Sample:
    value = VARIABLES.get(name)
    given_ = value is not None and not (value == "" and operator.startswith(":"))
    taken = word.value if given_ == operator.endswith("+") else value or ""
    return Sample(f"${{{name}{operator}{word.text}}}", taken)


_plain = st.text(st.characters(exclude_characters="${}"), max_size=5).map(lambda text: Sample(text, text))
_simple = st.sampled_from([*VARIABLES, "UNSET"]).map(lambda name: Sample(f"${{{name}}}", VARIABLES.get(name, "")))
_samples = st.recursive(
    _plain | _simple | st.just(Sample("$$", "$")),
    lambda inner: (
        st.builds(_braced, st.sampled_from([":-", "-", ":+", "+"]), inner, st.sampled_from([*VARIABLES, "UNSET"]))
        | st.lists(inner, max_size=3).map(
            lambda parts: Sample("".join(p.text for p in parts), "".join(p.value for p in parts))
        )
    ),
    max_leaves=20,
)


@given(_samples)
def test_every_text_of_the_grammar_has_its_value(sample: Sample) -> None:
    assert expand(sample.text, VARIABLES) == sample.value
