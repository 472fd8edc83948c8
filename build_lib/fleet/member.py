"""One builder of the fleet: how buildx reaches it, and what it says of itself."""

import hashlib
import platform
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from build_lib.build import builders
from build_lib.errors import BuildError
from build_lib.settings import BuilderAddress, Settings
from build_lib.units import shortened

_CERTIFICATES = {"cacert": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
_DRIVERS = {"daemon": "remote", "container": "remote", "kubernetes": "kubernetes"}
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
_CONNECT_SECONDS = 10  # until a daemon answers
_INSPECT_SECONDS = 60  # a pod or a container may have to be started
# HTTP/2 (RFC 9113, 3.4): a client's preface with empty settings; a server's first frame is its settings
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS_FRAME = 4
_FRAME_HEADER = 9  # bytes
_WITHOUT_CONTEXTS = tuple((0, minor) for minor in range(1, 10))  # BuildKit's versions in engines before 23
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_DEFAULT = "default"  # the engine that the docker CLI itself uses
_OLDEST = "0.13"  # buildx: the first that prints JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a builder says of itself: its BuildKit's version, its driver, its platforms, its own first."""

    version: str
    driver: str
    platforms: tuple[str, ...]

    @property
    def is_engine(self) -> bool:
        """Whether it is a Docker Engine itself, which neither pushes by digest nor exports its cache."""
        return self.driver == "docker"

    @property
    def native(self) -> tuple[str, ...]:
        """Those that need no emulation: of the same processor as the first one."""
        return tuple(name for name in self.platforms if _processor(name) == _processor(self.platforms[0]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """What a builder's cache holds, in bytes: all of it, and what no running build uses."""

    total: int
    unused: int


class NotRunning(BuildError):
    """A builder does not run, and may have to be started first."""


class Member:
    """A builder. Methods may be called from several threads."""

    def __init__(self, address: BuilderAddress, program: str, environment: Mapping[str, str], settings: Settings):
        self.address = address
        self._program = program
        self._settings = settings
        self.instance = _instance(address)
        # The user's builders stay as they are. And each builder has its own lock, which buildx holds while it asks one.
        own = {"BUILDX_CONFIG": str(settings.state_dir / "buildx" / self.instance)} if self.ours else {}
        engine = {"DOCKER_HOST": address.text} if address.kind == "engine" else {}
        self.environment = dict(environment) | own | engine

    @property
    def name(self) -> str:
        """What it is called in all output."""
        return self.address.name

    @property
    def ours(self) -> bool:
        """Whether `BUILDERS` names a BuildKit daemon by its address, so that it is none of the user's own."""
        return not self.address.own

    @property
    def command(self) -> tuple[str, ...]:
        """The buildx command for this builder, without its subcommand."""
        return (self._program, "buildx", "--builder", self.instance)

    def prepare(self, seconds: float = _INSPECT_SECONDS, *, start: bool = True) -> Seen:
        """Tell buildx of the builder, and ask it what it is, with this time for the answer.

        One that does not run is started, unless `start` is False.

        Raises:
            NotRunning: it does not run, and was not started.
            BuildError: it does not answer, or is no such builder.
        """
        if self.address.kind == "daemon":
            self.check(min(seconds, _CONNECT_SECONDS))
        if self.ours:
            self._ask("create", *self._created(), seconds=min(seconds, _CONNECT_SECONDS))
        said = self._ask("inspect", self.instance, *(["--bootstrap"] if start else []), seconds=seconds)
        seen = _seen(said)
        if seen is None:
            self._refuse(said)
        if seen is None and not start:
            raise NotRunning(f"builder {self.name} is not running", hint="the next build starts it, if buildx can")
        if seen is None:
            raise BuildError(f"builder {self.name}: buildx did not say what it is: {shortened(said)}")
        if seen.is_engine and _numbers(seen.version) in _WITHOUT_CONTEXTS:
            raise BuildError(
                f"builder {self.name} is a Docker Engine older than 23, which cannot be told where images are",
                hint="upgrade it; or docker buildx create --name NAME makes a builder of it that can",
            )
        if seen.is_engine and self.address.kind == "own" and self.name != _DEFAULT:
            self._enter_context()
        return seen

    def check(self, seconds: float) -> None:
        """Check that the builder answers within this time.

        Raises:
            BuildError: it does not.
        """
        if self.address.kind != "daemon":
            said = self._ask("inspect", self.instance, seconds=seconds)
            if _seen(said) is None:
                self._refuse(said)
                raise BuildError(f"builder {self.name} is not running")
            return
        try:
            answered = self._greeted(seconds)
        except (OSError, ValueError) as error:
            raise BuildError(f"builder {self.name} does not answer: {_reason(error)}") from None
        if not answered:
            raise BuildError(f"builder {self.name} is no BuildKit daemon", hint=self._certificates_hint())

    def cache(self, seconds: float) -> Cache:
        """Ask how much its build cache holds.

        Raises:
            BuildError: it does not answer within this time.
        """
        said = self._ask("du", "--builder", self.instance, seconds=seconds)
        return Cache(total=self._amount(said, "Total"), unused=self._amount(said, "Reclaimable"))

    def prune(self, seconds: float) -> int:
        """Remove what no running build uses of its cache, and return how many bytes that was.

        Raises:
            BuildError: it does not answer within this time, or could not remove all of that.
        """
        done = self._run("prune", "--builder", self.instance, "--force", seconds=seconds)
        if done.returncode:
            raise BuildError(f"builder {self.name}: its cache cannot be emptied: {_last_line(done.stderr)}")
        return self._amount(done.stdout, "Total")

    def _enter_context(self) -> None:
        """Name the docker context in the environment: outside of it, buildx asks its engine, but does not build."""
        rest = {name: value for name, value in self.environment.items() if name != "DOCKER_HOST"}
        self.environment = {**rest, "DOCKER_CONTEXT": self.name}

    def _refuse(self, said: str) -> None:
        """Raise the error that `buildx inspect` prints, if it does; it has succeeded all the same."""
        found = re.search(r"^Error: +(.+)$", said, re.MULTILINE)
        if found:
            raise BuildError(f"builder {self.name} does not answer: {shortened(found[1])}")

    def _amount(self, said: str, what: str) -> int:
        """An amount in bytes, as buildx prints it after this word, rounded to four digits (go-units, HumanSize)."""
        found = re.search(rf"^{what}:\s+([0-9.e+]+)({'|'.join(_UNITS)})$", said, re.MULTILINE)
        if found is None:
            raise BuildError(f"builder {self.name}: buildx did not say how large its cache is: {shortened(said)}")
        return round(float(found[1]) * 1000.0 ** _UNITS.index(found[2]))

    def _greeted(self, seconds: float) -> bool:
        """Whether the daemon greets as HTTP/2 does: a daemon that hangs accepts connections, but says nothing."""
        url = urlsplit(self.address.text)
        host = url.hostname or ""
        with socket.create_connection((host, url.port or 0), timeout=seconds) as plain:
            connection = self._secured(plain, host)
            connection.sendall(_PREFACE)
            header = connection.recv(_FRAME_HEADER)
            return len(header) == _FRAME_HEADER and header[3] == _SETTINGS_FRAME

    def _secured(self, plain: socket.socket, host: str) -> socket.socket:
        directory = self._settings.builder_certs
        if directory is None:
            return plain
        context = ssl.create_default_context(cafile=str(directory / _CERTIFICATES["cacert"]))
        context.load_cert_chain(directory / _CERTIFICATES["cert"], directory / _CERTIFICATES["key"])
        context.set_alpn_protocols(["h2"])
        return context.wrap_socket(plain, server_hostname=host)

    def _certificates_hint(self) -> str:
        wants = "does it want a client certificate? BUILDER_CERTS names the directory with it"
        return "" if self._settings.builder_certs else wants

    def _created(self) -> Iterator[str]:
        address = self.address
        yield from ("--name", self.instance, "--driver", _DRIVERS[address.kind])
        if address.kind == "kubernetes":
            namespace, _, deployment = address.name.partition("/")
            yield from ("--node", deployment, "--driver-opt", f"namespace={namespace}")
            return
        yield from ("--node", f"{self.instance}-0")
        directory = self._settings.builder_certs
        if directory is not None and address.kind == "daemon":
            files = (f"{option}={directory / name}" for option, name in _CERTIFICATES.items())
            yield from ("--driver-opt", ",".join(files))
        yield address.text

    def _ask(self, *arguments: str, seconds: float) -> str:
        """Run a buildx command, and return what it prints.

        Raises:
            BuildError: it failed, or took longer.
        """
        done = self._run(*arguments, seconds=seconds)
        if done.returncode:
            raise BuildError(f"builder {self.name} does not answer: {_last_line(done.stderr)}")
        return done.stdout

    def _run(self, *arguments: str, seconds: float) -> "subprocess.CompletedProcess[str]":
        command = [self._program, "buildx", *arguments]
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=self.environment,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise BuildError(f"builder {self.name} does not answer within {seconds:.0f} s") from None


def _instance(address: BuilderAddress) -> str:
    """What buildx calls the builder: the user's name for it, or one of ours; `default` is the engine of DOCKER_HOST."""
    if address.kind in ("own", "engine"):
        return address.name if address.kind == "own" else _DEFAULT
    return f"build-lib-{hashlib.sha256(address.text.encode()).hexdigest()[:12]}"


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version such as `v0.12.5`."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _seen(said: str) -> Seen | None:
    """What `buildx inspect` prints, if it is about a builder that runs."""
    found = dict(re.findall(r"^(Driver|BuildKit(?: version)?|Buildkit|Platforms): +(.+)$", said, re.MULTILINE))
    version = found.get("BuildKit version") or found.get("BuildKit") or found.get("Buildkit")
    platforms = tuple(word for item in found.get("Platforms", "").split(",") if "/" in (word := item.strip("* ")))
    if not version or not platforms:
        return None
    return Seen(version=version, driver=found.get("Driver", ""), platforms=platforms)


def _processor(name: str) -> str:
    """The processor of a platform such as `linux/amd64/v2`."""
    architecture = name.split("/")[1]
    return "amd64" if architecture == "386" else architecture


def _last_line(stderr: str) -> str:
    return shortened(stderr.strip().rpartition("\n")[2].removeprefix("ERROR: "))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def buildx(settings: Settings) -> builders.Buildx:
    """The docker CLI with buildx that reaches the builders.

    Raises:
        BuildError: there is none, or it is too old.
    """
    found = builders.find_buildx(settings)
    if found is None:
        raise BuildError(
            "BUILDERS needs a docker CLI with buildx, and there is none on the PATH", hint=builders.GET_BUILDX
        )
    if found.form != "rawjson":
        raise BuildError(
            f"BUILDERS needs buildx {_OLDEST} or newer, and the one on the PATH is {found.version}",
            hint="install a newer docker-buildx: https://github.com/docker/buildx/releases",
        )
    return found


def here() -> str:
    """Return the platform of this machine, as BuildKit calls it."""
    machine = platform.machine()
    return f"linux/{_GO_NAMES.get(machine, machine)}"
