"""The values of all settings: flags override the process environment, which overrides `.env` and the defaults."""

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar, cast, overload

from build_lib import git
from build_lib.errors import SettingsError, nearest
from build_lib.reference import PrivateRegistry
from build_lib.settings import keys, own_directory
from build_lib.settings.keys import Key
from build_lib.settings.origin import find, parse, read_env_file
from build_lib.settings.parsers import apt_archive

T = TypeVar("T")
_NEARLY = 0.9  # of 1, how much two names have in common if one is taken for a slip of the other
_OF_THE_CLI = ("DOCKER_HOST", "DOCKER_CONTEXT")  # values in `.env` are passed to the docker CLI too


class Setting(Generic[T]):
    """A setting as an attribute of Settings. A wrong value stops only what reads it."""

    def __init__(self, key: Key[T]) -> None:
        self.key = key

    @overload
    def __get__(self, settings: None, owner: type) -> Self: ...

    @overload
    def __get__(self, settings: "Settings", owner: type) -> T: ...

    def __get__(self, settings: "Settings | None", owner: type) -> Self | T:
        """The value.

        Raises:
            SettingsError: the text is not valid; with its key, its origin, and what is allowed.
        """
        if settings is None:
            return self
        value = settings.values[self.key.name]
        if isinstance(value, SettingsError):
            raise SettingsError(value.message, hint=value.hint, place=value.place)
        return cast(T, value)


