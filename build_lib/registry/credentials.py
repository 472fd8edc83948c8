"""The login for each registry: from the settings, or from the docker config and its credential helpers."""

import threading
import warnings
from dataclasses import dataclass, field

from docker.auth import AuthConfig, load_config
from docker.errors import DockerException

from build_lib.errors import RegistryError, SettingsError
from build_lib.registry import docker_config
from build_lib.settings import Settings

# what the SDK's reader of a docker config raises; the last four for values of other types than it expects
_UNREADABLE = (DockerException, OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A user name and a password, or an identity token instead."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    from_settings: bool = False  # otherwise, it is from the docker config


class Credentials:
    """The logins of one run. A credential helper is asked once for each host."""

    def __init__(self, settings: Settings) -> None:
        self._own = _own(settings)
        self._path = docker_config.path(settings)
        self._config: AuthConfig | None = None
        self._known: dict[str, Login | None] = {}
        self._lock = threading.Lock()

    def of(self, host: str) -> Login | None:
        """The login for a registry's host, or None for anonymous access.

        Raises:
            RegistryError: the docker config cannot be read, or its credential helper failed.
        """
        if self._own and host == self._own[0]:
            return self._own[1]
        with self._lock:
            if host not in self._known:
                self._known[host] = self._look_up(host)
            return self._known[host]

    def _look_up(self, host: str) -> Login | None:
        try:
            if self._config is None:
                self._config = load_config(config_path=str(self._path)) if self._path.is_file() else AuthConfig({})
            with warnings.catch_warnings():  # about a missing helper; the error says so too
                warnings.simplefilter("ignore", UserWarning)
                found = self._config.resolve_authconfig(host)
        except _UNREADABLE as error:
            reason = f"cannot get the login for {host} from the docker config {self._path}: {error}"
            raise RegistryError(reason, hint=f"docker login {host}") from None
        if not found:
            return None
        return Login(
            username=found.get("username") or found.get("Username") or "",
            password=found.get("password") or found.get("Password") or "",
            identity_token=found.get("IdentityToken") or "",
        )


def _own(settings: Settings) -> tuple[str, Login] | None:
    """The private registry's host and login, if the settings contain them.

    Raises:
        SettingsError: the user name is set without the password, or the other way round.
    """
    username, password = settings.private_registry_username, settings.private_registry_password
    if bool(username) != bool(password):
        empty = "PRIVATE_REGISTRY_PASSWORD" if username else "PRIVATE_REGISTRY_USERNAME"
        raise SettingsError(f"{empty} is empty", hint="a login needs both PRIVATE_REGISTRY_USERNAME and …_PASSWORD")
    if not username or settings.private_registry is None:
        return None
    return settings.private_registry.host, Login(username=username, password=password, from_settings=True)
