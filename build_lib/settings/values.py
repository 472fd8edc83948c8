"""Settings: one frozen value, read from flags, the process environment, `.env` and defaults, in this order."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values

from build_lib.errors import InvalidReference, SettingsError
from build_lib.reference import TAG_RULE, Mirror, PrivateRegistry, Reference, is_tag

T = TypeVar("T")

_BUILD_ARG, _SECRET = "BUILD_ARG_", "SECRET_"
PREFIXED = (  # settings whose names have an end of their own: name, value, meaning
    (f"{_BUILD_ARG}NAME", "value", "the build argument NAME, for the Dockerfiles that declare it"),
    (
        f"{_SECRET}NAME",
        "file",
        "a file or an environment variable, by name, that holds the secret NAME of RUN --mount=type=secret,id=NAME",
    ),
)
COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One setting as users see it: its name, its default as text, its one line of explanation."""

    name: str
    default: str
    help: str
    parse: Callable[[str], Any]  # raises ValueError with what is allowed
    flag: str  # the parameter of the tasks that overrides it; "" if none does
    build_arg: bool  # whether Dockerfiles that declare an ARG of this name get it
    secret: bool  # whether no output may show it


def _setting(
    name: str,
    default: str,
    parse: Callable[[str], T],
    *,
    help: str,
    flag: str = "",
    build_arg: bool = False,
    secret: bool = False,
) -> T:
    """A field of Settings, described where it is declared."""
    key = Key(name=name, default=default, help=help, parse=parse, flag=flag, build_arg=build_arg, secret=secret)
    return cast(T, field(metadata={"key": key}, repr=not secret))


def _text(text: str) -> str:
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise ValueError("a whole number from 1 to 1000")
    return int(text)


def _optional_count(text: str) -> int | None:
    return _count(text) if text else None


def _tag(text: str) -> str:
    if not is_tag(text):
        raise ValueError(TAG_RULE)
    return text


def _image_prefix(text: str) -> str:
    try:
        Reference.parse(f"{text}x:latest")
    except InvalidReference:
        raise ValueError("the beginning of an image's name, such as 'ai-infra-' or 'harbor.example/team/'") from None
    return text


def _registry(text: str) -> PrivateRegistry | None:
    try:
        return PrivateRegistry.parse(text) if text else None
    except InvalidReference as error:
        raise ValueError(error.hint) from None


def _image(text: str) -> Reference | None:
    try:
        return Reference.parse(text) if text else None
    except InvalidReference as error:
        raise ValueError(error.hint or "an image such as debian:bookworm-slim") from None


def words(text: str) -> tuple[str, ...]:
    """A list as settings write it: separated by commas or white space."""
    return tuple(text.replace(",", " ").split())


def _images(text: str) -> tuple[Reference, ...]:
    try:
        return tuple(Reference.parse(word) for word in words(text))
    except InvalidReference as error:
        raise ValueError(f"images separated by commas or spaces ({error.message})") from None


def _mirrors(text: str) -> tuple[Mirror, ...]:
    try:
        return tuple(Mirror.parse(word) for word in words(text))
    except InvalidReference as error:
        raise ValueError(f"mirrors separated by commas or spaces ({error.message}; {error.hint})") from None


def _platform(text: str) -> str:
    if text and not re.fullmatch(r"[a-z]+/[a-z0-9]+(/[a-z0-9]+)?", text):
        raise ValueError("os/architecture, such as linux/amd64 or linux/arm/v7")
    return text


def _pull_through(text: str) -> str:
    if text not in ("auto", "content", "engine"):
        raise ValueError("auto, content or engine")
    return text


def _backend(text: str) -> str:
    if text not in ("auto", "buildx", "buildkit", "classic"):
        raise ValueError("auto, buildx, buildkit or classic")
    return text


def _yes(text: str) -> bool:
    if text.lower() not in ("", "0", "1", "no", "yes", "false", "true"):
        raise ValueError("yes or no")
    return text.lower() in ("1", "yes", "true")


def _hosts(text: str) -> tuple[str, ...]:
    try:
        found = tuple(PrivateRegistry.parse(word) for word in words(text))
    except InvalidReference as error:
        raise ValueError(
            f"hosts such as harbor.example:8080, separated by commas or spaces ({error.message})"
        ) from None
    if any(registry.project for registry in found):
        raise ValueError("hosts alone, host[:port], without a project")
    return tuple(registry.host for registry in found)


