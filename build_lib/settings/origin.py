"""Where the text of a setting comes from, and what is said if it cannot be used."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values

from build_lib.errors import SettingsError
from build_lib.settings.keys import Key

T = TypeVar("T")


def find(
    key: Key[Any], flags: Mapping[str, object], environ: Mapping[str, str], from_file: Mapping[str, str]
) -> tuple[str, str]:
    """The text of a setting, and where it comes from in words."""
    if key.flag and flags.get(key.flag) is not None:
        return str(flags[key.flag]), f"--{key.flag}"
    if key.name in environ:
        return environ[key.name], f"{key.name} in the environment"
    if key.name in from_file:
        return from_file[key.name], f"{key.name} in .env"
    return key.default, key.name


def parse(key: Key[T], text: str, origin: str) -> T:
    """The value of a setting.

    Raises:
        SettingsError: the text cannot be used; names its origin, and what is allowed.
    """
    try:
        return key.parse(text.strip())
    except ValueError as error:
        shown = "***" if key.secret else _without_password(text)
        raise SettingsError(f"{origin} is {shown!r}", hint=f"allowed: {error}") from None


def read_env_file(path: Path) -> dict[str, str]:
    """The names and texts in a `.env` file; nothing if there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    return {name: value or "" for name, value in found.items()}


def _without_password(text: str) -> str:
    """`user:password@host` with the password hidden; the tag of `name:tag@sha256:…` stays."""
    return re.sub(r"(?<![^/\s])([^/\s@:]*):[^/\s@]*@(?!sha256:)", r"\1:***@", text)
