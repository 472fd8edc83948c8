"""Services that run while others are built, each in one container, for all builds that need it.

A build reaches such a service by its name, as an additional host. The container is in the engine's default network,
where builds have their RUN instructions: BuildKit accepts no other one, and that one gives containers no names.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from build_lib.build.up_to_date import Check
from build_lib.engine import Container, Engine, Program, owner
from build_lib.errors import BuildError, BuildFailed, EngineError
from build_lib.graph import Cancel
from build_lib.process import TAIL_LINES
from build_lib.repository import Service
from build_lib.settings import Settings

_POLL_SECONDS = 0.2
_SHOWN = 200  # characters of what a health check printed


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A running service as a build reaches it: its name, its address, and a name that changes with its content."""

    name: str
    address: str
    content: str


def to_run(checks: Mapping[str, Check]) -> dict[str, list[str]]:
    """Return the services that run while others are built, each with those others; only what is out of date counts."""
    found: dict[str, list[str]] = {}
    for name, check in checks.items():
        for running in check.service.build_with if check.reason else ():
            found.setdefault(running, []).append(name)
    return found


class RunningServices:
    """The containers of services, started when the first build needs them, removed at the end of the `with` block.

    `prepare` is called with the name of a service before it is started, in the thread of the build. Of one repository,
    only one of these may exist at a time: containers of an earlier run, which was killed, are removed.
    """

    def __init__(
        self, services: Mapping[str, Service], engine: Engine, settings: Settings, prepare: Callable[[str], None]
    ) -> None:
        self._services = services
        self._engine = engine
        self._settings = settings
        self._prepare = prepare
        self._owner = owner(settings, "build")
        self._results: dict[str, Host | BuildError] = {}
        self._starting = threading.Lock()
        self._containers = ExitStack()
        self._changing = threading.Lock()  # held to add to the containers, or to end them
        self._ended = False

    def __enter__(self) -> Self:
        if any(service.build_with for service in self._services.values()):
            self._engine.containers.remove_leftovers(self._owner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changing:
            self._ended = True
            # what happened first is told, such as the end of the engine; the next run removes what remains
            with suppress(EngineError) if value else nullcontext():
                self._containers.close()

    def hosts(self, service: Service, cancel: Cancel) -> tuple[Host, ...]:
        """Return the services that run while this one is built, all of them ready.

        Raises:
            BuildFailed: one of them could not be started, or is not ready in time.
        """
        return tuple(self._host(name, service, cancel) for name in service.build_with)

    def _host(self, name: str, service: Service, cancel: Cancel) -> Host:
        with self._starting:
            again = name in self._results
            if not again:
                self._results[name] = self._try(self._services[name], cancel)
        found = self._results[name]
        if isinstance(found, Host):
            return found
        message = found.message.partition("\n")[0] if again else found.message
        raise BuildFailed(f"{service.name} is not built: {message}", hint=found.hint, place=found.place) from found

    def _try(self, service: Service, cancel: Cancel) -> Host | BuildError:
        try:
            return self._start(service, cancel)
        except BuildError as error:
            return error

    def _start(self, service: Service, cancel: Cancel) -> Host:
        self._prepare(service.name)
        program = self._engine.images.program(service.image)
        test = _test(service, program)
        container = self._added(self._engine.containers.serving(str(service.image), owner=self._owner, test=test))
        self._await(service, container, cancel)
        address = container.address()
        if not address:
            raise BuildFailed(
                f"{service.name} has no address in the engine's default network, so no build can reach it",
                hint='the engine needs its bridge network: remove "bridge": "none" from its daemon.json',
            )
        content = f"{service.name}-{program.id.rpartition(':')[2][:16]}"
        return Host(name=service.name, address=address, content=content)

    def _added(self, serving: AbstractContextManager[Container]) -> Container:
        with self._changing:
            if self._ended:  # this thread was not waited for
                raise BuildError("cancelled")
            return self._containers.enter_context(serving)

    def _await(self, service: Service, container: Container, cancel: Cancel) -> None:
        """Wait until the service is ready."""
        limit = self._settings.ready_seconds
        deadline = time.monotonic() + limit
        while not (health := container.health()).healthy:
            if not health.running:
                why = f"ended with exit code {health.code} before it was ready"
                raise _not_ready(service, why, container)
            if time.monotonic() > deadline:
                said = " ".join(health.said.split())[:_SHOWN] or "its health check printed nothing"
                raise _not_ready(service, f"was not ready after {limit} s: {said}", container)
            cancel.sleep(_POLL_SECONDS)


def _test(service: Service, program: Program) -> tuple[str, ...]:
    """The health check: the compose file's, else the image's own, else whether a port is open that it exposes.

    The port is looked for in the container, because nothing outside has to reach it: the engine may be elsewhere.

    Raises:
        BuildFailed: there is nothing of this.
    """
    test = program.test if service.health_check is None else service.health_check
    if test:
        return test
    if not program.ports:
        raise BuildFailed(
            f"it is unknown when {service.name} is ready: its image has no health check, and exposes no TCP port",
            hint=f"write HEALTHCHECK or EXPOSE into {service.dockerfile}",
        )
    ports = "|".join(f"{port:04X}" for port in program.ports)
    # proc(5): the local address, the remote address, and 0A for a socket that listens
    listens = f"cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qE ':({ports}) [0-9A-F]+:0000 0A '"
    said = f"nothing listens on {' or '.join(map(str, program.ports))}"
    return ("CMD-SHELL", f"{listens} || {{ echo {said}; exit 1; }}")


def _not_ready(service: Service, why: str, container: Container) -> BuildFailed:
    log = container.last_lines(TAIL_LINES).rstrip() or "(its log is empty)"
    return BuildFailed(
        f"{service.name}, which has to run meanwhile, {why}\n{log}",
        hint=f"docker run --rm {service.image} shows how it starts; READY_SECONDS in .env is the limit",
    )
