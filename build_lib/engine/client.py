"""The Docker Engine: the only place that knows the Docker SDK.

Everything that the engine refuses comes out as EngineError, also what it says inside a stream whose HTTP
status was 200 (docker-py#2226).
"""

import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from docker.errors import DockerException
from requests.exceptions import RequestException

from build_lib.engine import connection, tar_stream
from build_lib.engine.containers import Containers
from build_lib.engine.images import Images
from build_lib.engine.sdk_errors import reason, translated
from build_lib.errors import EngineError, EngineLost
from build_lib.reference import Reference
from build_lib.registry import Login
from build_lib.settings import Settings

_CHUNK = 1 << 20


class Engine:
    """A connection to one engine. Methods may be called from several threads."""

    def __init__(self, api: Any, address: str) -> None:
        self._api = api
        self._address = address
        self.images = Images(api)
        self.containers = Containers(api)
        self._keeps_content: bool | None = None  # not known yet
        self._loading = threading.Lock()

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Connect as the docker CLI would: `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context.

        Raises:
            EngineError: nothing answers there, or there is no such context.
        """
        return cls(connection.connect(settings), connection.endpoint(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.close()

    def check(self) -> None:
        """See whether it still answers, after something failed that may have another reason.

        Raises:
            EngineLost: it does not.
        """
        try:
            self._api.ping()
        except (DockerException, RequestException) as error:
            raise EngineLost(
                f"the Docker Engine at {self._address} ended in the middle of the work: {reason(error)}",
                hint="./inv engine-up starts one; run again, and what is done already is kept",
            ) from None

    def version(self) -> str:
        """The engine's version, such as `20.10.24`."""
        with translated("cannot ask the engine for its version"):
            return str(self._api.version()["Version"])

    def machine(self) -> str:
        """The name of the machine that it runs on."""
        with translated("cannot ask the engine for its name"):
            return str(self._api.info().get("Name") or "")

    def platform(self) -> str:
        """The platform that the engine builds for, such as `linux/amd64`."""
        with translated("cannot ask the engine for its platform"):
            found = self._api.version()
            return f"{found['Os']}/{found['Arch']}"

    def keeps_content(self) -> bool:
        """Whether it has the containerd image store, which keeps manifests and compressed layers as they came."""
        if self._keeps_content is None:
            with translated("cannot ask the engine for its store"):
                status = self._api.info().get("DriverStatus") or []
            self._keeps_content = ["driver-type", "io.containerd.snapshotter.v1"] in [list(pair) for pair in status]
        return self._keeps_content

    def is_here(self) -> bool:
        """Whether it is on this machine, as far as its address says."""
        return str(self._api.base_url).startswith(("http+docker://local", "http://127.0.0.1", "http://localhost"))

    def root_directory(self) -> Path:
        """Where the engine keeps its data, on its own machine."""
        with translated("cannot ask the engine for its root directory"):
            return Path(self._api.info()["DockerRootDir"])

    def pull(
        self,
        image: Reference,
        login: Login | None = None,
        *,
        platform: str | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        on_layer: Callable[[str, int, int], None] = lambda _layer, _done, _total: None,
    ) -> None:
        """Have the engine pull an image; without a login, with what the docker config says.

        `on_layer` hears of each layer's download as the engine tells of it: which, and how many bytes of how many.

        Raises:
            EngineError: it could not; the message is the engine's own.
        """
        with translated(""):
            name = image.digest or image.tag
            config = _auth_config(login) if login else None
            options = {"stream": True, "decode": True, "auth_config": config, "platform": platform}
            stream = self._api.pull(image.familiar, tag=name, **options)
            _follow(_telling(stream, on_layer), cancelled=cancelled)

    def push(self, image: Reference, login: Login | None) -> None:
        """Have the engine push an image to the registry that it names.

        Raises:
            EngineError: it could not; the message is the engine's own.
        """
        config = _auth_config(login) if login else {}  # without any, newer engines refuse (docker-py#3348)
        with translated(""):
            stream = self._api.push(image.familiar, tag=image.tag, stream=True, decode=True, auth_config=config)
            _follow(stream)

    def import_root(self, archive: IO[bytes], name: Reference, changes: Sequence[str]) -> None:
        """Make an image of one layer from a tar archive of a root file system."""
        with translated(f"cannot import {name}"):
            chunks = iter(lambda: archive.read(_CHUNK), b"")  # a pipe has no length to be told
            answer = self._api.import_image(chunks, repository=name.familiar, tag=name.tag, changes=list(changes))
            _follow(_json_lines(answer))

    def load(self, archive: Iterable[bytes]) -> None:
        """Take in the images of an archive such as `docker save` writes, while it is being made.

        Raises:
            EngineError: the engine does not take it. What making the archive raises comes out as it is.
        """
        # loads into a containerd store wait for each other's content, for seconds: they are quicker one after another
        with self._loading if self.keeps_content() else nullcontext(), translated("cannot load images"):
            _follow(self._api.load_image(iter(archive)))

    def saved(self, image: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """The files of the archive that `docker save` writes of an image, each with its content, as they come.

        Raises:
            EngineError: there is no such image, or the engine broke off.
        """
        with translated(f"cannot save {image}"), tar_stream.opened(self._api.get_image(image)) as archive:
            for member in archive:
                yield member, archive.extractfile(member) if member.isfile() else None

    def build(
        self, *, log: IO[str] | None = None, cancelled: Callable[[], bool] = lambda: False, **options: Any
    ) -> str:
        """Build by the classic builder, which every engine has; the new image's id.

        `options` are those of the SDK's `build`; what the engine says is written to `log`.

        Raises:
            EngineError: the build failed.
        """
        with translated("the build failed"):
            # unless it is told, the SDK waits for ever
            stream = self._api.build(rm=True, forcerm=True, decode=True, timeout=self._api.timeout, **options)
            return _follow(stream, log=log, cancelled=cancelled)


def _auth_config(login: Login) -> dict[str, str]:
    if login.identity_token:
        return {"identitytoken": login.identity_token}
    return {"username": login.username, "password": login.password}


def _follow(
    stream: Iterable[Mapping[str, Any]], *, log: IO[str] | None = None, cancelled: Callable[[], bool] = lambda: False
) -> str:
    """Read an engine's stream to its end, after an error too: then its connection is free; the made image's id, or "".

    Raises:
        EngineError: the stream carries an error, or `cancelled` became true.
    """
    id = failure = ""
    for message in stream:
        if cancelled():
            raise EngineError("cancelled")
        if log is not None and "stream" in message:
            log.write(message["stream"])
        if "error" in message:
            failure = " ".join(str(message["error"]).split())
        id = (message.get("aux") or {}).get("ID", id)
    if failure:
        raise EngineError(failure)
    return id


def _telling(
    stream: Iterable[Mapping[str, Any]], on_layer: Callable[[str, int, int], None]
) -> Iterator[Mapping[str, Any]]:
    """The same stream; what it says of downloads is told on the way."""
    for message in stream:
        detail = message.get("progressDetail") or {}
        if message.get("status") == "Downloading" and detail.get("total"):
            on_layer(message["id"], detail.get("current", 0), detail["total"])
        yield message


def _json_lines(answer: str) -> Iterator[Mapping[str, Any]]:
    for line in answer.splitlines():
        if line.strip():
            yield json.loads(line)
