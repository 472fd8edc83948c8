"""Dockerfiles are read as BuildKit reads them: each row names the rule and the file of `frontend/dockerfile` with it.

`convert.go` is `dockerfile2llb/convert.go`, `parse.go` is `instructions/parse.go`, `lex.go` is `shell/lex.go`.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from build_lib.dockerfile.reading import BuildKitFeature, Reading, external_images, read
from build_lib.reference import Reference

BOM = "\ufeff"
LATEST_DIGEST = "sha256:" + "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True)
class Case:
    """A Dockerfile, the images that `external_images` names, and the problems as (line, missing argument)."""

    rule: str
    text: str
    images: list[str]
    problems: list[tuple[int, str | None]] = field(default_factory=list)
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None

    def read(self) -> Reading:
        return read(self.text, self.build_args, self.target)

    def check(self) -> None:
        found = self.read()
        assert external_images(self.text, self.build_args, self.target) == self.images
        assert [(problem.line, problem.argument) for problem in found.problems] == self.problems
        assert all(problem.reason for problem in found.problems)


def rule(case: Case) -> str:
    return case.rule


ARGUMENTS = [
    Case("convert.go, buildMetaArgs: an ARG above the first FROM counts", "ARG V=3\nFROM alpine:$V", ["alpine:3"]),
    Case(
        "convert.go, buildMetaArgs: it counts in every FROM",
        "ARG V=3\nFROM alpine:$V\nFROM debian:$V",
        ["alpine:3", "debian:3"],
    ),
    Case(
        "parse.go: an ARG in a stage belongs to the stage and reaches no later FROM",
        "FROM alpine:3\nARG V=12\nFROM debian:$V",
        ["alpine:3"],
        [(3, "V")],
    ),
    Case(
        "parse.go: an ARG in a stage does not change the one above either",
        "ARG V=3\nFROM alpine:$V\nARG V=4\nFROM debian:$V",
        ["alpine:3", "debian:3"],
    ),
    Case(
        "convert.go, buildMetaArgs: a value from outside wins over the default",
        "ARG V=3\nFROM alpine:$V",
        ["alpine:4"],
        build_args={"V": "4"},
    ),
    Case(
        "convert.go, buildMetaArgs: also an empty one",
        "ARG P=r.example/\nFROM ${P}alpine:3",
        ["alpine:3"],
        build_args={"P": ""},
    ),
    Case(
        "convert.go, buildMetaArgs: a value from outside that no ARG declares is not seen",
        "FROM alpine:$V",
        [],
        [(1, "V")],
        build_args={"V": "4"},
    ),
    Case(
        "convert.go, buildMetaArgs: nor one that is declared in a stage alone",
        "FROM alpine:$V\nARG V",
        [],
        [(1, "V")],
        build_args={"V": "4"},
    ),
    Case(
        "convert.go, buildMetaArgs: a default is made of the arguments above it",
        "ARG A=al\nARG B=${A}pine\nFROM $B:${C:-3}\nARG C=4",
        ["alpine:3"],
    ),
    Case(
        "convert.go, buildMetaArgs: and not of those below",
        "ARG B=${A}alpine\nARG A=x\nFROM $B",
        ["alpine"],
        [(3, "A")],
    ),
    Case(
        "convert.go, buildMetaArgs: what a default lacks is named in place of the argument that has it",
        "ARG TAG\nARG IMAGE=alpine:$TAG\nFROM $IMAGE",
        [],
        [(3, "TAG")],
    ),
    Case("convert.go, buildMetaArgs: the later default wins", "ARG V=3\nARG V=4\nFROM a:$V", ["a:4"]),
    Case(
        "convert.go, buildMetaArgs: an ARG without a value keeps the earlier one", "ARG V=3\nARG V\nFROM a:$V", ["a:3"]
    ),
    Case("line_parsers.go, parseNameOrNameVal: one ARG declares several", "ARG A=a B=b\nFROM $A:$B", ["a:b"]),
    Case(
        "line_parsers.go, parseNameOrNameVal: `ARG A b` declares two, and neither is set",
        "ARG A b\nFROM ${A}alpine:3${b}",
        ["alpine:3"],
        [(2, "A"), (2, "b")],
    ),
    Case(
        "line_parsers.go, parseNameOrNameVal: `ARG A b` takes both values from outside",
        "ARG A b\nFROM ${A}:$b",
        ["alpine:3"],
        build_args={"A": "alpine", "b": "3"},
    ),
    Case("lex.go, processDoubleQuote: a default loses its quotes", "ARG V=\"3\"\nARG W='a'\nFROM $W:$V", ["a:3"]),
    Case("parse.go, parseArg: an ARG needs a name", "ARG =3\nFROM alpine", ["alpine"], [(1, None)]),
    Case("parse.go, parseArg: an ARG needs something", "ARG\nFROM alpine", ["alpine"], [(1, None)]),
    Case(
        "lex.go: a default that cannot be read is refused where it stands",
        "ARG V=${\nFROM alpine",
        ["alpine"],
        [(1, None)],
    ),
    Case(
        "line_parsers.go, parseWords: a blank outside quotes ends a default, also in braces",
        "ARG V=${W:-a b}\nFROM alpine",
        ["alpine"],
        [(1, None)],
    ),
    Case(
        "lex.go, `?`: a default that asks for an argument names it",
        "ARG V=${W:?}\nFROM alpine",
        ["alpine"],
        [(1, "W")],
    ),
    Case(
        "lex.go, `?`: and what is made with it lacks the same",
        "ARG V=${W:?}\nFROM alpine:$V",
        [],
        [(1, "W"), (2, "W")],
    ),
    Case(
        "convert.go, buildMetaArgs: an argument that is not set is empty, which is told though it makes a valid name",
        "ARG PREFIX\nFROM ${PREFIX}alpine:3",
        ["alpine:3"],
        [(2, "PREFIX")],
    ),
    Case(
        "convert.go, buildMetaArgs: so is one that is never declared",
        "FROM ${PREFIX}alpine:3",
        ["alpine:3"],
        [(1, "PREFIX")],
    ),
    Case("convert.go: a FROM of nothing is refused, `base name should not be blank`", "FROM $B", [], [(1, "B")]),
    Case("convert.go: also if the argument is set to nothing", "ARG B=\nFROM $B", [], [(2, "B")]),
    Case('convert.go: and if it is written so: FROM ""', 'FROM ""', [], [(1, None)]),
    Case(
        "convert.go, defaultArgs: a default above FROM beats a predefined value",
        "ARG TARGETARCH=sparc\nFROM a:$TARGETARCH",
        ["a:sparc"],
    ),
    Case(
        "convert.go, defaultArgs: an ARG without one does not",
        "ARG TARGETOS\nFROM a:$TARGETOS",
        ["a:linux"],
    ),
    Case(
        "convert.go, defaultArgs: a value from outside replaces a predefined one, declared or not",
        "FROM a:$TARGETARCH",
        ["a:sparc"],
        build_args={"TARGETARCH": "sparc"},
    ),
    Case(
        "convert.go, defaultArgs: TARGETSTAGE is the target",
        "FROM a:$TARGETSTAGE AS one\nFROM b:$TARGETSTAGE AS two",
        ["a:one"],
        target="one",
    ),
    Case(
        "convert.go, defaultArgs: without a target TARGETSTAGE is the last stage's name",
        "FROM a:$TARGETSTAGE AS one\nFROM b:$TARGETSTAGE AS two",
        ["a:two", "b:two"],
    ),
    Case("convert.go, defaultArgs: or `default` if it has none", "FROM a:$TARGETSTAGE", ["a:default"]),
]

FORMS = [
    ("$SET", "value", None),
    ("${SET}", "value", None),
    ("$SETx", "", "SETx"),
    ("${SET}x", "valuex", None),
    ("$SET.x-y", "value.x-y", None),
    ("x${NONE}", "x", "NONE"),
    ("x$NONE", "x", "NONE"),
    ("${NONE:-d}", "d", None),
    ("${EMPTY:-d}", "d", None),
    ("${SET:-d}", "value", None),
    ("${NONE-d}", "d", None),
    ("x${EMPTY-d}", "x", None),
    ("${SET-d}", "value", None),
    ("x${NONE:+y}", "x", None),
    ("x${EMPTY:+y}", "x", None),
    ("x${SET:+y}", "xy", None),
    ("x${NONE+y}", "x", None),
    ("x${EMPTY+y}", "xy", None),
    ("x${SET+y}", "xy", None),
    ("${SET?m}", "value", None),
    ("${SET:?m}", "value", None),
    ("x${EMPTY?m}", "x", None),
    ("${EMPTY:?m}", "", "EMPTY"),
    ("${NONE?m}", "", "NONE"),
    ("${NONE:?m}", "", "NONE"),
    ("${SET:?}", "value", None),
    ("${NONE?}", "", "NONE"),
    ("${PATHS#*.}", "b.c", None),
    ("${PATHS##*.}", "c", None),
    ("${PATHS%.*}", "a.b", None),
    ("${PATHS%%.*}", "a", None),
    ("${PATHS#z}", "a.b.c", None),
    ("${PATHS%z}", "a.b.c", None),
    ("${PATHS#a?}", "b.c", None),
    ("${PATHS%?c}", "a.b", None),
    ("x${PATHS##*}", "x", None),
    ("x${PATHS%%*}", "x", None),
    ("${PATHS#*}", "a.b.c", None),
    ("${PATHS/./-}", "a-b.c", None),
    ("${PATHS//./-}", "a-b-c", None),
    ("${PATHS//./}", "abc", None),
    ("${PATHS/b*/x}", "a.x", None),
    ("${PATHS//?./x}", "xxc", None),
    ("${PATHS/z/x}", "a.b.c", None),
    (r"${STAR/\*/-}", "a-b", None),
    (r"${STAR#a\*}", "b", None),
    (r"${SLASH/\//-}", "a-b", None),
    (r"${SLASH##*\/}", "b", None),
    ("${NONE:-${SET}}", "value", None),
    ("${NONE:-${NONE:-${NONE:-deep}}}", "deep", None),
    ("${NONE:-a${SET}b}", "avalueb", None),
    ("${NONE:-$SET}", "value", None),
    ("${NONE:-x${OTHER}}", "x", "OTHER"),
    ("${SET:-x${OTHER}}", "value", None),
    ("${SET:+x${OTHER}}", "x", "OTHER"),
    ("${PATHS#$FIRST}", "b.c", None),
    ("${PATHS/$FIRST/x.}", "x.b.c", None),
    ("${NONE:-'d'}", "d", None),
    ('${NONE:-"d"}', "d", None),
    ('"${NONE:-d}"', "d", None),
    ("${EMPTY}x", "x", None),
    ("$1x", "x", "1"),
    ("x$", "x$", None),
]


STAGES = [
    Case("convert.go, toDispatchState: scratch is no image", "FROM scratch", []),
    Case("convert.go: neither is it one to copy from or to mount", "FROM a\nCOPY --from=scratch / /", ["a"]),
    Case(
        "convert.go, addState: a stage may be called scratch",
        "FROM a AS scratch\nFROM scratch\nCOPY --from=scratch / /",
        ["a"],
    ),
    Case(
        "convert.go, addState: a FROM that names a stage above is that stage", "FROM a AS b\nFROM b AS c\nFROM c", ["a"]
    ),
    Case("parse.go, parseBuildStageName: names are lower-cased", "FROM a AS Build\nFROM build", ["a"]),
    Case("convert.go, addState: a FROM's look-up is not", "FROM a AS Build\nFROM Build", ["a"], [(2, None)]),
    Case("convert.go, findStateByName: a COPY's is", "FROM a AS Build\nFROM b\nCOPY --from=BUILD /x /x", ["a", "b"]),
    Case(
        "convert_runmount.go: so is a mount's",
        "FROM a AS Build\nFROM b\nRUN --mount=from=BUILD,target=/x true",
        ["a", "b"],
    ),
    Case("convert.go, addState: a name used above its stage is an image", "FROM b\nFROM a AS b", ["a", "b"]),
    Case("convert.go, addState: a stage's own name is an image there", "FROM golang AS golang", ["golang"]),
    Case(
        "convert.go, addState: and the stage further down",
        "FROM golang AS golang\nFROM golang",
        ["golang"],
    ),
    Case("convert.go, addState: tags make it another name", "FROM a AS b\nFROM b:latest", ["a", "b:latest"]),
    Case("convert.go: a stage's name may have variables", "ARG V=2\nFROM a AS b-2\nFROM b-$V", ["a"]),
    Case(
        "convert.go: FROM base-$TARGETARCH may name a stage",
        "FROM a AS base-amd64\nFROM b AS base-arm64\nFROM base-$TARGETARCH",
        ["a", "b"],
        build_args={"TARGETARCH": "arm64"},
    ),
    Case("parse.go, parseFrom: AS in any case", "from a as B\nFROM b aS c\nFROM c As d", ["a"]),
    Case("parse.go, parseFrom: nothing behind the image", "FROM alpine # x", [], [(1, None)]),
    Case("parse.go, parseFrom: nor two words without AS", "FROM alpine x", [], [(1, None)]),
    Case("parse.go, parseFrom: nor three of another kind", "FROM alpine IS x", [], [(1, None)]),
    Case("parse.go, parseFrom: nor a comment behind the name", "FROM alpine AS x # y", [], [(1, None)]),
    Case("parse.go, parseFrom: AS needs a name", "FROM alpine AS", [], [(1, None)]),
    Case("parse.go, parseFrom: FROM needs an image", "FROM", [], [(1, None)]),
    Case("parse.go, parseBuildStageName: begins with a letter", "FROM a AS 1b", [], [(1, None)]),
    Case("parse.go, parseBuildStageName: has no variables", "ARG V=b\nFROM a AS $V", [], [(2, None)]),
    Case("parse.go, parseBuildStageName: letters, digits, `_.-`", "FROM a AS b_1.x-y\nFROM b_1.x-y", ["a"]),
    Case("parse.go, parseFrom: FROM has one flag", "FROM --chown=x a", [], [(1, None)]),
    Case("parse.go, parseFrom: quotes stay for lex.go", "FROM \"a:1\"\nFROM 'b'", ["a:1", "b"]),
    Case("parse.go: nothing but ARG stands above FROM", "RUN true\nFROM a", ["a"], [(1, None)]),
    Case("parse.go: an instruction has to be known", "FROM a\nFORM b", ["a"], [(2, None)]),
    Case("convert.go: there has to be a stage", "ARG A=b", [], [(0, None)]),
    Case("parser.go: a file with no instructions", "", [], [(0, None)]),
    Case("parser.go: nor do comments make one", "# a\n\n  # b\n", [], [(0, None)]),
    Case("reference.go: an upper-case first part is a host", "FROM myName/x:1", ["myName/x:1"]),
    Case("reference.go: one part alone has to be lower-case", "FROM Alpine", [], [(1, None)]),
    Case(
        "reference.go: host, port, tag and digest",
        f"FROM h:5000/a/b:1@{LATEST_DIGEST}",
        [f"h:5000/a/b:1@{LATEST_DIGEST}"],
    ),
    Case("convert.go: a name is given as it is written", "FROM docker.io/library/a", ["docker.io/library/a"]),
    Case("several uses of an image are one image", "FROM a\nFROM a\nCOPY --from=a / /", ["a"]),
]

COPIES = [
    Case("convert.go, toCommand: a number is a stage's index", "FROM a\nFROM b\nCOPY --from=0 /x /x", ["a", "b"]),
    Case("convert.go, toCommand: an index that is not there", "FROM a\nCOPY --from=5 /x /x", ["a"], [(2, None)]),
    Case("convert.go, toCommand: nor is a negative one", "FROM a\nCOPY --from=-1 /x /x", ["a"], [(2, None)]),
    Case("convert_runmount.go: in a mount it is an image", "FROM a\nRUN --mount=from=0,target=/x true", ["0", "a"]),
    Case("convert.go, toCommand: an unmatched name is an image", "FROM a\nCOPY --from=b:1 /x /x", ["a", "b:1"]),
    Case(
        "convert_runmount.go, detectRunMount: every mount of a RUN",
        "FROM a\nRUN --mount=type=cache,target=/c --mount=from=b,target=/b --mount=type=bind,target=/d,from=d:1 true",
        ["a", "b", "d:1"],
    ),
    Case("commands_runmount.go: keys in any case", "FROM a\nRUN --mount=Target=/x,FROM=b true", ["a", "b"]),
    Case("commands_runmount.go: a CSV field in quotes", "FROM a\nRUN --mount='\"from=b\",target=/x' true", ["a", "b"]),
    Case("commands_runmount.go: without from= there is none", "FROM a\nRUN --mount=type=secret,id=from true", ["a"]),
    Case(
        "split_command.go: --mount behind the command is the command's", "FROM a\nRUN x --mount=from=b,target=/x", ["a"]
    ),
    Case("split_command.go: so is --from behind a path", "FROM a\nCOPY x --from=b y", ["a"]),
    Case("split_command.go: `--` ends the flags", "FROM a\nCOPY -- --from=b y", ["a"]),
    Case(
        "split_command.go: quotes in a flag",
        "FROM a\nCOPY --from=\"b\" /x /x\nRUN --mount='from=c' true",
        ["a", "b", "c"],
    ),
    Case("bflag.go: other flags before it", "FROM a\nCOPY --link --chown=1:1 --from=b --chmod=755 x y", ["a", "b"]),
    Case("bflag.go: one --from alone", "FROM a\nCOPY --from=b --from=c x y", ["a"], [(2, None)]),
    Case("bflag.go: --from needs a value", "FROM a\nCOPY --from x y", ["a"], [(2, None)]),
    Case("parse.go, parseCopy: no unknown flag", "FROM a\nCOPY --form=b x y", ["a"], [(2, None)]),
    Case("parse.go, parseAdd: ADD has no --from", "FROM a\nADD --from=b x y", ["a"], [(2, None)]),
    Case("parse.go, parseCopy: a source and a place", "FROM a\nCOPY --from=b x", ["a"], [(2, None)]),
    Case("line_parsers.go, parseMaybeJSONToList: both in a list", 'FROM a\nCOPY --from=b ["x y", "/"]', ["a", "b"]),
    Case("convert.go: --from takes no variable", "ARG I=b\nFROM a\nCOPY --from=$I x y", ["a"], [(3, None)]),
    Case("convert.go: not in braces either", "ARG I=b\nFROM a\nCOPY --from=${I:-c} x y", ["a"], [(3, None)]),
    Case("convert_runmount.go: from= takes no variable", "ARG I=b\nFROM a\nRUN --mount=from=$I x", ["a"], [(3, None)]),
    Case("convert.go: the way round", "ARG I=b\nFROM $I AS i\nFROM a\nCOPY --from=i x y", ["a", "b"]),
    Case("convert.go: what is copied from is checked", "FROM a\nCOPY --from=B:x:y x y", ["a"], [(2, None)]),
    Case(
        "convert.go, dispatchCopy: a stage below gives nothing",
        "FROM a\nCOPY --from=b x y\nFROM c AS b\nFROM b\nCOPY --from=0 x y",
        ["a", "c"],
        [(2, None)],
    ),
    Case(
        "convert.go, dispatchCopy: that is no matter where nothing needs it",
        "FROM a\nCOPY --from=b x y\nFROM c AS b\nFROM d",
        ["a", "c", "d"],
    ),
    Case("convert.go, dispatchCopy: nor does the stage itself", "FROM a AS b\nCOPY --from=b x y", ["a"], [(2, None)]),
    Case(
        "convert.go, hasCircularDependency: a circle is refused though nothing needs it",
        "FROM a AS x\nCOPY --from=y x y\nFROM b AS y\nCOPY --from=x x y\nFROM c",
        ["a", "b", "c"],
        [(2, None)],
    ),
    Case(
        "convert.go, addState: with a name twice, FROM takes the latest above",
        "FROM a AS x\nFROM x AS y\nFROM b AS x\nFROM y",
        ["a"],
        target="y",
    ),
    Case(
        "convert.go, addState: and one further down the later one",
        "FROM a AS x\nFROM b AS x\nFROM x AS y",
        ["b"],
        target="y",
    ),
    Case(
        "convert.go, findStateByName: COPY takes the last in the file",
        "FROM a AS x\nFROM b AS y\nCOPY --from=x x y\nFROM c AS x",
        ["b", "c"],
        [(3, None)],
        target="y",
    ),
    Case(
        "convert.go, findStateByName: COPY below both takes the later one",
        "FROM a AS x\nFROM b AS x\nFROM c AS y\nCOPY --from=x x y",
        ["b", "c"],
        target="y",
    ),
]

ONBUILD = [
    Case(
        "convert.go, dispatchOnBuild: a trigger counts for no image of its own",
        "FROM a\nONBUILD COPY --from=b x y",
        ["a"],
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: it counts where a stage stands on it",
        "FROM a AS x\nONBUILD COPY --from=b x y\nFROM x",
        ["a", "b"],
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: a mount as well",
        "FROM a AS x\nonbuild run --mount=from=b,target=/b --mount=from=c,target=/c true\nFROM x",
        ["a", "b", "c"],
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: to copy from a stage is not to stand on it",
        "FROM a AS x\nONBUILD COPY --from=b x y\nFROM c\nCOPY --from=x x y",
        ["a", "c"],
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: a target above it does without",
        "FROM a AS x\nONBUILD COPY --from=b x y\nFROM x AS y",
        ["a"],
        target="x",
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: a trigger may need a stage",
        "FROM d AS data\nFROM a AS x\nONBUILD COPY --from=data x y\nFROM x AS y",
        ["a", "d"],
        target="y",
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: a trigger that is wrong is so where the target comes upon it",
        "FROM a AS x\nONBUILD COPY --from=B:x:y x y\nFROM x AS z",
        ["a"],
        target="x",
    ),
    Case(
        "convert.go, dispatchOnBuildTriggers: there it is",
        "FROM a AS x\nONBUILD COPY --from=B:x:y x y\nFROM x AS z",
        ["a"],
        [(2, None)],
        target="z",
    ),
    Case("parse.go, parseOnBuild: no FROM", "FROM a AS x\nONBUILD FROM b\nFROM x", ["a"], [(2, None)]),
    Case("parse.go, parseOnBuild: no ONBUILD", "FROM a\nONBUILD ONBUILD RUN x", ["a"], [(2, None)]),
    Case("parse.go, parseOnBuild: no MAINTAINER", "FROM a\nONBUILD MAINTAINER x", ["a"], [(2, None)]),
    Case("parse.go, parseOnBuild: and not nothing", "FROM a\nONBUILD", ["a"], [(2, None)]),
]

LINES = [
    Case("parser.go: keywords in any case", "from a\nFrom b\nfrom c AS x\ncopy --from=d x y", ["a", "b", "c", "d"]),
    Case("parser.go: tabs and several spaces", "FROM\ta\t AS\t x\n\tFROM  b", ["a", "b"]),
    Case("parser.go: lines that are set in", "  FROM a\n\t\tFROM b", ["a", "b"]),
    Case("parser.go: carriage returns", "ARG V=1\r\nFROM a:$V AS x\r\n\r\nRUN x \\\r\n  y\r\nFROM b\r\n", ["a:1", "b"]),
    Case("parser.go: a byte order mark", BOM + "FROM a", ["a"]),
    Case("parser.go: a shebang is a comment", "#!/usr/bin/env docker\nFROM a", ["a"]),
    Case("parser.go: comments and blank lines", "# FROM x\n\n   # FROM y\nFROM a\n#FROM z", ["a"]),
    Case("parser.go: a hash in a line is no comment", "FROM a\nRUN x # \\\n FROM b\nFROM c", ["a", "c"]),
    Case("parser.go: a FROM over several lines", "FROM \\\n  a \\\n  AS \\\n  x\nFROM x", ["a"]),
    Case("parser.go: blanks behind the escape", "FROM \\ \t \n a", ["a"]),
    Case(
        "parser.go: a comment and a blank line between",
        "RUN a \\\n# c\n\n  # d\n\nFROM x\nFROM b\nFROM c",
        ["b", "c"],
        [(1, None)],
    ),
    Case("parser.go: they do so in a FROM", "FROM \\\n# c\n\n  # d\n  a", ["a"]),
    Case("parser.go: a comment that ends in an escape goes on nowhere", "# x \\\nFROM a", ["a"]),
    Case("parser.go: not in a continued line either", "FROM a\nRUN x \\\n# y \\\nz\nFROM b", ["a", "b"]),
    Case("parser.go: `RUN echo \\` takes the next line", "FROM a\nRUN echo \\\nFROM x", ["a"]),
    Case("parser.go: two escapes do not", "FROM a\nRUN echo \\\\\nFROM b", ["a", "b"]),
    Case("parser.go: nor three", "FROM a\nRUN echo \\\\\\\nFROM b", ["a", "b"]),
    Case("parser.go: nothing goes between", "FROM\\\nnginx", [], [(0, None), (1, None)]),
    Case("parser.go: so a word goes on", "FROM al\\\npine", ["alpine"]),
    Case("parser.go: blanks in front of what follows stay", "FROM al\\\n pine", [], [(1, None)]),
    Case("parser.go: the text may end there", "FROM a \\", ["a"]),
    Case("parser.go: and a continued line with it", "FROM a \\\n\n# x\n", ["a"]),
    Case("directives.go: escape=` changes what goes on", "# escape=`\nFROM a\nRUN x `\nFROM b\nFROM c", ["a", "c"]),
    Case("directives.go: a backslash does not then", "# escape=`\nFROM a\nRUN dir c:\\\nFROM b", ["a", "b"]),
    Case("directives.go: it escapes in words as well", '#escape = ` \nARG A="a`"b"\nFROM ${A:+c}', ["c"]),
    Case("directives.go: below a comment it is one", "# x\n# escape=`\nFROM a\nRUN x \\\nFROM b", ["a"]),
    Case("directives.go: below a blank line too", "\n# escape=`\nFROM a\nRUN x \\\nFROM b", ["a"]),
    Case("directives.go: below an instruction too", "FROM a\n# escape=`\nRUN x \\\nFROM b", ["a"]),
    Case("directives.go: names in any case", "# Escape=`\nFROM a\nRUN x `\nFROM b", ["a"]),
    Case(
        "directives.go: behind another one", "# syntax=s\n# check=skip=all\n# escape=`\nFROM a\nRUN x `\nFROM b", ["a"]
    ),
    Case("directives.go: an unknown one ends them", "# foo=x\n# escape=`\nFROM a\nRUN x \\\nFROM b", ["a"]),
    Case("directives.go: a shebang ends those of the parser", "#!x\n# escape=`\nFROM a\nRUN x \\\nFROM b", ["a"]),
    Case("directives.go: a byte order mark does not", BOM + "# escape=`\nFROM a\nRUN x `\nFROM b", ["a"]),
    Case("parser.go: a directive may be set in", "  # escape=`\nFROM a\nRUN x `\nFROM b", ["a"]),
    Case("directives.go: twice is refused", "# escape=\\\n# escape=`\nFROM a", ["a"], [(2, None)]),
    Case("directives.go: two characters alone", "# escape=x\nFROM a", ["a"], [(1, None)]),
]

HEREDOCS = [
    Case("parser.go: a RUN's body", "FROM a\nRUN <<EOF\nFROM x\nCOPY --from=y a b\nEOF\nFROM b", ["a", "b"]),
    Case("parser.go: a COPY's body", "FROM a\nCOPY <<EOF /f\nFROM x\nEOF\nCOPY --from=b x y", ["a", "b"]),
    Case("parser.go: an ADD's body", "FROM a\nADD <<EOF /f\nFROM x\nEOF\nFROM b", ["a", "b"]),
    Case("parser.go, ParseHeredoc: quotes", "FROM a\nRUN <<'E'\nFROM x\nE\nRUN <<\"F\"\nFROM y\nF\nFROM b", ["a", "b"]),
    Case("parser.go: <<- allows tabs before the end", "FROM a\nRUN <<-EOF\n\tFROM x\n\t\tEOF\nFROM b", ["a", "b"]),
    Case("parser.go: <<- allows no spaces", "FROM a\nRUN <<-EOF\n EOF\nFROM x\nEOF\nFROM b", ["a", "b"]),
    Case(
        "parser.go: without it nothing stands before the end",
        "FROM a\nRUN <<EOF\n\tEOF\nFROM x\nEOF\nFROM b",
        ["a", "b"],
    ),
    Case("parser.go: nor behind", "FROM a\nRUN <<EOF\nEOF \nFROM x\nEOF\nFROM b", ["a", "b"]),
    Case("parser.go: several in one line", "FROM a\nRUN <<A cat <<B\nFROM x\nA\nFROM y\nB\nFROM b", ["a", "b"]),
    Case(
        "parser.go: the first one's end is the second's body", "FROM a\nCOPY <<A <<B /\nB\nA\nA\nB\nFROM b", ["a", "b"]
    ),
    Case("parser.go: a number in front", "FROM a\nRUN x 3<<EOF\nFROM y\nEOF\nFROM b", ["a", "b"]),
    Case("parser.go: with flags", "FROM a\nRUN --mount=from=b,target=/b <<EOF\nFROM x\nEOF", ["a", "b"]),
    Case("parser.go: in an ONBUILD", "FROM a\nONBUILD RUN <<EOF\nFROM x\nEOF\nFROM b", ["a", "b"]),
    Case("parser.go: over several lines", "FROM a\nRUN x \\\n <<EOF\nFROM y\nEOF\nFROM b", ["a", "b"]),
    Case("parser.go: an escape in the body goes on nowhere", "FROM a\nRUN <<EOF\nx \\\nEOF\nFROM b", ["a", "b"]),
    Case(
        "parser.go: a comment and the end in CRLF", "FROM a\r\nRUN <<EOF\r\n# FROM x\r\nEOF\r\nFROM b\r\n", ["a", "b"]
    ),
    Case("parser.go, canContainHeredoc: none in a list", 'FROM a\nRUN ["x", "<<EOF"]\nFROM b', ["a", "b"]),
    Case("parser.go, canContainHeredoc: none in an ENV", "FROM a\nENV X=<<EOF\nFROM b", ["a", "b"]),
    Case("parser.go, heredocsFromLine: none in quotes", "FROM a\nRUN echo '<<EOF'\nFROM b", ["a", "b"]),
    Case("parser.go, ParseHeredoc: <<< is none", "FROM a\nRUN cat <<<EOF\nFROM b", ["a", "b"]),
    Case("parser.go: one without an end", "FROM a\nRUN <<EOF\n# x", ["a"], [(2, None)]),
]

TARGETS = [
    Case("convert.go: only what the target reaches", "FROM a AS x\nFROM b AS y\nFROM c", ["a"], target="x"),
    Case("convert.go, findStateByName: in any case", "FROM a AS Xy\nFROM b", ["a"], target="xY"),
    Case("convert.go: through FROM", "FROM a AS x\nFROM x AS y\nFROM b", ["a"], target="y"),
    Case("convert.go: through COPY", "FROM a AS x\nFROM b AS y\nCOPY --from=x / /\nFROM c", ["a", "b"], target="y"),
    Case("convert.go: through an index", "FROM a\nFROM b AS y\nCOPY --from=0 / /\nFROM c", ["a", "b"], target="y"),
    Case(
        "convert.go: through a mount", "FROM a AS x\nFROM b AS y\nRUN --mount=from=x x\nFROM c", ["a", "b"], target="y"
    ),
    Case(
        "convert.go: the images that it copies from", "FROM a AS x\nCOPY --from=b / /\nFROM c", ["a", "b"], target="x"
    ),
    Case("convert.go: a stage's index is no target", "FROM a\nFROM b", [], [(0, None)], target="0"),
    Case("convert.go: an unknown one", "FROM a AS x", [], [(0, None)], target="y"),
    Case("without a target every stage's", "FROM a AS x\nFROM b AS y\nFROM c", ["a", "b", "c"]),
    Case(
        "convert.go: a FROM that is wrong fails all, also if it is not reached",
        "FROM a AS x\nFROM b:$V AS y",
        ["a"],
        [(2, "V")],
        target="x",
    ),
]

WHAT_CAN_BE_TOLD = [
    Case(
        "a FROM that is wrong hides no other",
        "FROM a\nFROM b:$V AS x\nCOPY --from=c / /\nFROM d\nCOPY --from=x / /",
        ["a", "c", "d"],
        [(2, "V")],
    ),
    Case(
        "the stage that has no image is a stage for all that",
        "FROM {{IMAGE}} AS x\nFROM x\nCOPY --from=x / /\nFROM a",
        ["a"],
        [(1, None)],
    ),
    Case(
        "an instruction that is refused hides no other",
        "FROM a\nCOPY --from=$X x y\nNO\nFROM b",
        ["a", "b"],
        [(2, None), (3, None)],
    ),
    Case("a template's placeholder is no image", "FROM {{IMAGE}}\nCOPY --from=a x y", ["a"], [(1, None)]),
    Case("nor with blanks", "FROM {{ image.name }}\nFROM a", ["a"], [(1, None)]),
    Case(
        "nor of other kinds", "FROM @IMAGE@\nFROM <image>\nFROM %%I%%\nFROM a", ["a"], [(1, None), (2, None), (3, None)]
    ),
    Case("nor in a COPY", "FROM a\nCOPY --from={{IMAGE}} x y", ["a"], [(2, None)]),
    Case("nor in a mount", "FROM a\nRUN --mount=from={{IMAGE}},target=/x y", ["a"], [(2, None)]),
    Case("lex.go: nor is `${{IMAGE}}` a variable", "FROM ${{IMAGE}}\nFROM a", ["a"], [(1, None)]),
    Case("each argument that is missing is named", "FROM $A/$B:$C", [], [(1, "A"), (1, "B"), (1, "C")]),
    Case("a platform's too", "FROM --platform=$P a", ["a"], [(1, "P")]),
    Case("commands_runmount.go: a mount of nothing", "FROM a\nRUN --mount= x\nFROM b", ["a", "b"], [(2, None)]),
    Case(
        "commands_runmount.go: quotes without an end",
        "FROM a\nRUN --mount='from=b,\"x' x\nFROM b",
        ["a", "b"],
        [(2, None)],
    ),
]

# what is known from other tools: each is what one of them gets wrong
ELSEWHERE = [
    Case("one mount per RUN", "FROM a\nRUN --mount=from=b,target=/b --mount=from=c,target=/c x", ["a", "b", "c"]),
    Case("no ARG in FROM", "ARG I=a\nARG T=1\nFROM ${I}:${T}", ["a:1"]),
    Case("the first FROM alone", "FROM a\nFROM b", ["a", "b"]),
    Case("a platform taken for the image", "FROM --platform=linux/arm64 a AS x", ["a"]),
]

TABLES = {
    "arguments": ARGUMENTS,
    "stages": STAGES,
    "copies": COPIES,
    "onbuild": ONBUILD,
    "lines": LINES,
    "heredocs": HEREDOCS,
    "targets": TARGETS,
    "what can be told": WHAT_CAN_BE_TOLD,
    "elsewhere": ELSEWHERE,
}


@pytest.mark.parametrize("case", ARGUMENTS, ids=rule)
def test_arguments(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", STAGES, ids=rule)
def test_stages_are_told_from_images(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", COPIES, ids=rule)
def test_copies_and_mounts(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", ONBUILD, ids=rule)
def test_triggers(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", LINES, ids=rule)
def test_lines_and_directives(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", HEREDOCS, ids=rule)
def test_here_documents(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", TARGETS, ids=rule)
def test_targets(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", WHAT_CAN_BE_TOLD, ids=rule)
def test_what_can_be_told_is_told(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", ELSEWHERE, ids=rule)
def test_what_other_tools_get_wrong(case: Case) -> None:
    case.check()


@pytest.mark.parametrize(("form", "value", "missing"), FORMS)
def test_every_form_of_a_variable_in_a_from(form: str, value: str, missing: str | None) -> None:
    """lex.go, processDollar."""
    above = "ARG SET=value EMPTY= PATHS=a.b.c STAR='a*b' SLASH=a/b FIRST=a. OTHER\n"
    found = read(f"{above}FROM i:{form}")
    named = [image.name for image in found.images]
    if missing is None and "$" not in value:
        assert (named, found.problems) == ([f"i:{value}"], ())
    else:
        assert named == ([f"i:{value}"] if value and missing else [])
        assert [(problem.line, problem.argument) for problem in found.problems] == [(2, missing)]


@pytest.mark.parametrize(
    "word",
    [
        "${",
        "${}",
        "${:-x}",
        "${{x}}",
        "${A",
        "${A:",
        "${A:-x",
        "${A!x}",
        "${A:#x}",
        "${A/x}",
        "${A^^}",
        "${A,}",
        "'",
        '"',
    ],
)
def test_what_lex_cannot_read_is_refused_in_its_line(word: str) -> None:
    """lex.go, processDollar: bad substitution, missing '}', unsupported modifier."""
    found = read(f"ARG A=a\nFROM x\nFROM {word}\nFROM y")
    assert [image.name for image in found.images] == ["x", "y"]
    assert [(problem.line, problem.argument) for problem in found.problems] == [(3, None)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", 1),
        ("#syntax=docker/dockerfile:1\nFROM a", 1),
        ("#\t SYNTAX \t=  docker/dockerfile:1  \r\nFROM a\r\n", 1),
        ("# syntax=docker/dockerfile:1 --option x\nFROM a", 1),
        (BOM + "# syntax=docker/dockerfile:1\nFROM a", 1),
        ("#!/usr/bin/env docker\n# syntax=docker/dockerfile:1\nFROM a", 2),
        (BOM + "#!/usr/bin/env docker\n# syntax=docker/dockerfile:1\nFROM a", 2),
        ("# escape=`\n# syntax=docker/dockerfile:1\nFROM a", 2),
        ("# check=skip=all\n# escape=\\\n# syntax=docker/dockerfile:1\nFROM a", 3),
        ("# syntax=docker/dockerfile:1\n# syntax=other\nFROM a", 1),
        ("// syntax=docker/dockerfile:1\nx", 1),
        ('{"syntax": "docker/dockerfile:1"}', 1),
    ],
)
def test_a_syntax_line_names_an_image(text: str, line: int) -> None:
    """directives.go, DetectSyntax: also for what is no Dockerfile, which the named front end may well read."""
    found = [image for image in read(text).images if image.kind == "syntax"]
    assert [(image.name, image.line, image.stage, image.reached) for image in found] == [
        ("docker/dockerfile:1", line, "", True)
    ]
    assert "docker/dockerfile:1" not in external_images(text)


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n# syntax=x\nFROM a",
        "\n# syntax=x\nFROM a",
        "# unknown=x\n# syntax=x\nFROM a",
        "FROM a\n# syntax=x",
        " # syntax=x\nFROM a",
        "# syntax=\nFROM a",
        "# syntax x\nFROM a",
        "# syn tax=x\nFROM a",
    ],
)
def test_a_comment_is_no_syntax_line(text: str) -> None:
    """directives.go: the first line that is no directive ends them."""
    assert [image.name for image in read(text).images] == ["a"]


def test_the_argument_buildkit_syntax_wins_over_the_line() -> None:
    """builder/build.go."""
    images = read("# syntax=a\nFROM x", {"BUILDKIT_SYNTAX": "b:1"}).images
    assert [(image.name, image.kind) for image in images] == [("b:1", "syntax"), ("x", "from")]


def test_a_syntax_line_that_names_no_image_is_a_problem_in_its_line() -> None:
    found = read("# escape=`\n# syntax={{SYNTAX}}\nFROM a")
    assert [(image.name, image.kind) for image in found.images] == [("a", "from")]
    assert [problem.line for problem in found.problems] == [2]


def test_each_use_says_what_it_is_where_it_stands_and_whether_the_target_needs_it() -> None:
    text = """\
