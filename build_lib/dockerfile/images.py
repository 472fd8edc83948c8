"""Tell stages from images, as BuildKit's `dockerfile2llb/convert.go` does."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Literal, NamedTuple

from build_lib.dockerfile.shell_pattern import Refused, shortened
from build_lib.dockerfile.shell_word import Expansion, Variable, expand
from build_lib.dockerfile.stages import Source, Stage, Steps
from build_lib.dockerfile.syntax import Problem
from build_lib.errors import InvalidReference
from build_lib.reference import Reference

Kind = Literal["from", "copy", "mount", "onbuild", "syntax", "context"]  # context: compose's additional_contexts

_EMPTY = "scratch"  # as a base: no image
_INDEX = re.compile(r"[+-]?[0-9]{1,18}")
_PLATFORM = re.compile(r"[A-Za-z0-9_.+-]+(\([A-Za-z0-9_.+-]*\))?(/[A-Za-z0-9_.-]+){0,2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageUse:
    """A place that names an external image."""

    name: str  # with variables expanded
    written: str  # as written in the text
    kind: Kind
    line: int  # the instruction's first line
    stage: str  # the name or else the index of the stage that contains it; "" for a front end
    platform: str | None  # the value of FROM --platform
    reached: bool  # whether the target needs it
    locked: str = ""  # the digest that images.lock has for it; "" if it has none

    @property
    def image(self) -> Reference:
        """The image that it stands for: of its name, and with the digest that is locked.

        Raises:
            InvalidReference: the name is not one of an image.
        """
        named = Reference.parse(self.name)
        return replace(named, digest=self.locked) if self.locked else named


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """What a stage is based on, and whether the target needs the stage."""

    stage: int | None  # the index of the stage above that it is based on; None if it is on none
    image: str  # with variables expanded; "" if it is based on a stage or on nothing, or the image cannot be told
    reached: bool


class BuildKitFeature(NamedTuple):
    """A feature that the classic builder of Docker 20.10 does not have, and the line that uses it."""

    line: int
    feature: str


@dataclass(frozen=True, slots=True)
class _Found:
    """An image, and the graph node that needs it."""

    node: int
    name: str
    kind: Kind
    line: int
    written: str
    platform: str | None = None


class Resolver:
    """Finds the images that the stages need.

    The nodes of its graph are the stages, by index, followed in the same order by the ONBUILD triggers of each stage,
    which run in the stages that are based on it.
    """

    def __init__(
        self, stages: Sequence[Stage], values: Mapping[str, Variable], escape: str, target: str | None
    ) -> None:
        self._stages = stages
        self._values = values
        self._escape = escape
        self._names: dict[str, int] = {}  # for a duplicate name, the last stage so far
        self._edges: list[list[int]] = [[] for _ in range(2 * len(stages))]
        self._copies: list[tuple[int, int, int]] = []  # stage, stage that it copies from, line
        self._bases: dict[int, int] = {}  # the stages that stages are based on
        self._base_stages: set[int] = set()  # those that other stages are based on
        self._found: list[_Found] = []
        self._problems: list[tuple[int, Problem]] = []  # by node
        self._late_problems: list[tuple[int, Problem]] = []  # by node
        self._read_stages()
        self._reached = self._reached_from(target)

    def images(self) -> Iterator[ImageUse]:
        """The images of all stages."""
        for found in self._found:
            stage = found.node % len(self._stages)
            yield ImageUse(
                name=found.name,
                written=found.written,
                kind=found.kind,
                line=found.line,
                stage=self._stages[stage].name or str(stage),
                platform=found.platform,
                reached=found.node in self._reached,
            )

    def problems(self) -> Iterator[Problem]:
        """The problems of all stages, and those of the triggers and the commands that the target runs."""
        for node, problem in self._problems:
            if node < len(self._stages) or node in self._reached:
                yield problem
        yield from (problem for node, problem in self._late_problems if node in self._reached)
        yield from self._copies_from_below()

    def features(self) -> Iterator[BuildKitFeature]:
        """The features that need BuildKit, in the stages and in the triggers that run in one."""
        for index, stage in enumerate(self._stages):
            for line, feature in [*stage.own.features, *(stage.onbuild.features if index in self._base_stages else [])]:
                yield BuildKitFeature(line, feature)

    def steps(self) -> Iterator[Steps]:
        """What the target runs: the steps of stages, and the triggers of those that others are based on."""
        count = len(self._stages)
        for node in sorted(self._reached):
            yield self._stages[node].own if node < count else self._stages[node - count].onbuild

    def bases(self) -> Iterator[Base]:
        """What each stage is based on."""
        images = {found.node: found.name for found in self._found if found.kind == "from"}
        for index in range(len(self._stages)):
            reached = index in self._reached
            yield Base(stage=self._bases.get(index), image=images.get(index, ""), reached=reached)

    def _read_stages(self) -> None:
        """Read all FROMs first, because a COPY may name a stage below it."""
        for index, stage in enumerate(self._stages):
            self._read_from(index, stage)
            if stage.name:
                self._names[stage.name] = index
        for index, stage in enumerate(self._stages):
            self._read_steps(index, index, stage.own)
            if index in self._base_stages:
                self._read_steps(index, index + len(self._stages), stage.onbuild)

    def _read_steps(self, index: int, node: int, steps: Steps) -> None:
        self._read_sources(index, node, steps.sources)
        self._problems += [(node, problem) for problem in steps.problems]
        self._late_problems += [(node, problem) for problem in steps.late_problems]

    def _report(self, node: int, line: int, reason: str, argument: str | None = None, *, remark: bool = False) -> None:
        self._problems.append((node, Problem(line=line, reason=reason, argument=argument, remark=remark)))

    def _expand(self, index: int, word: str) -> Expansion | None:
        try:
            return expand(word, self._values, self._escape)
        except Refused as refused:
            self._report(index, self._stages[index].line, f"FROM: {refused.reason}", refused.argument)
            return None

    def _read_from(self, index: int, stage: Stage) -> None:
        """Read what a stage is based on: a stage above with the same name, case-sensitive (addState), or an image."""
        base = self._expand(index, stage.base) if stage.base is not None else None
        if base is None:
            return
        platform = self._platform(index, stage)
        wrong = ""
        other = self._names.get(base.text)
        if other is not None:
            self._edges[index] += other, other + len(self._stages)
            self._bases[index] = other
            self._base_stages.add(other)
        elif base.text != _EMPTY:
            wrong = wrong_with(base.text)
            if not wrong:
                self._found.append(_Found(index, base.text, "from", stage.line, stage.base or "", platform))
        self._explain(index, f"FROM {shortened(stage.base or '')}", base, wrong)

    def _platform(self, index: int, stage: Stage) -> str | None:
        found = self._expand(index, stage.platform) if stage.platform else None
        if found is None:
            return None
        wrong = "" if _PLATFORM.fullmatch(found.text) else f"{shortened(found.text)} is not a platform"
        self._explain(index, f"FROM --platform={shortened(stage.platform or '')}", found, wrong)
        return None if wrong else found.text

    def _explain(self, index: int, what: str, found: Expansion, wrong: str) -> None:
        """Report every argument that is not set, and an empty one only if the value is invalid.

        To BuildKit, an argument that is not set is an empty one: with a valid value, this is only a remark.
        """
        line = self._stages[index].line
        for name in found.missing:
            outcome = wrong or f"without it the value is {found.text}"
            self._report(index, line, f"{what}: the argument {name} is not set, and {outcome}", name, remark=not wrong)
        if wrong and not found.missing:
            blank = next(iter(found.blank), None)
            hint = f" (the argument {blank} is empty)" if blank else ""
            self._report(index, line, f"{what}: {wrong}{hint}", blank)

    def _read_sources(self, index: int, node: int, sources: Sequence[Source]) -> None:
        """COPY --from= and RUN --mount=from=: convert.go's toCommand, convert_runmount.go's detectRunMount."""
        for source in sources:
            other = self._names.get(source.name.lower())
            if source.kind == "copy" and _INDEX.fullmatch(source.name):
                other = int(source.name)
            if other is None:
                self._read_image(node, source, source.kind if node == index else "onbuild")
            elif not 0 <= other < len(self._stages):
                self._report(node, source.line, f"--from={source.name}: there is no stage with this index")
            else:
                self._edges[node].append(other)
                if node == index:
                    self._copies.append((index, other, source.line))

    def _read_image(self, node: int, source: Source, kind: Kind) -> None:
        if source.name == _EMPTY:
            return
        wrong = wrong_with(source.name)
        if wrong:
            self._report(node, source.line, f"from={shortened(source.name)}: {wrong}")
        else:
            self._found.append(_Found(node, source.name, kind, source.line, source.name))

    def _reached_from(self, target: str | None) -> set[int]:
        """The nodes that a target needs; a stage's index cannot be used as a target (resolveTarget)."""
        start = self._names.get(target.lower()) if target else len(self._stages) - 1
        if start is None or start < 0:
            known = ", ".join(list(self._names)[:10]) or "none"
            reason = f"there is no stage {target!r} (named stages: {known})" if self._stages else "there is no FROM"
            self._report(-1, 0, reason)
            return set()
        reached, ahead = {start}, [start]
        while ahead:
            new = set(self._edges[ahead.pop()]) - reached
            reached |= new
            ahead += new
        return reached

    def _copies_from_below(self) -> Iterator[Problem]:
        """Copies from a stage that is not above; BuildKit allows them in stages not needed, unless in a circle."""
        below = [copy for copy in self._copies if copy[1] >= copy[0]]
        circle = self._circle() if below else set()
        for index, other, line in below:
            if index in self._reached or {index, other} <= circle:
                name = self._stages[other].name or other
                yield Problem(line=line, reason=f"stage {name} has to be defined above the stage that uses it")

    def _circle(self) -> set[int]:
        sorter: TopologicalSorter[int] = TopologicalSorter()
        for index, other, _ in self._copies:
            sorter.add(index, other)
        try:
            sorter.prepare()
        except CycleError as error:
            return set(error.args[1])
        return set()


def wrong_with(name: str) -> str:
    """Return why a text is not an image name; "" if it is one."""
    try:
        Reference.parse(name)
    except InvalidReference as error:
        return error.message
    return ""
