"""What an engine does in one long answer: pull, push, load, save, import, build.

The answer's HTTP status is 200 before anything is done. Progress and errors come within it (docker-py#2226), and the
SDK raises none of these errors: every stream is read to its end here.
"""

import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import IO, Any

from build_lib.engine import tar_stream
from build_lib.engine.sdk_errors import translated
from build_lib.errors import EngineError
from build_lib.process import Sink
from build_lib.reference import Reference
from build_lib.registry import Login

_CHUNK = 1 << 20

Message = Mapping[str, Any]  # one JSON object of a stream


class Streams:
    """An engine's pulls, pushes, loads, saves, imports and builds. Methods may be called from several threads.

    `keeps_content` says whether the engine has the containerd image store; it is asked at the first load.
    """

    def __init__(self, api: Any, keeps_content: Callable[[], bool]) -> None:
        self._api = api
        self._keeps_content = keeps_content
        self._loading = threading.Lock()

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

        `on_layer` is called with a layer's id, the bytes of it that have come, and its size, as the engine tells them.

        Raises:
            EngineError: it could not; the message is the engine's own.
        """
        with translated(""):
            name = image.digest or image.tag
            config = _auth_config(login) if login else None
            options = {"stream": True, "decode": True, "auth_config": config, "platform": platform}
            stream = self._api.pull(image.familiar, tag=name, **options)
            _follow(_reporting(stream, on_layer), cancelled=cancelled)

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
            _follow(_parsed(answer))

    def load(self, archive: Iterable[bytes]) -> None:
        """Load the images of an archive such as `docker save` writes, while it is being made.

        Raises:
            EngineError: the engine refuses the archive. What making the archive raises comes out unchanged.
        """
        # loads into a containerd store wait for each other's content, for seconds: they are quicker one after another
        with self._loading if self._keeps_content() else nullcontext(), translated("cannot load images"):
            _follow(self._api.load_image(iter(archive)))

    def saved(self, image: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """The files of the archive that `docker save` writes of an image, each with its content, as they come.

        Raises:
            EngineError: there is no such image, or the engine broke off.
        """
        with translated(f"cannot save {image}"), tar_stream.opened(self._api.get_image(image)) as archive:
            for member in archive:
                yield member, archive.extractfile(member) if member.isfile() else None

    def build(self, *, log: Sink | None = None, cancelled: Callable[[], bool] = lambda: False, **options: Any) -> str:
        """Build with the classic builder, which every engine has; the new image's id.

        `options` are those of the SDK's `build`; what the engine says is written to `log`.

        Raises:
            EngineError: the build failed.
        """
        with translated("the build failed"):
            # without its own timeout, the SDK waits for ever
            stream = self._api.build(rm=True, forcerm=True, decode=True, timeout=self._api.timeout, **options)
            return _follow(stream, log=log, cancelled=cancelled)


def _auth_config(login: Login) -> dict[str, str]:
    if login.identity_token:
        return {"identitytoken": login.identity_token}
    return {"username": login.username, "password": login.password}


def _follow(
    stream: Iterable[Message], *, log: Sink | None = None, cancelled: Callable[[], bool] = lambda: False
) -> str:
    """Read a stream to its end, after an error too, so that its connection is free; the new image's id, or "".

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


def _reporting(stream: Iterable[Message], on_layer: Callable[[str, int, int], None]) -> Iterator[Message]:
    """The same stream; `on_layer` is called for each message about a download."""
    for message in stream:
        detail = message.get("progressDetail") or {}
        if message.get("status") == "Downloading" and detail.get("total"):
            on_layer(message["id"], detail.get("current", 0), detail["total"])
        yield message


def _parsed(answer: str) -> Iterator[Message]:
    """An answer that the SDK has not parsed: one JSON object a line."""
    for line in answer.splitlines():
        if line.strip():
            yield json.loads(line)
