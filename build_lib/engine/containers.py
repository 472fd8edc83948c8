"""Temporary containers: to read and write an image's files, or to run its program."""

import platform
import socket
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import IO, Any

from docker.errors import NotFound

from build_lib.engine import tar_stream
from build_lib.engine.sdk_errors import translated
from build_lib.settings import Settings

TEMPORARY_LABEL = "build-lib.temporary"  # on each container that the program makes; its value is who made it


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
        with translated(f"cannot create a container from {image}"):
            made = self._api.create_container(
                image,
                command=list(command),
                environment=dict(environment or {}),
                stdin_open=True,
                name=f"build-lib-{uuid.uuid4().hex[:12]}",
                labels={TEMPORARY_LABEL: owner},
                network_disabled=True,
                host_config=self._api.create_host_config(network_mode="none"),
            )
        try:
            yield Container(self._api, made["Id"], image)
        finally:
            self.remove(made["Id"])

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


def owner(settings: Settings) -> str:
    """The owner of the temporary containers of `copy-slurm`: this machine and this project."""
    return f"{platform.node()}:{settings.project_root}:copy-slurm"


def _tell(stdin: Any, said: bytes) -> None:
    """Write to a container's standard input, and close it."""
    connection = getattr(stdin, "_sock", stdin)  # what the SDK wraps a local socket in can only be read
    try:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
    finally:
        stdin.close()
