"""Env files, by the compose specification's "Env_file format"; `test_docker_compose` compares more of them."""

from collections.abc import Mapping

from build_lib.compose.env_file import read_env_file

Problems = list[tuple[int, str]]


def values(
    text: str, variables: Mapping[str, str] | None = None, before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables of a text in which nothing is wrong."""
    found, problems = reading(text, variables, before)
    assert problems == []
    return found


def reading(
    text: str, variables: Mapping[str, str] | None = None, before: Mapping[str, str] | None = None
) -> tuple[dict[str, str], Problems]:
    problems: Problems = []
    found = read_env_file(text, variables or {}, before or {}, lambda line, reason: problems.append((line, reason)))
    return found, problems


def test_values_may_be_quoted_and_commented() -> None:
    text = "# c\n\nA=VAL\nB=\"VAL # in\" # c\nC='it\\'s'\nD=VAL # c\nE=VAL#in\nexport F=x\nG=\nH\n"
    assert values(text) == {"A": "VAL", "B": "VAL # in", "C": "it's", "D": "VAL", "E": "VAL#in", "F": "x", "G": ""}


def test_values_have_variables_unless_single_quoted() -> None:
    text = "A=one\nB=${A}/two\nC=\"$B/three\"\nD='$A'\nE=${X:-none}\n"
    assert values(text) == {"A": "one", "B": "one/two", "C": "one/two/three", "D": "$A", "E": "none"}


def test_values_may_extend_over_lines_and_have_escapes_in_double_quotes() -> None:
    text = "A='one\ntwo\\n'\nB=\"a\\tb\\0101\\$A \\\\\"\nC=a\\tb\n"
    assert values(text) == {"A": "one\ntwo\\n", "B": "a\tbA$A \\", "C": "a\\tb"}


def test_what_is_given_comes_before_what_a_file_sets_and_that_before_earlier_files() -> None:
    assert values("A=file\nB=$A$C\n", {"A": "given"}, {"A": "no", "C": "-before"})["B"] == "given-before"
    assert values("A=file\nB=$A\n", {}, {"A": "before"})["B"] == "file"


def test_a_broken_line_is_a_problem_with_its_line_and_the_rest_stays() -> None:
    found, problems = reading("\n\nA='open\nB=${A:?needed}\nD E=1\nF!=1\n\nC=1\n")
    assert found == {"C": "1"}
    assert problems == [
        (3, "A: the quotes of the value are not closed"),
        (4, "B: a ${…} is malformed, or requires a variable that is not set"),
        (5, "this is not of the form NAME=VALUE"),
        (6, "this is not of the form NAME=VALUE"),
    ]


def test_a_problem_shows_nothing_of_a_value() -> None:
    for written in ("${hunter2!}", "'hunter2", "hunter2${A:?hunter2}"):
        [(_, reason)] = reading(f"PASSWORD={written}\n")[1]
        assert "hunter2" not in reason


def test_values_that_double_on_each_line_are_bounded() -> None:
    found, problems = reading("A0=aa\n" + "".join(f"A{i}=$A{i - 1}$A{i - 1}\n" for i in range(1, 80)))
    assert problems
    assert sum(map(len, found.values())) < 1 << 23
