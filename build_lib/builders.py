"""The builders that can make an image, and the choice of the best one at hand (design, decision 11)."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from build_lib.engine import Engine
from build_lib.errors import BuildError, BuildFailed
from build_lib.graph import Cancel
from build_lib.process import run, tail
from build_lib.services import Service
from build_lib.settings import Settings

_LAST_WITH_BUILDKIT = 22  # later CLIs leave BuildKit to the buildx plugin
_GET_BUILDX = "install docker-buildx"
_GET_BUILDKIT = "install docker-buildx, or on Debian 12 and older docker.io: ./inv engine-up does it where it can"


class Builder(Protocol):
    """Something that builds one service; what it says goes into the log file."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    def build(self, service: Service, labels: Mapping[str, str], log: Path, cancel: Cancel) -> None:
        """Build the service's image under its name.

        Raises:
            BuildFailed: it did not work; with the last lines of the log.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLine:
    """A docker CLI with BuildKit: by its buildx plugin, or built in."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    contexts: bool  # whether it knows additional build contexts

    def build(self, service: Service, labels: Mapping[str, str], log: Path, cancel: Cancel) -> None:
        """See Builder."""
        if not self.contexts:
            _refuse_contexts(service, self.name)
        with _dockerfile(service, log) as path, log.open("w", encoding="utf-8") as file:
            command = [*self.command, *_options(service, labels), "--file", str(path), str(service.context)]
            code = run(command, log=file, cancel=cancel, env=self.environment)
        if code:
            raise _failed(service, log)


@dataclass(frozen=True, kw_only=True, slots=True)
class Classic:
    """The engine's classic builder, by the SDK: always there, and without BuildKit's features."""

    name: str
    engine: Engine

    def build(self, service: Service, labels: Mapping[str, str], log: Path, cancel: Cancel) -> None:
        """See Builder."""
        _refuse_contexts(service, self.name)
        for line, feature in service.reading.buildkit:
            raise BuildFailed(
                f"{service.dockerfile}:{line}: {feature} needs BuildKit, and only the classic builder is here",
                hint=_GET_BUILDKIT,
            )
        with _dockerfile(service, log) as path, log.open("w", encoding="utf-8") as file:
            try:
                self.engine.build(
                    log=file,
                    cancelled=cancel.requested,
                    path=str(service.context),
                    dockerfile=str(path),
                    tag=str(service.image),
                    target=service.target or None,
                    platform=service.platform or None,
                    buildargs=dict(service.args),
                    labels=dict(labels),
                )
            except BuildError as error:
                file.write(f"\n{error.message}\n")
                file.flush()
                raise _failed(service, log) from error


def choose(settings: Settings, engine: Engine) -> Builder:
    """The best builder at hand: buildx, else BuildKit in an older CLI, else the classic builder."""
    environment = {**settings.environment, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "DOCKER_BUILDKIT": "1"}
    programs = list(_programs(settings.environment.get("PATH", "")))
    for program in programs:
        version = _first_line([program, "buildx", "version"], environment)
        if version:
            buildx = (program, "buildx", "--builder", _builder(settings), "build", "--load", "--progress=plain")
            return CommandLine(
                name=f"buildx {version.split()[1]}", command=buildx, environment=environment, contexts=True
            )
    for program in programs:
        version = _first_line([program, "--version"], environment)
        found = re.search(r"version (\d+)\.\S+?,", version)
        if found and int(found[1]) <= _LAST_WITH_BUILDKIT:
            built_in = (program, "build", "--progress=plain")
            name = f"BuildKit by docker {found[0].split()[1].rstrip(',')}"
            return CommandLine(name=name, command=built_in, environment=environment, contexts=False)
    return Classic(name="classic builder", engine=engine)


@contextmanager
def _dockerfile(service: Service, log: Path) -> Iterator[Path]:
    """The file to build from: the service's own, or a copy of a text that is in no file, its ignore file beside it."""
    if not service.inline:
        yield service.dockerfile
        return
    copy, ignore = log.with_suffix(".Dockerfile"), log.with_suffix(".Dockerfile.dockerignore")
    copy.write_text(service.text, encoding="utf-8", errors="surrogateescape")
    own_ignore = service.dockerfile.with_name(service.dockerfile.name + ".dockerignore")
    try:
        if own_ignore.is_file():
            ignore.write_bytes(own_ignore.read_bytes())
        yield copy
    finally:
        copy.unlink()
        ignore.unlink(missing_ok=True)


def _builder(settings: Settings) -> str:
    """The builder that is the engine itself: it bears the name of its docker context."""
    environment = settings.environment
    return "default" if environment.get("DOCKER_HOST") else environment.get("DOCKER_CONTEXT") or "default"


def _programs(path: str) -> Iterator[str]:
    """Every docker CLI on the PATH, for two of different versions happen."""
    seen: set[Path] = set()
    for directory in path.split(os.pathsep):
        program = Path(directory) / "docker"
        if directory and os.access(program, os.X_OK) and program.resolve() not in seen:
            seen.add(program.resolve())
            yield str(program)


def _first_line(command: list[str], environment: Mapping[str, str]) -> str:
    """What the command says first, or "" if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment))
    return done.stdout.partition("\n")[0] if done.returncode == 0 else ""


def _options(service: Service, labels: Mapping[str, str]) -> Iterator[str]:
    yield from ("--tag", str(service.image))
    if service.platform:
        yield from ("--platform", service.platform)
    if service.target:
        yield from ("--target", service.target)
    for name, value in service.args.items():
        yield from ("--build-arg", f"{name}={value}")
    for name, value in labels.items():
        yield from ("--label", f"{name}={value}")
    for name, value in service.additional_contexts:
        yield from ("--build-context", f"{name}={value}")


def _refuse_contexts(service: Service, builder: str) -> None:
    for name, _ in service.additional_contexts:
        raise BuildFailed(
            f"{service.origin}:{service.line}: service {service.name}: the additional context {name} needs buildx, "
            f"and only the {builder} is here",
            hint=_GET_BUILDX,
        )


def _failed(service: Service, log: Path) -> BuildFailed:
    return BuildFailed(f"{service.name} cannot be built:\n{tail(log)}", hint=f"the whole log: {log}")