# syntax=docker/dockerfile:1
ARG V=3
FROM --platform=linux/arm64 alpine:$V AS Base
ONBUILD COPY --from=triggered /x \\
  /x
FROM \\
  golang
COPY --from=copied /x /y
FROM base AS Final
RUN --mount=from=mounted,target=/m \\
    true
FROM busybox AS unused
"""
    found = read(text, target="final")
    assert [(use.name, use.kind, use.line, use.stage, use.platform, use.reached) for use in found.images] == [
        ("docker/dockerfile:1", "syntax", 1, "", None, True),
        ("alpine:3", "from", 3, "base", "linux/arm64", True),
        ("triggered", "onbuild", 4, "base", None, True),
        ("golang", "from", 6, "1", None, False),
        ("copied", "copy", 8, "1", None, False),
        ("mounted", "mount", 10, "final", None, True),
        ("busybox", "from", 12, "unused", None, False),
    ]
    assert found.problems == ()
    assert found.stages == ("base", "", "final", "unused")
    assert external_images(text, target="final") == ["alpine:3", "mounted", "triggered"]
    assert external_images(text) == ["alpine:3", "busybox", "copied", "golang", "mounted", "triggered"]


def test_without_a_target_the_last_stage_is_the_one_that_reaches() -> None:
    """convert.go, lastTarget."""
    found = read("FROM a AS x\nFROM b AS y\nFROM x")
    assert [(image.name, image.reached) for image in found.images] == [("a", True), ("b", False)]


def test_every_name_that_an_arg_declares_is_an_argument() -> None:
    assert read("ARG A=1\nFROM x\nARG B C=2\nONBUILD ARG D\n#ARG E\nENV F=1").arguments == frozenset("ABCD")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("linux/amd64", "linux-amd64- linux/amd64"),
        ("linux/arm64", "linux-arm64- linux/arm64"),
        ("linux/arm64/v8", "linux-arm64- linux/arm64"),
        ("linux/arm/v6", "linux-arm-v6 linux/arm/v6"),
        ("linux/armhf", "linux-arm-v7 linux/arm/v7"),
        ("linux/x86_64", "linux-amd64- linux/amd64"),
        ("arm64", "linux-arm64- linux/arm64"),
        ("windows/amd64", "windows-amd64- windows/amd64"),
    ],
)
def test_what_is_built_for_is_in_the_predefined_arguments(asked: str, expected: str) -> None:
    """platform.go, and containerd's `platforms` for the names."""
    tag, told = expected.split()
    text = "FROM --platform=$TARGETPLATFORM a:$TARGETOS-$TARGETARCH-$TARGETVARIANT"
    images = read(text, platform=asked).images
    assert [(image.name, image.platform) for image in images] == [(f"a:{tag}", told)]


