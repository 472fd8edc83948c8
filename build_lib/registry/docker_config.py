"""The docker CLI's config file, as far as it needs no credential helper."""

import json
from pathlib import Path

from build_lib.settings import Settings


def path(settings: Settings) -> Path:
    """Return the path of the file."""
    environment = settings.environment
    if environment.get("DOCKER_CONFIG"):
        return Path(environment["DOCKER_CONFIG"]) / "config.json"
    return Path(environment.get("HOME") or Path.home()) / ".docker/config.json"


def logins(settings: Settings) -> list[str]:
    """Return the hosts of registries with a login, or with a credential helper of their own; not Docker Hub's URL.

    A file that cannot be read has none.
    """
    try:
        config = json.loads(path(settings).read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    found = [config.get(name) for name in ("auths", "credHelpers")] if isinstance(config, dict) else []
    return sorted({host for hosts in found if isinstance(hosts, dict) for host in hosts if "/" not in host})
