"""Temporary containers: to read and write an image's files, or to run its program, once or as a server."""

import platform
import socket
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

from docker.errors import NotFound

from build_lib.engine import tar_stream
from build_lib.engine.sdk_errors import translated
from build_lib.settings import Settings

TEMPORARY_LABEL = "build-lib.temporary"  # on each container that the program makes; its value is who made it
_CHECK_NANOSECONDS = 500_000_000  # between two health checks
_NO_START_PERIOD = 1_000_000  # the shortest one, in nanoseconds: newer engines check less often during it


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether a container still runs (else its exit code), passed its health check, and what the last check printed."""

    running: bool
    code: int
    healthy: bool
    said: str


class Container:
    """A container that exists as long as the `with` that made it."""

    def __init__(self, api: Any, id: str, image: str) -> None:
        self._api = api
        self._id = id
        self._image = image

    def files(self, path: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Each member of the directory `path`, a regular file with its content, in the engine's order; works unstarted.

        Raises:
            EngineError: there is no such path.
        """
        with translated(f"{self._image} has no {path}", missing=True):
            chunks, _ = self._api.get_archive(self._id, path)
        with tar_stream.opened(chunks) as archive:
            for member in archive:
                yield member, archive.extractfile(member) if member.isreg() else None

    def entry(self, path: str) -> tarfile.TarInfo | None:
        """What is at the path, with its mode and owner; a link itself, not its target. None if nothing is there."""
        with translated(f"cannot read {path} in {self._image}"):
            try:
                chunks, _ = self._api.get_archive(self._id, path)
            except NotFound:
                return None
            with closing(chunks):  # only its first header is wanted, not all that is below it
                return tar_stream.first(chunks)

    def put(self, path: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive into the directory `path`, which must exist; works unstarted."""
        with translated(f"cannot write to {path} of a container from {self._image}"):
            self._api.put_archive(self._id, path, archive)

    def start(self) -> None:
        """Start it; its end is not waited for."""
        with translated(f"cannot run a container from {self._image}"):
            self._api.start(self._id)

    def health(self) -> Health:
        """How it is now."""
        with translated(f"cannot look at a container from {self._image}"):
            state = self._api.inspect_container(self._id)["State"]
        health = state.get("Health") or {}
        checks = health.get("Log") or [{}]
        return Health(
            running=state["Running"],
            code=state["ExitCode"],
            healthy=health.get("Status") == "healthy",
            said=checks[-1].get("Output", ""),
        )

    def address(self) -> str:
        """Its address in its network; "" if it has none."""
        with translated(f"cannot look at a container from {self._image}"):
            networks = self._api.inspect_container(self._id)["NetworkSettings"]["Networks"]
        return next((network["IPAddress"] for network in networks.values()), "")

    def last_lines(self, count: int) -> str:
        """The last lines that it printed."""
        with translated(f"cannot read the log of a container from {self._image}"):
            return str(self._api.logs(self._id, tail=count).decode(errors="replace"))

    def run(self, said: bytes = b"") -> tuple[int, str]:
        """Start it, write `said` to its standard input, and wait for its end; its exit code and all that it printed."""
        with translated(f"cannot run a container from {self._image}"):
            stdin = self._api.attach_socket(self._id, params={"stdin": 1, "stream": 1}) if said else None
            self._api.start(self._id)
            if stdin is not None:
                _tell(stdin, said)
            # without its own timeout, the SDK waits for ever
            code = self._api.wait(self._id, timeout=self._api.timeout)["StatusCode"]
            return code, self._api.logs(self._id).decode(errors="replace")


class Containers:
    """An engine's temporary containers; each has an owner, so that the ones of a killed run are found."""

    def __init__(self, api: Any) -> None:
        self._api = api

    @contextmanager
    def temporary(
        self,
        image: str,
        *,
        owner: str,
        command: Sequence[str] = ("-",),
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Container]:
        """A container without network that is removed on every way out; created, not started."""
        options = {
            "command": list(command),
            "environment": dict(environment or {}),
            "stdin_open": True,
            "network_disabled": True,
            "host_config": self._api.create_host_config(network_mode="none"),
        }
        with self._created(image, owner, **options) as container:
            yield container

    @contextmanager
    def serving(self, image: str, *, owner: str, test: Sequence[str]) -> Iterator[Container]:
        """A running container in the engine's default network, with this health check; removed on every way out.

        The test is in the engine's form, such as `("CMD-SHELL", "true")`.
        """
        check = {"test": list(test), "interval": _CHECK_NANOSECONDS, "start_period": _NO_START_PERIOD}
        with self._created(image, owner, healthcheck=check) as container:
            container.start()
            yield container

    @contextmanager
    def _created(self, image: str, owner: str, **options: Any) -> Iterator[Container]:
        name, labels = f"build-lib-{uuid.uuid4().hex[:12]}", {TEMPORARY_LABEL: owner}
        with translated(f"cannot create a container from {image}"):
            id = self._api.create_container(image, name=name, labels=labels, **options)["Id"]
        try:
            yield Container(self._api, id, image)
        finally:
            self.remove(id)

    def of(self, owner: str) -> list[str]:
        """The ids of all containers of this owner."""
        with translated("cannot list containers"):
            found = self._api.containers(all=True, filters={"label": f"{TEMPORARY_LABEL}={owner}"})
        return [item["Id"] for item in found]

    def remove_leftovers(self, owner: str) -> None:
        """Remove all containers of this owner: those that a killed run left, if no other run is going on."""
        for id in self.of(owner):
            self.remove(id)

    def remove(self, id: str) -> None:
        """Remove a container and its volumes; one that is not there is no error."""
        with translated(f"cannot remove container {id[:12]}"):
            try:
                self._api.remove_container(id, force=True, v=True)
            except NotFound:
                return


def owner(settings: Settings, work: Literal["copy-slurm", "build"] = "copy-slurm") -> str:
    """The owner of the temporary containers of this work: this machine and this project."""
    return f"{platform.node()}:{settings.project_root}:{work}"


def _tell(stdin: Any, said: bytes) -> None:
    """Write to a container's standard input, and close it."""
    connection = getattr(stdin, "_sock", stdin)  # what the SDK wraps a local socket in can only be read
    try:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
    finally:
        stdin.close()