def test_without_a_platform_this_machine_is_built_for_and_always_built_on() -> None:
    here = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    assert external_images("FROM a:$TARGETARCH-$BUILDARCH") == [f"a:{here}-{here}"]
    images = read("FROM --platform=$BUILDPLATFORM a:$BUILDARCH-$TARGETARCH", platform="linux/s390x").images
    assert [(image.name, image.platform) for image in images] == [(f"a:{here}-s390x", f"linux/{here}")]


@pytest.mark.parametrize("asked", ["linux/", "/arm64", "li:nux", "${NONE:-}", "a/b/c/d", "'linux arm64'"])
def test_a_platform_that_is_none_is_a_problem_and_the_image_is_told(asked: str) -> None:
    """convert.go: platforms.Parse."""
    found = read(f"FROM --platform={asked} a")
    assert [problem.line for problem in found.problems] == [1]
    assert [(image.name, image.platform) for image in found.images] == [("a", None)]


def test_a_platform_of_no_letters_is_as_good_as_none() -> None:
    """split_command.go takes the quotes away before convert.go looks whether there is one."""
    found = read('FROM --platform="" a')
    assert [(image.name, image.platform) for image in found.images] == [("a", None)]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("instruction", "features"),
    [
        ("COPY --chown=1 --from=b x y", []),
        ("COPY --link x y", ["COPY --link"]),
        ("COPY --chmod=1 --link=false x y", ["COPY --chmod", "COPY --link"]),
        ("COPY --parents --exclude=a --exclude=b x y", ["COPY --exclude", "COPY --parents"]),
        ("ADD --checksum=sha256:1 x y", ["ADD --checksum"]),
        ("RUN --mount=type=cache,target=/x --network=none y", ["RUN --mount", "RUN --network"]),
        ("RUN <<EOF\nx\nEOF", ["here-document"]),
        ("COPY <<EOF /x\nx\nEOF", ["here-document"]),
        ("ONBUILD RUN --mount=type=cache,target=/x y", []),
        ("ENV X=--mount", []),
    ],
)
def test_what_takes_buildkit_is_told_with_its_line(instruction: str, features: list[str]) -> None:
    assert read(f"FROM a AS x\n{instruction}").buildkit == tuple(BuildKitFeature(2, feature) for feature in features)