@dataclass(frozen=True, kw_only=True)  # with slots, changing a setting is a TypeError that does not say why
class Settings:
    """The values of all settings. Paths are absolute. Reading a setting with a wrong value raises SettingsError."""

    project_root: Path
    environment: Mapping[str, str] = field(repr=False)  # for child processes; may contain secrets
    build_arg_settings: Mapping[str, str] = field(default_factory=dict)  # BUILD_ARG_NAME, by NAME
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # SECRET_NAME, by NAME: a file or a variable
    compose_variables: Mapping[str, str] = field(repr=False)  # the environment, and flags by their settings' names
    variables: Mapping[str, str] = field(repr=False, compare=False)  # for placeholders: all names that are set
    values: Mapping[str, object] = field(repr=False)  # by the names of the settings; a wrong one is a SettingsError

    services_dir = Setting(keys.SERVICES_DIR)
    services_context = Setting(keys.SERVICES_CONTEXT)
    dockerfiles = Setting(keys.DOCKERFILES)
    image_prefix = Setting(keys.IMAGE_PREFIX)
    image_tag = Setting(keys.IMAGE_TAG)
    private_registry = Setting(keys.PRIVATE_REGISTRY)
    private_registry_username = Setting(keys.PRIVATE_REGISTRY_USERNAME)
    private_registry_password = Setting(keys.PRIVATE_REGISTRY_PASSWORD)
    registry_mirrors = Setting(keys.REGISTRY_MIRRORS)
    insecure_registries = Setting(keys.INSECURE_REGISTRIES)
    registry_ca_file = Setting(keys.REGISTRY_CA_FILE)
    platform = Setting(keys.PLATFORM)
    extra_images = Setting(keys.EXTRA_IMAGES)
    image_files = Setting(keys.IMAGE_FILES)
    jobs = Setting(keys.JOBS)
    pull_jobs = Setting(keys.PULL_JOBS)
    pull_through = Setting(keys.PULL_THROUGH)
    frozen = Setting(keys.FROZEN)
    keep_blobs = Setting(keys.KEEP_BLOBS)
    push_jobs = Setting(keys.PUSH_JOBS)
    builder_backend = Setting(keys.BUILDER_BACKEND)
    build_jobs = Setting(keys.BUILD_JOBS)
    builders = Setting(keys.BUILDERS)
    builder_jobs = Setting(keys.BUILDER_JOBS)
    builder_certs = Setting(keys.BUILDER_CERTS)
    build_registry = Setting(keys.BUILD_REGISTRY)
    build_output = Setting(keys.BUILD_OUTPUT)
    cache_registry = Setting(keys.CACHE_REGISTRY)
    cache_release = Setting(keys.CACHE_RELEASE)
    build_with = Setting(keys.BUILD_WITH)
    downloads = Setting(keys.DOWNLOADS)
    recorder_address = Setting(keys.RECORDER_ADDRESS)
    mirror_args = Setting(keys.MIRROR_ARGS)
    ready_seconds = Setting(keys.READY_SECONDS)
    tries = Setting(keys.TRIES)
    stall_seconds = Setting(keys.STALL_SECONDS)
    apt_mirror = Setting(keys.APT_MIRROR)
    slurm_from = Setting(keys.SLURM_FROM)
    slurm_base_image = Setting(keys.SLURM_BASE_IMAGE)
    slurm_tarball = Setting(keys.SLURM_TARBALL)
    slurm_jobs = Setting(keys.SLURM_JOBS)
    hub_packages = Setting(keys.HUB_PACKAGES)
    apphub_base_image = Setting(keys.APPHUB_BASE_IMAGE)
    apphub_mode = Setting(keys.APPHUB_MODE)
    apphub_keep_versions = Setting(keys.APPHUB_KEEP_VERSIONS)
    apt_signing_key = Setting(keys.APT_SIGNING_KEY)
    docker_host = Setting(keys.DOCKER_HOST)
    docker_context = Setting(keys.DOCKER_CONTEXT)

    @classmethod
    def load(
        cls,
        root: Path,
        flags: Mapping[str, object] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        env_file: str = ".env",
    ) -> Self:
        """Read all settings.

        Flags that are None were not given. `PROJECT_ROOT` in the environment overrides `root`, and so the path of
        `.env`. Another `env_file` is read as if it were that file.

        Raises:
            SettingsError: a flag is not valid, or `.env` cannot be read. Any other wrong value is an error only when it
                is read.
        """
        flags = flags or {}
        check_flags(flags)
        environ = os.environ if environ is None else environ
        root = _project_root(root, environ)
        from_file = read_env_file(root / env_file)
        values = {
            key.name: _value(key, *find(key, flags, environ, from_file, env_file)) for key in described().values()
        }
        named = from_file | dict(environ)
        given = {key.name: str(flags[key.flag]) for key in described().values() if flags.get(key.flag) is not None}
        docker = {name: text for name, text in from_file.items() if text and name in _OF_THE_CLI}
        return cls(
            project_root=root,
            environment=MappingProxyType(docker | dict(environ)),
            build_arg_settings=MappingProxyType(_named(named, keys.BUILD_ARG)),
            secrets=MappingProxyType(_named(named, keys.SECRET)),
            compose_variables=MappingProxyType((docker if env_file == ".env" else from_file) | dict(environ) | given),
            variables=MappingProxyType(_not_secret(named | given)),
            values=MappingProxyType(values),
        )

    @property
    def wrong(self) -> tuple[SettingsError, ...]:
        """The errors of all settings with wrong values."""
        return tuple(value for value in self.values.values() if isinstance(value, SettingsError))

    def build_args(self, declared: Collection[str]) -> dict[str, str]:
        """The build arguments for a Dockerfile that declares these names: settings, and BUILD_ARG_NAME as NAME.

        Settings that are empty are left out.

        Raises:
            SettingsError: the value of one of them is not valid.
        """
        own = {name: text for name, text in self.build_arg_settings.items() if name in declared}
        for name, key in described().items():
            if key.build_arg and key.name in declared and key.name not in own:
                own[key.name] = str(getattr(self, name) or "")
        return {name: text for name, text in own.items() if text or name in self.build_arg_settings}

    @property
    def apt_archive(self) -> str:
        """The URL of the Debian archive that `APT_MIRROR` names; "" if it names none."""
        return apt_archive(self.apt_mirror)

    @property
    def apt_signing_key_digest(self) -> str:
        """A hash that identifies the signing key without disclosing it; "" if there is none."""
        return hashlib.sha256(self.apt_signing_key.read_bytes()).hexdigest()[:16] if self.apt_signing_key else ""

    @property
    def pulls_at_once(self) -> int:
        """How many connections download images at once."""
        return self.jobs or self.pull_jobs

    @property
    def pushes_at_once(self) -> int:
        """How many uploads to the private registry run at once."""
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
                "no private registry is set",
                hint="name one with -r host[:port]/project, or with PRIVATE_REGISTRY in .env",
            )
        return self.private_registry

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms to build and pull images for; none if that is up to the engine."""
        return tuple(filter(None, self.platform.split(",")))

    @property
    def build_lock(self) -> Path:
        """The file that a process locks while it builds in the repository."""
        return self.state_dir / "build.lock"

    @property
    def state_dir(self) -> Path:
        """The directory of the program's own files: logs, records, locks. It may not exist yet.

        Raises:
            BuildError: something else has this name, git tracks it, or a link in it leads elsewhere.
        """
        path = self.project_root / ".build"
        own_directory.check(path, self.environment)
        return path


def described() -> dict[str, Key[Any]]:
    """The keys of all settings by their field in Settings, in the order in which they are documented."""
    return {name: item.key for name, item in vars(Settings).items() if isinstance(item, Setting)}


def worked_on(own: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return the repository to work on if the tasks of the repository `own` are called.

    Tasks of build-lib itself work on the repository that contains the current directory, or on that directory if it is
    in none. But it is `own` if these are the tasks of another repository, if `PROJECT_ROOT` says what to work on, or if
    the current directory is in `own` and in no other repository within it.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd()
    if environ.get("PROJECT_ROOT") or not (own / "build_lib/__init__.py").is_file():
        return own
    top = git.top_level(here, environ)
    if here.is_relative_to(own):
        return top if top and top.is_relative_to(own) else own
    return top or here


def unknown_in_env_file(path: Path) -> tuple[list[str], list[str]]:
    """The unknown names in a `.env` file, and the names of all settings."""
    known = [*(key.name for key in described().values()), *(name for name, _, _ in keys.OF_COMPOSE)]
    found = {name for name, text in read_env_file(path).items() if name != keys.PROJECT_ROOT or text}
    return sorted(name for name in found - {*known} if not name.startswith((keys.BUILD_ARG, keys.SECRET))), known


def misspelt_in_env_file(path: Path) -> dict[str, str]:
    """The unknown names in a `.env` file that are nearly those of settings, each with the hint that says of which.

    Others may be for other programs, such as compose.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415  # its import takes as long as reading the file

    unknown, known = unknown_in_env_file(path)
    near = {name for name in unknown for key in known if SequenceMatcher(None, name, key).ratio() > _NEARLY}
    return {name: nearest(name, known) for name in unknown if name in near}