def _file(text: str) -> Path | None:
    if text and not Path(text).expanduser().is_file():
        raise ValueError("a file that exists")
    return Path(text).expanduser().absolute() if text else None


def _apt_mirror(text: str) -> str:
    url = urlsplit(text)
    if text and (url.scheme not in ("http", "https") or not url.hostname):
        raise ValueError("an http or https URL such as http://mirror.example/debian")
    if url.username or url.password:
        raise ValueError("a URL without a password, which would stand in the images' history")
    return text.rstrip("/")


def _slurm_from(text: str) -> str:
    if text not in ("", "source", "distro"):
        raise ValueError("source or distro")
    return text


def _apphub_mode(text: str) -> str:
    if text not in ("copy", "unified"):
        raise ValueError("copy or unified")
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that can be configured. Paths are absolute."""

    project_root: Path
    environment: Mapping[str, str] = field(repr=False)  # what child processes get: it may hold secrets
    build_arg_settings: Mapping[str, str] = field(default_factory=dict)  # BUILD_ARG_NAME, by NAME
    build_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # SECRET_NAME, by NAME

    services_dir: str = _setting(
        "SERVICES_DIR", "src", _text, help="directory whose sub-directories with a Dockerfile are services"
    )
    compose_file: str = _setting(
        "COMPOSE_FILE",
        "",
        _text,
        help=f"compose files, separated by '{os.pathsep}'; empty: the first of {', '.join(COMPOSE_NAMES)} there is",
    )
    image_prefix: str = _setting(
        "IMAGE_PREFIX",
        "ai-infra-",
        _image_prefix,
        build_arg=True,
        help="what the names of the services' images begin with",
    )
    image_tag: str = _setting(
        "IMAGE_TAG", "v0.3.6-dev", _tag, flag="tag", build_arg=True, help="the release being built"
    )
    private_registry: PrivateRegistry | None = _setting(
        "PRIVATE_REGISTRY",
        "",
        _registry,
        flag="registry",
        help="your own registry, host[:port]/project, such as harbor.example/aihpc; asked first for every image",
    )
    private_registry_username: str = _setting(
        "PRIVATE_REGISTRY_USERNAME", "", _text, help="who logs in there; empty: as the docker config says"
    )
    private_registry_password: str = _setting(
        "PRIVATE_REGISTRY_PASSWORD", "", _text, secret=True, help="the password or access token for it"
    )
    registry_mirrors: tuple[Mirror, ...] = _setting(
        "REGISTRY_MIRRORS",
        "",
        _mirrors,
        help="asked before the registry that is mirrored: host[/path] for Docker Hub, quay.io=host[/path] for others",
    )
    insecure_registries: tuple[str, ...] = _setting(
        "INSECURE_REGISTRIES",
        "",
        _hosts,
        help="registries, host[:port], that speak plain http or have no valid certificate; loopback needs no entry",
    )
    registry_ca_file: Path | None = _setting(
        "REGISTRY_CA_FILE",
        "",
        _file,
        help="certificates (PEM) to trust besides the system's; /etc/docker/certs.d is read too",
    )
    platform: str = _setting(
        "PLATFORM",
        "",
        _platform,
        help="what images are built for and brought in for, such as linux/arm64; empty: as the engine",
    )
    extra_images: tuple[Reference, ...] = _setting(
        "EXTRA_IMAGES",
        "",
        _images,
        help="images needed besides those that Dockerfiles and compose files name; separated by commas or spaces",
    )
    jobs: int | None = _setting(
        "JOBS", "", _optional_count, flag="jobs", help="how much runs at once, in place of the next three"
    )
    pull_jobs: int = _setting("PULL_JOBS", "8", _count, help="how many connections bring images in at once")
    pull_through: str = _setting(
        "PULL_THROUGH",
        "auto",
        _pull_through,
        help="how images come in: content (our own connections, then a load), engine (its own pulls), or auto",
    )
    keep_blobs: bool = _setting(
        "KEEP_BLOBS",
        "no",
        _yes,
        help="whether what was downloaded stays in .build/blobs when it is loaded or saved: yes or no",
    )
    push_jobs: int = _setting("PUSH_JOBS", "8", _count, help="how many transfers to the private registry run at once")
    builder_backend: str = _setting(
        "BUILDER_BACKEND",
        "auto",
        _backend,
        help="what builds: buildx, buildkit (of a docker CLI before 23), classic, or auto, the first of them there is",
    )
    build_jobs: int | None = _setting(
        "BUILD_JOBS",
        "",
        _optional_count,
        help="how many services are built at once; empty: one for each core",
    )
    tries: int = _setting("TRIES", "4", _count, help="how often a transfer is tried that fails in a way that may pass")
    stall_seconds: int = _setting("STALL_SECONDS", "60", _count, help="how long a transfer may be silent")
    apt_mirror: str = _setting(
        "APT_MIRROR",
        "",
        _apt_mirror,
        build_arg=True,
        help="apt archive for builds and base images, such as http://mirror.example/debian; empty: as configured",
    )
    slurm_from: str = _setting(
        "SLURM_FROM",
        "",
        _slurm_from,
        build_arg=True,
        help="source (the default): build Slurm's packages; distro: take the distribution's own, in seconds",
    )
    slurm_base_image: Reference | None = _setting(
        "SLURM_BASE_IMAGE",
        "",
        _image,
        build_arg=True,
        help="what Slurm is built on and for, such as ubuntu:22.04; empty: debian:bookworm-slim",
    )
    slurm_tarball: str = _setting(
        "SLURM_TARBALL",
        "",
        _text,
        build_arg=True,
        help="an upstream tarball with a debian directory, URL or file in src/slurm-build, to build instead",
    )
    slurm_jobs: int | None = _setting(
        "SLURM_JOBS",
        "",
        _optional_count,
        build_arg=True,
        help="compilers at once in slurm-build; empty: all cores",
    )
    apphub_base_image: Reference | None = _setting(
        "APPHUB_BASE_IMAGE",
        "",
        _image,
        build_arg=True,
        help="what apphub and its indexer stand on, such as nginx:stable; empty: debian:bookworm-slim",
    )
    apphub_mode: str = _setting(
        "APPHUB_MODE",
        "copy",
        _apphub_mode,
        build_arg=True,
        help="how packages come into apphub: copy (by copy-slurm, a step of build-all) or unified (as it is built)",
    )
    apphub_keep_versions: int = _setting(
        "APPHUB_KEEP_VERSIONS",
        "3",
        _count,
        build_arg=True,
        help="how many versions of a package apphub keeps: the present one, and those before it",
    )
    apt_signing_key: Path | None = _setting(
        "APT_SIGNING_KEY",
        "",
        _file,
        secret=True,
        help="file with an OpenPGP secret key, without a passphrase, to sign apphub's repositories; empty: unsigned",
    )
    docker_host: str = _setting(
        "DOCKER_HOST", "", _text, help="the engine's address; empty: that of the docker context"
    )
    docker_context: str = _setting(
        "DOCKER_CONTEXT", "", _text, help="the docker context to use; empty: the current one"
    )

    @classmethod
    def load(
        cls, root: Path, flags: Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> Self:
        """Read all settings, and refuse the first wrong one.

        Flags that are None were not given. `PROJECT_ROOT` in the environment moves `root`, and with it `.env`.

        Raises:
            SettingsError: a value cannot be used; names the key, where the value came from, and what is allowed.
        """
        environ = os.environ if environ is None else environ
        root = _project_root(root, environ)
        from_file = _read_env_file(root / ".env")
        values = {name: _parse(key, *_find(key, flags or {}, environ, from_file)) for name, key in keys().items()}
        named = from_file | dict(environ)
        docker = {name: text for name, text in from_file.items() if name in ("DOCKER_HOST", "DOCKER_CONTEXT")}
        return cls(
            project_root=root,
            environment=MappingProxyType(docker | dict(environ)),
            build_arg_settings=MappingProxyType(_named(named, _BUILD_ARG)),
            build_secrets=MappingProxyType(_named(named, _SECRET)),
            **values,
        )

    @property
    def build_args(self) -> dict[str, str]:
        """What Dockerfiles may declare as ARG, by name: settings that are not empty, and BUILD_ARG_NAME as NAME."""
        named = {key.name: getattr(self, name) for name, key in keys().items() if key.build_arg}
        named["APT_SIGNING_KEY_DIGEST"] = self.apt_signing_key_digest
        own = {name: str(value) for name, value in named.items() if value not in ("", None)}
        return own | dict(self.build_arg_settings)

    @property
    def apt_signing_key_digest(self) -> str:
        """What tells one signing key from another, and nothing else about it; "" if there is none."""
        return hashlib.sha256(self.apt_signing_key.read_bytes()).hexdigest()[:16] if self.apt_signing_key else ""

    @property
    def secrets(self) -> dict[str, str]:
        """The build secrets by name: the file of each, or the environment variable that holds it."""
        own = {"APT_SIGNING_KEY": str(self.apt_signing_key)} if self.apt_signing_key else {}
        return own | dict(self.build_secrets)

    @property
    def pulls_at_once(self) -> int:
        """How many connections bring images in at once."""
        return self.jobs or self.pull_jobs

    @property
    def pushes_at_once(self) -> int:
        """How many transfers to the private registry run at once."""
        return self.jobs or self.push_jobs

    @property
    def builds_at_once(self) -> int:
        """How many services are built at once."""
        return self.jobs or self.build_jobs or os.cpu_count() or 1

    @property
    def registry_to_push_to(self) -> PrivateRegistry:
        """The private registry.

        Raises:
            SettingsError: none is set.
        """
        if self.private_registry is None:
            raise SettingsError(
                "there is no private registry to push to",
                hint="-r host[:port]/project names one, or PRIVATE_REGISTRY in .env",
            )
        return self.private_registry

    @property
    def state_dir(self) -> Path:
        """Where the program keeps its own files: logs, records, locks."""
        return self.project_root / ".build"

    @property
    def compose_files(self) -> tuple[Path, ...]:
        """The compose files to read: those named, else the usual ones that exist."""
        if self.compose_file:
            named = (part for part in self.compose_file.split(os.pathsep) if part)
            return tuple(self.project_root / part for part in named)
        usual = (self.project_root / name for name in COMPOSE_NAMES)
        return tuple(path for path in usual if path.is_file())[:1]


def keys() -> dict[str, Key]:
    """Every setting's key, by the name of its field in Settings, in the order in which they are documented."""
    return {item.name: item.metadata["key"] for item in fields(Settings) if "key" in item.metadata}