def test_what_a_trigger_takes_counts_where_a_stage_stands_on_it() -> None:
    found = read("FROM a AS x\nONBUILD RUN --mount=type=cache,target=/x y\nFROM x")
    assert found.buildkit == (BuildKitFeature(2, "RUN --mount"),)


def test_bytes_are_read_as_text_also_if_they_are_none() -> None:
    assert [image.name for image in read(b"\xef\xbb\xbfFROM a\nRUN \xff\xfe\nFROM b").images] == ["a", "b"]
    assert [problem.line for problem in read(b"FROM a\nFROM b\xff").problems] == [2]


def test_problems_say_what_is_wrong_and_with_which_argument() -> None:
    found = read("ARG TAG\nFROM alpine:$TAG\nFROM ${PREFIX}debian:12\nFROM {{IMAGE}}")
    reasons = {problem.line: problem.reason for problem in found.problems}
    assert "TAG is not set" in reasons[2]
    assert "PREFIX is not set" in reasons[3]
    assert "debian:12" in reasons[3]
    assert "{{IMAGE}}" in reasons[4]


@pytest.mark.parametrize("instruction", ["COPY --from=$I x y", "RUN --mount=from=${I} x", "COPY --from=b${I:-} x y"])
def test_a_variable_that_is_not_expanded_is_told_with_the_way_round(instruction: str) -> None:
    """convert.go: `define a new stage with FROM using ARG from global scope as a workaround`."""
    (problem,) = read(f"ARG I=b\nFROM a\n{instruction}").problems
    assert "does not expand variables" in problem.reason
    assert "FROM ${…} AS name" in problem.reason


