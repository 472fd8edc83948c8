"""The stages of a Dockerfile as written: BuildKit's `frontend/dockerfile/instructions`."""

import re
from dataclasses import dataclass, field
from typing import Literal

from build_lib.dockerfile.arguments import Argument
from build_lib.dockerfile.mounts import read_mount
from build_lib.dockerfile.shell_pattern import Refused
from build_lib.dockerfile.shell_word import SPACE, expand
from build_lib.dockerfile.syntax import Instruction, Problem, Syntax, arguments, sources, words

_FLAGS = {
    "from": {"platform"},
    "copy": {"chmod", "chown", "exclude", "from", "link", "parents"},
    "add": {"checksum", "chmod", "chown", "exclude", "keep-git-dir", "link", "unpack"},
    "run": {"device", "mount", "network", "security"},
}
_SWITCHES = frozenset(["keep-git-dir", "link", "parents", "unpack"])
_REPEATED = frozenset(["device", "exclude", "mount"])
_CLASSIC = frozenset(["chown", "from", "platform"])  # those that the classic builder has too

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_WORDS = {
    escape: re.compile(rf"""(?:[^{SPACE}'"{mark}]|{mark}.|'[^']*+'?|"(?:[^"{mark}]|{mark}.)*+"?)++""", re.DOTALL)
    for escape, mark in (("\\", r"\\"), ("`", "`"))
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The stage or image that a stage copies or mounts from."""

    line: int
    kind: Literal["copy", "mount"]
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """The paths that an instruction takes from the build context, as written."""

    line: int
    kind: Literal["add", "copy", "mount"]
    paths: tuple[str, ...]
    arguments: int  # how many of the stage's arguments are declared above it
    parents: bool = False  # COPY --parents
    excluded: tuple[str, ...] = ()  # the patterns of --exclude


@dataclass(kw_only=True, slots=True)
class Steps:
    """What the instructions of a stage, or its ONBUILD triggers, say about images and files."""

    sources: list[Source] = field(default_factory=list)
    takes: list[Taken] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    late_problems: list[Problem] = field(default_factory=list)  # those that BuildKit finds when it builds the stage
    features: list[tuple[int, str]] = field(default_factory=list)  # those that need BuildKit, with their lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A FROM and the instructions that follow it."""

    line: int
    name: str  # lower-case; "" if it has none
    base: str | None  # as written; None if BuildKit refuses the FROM
    platform: str | None
    own: Steps = field(default_factory=Steps)
    onbuild: Steps = field(default_factory=Steps)


@dataclass(kw_only=True, slots=True)
class Draft:
    """All stages, the arguments above the first one, and the names of all arguments."""

    stages: list[Stage] = field(default_factory=list)
    above: list[Argument] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def outline(syntax: Syntax) -> Draft:
    """Group the instructions into stages."""
    draft = Draft()
    for instruction in syntax.instructions:
        steps = _steps(draft, instruction)
        try:
            _add(draft, steps, instruction, syntax.escape)
        except Refused as refused:
            problems = steps.problems if steps else draft.problems
            problems.append(Problem(line=instruction.line, reason=refused.reason, argument=refused.argument))
    return draft


def _steps(draft: Draft, instruction: Instruction) -> Steps | None:
    if not draft.stages:
        return None
    return draft.stages[-1].onbuild if instruction.onbuild else draft.stages[-1].own


def _add(draft: Draft, steps: Steps | None, instruction: Instruction, escape: str) -> None:
    if instruction.keyword == "from":
        _add_stage(draft, instruction)
    elif instruction.keyword == "arg":
        declared = _declared(instruction, escape)
        draft.names.update(argument.name for argument in declared)
        into = draft.above if steps is None else steps.arguments
        into += declared
    elif steps is None:
        raise Refused(f"{instruction.keyword.upper()} comes before the first FROM")
    elif instruction.keyword in _FLAGS:
        _add_step(steps, instruction, escape)


def _add_stage(draft: Draft, instruction: Instruction) -> None:
    """Add the stage of a FROM, even a refused one: what follows it does not belong to the stage before."""
    said = words(instruction.rest)
    name = said[2].lower() if len(said) > 2 and said[1].lower() == "as" else ""
    base = platform = None
    try:
        _check_from(said, name)
        platform = next(iter(_values(instruction).get("platform", ())), None)
        base = said[0]
    except Refused as refused:
        draft.problems.append(Problem(line=instruction.line, reason=refused.reason))
    draft.stages.append(Stage(line=instruction.line, name=name, base=base, platform=platform))


def _check_from(said: list[str], name: str) -> None:
    if len(said) != (3 if name else 1):
        raise Refused("FROM takes an image, or an image AS a name, with no comment after it")
    if name and not _STAGE_NAME.fullmatch(name):
        raise Refused(f"{name!r} is not a stage name: use letters, digits, '_', '.' and '-', with a letter first")


def _declared(instruction: Instruction, escape: str) -> list[Argument]:
    """`ARG a b=c` declares two; the defaults keep their quotes until they are expanded."""
    found = []
    for name, default in defined(instruction.rest, escape):
        if not name:
            raise Refused("an ARG has no name")
        found.append(Argument(line=instruction.line, name=name, default=default))
    if not found:
        raise Refused("ARG declares nothing")
    return found


def defined(rest: str, escape: str) -> list[tuple[str, str | None]]:
    """Return the names and values of an ARG or an ENV, with their quotes; None for a name without a value."""
    parts = (word.partition("=") for word in _WORDS[escape].findall(rest))
    return [(name, text if equals else None) for name, equals, text in parts]


def _add_step(steps: Steps, instruction: Instruction, escape: str) -> None:
    values = _values(instruction)
    line, keyword = instruction.line, instruction.keyword
    features = [f"{keyword.upper()} --{name}" for name in values if name not in _CLASSIC]
    steps.features += [(line, feature) for feature in [*features, *["here-document"] * instruction.heredoc]]
    copied = values.get("from", [""])[0]
    declared = len(steps.arguments)
    if copied:
        _check_copy(instruction, copied, escape)
        steps.sources.append(Source(line=line, kind="copy", name=copied))
    elif keyword != "run":
        steps.takes.append(
            Taken(
                line=line,
                kind="add" if keyword == "add" else "copy",
                paths=tuple(sources(instruction)),
                arguments=declared,
                parents="parents" in values,
                excluded=tuple(values.get("exclude", ())),
            )
        )
    for mount in map(read_mount, values.get("mount", ())):
        if mount.name:
            steps.sources.append(Source(line=line, kind="mount", name=mount.name))
        if mount.source is not None:
            steps.takes.append(Taken(line=line, kind="mount", paths=(mount.source,), arguments=declared))
        if mount.wrong:
            steps.late_problems.append(Problem(line=line, reason=f"--mount: {mount.wrong}"))


def _values(instruction: Instruction) -> dict[str, list[str]]:
    """The flags by name: instructions/bflag.go."""
    found: dict[str, list[str]] = {}
    for flag in instruction.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name not in _FLAGS[instruction.keyword]:
            raise Refused(f"{instruction.keyword.upper()} has no flag {'--' + name!r}")
        if not equals and name not in _SWITCHES:
            raise Refused(f"the flag --{name} has no value")
        if name in found and name not in _REPEATED:
            raise Refused(f"the flag --{name} is given twice")
        found.setdefault(name, []).append(value)
    return found


def _check_copy(instruction: Instruction, name: str, escape: str) -> None:
    """Refuse a name that the shell lexer would change, instead of expanding it: convert.go, toCommand."""
    if len(arguments(instruction.rest)) < 2:
        raise Refused("COPY needs a source and a destination")
    try:
        as_written = expand(name, {}, escape).text == name
    except Refused:
        as_written = False
    if not as_written:
        raise Refused("--from does not expand variables: write FROM ${…} AS name, and copy from that")
