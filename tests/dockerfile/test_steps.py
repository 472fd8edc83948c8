"""The line of a Dockerfile that a builder's step comes from."""

import pytest

from build_lib.dockerfile import line_of_step

TWO_STAGES = """\
# syntax=docker/dockerfile:1
ARG BASE=debian

FROM ${BASE} AS Build
ENV A=1
WORKDIR /src
COPY . .
# a comment
RUN make \\
    # within it
    all

RUN <<EOF
COPY this is no instruction
EOF
ONBUILD RUN echo later
RUN --mount=type=cache,target=/c make install

FROM scratch
COPY --from=build /src/out /
add x /y
"""
ONE_STAGE = "FROM debian\nRUN one\nENV A=1\nRUN two\n"
ON_A_STAGE = "FROM debian AS a\nRUN one\nFROM a\nRUN two\nRUN three\n"
ADDS = (
    "FROM debian\nADD http://a.example/x /\nARG MIRROR\nADD http://a.example/y /\nADD ${MIRROR}https://github.com/z /\n"
)


@pytest.mark.parametrize(
    ("text", "step", "line"),
    [
        (TWO_STAGES, "[build 1/6] FROM docker.io/library/debian:latest", 4),
        (TWO_STAGES, "[build 2/6] WORKDIR /src", 6),
        (TWO_STAGES, "[build 3/6] COPY . .", 7),
        (TWO_STAGES, "[build 4/6] RUN make     all", 9),
        (TWO_STAGES, "[build 5/6] RUN <<EOF (COPY this is no instruction)", 13),
        (TWO_STAGES, "[build 6/6] RUN --mount=type=cache,target=/c make install", 17),
        (TWO_STAGES, "[linux/arm64 build 4/6] RUN make     all", 9),
        (TWO_STAGES, "[linux/arm64->amd64 build 4/6] RUN make     all", 9),
        (TWO_STAGES, "[stage-1 1/2] COPY --from=build /src/out /", 20),
        (TWO_STAGES, "[stage-1 2/2] ADD x /y", 21),
        ("\ufeff" + ONE_STAGE, "[1/3] FROM docker.io/library/debian", 1),
        (ONE_STAGE, "[2/3] RUN one", 2),
        (ONE_STAGE, "[3/3] RUN two", 4),
        ("FROM debian\n" + "RUN true\n" * 11, "[ 9/12] RUN true", 9),
        # the base image has a trigger of its own, which is counted between FROM and the first step
        (ONE_STAGE, "[2/4] ONBUILD RUN trigger", 0),
        (ONE_STAGE, "[3/4] RUN one", 2),
        (ON_A_STAGE, "[a 2/2] RUN one", 2),
        (ON_A_STAGE, "[stage-1 1/2] RUN two", 4),
        # a named context in place of FROM's image is counted, but the instructions' numbers begin with 1
        (ONE_STAGE, "[1/3] RUN one", 2),
        (ONE_STAGE, "[2/3] RUN two", 4),
        (ADDS, "[1/4] ADD http://10.0.0.1:5000/***/add/http://a.example/x /", 2),
        (ADDS, "[2/4] ADD http://10.0.0.1:5000/***/add/http://a.example/y /", 4),
        (ADDS, "[3/4] ADD http://10.0.0.1:5000/***/https://github.com/z /", 5),
        (ADDS, "[4/4] ADD http://10.0.0.1:5000/***/https://github.com/z /", 5),
        # the classic builder
        (ON_A_STAGE, "Step 4/5 : RUN two", 4),
        (ONE_STAGE, "Step 4/4 : RUN two", 4),
        (TWO_STAGES, "Step 1/12 : ARG BASE=debian", 2),
        # what is not known
        (ONE_STAGE, "[2/3] COPY one", 0),
        (ONE_STAGE, "[9/9] RUN two", 4),
        (ONE_STAGE, "[1/9] RUN two", 0),
        (ONE_STAGE, "[other 2/3] RUN one", 0),
        (ONE_STAGE, "[stage-7 2/3] RUN one", 0),
        (ONE_STAGE, "[internal] load build context", 0),
        (ONE_STAGE, "Step 9/9 : RUN two", 0),
        (ONE_STAGE, "exporting to image", 0),
        (ONE_STAGE, "", 0),
        ("", "[2/3] RUN one", 0),
        ("RUN one\n", "[1/1] RUN one", 0),
    ],
)
def test_a_step_has_its_line(text: str, step: str, line: int) -> None:
    assert line_of_step(text, step) == line
