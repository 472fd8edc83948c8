"""The builders that can build an image, and the choice of the best one available."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from build_lib.build import flags
from build_lib.build.output import Form, Output
from build_lib.build.outside import Given
from build_lib.build.running import Host
from build_lib.dockerfile import ImageUse
from build_lib.engine import Engine
from build_lib.errors import BuildError, BuildFailed, Place, SettingsError
from build_lib.graph import Cancel
from build_lib.process import read_all
from build_lib.repository import Service, with_images
from build_lib.settings import Settings

_LAST_WITH_BUILDKIT = 22  # later CLIs leave BuildKit to the buildx plugin
_FIRST_WITH_RAWJSON = (0, 13)  # of buildx
_FIRST_WITH_CONTEXTS = 23  # the BuildKit inside Docker 20.10 does not know named contexts
GET_BUILDX = "install docker-buildx"
GET_BUILDKIT = "install docker-buildx (docker.io on Debian 12 and older); ./inv engine-up does so where it can"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is to be built: a service's image with labels, while other services run, the hosts.

    `pins` are images that have another name here than the Dockerfile uses. `outside` is how the build reaches what is
    outside.
    """

    service: Service
    labels: Mapping[str, str]
    pins: tuple[tuple[ImageUse, str], ...] = ()
    hosts: tuple[Host, ...] = ()
    outside: Given = field(default_factory=Given)


class Builder(Protocol):
    """Builds one service."""

    @property
    def name(self) -> str:
        """The builder's name, for people."""

    @property
    def form(self) -> Form:
        """The form of its output."""

    def place(self, name: str) -> str:
        """Where the service of this name is built; "" if there is only one place."""

    def build(self, request: Request, output: Output, cancel: Cancel) -> bool:
        """Build the service's image under its name, and return whether it is built.

        Raises:
            BuildFailed: this builder cannot build such a service.
            Again: it has to be built elsewhere.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLine:
    """A docker CLI with BuildKit, as its buildx plugin or built in."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    contexts: bool  # whether it supports additional build contexts
    secrets: Mapping[str, str]
    pull: bool
    no_cache: bool
    form: Form

    def place(self, _name: str) -> str:
        """See Builder."""
        return ""

    def build(self, request: Request, output: Output, cancel: Cancel) -> bool:
        """See Builder."""
        service = with_images(request.service, request.pins)
        if not self.contexts:
            _refuse_contexts(service, self.name)
        environment = flags.past_proxies({**self.environment, **request.outside.arguments}, request.hosts)
        with dockerfile(service, output.path) as path:
            given = ["--tag", str(service.image), *flags.options(service, request.labels)]
            given += [*flags.secrets(self.secrets), *flags.proxies(environment), *flags.hosts(request.hosts)]
            given += flags.by_name(request.outside.arguments)
            given += ["--pull"] if self.pull and not service.uses_siblings else []
            given += ["--no-cache"] if self.no_cache else []
            command = [*self.command, *given, "--file", str(path), str(service.context)]
            return read_all(command, output, cancel=cancel, env=environment) == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Classic:
    """The engine's classic builder, through the SDK: always available, but without BuildKit's features."""

    name: str
    engine: Engine
    pull: bool = False
    no_cache: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Form = "classic"

    def place(self, _name: str) -> str:
        """See Builder."""
        return ""

    def build(self, request: Request, output: Output, cancel: Cancel) -> bool:
        """See Builder."""
        service = with_images(request.service, request.pins)
        _refuse_contexts(service, self.name)
        _refuse_ignore_files(service)
        for line, feature in service.reading.buildkit:
            raise BuildFailed(
                f"{service.dockerfile}:{line}: {feature} needs BuildKit, but only the classic builder is available",
                hint=GET_BUILDKIT,
                place=Place(path=service.dockerfile, line=line),
            )
        with dockerfile(service, output.path) as path:
            try:
                with cancel.abandoned():  # the engine stops the build once the connection is closed
                    self.engine.streams.build(
                        log=output,
                        cancelled=cancel.requested,
                        path=str(service.context),
                        dockerfile=str(path),
                        tag=str(service.image),
                        target=service.target or None,
                        platform=service.platform or None,
                        buildargs={**service.args, **flags.past_proxies(self._proxies(request), request.hosts)},
                        network_mode=request.outside.network or None,
                        pull=self.pull and not service.uses_siblings,
                        labels=dict(request.labels),
                        extra_hosts={host.name: host.address for host in request.hosts},
                        nocache=self.no_cache or bool(request.hosts),  # its cache does not know what came from them
                    )
            except BuildError as error:
                output.fail(error.message)
                return False
        return True

    def _proxies(self, request: Request) -> dict[str, str]:
        return {**self.proxies, **request.outside.arguments}


