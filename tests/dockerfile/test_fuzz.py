"""No text makes the reader of Dockerfiles fail, and twice the text is twice the work."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.dockerfile.reading import Reading, external_images, read
from build_lib.reference import Reference

BOM = "\ufeff"

FRAGMENTS = [
    "FROM alpine:3",
    "FROM alpine AS base",
    "FROM base AS Other",
    "FROM $A",
    "FROM --platform=$BUILDPLATFORM ${A:-a}/${B%%-*}:${C//./_}",
    "FROM {{IMAGE}}",
    "FROM scratch AS scratch",
    "ARG A",
    "ARG A=a B='b c' C=\"$A\"",
    "ARG A=$A$A$A$A",
    "ARG A=${A:-${A:-${A:-",
    "COPY --from=base /x /y",
    "COPY --from=0 --chown=1 x y",
    "COPY --from=$A x y",
    "COPY --from=image:1 <<E /f",
    'COPY ["a", "b"]',
    "RUN --mount=from=image,target=/x --mount=type=cache,target=/c true",
    'RUN --mount="\\"from=a\\"",b',
    "RUN <<EOF",
    "RUN <<-'EOF' <<\"X\" 3<<Y",
    "EOF",
    "\tEOF",
    "X",
    "ONBUILD COPY --from=image x y",
    "ONBUILD RUN <<EOF",
    "ONBUILD",
    "# syntax=docker/dockerfile:1",
    "# escape=`",
    "# a comment \\",
    "#!/bin/sh",
    '{"syntax": "x"}',
    "// syntax=x",
    BOM,
    "FROM \\",
    "RUN x \\",
    "RUN x `",
    "\\",
    "\\\\",
    "$",
    "${",
    "}",
    "${A:-",
    "${A//",
    "${A/**/",
    "${A##***?*",
    "'",
    '"',
    "<<",
    "--",
    "--from=",
    "--mount=",
    "=",
    ",",
    "[",
    "\0",
    "\ud800",
    "\x85",
    "\u2028",
    " ",
    "\t",
    "\r",
]
SEPARATORS = ["\n", "\n", "\n", "\r\n", "", " ", "\\\n"]
ARGUMENTS = st.dictionaries(st.sampled_from(["A", "B", "C", "BUILDKIT_SYNTAX", "TARGETARCH"]), st.text(max_size=8))
TARGETS = st.none() | st.sampled_from(["base", "OTHER", "scratch", "0", ""])


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """Fragments in any order, some of them many times over, with a few characters gone or put in."""
    pieces = st.tuples(
        st.sampled_from(FRAGMENTS) | st.text(max_size=6),
        st.sampled_from([1, 1, 1, 1, 2, 50]),
        st.sampled_from(SEPARATORS),
    )
    text = "".join((piece + after) * times for piece, times, after in draw(st.lists(pieces, max_size=14)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        gone = draw(st.integers(0, 2))
        text = (
            text[:at] + draw(st.sampled_from(["", "\n", "\\", "'", '"', "$", "{", "}", "<<", "#"])) + text[at + gone :]
        )
    return text


def lines_of(text: str) -> int:
    return text.count("\n") + 1


def hold_invariants(found: Reading, lines: int) -> None:
    places = [image.line for image in found.images]
    assert places == sorted(places)
    assert all(1 <= place <= lines for place in places)
    assert all(0 <= problem.line <= lines and problem.reason for problem in found.problems)
    assert [problem.line for problem in found.problems] == sorted(problem.line for problem in found.problems)
    assert all(1 <= feature.line <= lines for feature in found.buildkit)
    known = {name or str(index) for index, name in enumerate(found.stages)}
    for image in found.images:
        assert Reference.parse(image.name)
        assert image.stage in known or image.kind == "syntax"


@settings(deadline=None, max_examples=300)
@given(dockerfiles(), ARGUMENTS, TARGETS)
def test_no_dockerfile_makes_it_fail(text: str, build_args: dict[str, str], target: str | None) -> None:
    found = read(text, build_args, target)
    hold_invariants(found, lines_of(text))
    names = external_images(text, build_args, target)
    assert names == sorted(set(names))
    assert set(names) <= {image.name for image in found.images}


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    hold_invariants(read(content), content.count(b"\n") + 1)


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=200), st.text(max_size=20), st.text(max_size=20))
def test_no_text_makes_it_fail(text: str, target: str, platform: str) -> None:
    hold_invariants(read(text, target=target, platform=platform), lines_of(text))


@settings(deadline=None)
@given(st.text("${}:-+?#%/*\\'\"`Aa1 ", max_size=40))
def test_no_word_makes_it_fail(word: str) -> None:
    hold_invariants(read(f"ARG A=a.b*c\nARG B={word}\nFROM {word}\nFROM x:$B\nRUN <<{word}\nA"), 6)


@settings(deadline=None)
@given(dockerfiles())
def test_what_it_says_does_not_hang_on_line_ends_or_a_byte_order_mark(text: str) -> None:
    """parser.go: trimNewline, discardBOM."""
    plain = text.replace("\r", "").lstrip(BOM)
    found = read(plain)
    assert read(plain.replace("\n", "\r\n")) == found
    assert read(BOM + plain) == found


SPELLINGS: list[Callable[[str], str]] = [
    "FROM {}".format,
    "from\t{}".format,
    "  From   {}  ".format,
    "FROM '{}'".format,
    'FROM "{}"'.format,
    "FROM \\\n  {}".format,
    "FROM \\ \n# FROM comment\n\n\t{}".format,
    "FROM --platform=linux/amd64 {} AS stage".format,
    "FROM ${{NONE:-{}}}".format,
    "ARG IN_A_STAGE=x\nFROM {}".format,
    "FROM scratch\nCOPY --from={} / /".format,
    "FROM scratch\nRUN --mount=type=cache,target=/c --mount=from={},target=/x true".format,
    "FROM scratch\ncopy --link \\\n # c \\\n --from='{}' a b".format,
    "FROM scratch AS trigger\nONBUILD COPY --from={} / /\nFROM trigger".format,
]
NOISE = [
    "",
    "# FROM noise",
    "RUN echo \\\nFROM noise",
    "RUN echo \\\\",
    "RUN <<EOF\nFROM noise\nCOPY --from=noise / /\nEOF",
    "COPY <<-'A' <<\"B\" /\nFROM noise\n\tA\n\nFROM noise\nB",
    "ENV FROM=noise",
    "CMD [\"FROM\", 'noise']",
    "RUN x # FROM noise",
    "ONBUILD COPY --from=noise / /",
]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(SPELLINGS), st.sampled_from(NOISE))))
def test_how_an_image_is_written_and_what_stands_between_changes_nothing(
    uses: list[tuple[str, Callable[[str], str], str]],
) -> None:
    text = "".join(f"{spell(f'r.example:5000/{name}:1')}\n{noise}\n" for name, spell, noise in uses)
    assert external_images(text) == sorted({f"r.example:5000/{name}:1" for name, _, _ in uses})
    assert read(text).problems == () or not uses


FAMILIES: dict[str, Callable[[int], str]] = {
    "braces without end": lambda n: "FROM " + "${A:-" * n,
    "braces in braces": lambda n: "FROM " + "${A:-" * n + "x" + "}" * n,
    "braces side by side": lambda n: "FROM " + "${A:-x}" * n,
    "braces and quotes": lambda n: "FROM " + '"${A:-' * n + '}"' * n,
    "patterns in patterns": lambda n: "FROM " + "${A#" * n + "}" * n,
    "replacements in replacements": lambda n: "FROM " + "${A/x/" * n + "}" * n,
    "unset arguments": lambda n: "FROM " + "".join(f"${{A{number}}}" for number in range(n)),
    "dollars": lambda n: "FROM " + "$" * n,
    "single quotes": lambda n: "FROM " + "'" * (2 * n + 1),
    "double quotes": lambda n: "FROM " + '"' * (2 * n + 1),
    "escapes": lambda n: "FROM x" + "\\x" * n,
    "stars": lambda n: f"ARG A={'a' * n}\nFROM ${{A/{'*a' * n}*b/x}}:${{A##{'*' * n}b}}${{A%%b{'*?' * n}}}",
    "every match": lambda n: f"ARG A={'ab' * n}\nFROM ${{A//a/c}}:${{A//*b/c}}",
    "arguments that double": lambda n: "\n".join(f"ARG A{i + 1}=$A{i}$A{i}x" for i in range(n)) + f"\nFROM $A{n}",
    "arguments in one line": lambda n: "ARG " + "A=a " * n + "\nFROM $A",
    "stages in a row": lambda n: "FROM a AS s0\n" + "\n".join(f"FROM s{i} AS s{i + 1}" for i in range(n)),
    "stages side by side": lambda n: "FROM a AS x\n" + "FROM x\n" * n,
    "stages of one name": lambda n: "FROM a AS x\n" + "FROM x AS x\n" * n,
    "triggers": lambda n: "FROM a AS x\n" + "ONBUILD COPY --from=b x y\n" * n + "FROM x\n" * n,
    "copies": lambda n: "FROM a AS x\nFROM b\n" + "COPY --from=x a b\n" * n,
    "copies from below": lambda n: "\n".join(f"FROM a AS s{i}\nCOPY --from=s{i + 1} a b" for i in range(n)),
    "copies in a circle": lambda n: "\n".join(f"FROM a AS s{i}\nCOPY --from=s{(i + 1) % n} a b" for i in range(n)),
    "flags": lambda n: "FROM a\nCOPY " + "--exclude=x " * n + "a b",
    "mounts": lambda n: "FROM a\nRUN " + "--mount=from=b,target=/x " * n + "x",
    "fields of a mount": lambda n: "FROM a\nRUN --mount=" + "from=b," * n + "target=/x x",
    "brackets": lambda n: "FROM a\nCOPY --from=b " + "[" * n,
    "quotes in a flag": lambda n: "FROM a\nCOPY --from=" + "\"'" * n + " x y",
    "here-documents": lambda n: "FROM a\n" + "RUN <<E\nFROM x\nE\n" * n,
    "here-documents without end": lambda n: "FROM a\n" + "".join(f"RUN <<E{i}\n" for i in range(n)),
    "here-documents in one line": lambda n: "FROM a\nRUN " + "<<E " * n + "\n" + "E\n" * n,
    "here-documents in one line, without end": lambda n: "FROM a\nRUN " + "<<E " * n,
    "names of here-documents": lambda n: "FROM a\nRUN <<" + "${E:-" * n + "\n",
    "angles": lambda n: "FROM a\nRUN " + "<" * n,
    "lines that go on": lambda n: "FROM a\nRUN x " + "\\\nx " * n,
    "blank lines that go on": lambda n: "FROM a\nRUN x \\" + "\n# c\n\n" * n,
    "directives": lambda n: "# syntax=x\n" * n + "FROM a",
    "comments": lambda n: "# x\n" * n + "FROM a",
    "no instructions": lambda n: "FROM a\n" + "WHAT is this\n" * n,
    "wrong images": lambda n: "FROM {{IMAGE}}\n" * n,
    "sources": lambda n: "FROM a\nARG A=b\n" + "COPY $A c* /x/\n" * n,
    "arguments of sources": lambda n: (
        "FROM a\nARG A0=b\n" + "".join(f"ARG A{i + 1}=$A{i}\nENV B{i}=1\nCOPY $A{i} /x/\n" for i in range(n))
    ),
    "variables in an ENV": lambda n: "FROM a\nARG A=b\nENV C=1 " + "$" * 10 * n + "\nCOPY $A /x/",
    "one long word": lambda n: "x" * 10 * n,
}


def work(text: str) -> int:
    """How many Python lines and calls it takes to read a text: that is the same on every machine."""
    count = 0

    def counted(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return counted

    before = sys.gettrace()
    sys.settrace(counted)
    try:
        read(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("family", FAMILIES)
def test_four_times_the_text_is_four_times_the_work(family: str) -> None:
    small, large = FAMILIES[family](50), FAMILIES[family](200)
    read(large)  # regular expressions are compiled once
    assert work(large) <= 5 * work(small)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_that_is_made_to_be_hard_is_read(family: str) -> None:
    text = FAMILIES[family](3_000)
    hold_invariants(read(text), lines_of(text))
