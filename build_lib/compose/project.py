"""Compose files: which services are built here and how, and which images are only run.

The rules are those of the compose specification (compose-spec on GitHub).
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from build_lib.compose.environment import look
from build_lib.compose.files import load
from build_lib.compose.service import Part, is_remote
from build_lib.errors import InvalidReference, Place
from build_lib.reference import Reference
from build_lib.settings import masked_value

_SHOWN = 100  # characters of a name in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildWith:
    """The name of a service that has to run during a build, and the file and the line of that."""

    name: str
    path: Path
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildEntry:
    """A service that this repository builds."""

    name: str
    image: str | None  # the name of the result, if given
    default_image: str  # the name that compose gives it otherwise; "" for a service that is in no compose file
    context: Path | str  # an absolute path, or a remote context as written
    dockerfile: Path | None  # absolute, or within a remote context; None if it is inline
    dockerfile_inline: str | None
    target: str | None
    args: tuple[tuple[str, str], ...]
    additional_contexts: tuple[tuple[str, str], ...]
    platforms: tuple[str, ...]
    path: Path  # the file and the line of the service's name
    line: int
    build_with: tuple[BuildWith, ...] = ()  # our extension `x-build-with`
    health_check: tuple[str, ...] | None = None  # as in a Dockerfile; () if disabled; None: that of the image counts
    profiles: tuple[str, ...] = ()
    active: bool = True  # whether it is deployed: it has no profiles, or one of them is active


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageEntry:
    """A service that runs an image from elsewhere."""

    name: str
    image: str
    platform: str | None
    path: Path  # the file and the line of the image's name
    line: int
    profiles: tuple[str, ...] = ()
    active: bool = True  # as for a BuildEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that could not be understood, and where; line 0 is the whole file.

    A remark is about something that is accepted, but that may not be intended. `service` is the only one that it
    concerns; "" if it may concern others.
    """

    path: Path
    line: int
    reason: str
    remark: bool = False
    hint: str = ""  # what to do about it
    service: str = ""

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(path=self.path, line=self.line)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compose:
    """The services of all files by kind, in the order of their names, and the problems."""

    name: str = ""  # of the project
    files: tuple[Path, ...] = ()
    builds: tuple[BuildEntry, ...] = ()
    images: tuple[ImageEntry, ...] = ()
    problems: tuple[Problem, ...] = ()


def read(directory: Path, variables: Mapping[str, str]) -> Compose:
    """Read the compose files that `docker compose` reads in a directory, given the environment variables.

    Among these, `COMPOSE_FILE`, `COMPOSE_PROFILES` and others mean what they mean to compose. No content raises an
    exception: what cannot be understood becomes a problem, and the rest is returned.
    """
    problems: list[Problem] = []

    def report(path: Path, line: int, reason: str) -> None:
        problems.append(Problem(path=path, line=line, reason=reason))

    project = look(directory, variables, report)
    if not project.files:
        return Compose()
    name, services = load(project, report)
    entries: list[BuildEntry | ImageEntry] = []
    for service, part in sorted(services.items()):
        profiles = tuple(part.texts("profiles").values())
        active = project.activates(profiles)
        wrong = [
            Problem(path=it.path, line=it.line, reason=it.error, service=service)
            for it in _wrong(service, part, active=active)
        ]
        problems += wrong
        if not wrong:
            entries += (replace(entry, profiles=profiles, active=active) for entry in _entries(service, part, name))
    return Compose(
        name=name,
        files=project.files,
        builds=tuple(entry for entry in entries if isinstance(entry, BuildEntry)),
        images=tuple(entry for entry in entries if isinstance(entry, ImageEntry)),
        problems=tuple(sorted(set(problems), key=lambda problem: (problem.path, problem.line, problem.reason))),
    )


def _wrong(name: str, service: Part, *, active: bool) -> Iterator[Part]:
    """The parts that prevent a service from becoming an entry, each with its reason."""
    errors = list(service.errors(f"service {name}"))
    yield from errors
    build, image = service.get("build"), service.get("image")
    if errors or service.absent:
        return
    if build and build.get_text("dockerfile") and build.get_text("dockerfile_inline"):
        yield replace(build, error=f"service {name}: it has both a dockerfile and a dockerfile_inline")
    elif not build and active:
        yield from _wrong_image(name, service, image)


def _wrong_image(name: str, service: Part, image: Part | None) -> Iterator[Part]:
    """What is wrong with a service that runs an image; as compose does, this asks only for those that are deployed."""
    if image and not _is_image(image.text or ""):
        yield replace(image, error=f"service {name}: {_named(image)} is not an image name")
    elif not image and not service.get("provider"):
        yield replace(service, error=f"service {name}: it has neither an image nor a build section")


def _named(image: Part) -> str:
    """An image's name, and how it is written if it contains variables."""
    name, written = (f"{masked_value(text or '')[:_SHOWN]!r}" for text in (image.text, image.written))
    return name if name == written else f"{name}, written {written},"


def _is_image(text: str) -> bool:
    try:
        Reference.parse(text)
    except InvalidReference:
        return False
    return True


def _entries(name: str, service: Part, project: str) -> Iterator[BuildEntry | ImageEntry]:
    build, image = service.get("build"), service.get("image")
    if build:
        yield _build_entry(name, service, build, project)
    elif image:
        platform = service.get_text("platform") or None
        yield ImageEntry(name=name, image=image.text or "", platform=platform, path=image.path, line=image.line)


def _build_entry(name: str, service: Part, build: Part, project: str) -> BuildEntry:
    """The build section's keys with their defaults ("Compose Build Specification", Attributes)."""
    context = build.get_text("context") or ""
    inline = build.get_text("dockerfile_inline") or None
    platforms = tuple(build.texts("platforms").values())
    platform = service.get_text("platform")
    return BuildEntry(
        name=name,
        image=service.get_text("image") or None,
        default_image=f"{project}-{name}",
        context=context if is_remote(context) else Path(context),
        dockerfile=None if inline else _dockerfile(context, build.get_text("dockerfile") or "Dockerfile"),
        dockerfile_inline=inline,
        target=build.get_text("target") or None,
        args=tuple(sorted(build.texts("args").items())),
        additional_contexts=tuple(sorted(build.texts("additional_contexts").items())),
        platforms=platforms or ((platform,) if platform else ()),
        path=service.path,
        line=service.line,
        build_with=_build_with(build),
        health_check=_health_check(service),
    )


def _build_with(build: Part) -> tuple[BuildWith, ...]:
    named = build.get("x-build-with")
    parts = (named.parts or {}).values() if named else ()
    return tuple(BuildWith(name=part.text, path=part.path, line=part.line) for part in parts if part.text)


def _health_check(service: Part) -> tuple[str, ...] | None:
    """The section's test ("healthcheck"), whose first word says how to run it, as in the Docker Engine's API."""
    section = service.get("healthcheck")
    if section is None:
        return None
    test = tuple(section.texts("test").values())
    disabled = section.get_text("disable") == "true" or test[:1] == ("NONE",)
    return () if disabled else test or None


def _dockerfile(context: str, name: str) -> Path:
    """The path of the Dockerfile, whose name is relative to the context."""
    return Path(name) if is_remote(context) else Path(os.path.normpath(Path(context) / name))
