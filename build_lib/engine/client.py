"""A connection to one Docker Engine: what it says of itself, and the ways to its images, containers and streams."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from docker.errors import DockerException
from requests.exceptions import RequestException

from build_lib.engine import connection
from build_lib.engine.containers import Containers
from build_lib.engine.images import Images
from build_lib.engine.networks import Networks
from build_lib.engine.sdk_errors import reason, translated
from build_lib.engine.streams import Streams
from build_lib.errors import EngineLost
from build_lib.settings import Settings


class Engine:
    """A connection to one engine. Methods, its parts' too, may be called from several threads.

    `images` are the images that it has, `containers` the temporary ones of this program, `networks` its networks, and
    `streams` what it does in one long answer: pull, push, load, save, import, build.
    """

    def __init__(self, api: Any, address: str) -> None:
        self.images = Images(api)
        self.containers = Containers(api)
        self.streams = Streams(api, self.keeps_content)
        self.networks = Networks(api)
        self._api = api
        self._address = address
        self._keeps_content: bool | None = None  # not known yet

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
        """See whether it still answers, after a failure that may have another reason.

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