def unknown_in_env_file(path: Path) -> tuple[list[str], list[str]]:
    """The names in a `.env` file that are no settings, and those that are known."""
    known = [key.name for key in keys().values()]
    found = _read_env_file(path)
    return [name for name in found if name not in known and not name.startswith((_BUILD_ARG, _SECRET))], known


def has_secret(path: Path) -> bool:
    """Whether a `.env` file holds a secret itself, such as a password."""
    found = _read_env_file(path)
    return any(key.secret and found.get(key.name) for key in keys().values())


def check_flags(flags: Mapping[str, object]) -> None:
    """Refuse a wrong flag before any task runs.

    Raises:
        SettingsError: as for Settings.load.
    """
    for key in keys().values():
        if key.flag and flags.get(key.flag) is not None:
            _parse(key, str(flags[key.flag]), f"--{key.flag}")


def _named(found: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The settings whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): text for name, text in sorted(found.items()) if name.startswith(prefix)}


def _find(
    key: Key, flags: Mapping[str, object], environ: Mapping[str, str], from_file: Mapping[str, str]
) -> tuple[str, str]:
    """A key's text and where it came from, in words."""
    if key.flag and flags.get(key.flag) is not None:
        return str(flags[key.flag]), f"--{key.flag}"
    if key.name in environ:
        return environ[key.name], f"{key.name} in the environment"
    if key.name in from_file:
        return from_file[key.name], f"{key.name} in .env"
    return key.default, key.name


def _parse(key: Key, text: str, origin: str) -> Any:
    try:
        return key.parse(text.strip())
    except ValueError as error:
        shown = "***" if key.secret else _without_password(text)
        raise SettingsError(f"{origin} is {shown!r}", hint=f"allowed: {error}") from None


def _without_password(text: str) -> str:
    """`user:password@host` with the password hidden; the tag of `name:tag@sha256:…` stays."""
    return re.sub(r"(?<![^/\s])([^/\s@:]*):[^/\s@]*@(?!sha256:)", r"\1:***@", text)


def _project_root(default: Path, environ: Mapping[str, str]) -> Path:
    root = Path(environ.get("PROJECT_ROOT") or default).expanduser().resolve()
    if not root.is_dir():
        raise SettingsError(f"PROJECT_ROOT is {str(root)!r}", hint="allowed: a directory that exists")
    return root


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    return {name: value or "" for name, value in found.items()}
