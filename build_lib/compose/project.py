"""Compose files: which services are built here and how, and which images are only run.

The rules are those of the compose specification (compose-spec on GitHub); services of all profiles are included.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from build_lib.compose.files import load
from build_lib.compose.service import Part, is_remote
from build_lib.errors import InvalidReference
from build_lib.reference import Reference

_SHOWN = 100  # characters of a name in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildEntry:
    """A service that this repository builds."""

    name: str
    image: str | None  # the name of the result, if given
    context: Path | str  # an absolute path, or a remote context as written
    dockerfile: Path | None  # absolute, or within a remote context; None if it is inline
    dockerfile_inline: str | None
    target: str | None
    args: tuple[tuple[str, str], ...]
    additional_contexts: tuple[tuple[str, str], ...]
    platforms: tuple[str, ...]
    path: Path  # the file and the line of the service's name
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageEntry:
    """A service that runs an image from elsewhere."""

    name: str
    image: str
    platform: str | None
    path: Path  # the file and the line of the image's name
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that could not be understood, and where; line 0 is the whole file.

    A remark is about something that is accepted, but that may not be intended.
    """

    path: Path
    line: int
    reason: str
    remark: bool = False
    hint: str = ""  # what to do about it


@dataclass(frozen=True, kw_only=True, slots=True)
class Compose:
    """The services of all files by kind, in the order of their names, and the problems."""

    builds: tuple[BuildEntry, ...]
    images: tuple[ImageEntry, ...]
    problems: tuple[Problem, ...]


def read(files: Sequence[Path], variables: Mapping[str, str]) -> Compose:
    """Read compose files that belong together; later ones override earlier ones, as with `docker compose -f`.

    `variables` take precedence over the `.env` beside the first file. No content raises an exception: what cannot be
    understood becomes a problem, and the rest is returned.
    """
    problems: list[Problem] = []

    def report(path: Path, line: int, reason: str) -> None:
        problems.append(Problem(path=path, line=line, reason=reason))

    services = load(files, variables, report).parts if files else None
    entries: list[BuildEntry | ImageEntry] = []
    for name, service in sorted((services or {}).items()):
        wrong = [Problem(path=part.path, line=part.line, reason=part.error) for part in _wrong(name, service)]
        problems += wrong
        if not wrong:
            entries += _entries(name, service)
    return Compose(
        builds=tuple(entry for entry in entries if isinstance(entry, BuildEntry)),
        images=tuple(entry for entry in entries if isinstance(entry, ImageEntry)),
        problems=tuple(sorted(set(problems), key=lambda problem: (problem.path, problem.line, problem.reason))),
    )


def _wrong(name: str, service: Part) -> Iterator[Part]:
    """The parts that prevent a service from becoming an entry, each with its reason."""
    errors = list(service.errors(f"service {name}"))
    yield from errors
    build, image = service.get("build"), service.get("image")
    if errors or service.absent:
        return
    if build and build.get_text("dockerfile") and build.get_text("dockerfile_inline"):
        yield replace(build, error=f"service {name}: it has both a dockerfile and a dockerfile_inline")
    elif not build and image and not _is_image(image.text or ""):
        yield replace(image, error=f"service {name}: {_named(image)} is not an image name")
    elif not build and not image and not service.get("provider"):
        yield replace(service, error=f"service {name}: it has neither an image nor a build section")


def _named(image: Part) -> str:
    """An image's name, and how it is written if it contains variables."""
    name, written = (f"{(text or '')[:_SHOWN]!r}" for text in (image.text, image.written))
    return name if name == written else f"{name}, written {written},"


def _is_image(text: str) -> bool:
    try:
        Reference.parse(text)
    except InvalidReference:
        return False
    return True


def _entries(name: str, service: Part) -> Iterator[BuildEntry | ImageEntry]:
    build, image = service.get("build"), service.get("image")
    if build:
        yield _build_entry(name, service, build)
    elif image:
        platform = service.get_text("platform") or None
        yield ImageEntry(name=name, image=image.text or "", platform=platform, path=image.path, line=image.line)


def _build_entry(name: str, service: Part, build: Part) -> BuildEntry:
    """The build section's keys with their defaults ("Compose Build Specification", Attributes)."""
    context = build.get_text("context") or ""
    inline = build.get_text("dockerfile_inline") or None
    platforms = tuple(build.texts("platforms").values())
    platform = service.get_text("platform")
    return BuildEntry(
        name=name,
        image=service.get_text("image") or None,
        context=context if is_remote(context) else Path(context),
        dockerfile=None if inline else _dockerfile(context, build.get_text("dockerfile") or "Dockerfile"),
        dockerfile_inline=inline,
        target=build.get_text("target") or None,
        args=tuple(sorted(build.texts("args").items())),
        additional_contexts=tuple(sorted(build.texts("additional_contexts").items())),
        platforms=platforms or ((platform,) if platform else ()),
        path=service.path,
        line=service.line,
    )


def _dockerfile(context: str, name: str) -> Path:
    """The path of the Dockerfile, whose name is relative to the context."""
    return Path(name) if is_remote(context) else Path(os.path.normpath(Path(context) / name))