def test_every_name_in_the_tables_is_a_reference() -> None:
    for case in (case for table in TABLES.values() for case in table):
        for image in case.read().images:
            assert str(Reference.parse(image.name))


def remarks(text: str) -> list[tuple[int, bool]]:
    """Each line that something is said about, and whether it is a remark."""
    return [(problem.line, problem.remark) for problem in read(text).problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ARG REG\nFROM ${REG}debian:bookworm-slim", [(2, True)]),
        ("FROM a AS base-\nFROM base-$X", [(2, True)]),
        ("FROM a$X/b$Y", [(1, True), (1, True)]),
        ("FROM --platform=linux/amd64$X a", [(1, True)]),
        ("FROM $IMAGE", [(1, False)]),
        ("FROM debian:$TAG", [(1, False)]),
        ("FROM --platform=$P a", [(1, False)]),
        ("FROM ${X?needed}", [(1, False)]),
        ("ARG X=${Y?needed}\nFROM a", [(1, False)]),
        ("FROM a\nCOPY --from=$X x y", [(2, False)]),
        ("ARG REG\nFROM ${REG}debian\nFROM {{IMAGE}}\nFROM a", [(2, True), (3, False)]),
    ],
)
def test_an_argument_that_is_not_set_is_a_remark_where_buildkit_goes_on(
    text: str, said: list[tuple[int, bool]]
) -> None:
    """convert.go, toDispatchState: an undefined argument is empty, and only an empty name or platform is an error."""
    assert remarks(text) == said


