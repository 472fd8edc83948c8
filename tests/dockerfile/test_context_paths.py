"""What a Dockerfile takes from its context (BuildKit's `dockerfile2llb/convert.go`, ctxPaths), and what is unsure."""

from collections.abc import Mapping

import pytest

from build_lib.dockerfile.reading import read

UNTOLD = None


def taken(text: str, build_args: Mapping[str, str] | None = None, target: str | None = None) -> list[str | None]:
    return [path.path for path in read(f"FROM a AS one\n{text}", build_args or {}, target).context]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("COPY a b /x/", ["a", "b"]),
        ("COPY a b\t/x", ["a", "b"]),
        ("COPY ./a/ ../b c/../d /x", ["a", "b", "d"]),
        ("COPY . /x", [""]),
        ("COPY a", []),  # BuildKit refuses it
        ('COPY ["a b", "c", "/x"]', ["a b", "c"]),
        ("COPY \"a\" 'b' \\c /x", ["a", "b", "c"]),
        ('COPY "a b" /x', [UNTOLD, UNTOLD]),
        ("FROM b\nCOPY --from=one a /x", []),
        ("COPY --from=elsewhere a /x", []),
        ("COPY --chmod=644 --exclude=b a /x", ["a"]),
        ("COPY --parents a/*/b c /x", ["a", "c"]),
        ("COPY --parents * /x", [""]),
        ("ADD http://a/b https://a/b git@a:b /x/", ["git@a:b"]),  # harmless: there is no such file
        ("ADD ftp://a/b /x/", ["ftp:/a/b"]),
        ("COPY http://a/b /x/", ["http:/a/b"]),
        ("COPY <<x a 3<<y /x/\n1\nx\n2\ny", ["a"]),
        ("RUN --mount=target=/m true", [""]),
        ("RUN --mount=target=/m,source=a/ --mount=src=/b,dst=/m true", ["a", "b"]),
        ("RUN --mount=type=BIND,source=a,source=b,target=/m true", ["b"]),
        ("FROM b\nRUN --mount=type=bind,from=one,source=a,target=/m true", []),
        ("RUN --mount=type=bind,from=,source=a,target=/m true", ["a"]),
        ("RUN --mount=type=cache,source=a,target=/m true", []),
        ("RUN --mount=source=a*,target=/m true", [UNTOLD]),  # a path is no pattern there
        ("RUN --mount=source=$a,target=/m true", [""]),
        ("RUN --mount=type=$a,source=b,target=/m true", [""]),
        ("ONBUILD COPY a /x", []),
        ("ONBUILD COPY a /x\nFROM one", ["a"]),
        ("COPY a /x\nFROM b\nCOPY c /x", ["c"]),
        ("COPY a /x\nFROM one\nCOPY c /x", ["a", "c"]),
        ("COPY a /x\nFROM b\nRUN --mount=from=one,target=/m true", ["a"]),
        ("COPY a\0b /x", [UNTOLD]),
        ("COPY --nothing=1 a /x", [UNTOLD]),
        ("NOTHING\nCOPY a /x", [UNTOLD, "a"]),
    ],
)
def test_what_is_taken(text: str, paths: list[str | None]) -> None:
    assert taken(text) == paths


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("ARG A=a\nCOPY $A ${A}/b ${A%a}c /x", ["a", "a/b", "c"]),
        ("ARG A=a\nARG B=$A/b\nCOPY $B /x", ["a/b"]),
        ("ARG A=\nCOPY ${A:-b} $A /x", ["b", ""]),
        ("ARG GIVEN=a\nCOPY $GIVEN /x", ["given"]),
        ("ARG GIVEN\nCOPY $GIVEN /x", ["given"]),
        ("COPY $GIVEN /x", [UNTOLD]),
        ("ARG A\nCOPY $A /x", [UNTOLD]),
        ("COPY $A /x\nARG A=a", [UNTOLD]),
        ("ARG A=a\nARG A\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nARG A=$B\nCOPY $A /x", [UNTOLD]),
        ("ARG A=${B:-b}\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nCOPY $A$ $$A \\$A /x", [UNTOLD, UNTOLD, "$A"]),
        ("ARG A=a\nFROM one\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nENV A=b\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nENV B=1 C=$A\nCOPY $A /x", [UNTOLD]),  # more than is needed, and simple
        ("ARG A=a\nENV B=1\nCOPY $A /x", ["a"]),
        ("ARG A=a\nENV B=\"1 $C\" D='$E'\nCOPY $A /x", ["a"]),
        ("ARG A=a\nENV $B=c\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nENV $B c\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nENV C=1 x$B=c\nCOPY $A /x", [UNTOLD]),
        ("ARG A=a\nONBUILD ENV A=b\nCOPY $A /x", [UNTOLD]),
        ("ONBUILD ARG A=a\nONBUILD COPY $A /x\nFROM one", ["a"]),
        ("ARG TARGETOS=a\nCOPY $TARGETOS /x", [UNTOLD]),
        ("ARG BUILDARCH\nARG A=$BUILDARCH\nCOPY $A /x", [UNTOLD]),
        ("ARG A=${\nCOPY $A /x", [UNTOLD]),
        (f"ARG A={'a' * 5000}\nCOPY $A /x", [UNTOLD]),
    ],
)
def test_a_variable_is_expanded_where_every_builder_has_the_same_value(text: str, paths: list[str | None]) -> None:
    assert taken(text, {"GIVEN": "given"}) == paths


def test_arguments_above_the_first_from_are_known_where_they_are_declared_again() -> None:
    text = "ARG A=a\nARG B=$A/b\nARG C=$TARGETARCH\nFROM x\nCOPY $A /x\nARG A\nARG B\nARG C\nCOPY $A $B $C /x"
    assert [path.path for path in read(text).context] == [UNTOLD, "a", "a/b", UNTOLD]


def test_the_arguments_in_a_path_are_named_also_those_it_has_them_from() -> None:
    [path] = read("FROM a\nARG A=a\nARG B=$A\nCOPY $B /x").context
    assert (path.line, path.path, sorted(path.variables)) == (4, "a", ["A", "B"])


def test_a_target_that_is_not_there_may_take_anything() -> None:
    assert taken("COPY a /x", target="two") == [UNTOLD]
    assert taken("COPY a /x\nFROM b AS two\nCOPY c /x", target="one") == ["a"]


@pytest.mark.parametrize(
    ("image", "own"),
    [
        ("docker/dockerfile:1", True),
        ("docker.io/docker/dockerfile-upstream:master-labs", True),
        ("harbor.example/docker/dockerfile:1", False),
        ("@", False),
    ],
)
def test_another_front_end_may_take_anything(image: str, own: bool) -> None:
    context = read(f"# syntax={image}\nFROM a\nCOPY b /x").context
    assert [path.path for path in context] == (["b"] if own else [UNTOLD, "b"])
