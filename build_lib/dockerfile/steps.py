"""The line of a Dockerfile that a builder's step comes from, by the step's name or number.

BuildKit names a step `[build 3/7] RUN make`: of the stage's instructions, it counts FROM (of an image, not of a stage),
then the ONBUILD triggers of the base image, then the stage's own (dockerfile2llb/convert.go, prefixCommand). The
classic builder counts every instruction of the file: `Step 5/9 : RUN make`.
"""

import re
from dataclasses import dataclass

from build_lib.dockerfile.syntax import Place, places

_BUILDKIT = re.compile(r"\[(?:\S+/\S+ )?(?P<stage>\S+ )? ?(?P<number>\d+)/(?P<total>\d+)\] (?P<keyword>\w+)")
_CLASSIC = re.compile(r"Step (?P<number>\d+)/\d+ : (?P<keyword>\w+)")
_UNNAMED = re.compile(r"stage-(\d+)")
_COUNTED = frozenset(["add", "copy", "run", "workdir"])


@dataclass(kw_only=True, slots=True)
class _Stage:
    name: str
    line: int
    steps: list[Place]


def line_of_step(text: str, step: str) -> int:
    """Return the line of the Dockerfile with this text that a step, as a builder names it, comes from; 0 if unknown."""
    found = _CLASSIC.match(step)
    if found:
        return _same(places(text), int(found["number"]) - 1, found["keyword"])
    found = _BUILDKIT.match(step)
    if not found:
        return 0
    stage = _stage(_stages(text), (found["stage"] or "").strip())
    if stage is None:
        return 0
    if found["keyword"] == "FROM":
        return stage.line
    index = len(stage.steps) - (int(found["total"]) - int(found["number"]) + 1)
    said = step[found.end() :].split()
    if not _fits(stage.steps, index, said) and _fits(stage.steps, index + 1, said):
        index += 1  # a named context stands for the image of FROM, which is counted, but has no step
    return _same(stage.steps, index, found["keyword"])


def _fits(steps: list[Place], index: int, said: list[str]) -> bool:
    """Whether the step with this index has these arguments, which may have a prefix: that of a mirror, for a URL."""
    own = steps[index].rest.split() if 0 <= index < len(steps) else []
    pairs = zip(own, said, strict=False)
    return len(own) == len(said) > 0 and all("$" in mine or word.endswith(mine) for mine, word in pairs)


def _same(steps: list[Place], index: int, keyword: str) -> int:
    """The line of the step with this index, if it has this keyword."""
    if 0 <= index < len(steps) and steps[index].keyword == keyword.lower():
        return steps[index].line
    return 0


def _stages(text: str) -> list[_Stage]:
    found: list[_Stage] = []
    for place in places(text):
        if place.keyword == "from":
            words = place.rest.split()
            name = words[-1].lower() if len(words) > 2 and words[-2].lower() == "as" else ""
            found.append(_Stage(name=name, line=place.line, steps=[]))
        elif found and place.keyword in _COUNTED:
            found[-1].steps.append(place)
    return found


def _stage(stages: list[_Stage], name: str) -> _Stage | None:
    """The stage with this name; a Dockerfile's only one has none."""
    unnamed = _UNNAMED.fullmatch(name)
    if unnamed and int(unnamed[1]) < len(stages):
        return stages[int(unnamed[1])]
    if not name and len(stages) == 1:
        return stages[0]
    return next((stage for stage in stages if name and stage.name == name), None)