def has_secret(path: Path) -> bool:
    """Whether a `.env` file contains a secret, such as a password."""
    found = read_env_file(path)
    return any(key.secret and found.get(key.name) for key in described().values())


def check_flags(flags: Mapping[str, object]) -> None:
    """Check the values of flags, before any task runs.

    Raises:
        SettingsError: a flag is empty, or not valid, or excludes another one.
    """
    for name, value in flags.items():
        texts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            raise SettingsError(f"--{name.replace('_', '-')} is empty", hint="give it a value, or leave it out")
    for key in described().values():
        if key.flag and flags.get(key.flag) is not None:
            parse(key, str(flags[key.flag]), f"--{key.flag}")
        switches = [f"--{name}" for name in key.switches if flags.get(name)]
        if len(switches) > 1:
            raise SettingsError(f"{' and '.join(switches)} cannot both be given", hint="leave one out")


def _value(key: Key[T], text: str, origin: str) -> T | SettingsError:
    try:
        return parse(key, text, origin)
    except SettingsError as error:
        return error


def _not_secret(given: Mapping[str, str]) -> dict[str, str]:
    """These texts, and the defaults of the settings that are not among them, without the secrets."""
    known = described().values()
    texts = {key.name: key.default for key in known} | dict(given)
    secret = {key.name for key in known if key.secret}
    return {name: text for name, text in texts.items() if name not in secret}


def _named(found: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The settings with this prefix, by the rest of their names."""
    return {name.removeprefix(prefix): text for name, text in sorted(found.items()) if name.startswith(prefix)}


def _project_root(default: Path, environ: Mapping[str, str]) -> Path:
    root = Path(environ.get(keys.PROJECT_ROOT) or default).expanduser().resolve()
    if not root.is_dir():
        raise SettingsError(f"PROJECT_ROOT is {str(root)!r}", hint="allowed: a directory that exists")
    return root
