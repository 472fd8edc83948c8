"""The Docker Engine: the only place that knows the Docker SDK.

Everything that the engine refuses comes out as EngineError, also what it says inside a stream whose HTTP
status was 200 (docker-py#2226).
"""

import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from build_lib.engine import connection, tar_stream
from build_lib.engine.containers import Containers
from build_lib.engine.sdk_errors import reason, translated
from build_lib.errors import EngineError, EngineLost
from build_lib.reference import Reference
from build_lib.registry import Login
from build_lib.settings import Settings

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image in the engine: its id, its labels, its size in bytes."""

    id: str
    labels: Mapping[str, str]
    size: int

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> Self:
        """From an item of the engine's list."""
        return cls(id=item["Id"], labels=item.get("Labels") or {}, size=int(item.get("Size") or 0))


class Engine:
    """A connection to one engine. Methods may be called from several threads."""

    def __init__(self, api: Any, address: str) -> None:
        self._api = api
        self._address = address
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

    def images(self) -> dict[str, Image]:
        """All images, by each of their names in canonical form; one call, however many there are."""
        with translated("cannot list the engine's images"):
            listed = self._api.images()
        return {
            Reference.parse(name).canonical: Image.read(item)
            for item in listed
            for name in (*(item.get("RepoTags") or ()), *(item.get("RepoDigests") or ()))
            if "<none>" not in name
        }

    def dangling(self) -> dict[str, Image]:
        """The images that have lost their names and that no other stands on, by id."""
        with translated("cannot list the engine's images"):
            return {item["Id"]: Image.read(item) for item in self._api.images(filters={"dangling": True})}

    def named_at(self, image: Reference) -> str:
        """When the image last got a name, else when it was made: a text that sorts by time.

        One that was built anew of what the builder had in its cache bears the time of that.
        """
        with translated(f"cannot look at {image}"):
            found = self._api.inspect_image(str(image))
        return max((found.get("Metadata") or {}).get("LastTagTime") or "", found.get("Created") or "")

    def is_for(self, image: Reference, platform: str) -> bool:
        """Whether an image in the engine is for the platform, such as `linux/arm64`; a variant counts if asked for."""
        with translated(f"cannot look at {image}"):
            found = self._api.inspect_image(str(image))
        here = "/".join(filter(None, (found["Os"], found["Architecture"], found.get("Variant"))))
        return here == platform or here.startswith(f"{platform}/") or platform.startswith(f"{here}/")

    def layer_chains(self) -> set[tuple[str, ...]]:
        """The layers of every image, as `layers` gives them; one call for each image."""
        with translated("cannot list the engine's images"):
            ids = {item["Id"] for item in self._api.images(all=False)}
        chains = set()
        for id in ids:
            with suppress(EngineError):  # removed since by somebody else
                chains.add(self.layers(id))
        return chains

    def layers(self, image: str) -> tuple[str, ...]:
        """The digests of the image's uncompressed layers, lowest first.

        Raises:
            EngineError: there is no such image.
        """
        with translated(f"cannot look at {image}"):
            return tuple(self._api.inspect_image(image)["RootFS"].get("Layers") or ())

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

    def tag(self, image: str, name: Reference) -> None:
        """Give an image (a name or an id) one more name."""
        with translated(f"cannot name {image} {name}"):
            self._api.tag(image, name.familiar, name.tag)

    def remove(self, image: Reference | str) -> None:
        """Take a name, or the image of an id, away; the image goes with its last name. Not there is no error."""
        with translated(f"cannot remove {image}"):
            try:
                self._api.remove_image(str(image), noprune=True)
            except ImageNotFound:
                return

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
