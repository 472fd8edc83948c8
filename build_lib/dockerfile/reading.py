"""The external images and the paths of the context that a Dockerfile needs, found as BuildKit finds them.

The steps are those of BuildKit's own `frontend/dockerfile`: `syntax` parses a text into instructions, `stages` groups
these into stages, `images` tells stages from images, and `context_paths` expands the paths. BuildKit stops at the first
error. Here an error becomes a problem with its line, and reading goes on; but an instruction that BuildKit refuses
names no image.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from build_lib.dockerfile.arguments import variables
from build_lib.dockerfile.context_paths import ContextPath, context_paths
from build_lib.dockerfile.images import Base, BuildKitFeature, ImageUse, Resolver, wrong_with
from build_lib.dockerfile.stages import Draft, outline
from build_lib.dockerfile.syntax import Problem, parse
from build_lib.reference import Reference

__all__ = ["BuildKitFeature", "ContextPath", "ImageUse", "Problem", "Reading", "external_images", "read", "with_names"]

_FRONT_ENDS = ("docker.io/docker/dockerfile", "docker.io/docker/dockerfile-upstream")  # BuildKit's own


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a Dockerfile says about images and about files of the context, in the file's order."""

    images: tuple[ImageUse, ...]
    problems: tuple[Problem, ...]  # line 0 is the whole file
    stages: tuple[str, ...]  # their names; "" for one that has none
    arguments: frozenset[str]  # every name that an ARG declares, anywhere in the file
    defaults: Mapping[str, str]  # their first defaults, where these need no other argument
    buildkit: tuple[BuildKitFeature, ...]
    bases: tuple[Base, ...]  # of each stage
    context: tuple[ContextPath, ...]  # what the stages that the target needs take from the build context


def read(
    text: str | bytes, build_args: Mapping[str, str] = {}, target: str | None = None, platform: str | None = None
) -> Reading:
    """Read a Dockerfile. No content raises an exception.

    Args:
        text: the Dockerfile; bytes are decoded as UTF-8.
        build_args: values that replace the defaults of its arguments.
        target: the stage to build; by default the last one, as in BuildKit.
        platform: the platform to build for, such as `linux/arm64`; by default this machine's.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    syntax = parse(text)
    draft = outline(syntax)
    stage = target or (draft.stages[-1].name if draft.stages else "")
    values, problems = variables(draft.above, build_args, stage=stage, platform=platform, escape=syntax.escape)
    resolver = Resolver(draft.stages, values, syntax.escape, target)
    images, wrong = _frontend(syntax.frontend, build_args)
    problems += [*wrong, *syntax.problems, *draft.problems, *resolver.problems()]
    taken = context_paths(resolver.steps(), draft.above, build_args, syntax.environment, syntax.escape)
    context = [*taken, *_untold(images, problems)]
    return Reading(
        images=tuple(sorted([*images, *resolver.images()], key=lambda image: image.line)),
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        stages=tuple(stage.name for stage in draft.stages),
        arguments=frozenset(draft.names),
        defaults=_defaults(draft, syntax.escape),
        buildkit=tuple(sorted(resolver.features())),
        bases=tuple(resolver.bases()),
        context=tuple(sorted(context, key=lambda path: path.line)),
    )


def external_images(text: str, build_args: Mapping[str, str] = {}, target: str | None = None) -> list[str]:
    """Return the names of a Dockerfile's external images, sorted, without the one of `# syntax=`.

    With a target, these are the images that it reaches. Without one, they are those of every stage, because the images
    stored for a closed network have to serve any target.
    """
    images = read(text, build_args, target).images
    return sorted({image.name for image in images if image.kind != "syntax" and (image.reached or not target)})


def with_names(text: str, names: Iterable[tuple[ImageUse, str]]) -> str:
    """Return the Dockerfile with other names for some of its images; every line keeps its number."""
    lines = text.split("\n")
    for use, name in names:
        written = re.escape(use.written)
        # `COPY --chown=nginx --from=nginx` has the same word twice, `FROM --platform=a a` too
        before = "(?<=from=)" if use.kind in ("copy", "mount", "onbuild") else r"(?<=\s)"
        _replace(lines, max(use.line - 1, 0), rf"(?i:{before}){written}(?![^\s,\"'])", name) or _replace(
            lines, max(use.line - 1, 0), written, name
        )
    return "\n".join(lines)


def _replace(lines: list[str], first: int, pattern: str, name: str) -> bool:
    """Replace the first match in a line from `first` on; whether there is one."""
    for place in range(first, len(lines)):
        lines[place], count = re.subn(pattern, lambda _match: name, lines[place], count=1)
        if count:
            return True
    return False


def _defaults(draft: Draft, escape: str) -> dict[str, str]:
    """The first default of each argument; one that uses other arguments is left out."""
    found: dict[str, str] = {}
    for argument in (*draft.above, *(each for stage in draft.stages for each in stage.own.arguments)):
        values, _ = variables([argument], {}, stage="", platform=None, escape=escape)
        if argument.default is not None and argument.name in values and "$" not in argument.default:
            found.setdefault(argument.name, values[argument.name].text)
    return found


def _untold(frontends: Iterable[ImageUse], problems: Iterable[Problem]) -> Iterator[ContextPath]:
    """Lines that may take any path: another front end reads the file its own way, and a problem may hide a COPY."""
    lines = [use.line for use in frontends if Reference.parse(use.name).repository not in _FRONT_ENDS]
    lines += [problem.line for problem in problems if not problem.remark]
    return (ContextPath(line=line, path=None) for line in lines)


def _frontend(directive: tuple[int, str] | None, build_args: Mapping[str, str]) -> tuple[list[ImageUse], list[Problem]]:
    """The front end that BuildKit reads the file with; BUILDKIT_SYNTAX takes precedence (builder/build.go)."""
    line, name = directive or (1, "")
    name = build_args.get("BUILDKIT_SYNTAX", "").strip().partition(" ")[0] or name
    if not name:
        return [], []
    wrong = wrong_with(name)
    if wrong:
        return [], [Problem(line=line, reason=f"syntax={name}: {wrong}")]
    return [ImageUse(name=name, written=name, kind="syntax", line=line, stage="", platform=None, reached=True)], []
