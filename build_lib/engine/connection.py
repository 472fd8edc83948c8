"""Where the Docker Engine is, as the docker CLI would find it, and the way to it."""

import grp
import os
import pwd
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from requests.exceptions import RequestException

from build_lib.errors import EngineError, NoEngine
from build_lib.registry import innermost
from build_lib.settings import Settings, masked_value, without_password_of

ELSEWHERE = "start it there, or unset DOCKER_HOST and `docker context use default`"
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
        NoEngine: nothing answers there.
        EngineError: this user may not use it, or there is no such context.
    """
    _check_context(settings)
    _check_socket(endpoint(settings))
    pool = settings.pulls_at_once + settings.builds_at_once + 2
    try:
        environment = dict(settings.environment)
        api = docker.from_env(environment=environment, timeout=_PING_SECONDS, max_pool_size=pool).api
        api.ping()
    except (DockerException, RequestException, ValueError) as error:  # ValueError: of an address that is none
        raise _no_answer(endpoint(settings), innermost(error.__cause__ or error)) from None
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
        except PermissionError:
            raise _not_allowed(address) from None
        except OSError as error:
            raise _no_answer(address, error.strerror or str(error)) from None


def _not_allowed(address: str) -> EngineError:
    """The error for an engine whose socket is for a group that this process is not in."""
    user = _user()
    group, members = _group_of(Path(address.removeprefix("unix://")))
    if user in members:
        hint = f"log in again, or run newgrp {group}: {user} joined that group after this session began"
    elif group:
        hint = f"sudo usermod -aG {group} {user}, then log in again"
    else:
        hint = "sudo groupadd docker && sudo systemctl restart docker, then join the group docker; or use sudo"
    for_whom = f"the group {group}" if group else "root alone"
    return EngineError(f"user {user} may not use the Docker Engine at {address}, which is for {for_whom}", hint=hint)


def _user() -> str:
    """The name of this process's user, or its number if it has no name, as in many containers."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group_of(place: Path) -> tuple[str, Sequence[str]]:
    """The group that may use a socket, and its members; "docker" if the socket cannot be seen, "" if it is root's."""
    try:
        id = place.stat().st_gid
        found = grp.getgrgid(id) if id else None
    except (OSError, KeyError):
        return "docker", ()
    return (found.gr_name, found.gr_mem) if found else ("", ())


def _no_answer(address: str, why: str) -> EngineError:
    here = address.startswith("unix://")
    hint = "./inv engine-up installs or starts one; DOCKER_HOST names another" if here else ELSEWHERE
    why = without_password_of(address, why)
    return NoEngine(f"no Docker Engine answers at {masked_value(address)}: {why}", hint=hint)
