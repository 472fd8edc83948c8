"""Repositories with compose files, to be read by this program and by `docker compose config`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Case:
    """Files by their names, and the environment.

    `since` is the first version of compose that does what today's does.
    """

    files: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    since: tuple[int, ...] = (2,)
