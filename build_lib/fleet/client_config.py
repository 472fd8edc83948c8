"""What buildx reads: the user's docker config with the login that the settings have, and the certificates to trust."""

import base64
import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from build_lib.build import builders
from build_lib.registry import Login, docker_config
from build_lib.settings import Settings


@contextmanager
def environment(settings: Settings) -> Iterator[Mapping[str, str]]:
    """The environment of buildx within the `with` block.

    Builders ask buildx for the logins to registries. The settings' own is given to it in a file that only this user can
    read, and that is removed at the end; the user's config file stays as it is.
    """
    found = dict(builders.environment_of(settings))
    with tempfile.TemporaryDirectory(prefix="build-lib-") as directory:
        if settings.private_registry_username and settings.private_registry:
            _write_config(Path(directory), settings.private_registry.host, settings)
            found["DOCKER_CONFIG"] = directory
            found["BUILDX_CONFIG"] = found.get("BUILDX_CONFIG") or str(docker_config.path(settings).parent / "buildx")
        if settings.registry_ca_file:
            found["SSL_CERT_FILE"] = str(_write_certificates(Path(directory), settings.registry_ca_file))
        yield found


def _write_config(directory: Path, host: str, settings: Settings) -> None:
    login = Login(username=settings.private_registry_username, password=settings.private_registry_password)
    file = docker_config.path(settings)
    path = directory / "config.json"
    path.touch(0o600)
    path.write_text(json.dumps(_with(_read(file), host, login)))
    for name in ("cli-plugins", "contexts"):
        if (file.parent / name).is_dir():
            (directory / name).symlink_to((file.parent / name).resolve())


def _write_certificates(directory: Path, own: Path) -> Path:
    """The system's certificates and the file's: Go reads either the one or the other (crypto/x509, root_unix.go)."""
    system = ssl.get_default_verify_paths().cafile
    path = directory / "certificates.pem"
    path.write_bytes(b"\n".join(Path(file).read_bytes() for file in (system, own) if file))
    return path


def _with(config: dict[str, Any], host: str, login: Login) -> dict[str, Any]:
    """The config with a login. No helper and no credentials store is asked for this registry, as "" says."""
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    helpers, logins = (found if isinstance(found, dict) else {} for found in map(config.get, ("credHelpers", "auths")))
    return {**config, "credHelpers": {**helpers, host: ""}, "auths": {**logins, host: {"auth": auth}}}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
