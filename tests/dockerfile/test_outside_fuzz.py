"""No text makes the reader of commands fail, and twice the text is twice the work."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.dockerfile.outside import Reach, reaches
from build_lib.dockerfile.reading import read

FRAGMENTS = [
    "FROM debian",
    "FROM debian AS a",
    "FROM a",
    "ARG A",
    "ARG A=$A$A",
    "ARG U=https://a.example",
    "ENV B $A",
    "ENV A=b C",
    "ADD https://a.example/$A /",
    "ADD",
    "ADD git@a.example:b",
    "ADD [",
    "RUN ",
    "RUN [",
    "RUN <<E",
    "RUN --network=none x",
    "RUN <<-'E' cat",
    "E",
    "# escape=`",
    "ONBUILD RUN curl",
    "curl ",
    "curl https://a.example",
    "curl $U",
    "wget -i",
    "git ",
    "git clone",
    "git config url.",
    ".insteadOf",
    "apt-get install x",
    "pip install",
    "npm config set registry",
    "go build",
    "dnf module",
    "yarn",
    "sed -i s/a/$A/ /etc/apt/sources.list",
    "> /etc/apt/sources.list",
    "tee -a ",
    "GOPROXY=direct ",
    "sh -c ",
    "bash -c '",
    "eval ",
    "sudo ",
    "env ",
    "xargs ",
    "timeout ",
    "find -exec ",
    "export ",
    "unset ",
    "read ",
    "for x in ",
    "if ",
    "then ",
    "fi ",
    "do ",
    "done ",
    "case x in ",
    "esac ",
    ";;",
    "function f ",
    "{ ",
    "} ",
    "( ",
    ") ",
    "[[ ",
    "]] ",
    "a=(",
    "$(",
    "`",
    "${",
    "${A:-",
    "${A%",
    "${A//",
    "$((",
    "}",
    "'",
    '"',
    "\\",
    "\\\n",
    "<<X",
    "<<-X",
    "X",
    "<<<",
    ">>",
    "2>&1",
    "&&",
    "||",
    "|",
    ";",
    "&",
    "#",
    "!",
    "=",
    "A=",
    "$A",
    "-",
    "--",
    "-x",
    "://",
    "@",
    "\x00",
    "\ud800",
    "\x85",
    "\u2028",
    "\r",
    "\t",
    " ",
    "1",
    "²",
]
SEPARATORS = ["\n", "\nRUN ", "", " ", " ", "\\\n", ";", "&&"]


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """Fragments in any order, some of them many times over."""
    pieces = st.tuples(
        st.sampled_from(FRAGMENTS) | st.text(max_size=6),
        st.sampled_from([1, 1, 1, 1, 2, 50]),
        st.sampled_from(SEPARATORS),
    )
    text = "".join((piece + after) * times for piece, times, after in draw(st.lists(pieces, max_size=20)))
    return draw(st.sampled_from(["", "FROM debian\nRUN ", "FROM a AS b\nRUN <<E\n"])) + text


def found(text: str) -> tuple[Reach, ...]:
    return reaches(text, read(text))


@settings(max_examples=400, deadline=None)
@given(dockerfiles())
def test_no_text_fails(text: str) -> None:
    lines = [item.line for item in found(text)]
    assert lines == sorted(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)


def calls(work: Callable[[], Any]) -> int:
    """How many calls of Python functions the work takes."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "piece",
    [
        "curl https://a.example;",
        "$(",
        "`",
        "${",
        "${A:-",
        "'",
        '"',
        '"$(',
        "\\",
        "( ",
        ")",
        "{ ",
        "} ",
        "case x in ",
        "a) b;; ",
        "sh -c '",
        'sh -c "',
        "eval ",
        "sudo ",
        "<<X ",
        "<<X\n",
        "a=(",
        "[[ ",
        "if ",
        "A=$A$A ",
        "A=x$A;",
        "for x in $x;do ",
        "#",
        "$A",
        "curl $A ",
        "-x ",
        "export https_proxy=$A;curl a.example;",
        "echo deb http://$A/ >/etc/apt/sources.list;apt update;",
        "sha256sum -c;curl a.example;",
        "pip install x;",
        "git config url.$A.insteadOf b;git clone b;",
        "x > y;",
        "{ x; } > y;",
    ],
)
def test_twice_the_text_is_twice_the_work(piece: str) -> None:
    def text(times: int) -> str:
        return "FROM debian\nRUN <<E\n" + piece * times + "\nE\n"

    found(text(1))
    once, twice = calls(lambda: found(text(300))), calls(lambda: found(text(600)))
    assert twice < 3 * once + 2000