MOUNTS = [
    ("parseMount: every key", "type=cache,id=i,target=/c,sharing=Locked,mode=0755,uid=0,gid=4294967295,ro", ""),
    ("parseMount: the synonyms", "src=/a,dst=/b,rw", ""),
    ("parseMount: keys and types in any case", "TYPE=Cache,Destination=/c", ""),
    ("parseMount: a tmpfs has a size", "type=tmpfs,target=/t,size=64m", ""),
    ("go-units, RAMInBytes: sizes", "type=tmpfs,target=/t,size=1.5 GiB", ""),
    ("ParseBool: its words", "target=/b,source=/a,readonly=T,rw=0", ""),
    ("parseMount: without a value, a switch is on", "type=secret,id=s,required", ""),
    ("parseMount: variables are expanded later", "type=$T,id=$I,uid=$U,size=$S,sharing=${X:-private}", ""),
    ("parseMount: a secret can be a variable", "type=secret,id=s,env=TOKEN", ""),
    ("parseMount: an unknown key", "target=/x,foo=bar", "unexpected key 'foo' in 'foo=bar'"),
    ("parseMount: even with a variable", "target=/x,foo=$bar", "unexpected key 'foo'"),
    ("parseMount: a key without a value", "target", "'target' is not of the form key=value"),
    ("parseMount: an unknown type", "type=volume,target=/x", "bind, cache, tmpfs, secret or ssh"),
    ("parseMount: sharing", "type=cache,target=/x,sharing=some", "shared, private or locked"),
    ("parseMount: a switch", "target=/x,ro=yes", "true or false"),
    ("parseMount: another switch", "type=ssh,required=2", "true or false"),
    ("parseMount: mode is octal", "type=cache,target=/x,mode=0999", "an octal number"),
    ("parseMount: mode takes no prefix", "type=cache,target=/x,mode=0o755", "an octal number"),
    ("parseMount: uid", "type=cache,target=/x,uid=root", "a whole number"),
    ("ParseUint: uid has 32 bits", "type=cache,target=/x,uid=4294967296", "a whole number"),
    ("parseMount: gid", "type=cache,target=/x,gid=-1", "a whole number"),
    ("parseMount: size", "type=tmpfs,target=/x,size=much", "a size"),
    ("parseMount: only a tmpfs has a size", "type=cache,target=/x,size=1m", "type cache does not take size"),
    ("parseMount: only secrets can be required", "target=/x,required", "type bind does not take required"),
    ("parseMount: type comes first", "required,type=secret,id=s", "type bind does not take required"),
    ("validateMount: no mode for a bind", "target=/x,mode=0755", "type bind does not take mode"),
    ("validateMount: no uid for a tmpfs", "uid=1,type=tmpfs,target=/x", "type tmpfs does not take uid"),
    ("validateMount: only a cache is shared", "type=secret,id=s,sharing=locked", "type secret does not take sharing"),
    ("validateMount: a secret is from nowhere", "type=secret,id=s,from=b", "secret does not take from"),
    ("validateMount: a secret has a name", "type=secret", "needs an id, a source or a target"),
    ("validateMount: a secret has one name", "type=secret,id=s,src=t", "either an id or a source"),
]


@pytest.mark.parametrize(("options", "reason"), [row[1:] for row in MOUNTS], ids=[row[0] for row in MOUNTS])
def test_options_of_mounts_are_checked_as_in_commands_runmount_go(options: str, reason: str) -> None:
    said = [(problem.line, problem.reason) for problem in read(f"FROM a\n\nRUN --mount='{options}' x").problems]
    assert len(said) == bool(reason)
    assert all(line == 3 and text.startswith("--mount: ") and reason in text for line, text in said)


def test_options_of_mounts_are_checked_only_where_the_stage_is_built() -> None:
    """convert.go, dispatch: options are expanded and checked for the stages that the target reaches."""
    wrong = "RUN --mount=foo=bar,target=/x y"
    assert remarks(f"FROM a AS unused\n{wrong}\nFROM b") == []
    assert remarks(f"FROM a AS used\n{wrong}\nFROM used") == [(2, False)]
    assert remarks(f"FROM a AS parent\nONBUILD {wrong}\nFROM b") == []
    assert remarks(f"FROM a AS parent\nONBUILD {wrong}\nFROM parent") == [(2, False)]
