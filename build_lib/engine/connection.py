"""Where the Docker Engine is, as the docker CLI would find it, and the way to it."""

import socket
from typing import Any

import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from requests.exceptions import RequestException

from build_lib.engine.sdk_errors import reason
from build_lib.errors import EngineError
from build_lib.settings import Settings

_PING_SECONDS = 10
_SILENCE_SECONDS = 3600  # a build's step may say nothing for long


def endpoint(settings: Settings) -> str:
    """Where the engine is expected, such as `unix:///var/run/docker.sock`."""
    environment = settings.environment
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"]
    context = ContextAPI.get_context(environment.get("DOCKER_CONTEXT") or None)
    return str(context.Host) if context is not None and context.Host else "unix:///var/run/docker.sock"


def connect(settings: Settings) -> Any:
    """The SDK's client of the engine's API at `endpoint(settings)`, which has answered.

    Raises:
        EngineError: nothing answers there, or there is no such context.
    """
    _check_context(settings)
    _check_socket(endpoint(settings))
    pool = settings.pulls_at_once + settings.builds_at_once + 2
    try:
        environment = dict(settings.environment)
        api = docker.from_env(environment=environment, timeout=_PING_SECONDS, max_pool_size=pool).api
        api.ping()
    except (DockerException, RequestException) as error:
        raise _no_answer(endpoint(settings), reason(error)) from None
    api.timeout = _SILENCE_SECONDS
    return api


def _check_context(settings: Settings) -> None:
    """The SDK takes the default socket, without a word, for a context that does not exist."""
    if settings.environment.get("DOCKER_HOST"):
        return
    name = settings.environment.get("DOCKER_CONTEXT") or None
    if ContextAPI.get_context(name) is None:
        raise EngineError(
            f"there is no docker context {name or 'of the name that the docker config gives'}",
            hint="docker context ls shows those there are; DOCKER_CONTEXT or DOCKER_HOST chooses",
        )


def _check_socket(address: str) -> None:
    """The SDK says in three nested exceptions that a socket is not there, and leaks one on the way."""
    if not address.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError as error:
            raise _no_answer(address, error.strerror or str(error)) from None


def _no_answer(address: str, why: str) -> EngineError:
    return EngineError(
        f"no Docker Engine answers at {address}: {why}",
        hint="./inv engine-up installs or starts one; DOCKER_HOST names another",
    )