@dataclass(frozen=True, slots=True)
class Idle:
    """Stands for a builder where nothing is out of date."""

    name: str = "none"
    form: Form = "plain"

    def place(self, _name: str) -> str:
        """See Builder."""
        return ""

    def build(self, request: Request, _output: Output, _cancel: Cancel) -> bool:
        """See Builder.

        Raises:
            BuildFailed: always.
        """
        raise BuildFailed(f"{request.service.name} was found to be up to date, but is not any more")


def choose(settings: Settings, engine: Engine, *, pull: bool = False, no_cache: bool = False) -> Builder:
    """The best builder available, or the one that `BUILDER_BACKEND` names.

    With `pull`, it pulls newer base images; with `no_cache`, it repeats steps that it has in its cache.

    Raises:
        BuildError: the builder that `BUILDER_BACKEND` names is not available.
    """
    backends = {"buildx": _buildx, "buildkit": _buildkit, "classic": _classic}
    wanted = settings.builder_backend
    for find in backends.values() if wanted == "auto" else [backends[wanted]]:
        builder = find(settings, engine, pull=pull, no_cache=no_cache)
        if builder is not None:
            return builder
    hint = GET_BUILDX if wanted == "buildx" else GET_BUILDKIT
    raise BuildError(f"BUILDER_BACKEND is {wanted!r}, but no docker CLI on the PATH supports it", hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Buildx:
    """A docker CLI with the buildx plugin, and the version of that."""

    program: str
    version: str

    @property
    def form(self) -> Form:
        """The form of its output."""
        return "rawjson" if _number(self.version) >= _FIRST_WITH_RAWJSON else "plain"


def find_buildx(settings: Settings) -> Buildx | None:
    """The first docker CLI on the PATH that has buildx."""
    for program in _programs(settings.environment.get("PATH", "")):
        version = _first_line([program, "buildx", "version"], environment_of(settings))
        if version:
            return Buildx(program=program, version=version.split()[1])
    return None


def _buildx(settings: Settings, engine: Engine, *, pull: bool, no_cache: bool) -> Builder | None:
    found = find_buildx(settings)
    if found is None:
        return None
    command = (found.program, "buildx", "--builder", _builder(settings), "build", "--load", f"--progress={found.form}")
    contexts = int(engine.version().partition(".")[0]) >= _FIRST_WITH_CONTEXTS
    name = f"buildx {found.version}"
    return _command_line(settings, name, command, form=found.form, contexts=contexts, pull=pull, no_cache=no_cache)


def _buildkit(settings: Settings, _engine: Engine, *, pull: bool, no_cache: bool) -> Builder | None:
    for program in _programs(settings.environment.get("PATH", "")):
        version = _first_line([program, "--version"], environment_of(settings))
        found = re.search(r"version (\d+)\.\S+?,", version)
        if found and int(found[1]) <= _LAST_WITH_BUILDKIT:
            name = f"BuildKit in docker {found[0].split()[1].rstrip(',')}"
            command = (program, "build", "--progress=plain")
            return _command_line(settings, name, command, form="plain", contexts=False, pull=pull, no_cache=no_cache)
    return None


def _classic(settings: Settings, engine: Engine, *, pull: bool, no_cache: bool) -> Builder:
    environment = settings.environment
    proxies = {name: environment[name] for name in flags.proxy_names(environment)}
    return Classic(name="classic builder", engine=engine, pull=pull, no_cache=no_cache, proxies=proxies)


def _command_line(
    settings: Settings,
    name: str,
    command: tuple[str, ...],
    *,
    form: Form,
    contexts: bool,
    pull: bool,
    no_cache: bool,
) -> CommandLine:
    environment = environment_of(settings)
    return CommandLine(
        name=name,
        command=command,
        environment=environment,
        contexts=contexts,
        secrets=secret_sources(settings),
        pull=pull,
        no_cache=no_cache,
        form=form,
    )


def _number(version: str) -> tuple[int, ...]:
    """The first two numbers of a version such as `v0.13.1+ds1`."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def secret_sources(settings: Settings) -> dict[str, str]:
    """Where each secret is, by its name, as `--secret` takes it.

    Raises:
        SettingsError: one is neither a file nor an environment variable.
    """
    return {name: _secret_source(name, text, settings) for name, text in settings.secrets.items()}


def _secret_source(name: str, text: str, settings: Settings) -> str:
    """Where a secret is: `src=PATH` if there is such a file, `env=NAME` if there is such an environment variable.

    A path is quoted as a CSV field, because docker reads the value of `--secret` as CSV.

    Raises:
        SettingsError: it is neither. The message omits the text, which may be the secret itself.
    """
    path = settings.project_root / Path(text).expanduser()
    if text and path.is_file():
        doubled = str(path).replace('"', '""')
        return f'"src={doubled}"'
    if text in settings.environment:
        return f"env={text}"
    raise SettingsError(
        f"SECRET_{name} names neither a file nor an environment variable",
        hint=f"write SECRET_{name}=path/to/file, or the name of a variable that holds the secret",
    )


def environment_of(settings: Settings) -> Mapping[str, str]:
    """The environment of the docker CLI."""
    return {**settings.environment, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "DOCKER_BUILDKIT": "1"}


@contextmanager
def dockerfile(service: Service, log: Path) -> Iterator[Path]:
    """The Dockerfile to build from: the service's own, or a temporary copy of an inline one, with its ignore file."""
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
    """The name of the buildx builder that is the engine itself: that of the docker context."""
    environment = settings.environment
    return "default" if environment.get("DOCKER_HOST") else environment.get("DOCKER_CONTEXT") or "default"


def _programs(path: str) -> Iterator[str]:
    """Every docker CLI on the PATH: there may be several, of different versions."""
    seen: set[Path] = set()
    for directory in path.split(os.pathsep):
        program = Path(directory) / "docker"
        if directory and os.access(program, os.X_OK) and program.resolve() not in seen:
            seen.add(program.resolve())
            yield str(program)


def _first_line(command: list[str], environment: Mapping[str, str]) -> str:
    """The first line of the command's output, or "" if the command fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment))
    return done.stdout.partition("\n")[0] if done.returncode == 0 else ""


def _refuse_contexts(service: Service, builder: str) -> None:
    for name, _ in service.additional_contexts:
        raise BuildFailed(
            f"{service.origin}:{service.line}: service {service.name}: the additional context {name} needs buildx and "
            f"Docker {_FIRST_WITH_CONTEXTS} or newer; the builder available is: {builder}",
            hint=f"{GET_BUILDX}, and upgrade an engine that is older",
            place=Place(path=service.origin, line=service.line),
        )


def _refuse_ignore_files(service: Service) -> None:
    """Refuse ignore files that the classic builder does not read: it would be sent files that are not checked.

    It reads only the context's `.dockerignore`, as UTF-8 text.
    """
    own = service.dockerfile.with_name(f"{service.dockerfile.name}.dockerignore")
    if own.exists():
        raise BuildFailed(f"{own}: a Dockerfile-specific ignore file needs BuildKit", hint=GET_BUILDKIT)
    ignored = service.context / ".dockerignore"
    try:
        ignored.read_text(encoding="utf-8") if ignored.is_file() else ""
    except UnicodeDecodeError:
        raise BuildFailed(f"{ignored}: not UTF-8, which the classic builder requires", hint=GET_BUILDKIT) from None
