"""Finds the text of a setting, and parses it with an error that names its origin."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values

from build_lib.errors import SettingsError
from build_lib.settings.keys import Key

T = TypeVar("T")


def find(
    key: Key[Any], flags: Mapping[str, object], environ: Mapping[str, str], from_file: Mapping[str, str], file: str
) -> tuple[str, str]:
    """The text of a setting, and its origin for messages, where `file` is the name of the `.env` file."""
    if key.flag and flags.get(key.flag) is not None:
        return str(flags[key.flag]), f"--{key.flag}"
    if key.name in environ:
        return environ[key.name], f"{key.name} in the environment"
    if key.name in from_file:
        return from_file[key.name], f"{key.name} in {file}"
    return key.default, key.name


def parse(key: Key[T], text: str, origin: str) -> T:
    """The value of a setting.

    Raises:
        SettingsError: the text is not valid; the message names its origin, and the hint says what is allowed.
    """
    try:
        return key.parse(text.strip())
    except ValueError as error:
        shown = "***" if key.secret else _without_password(text)
        raise SettingsError(f"{origin} is {shown!r}", hint=f"allowed: {error}") from None


def read_env_file(path: Path) -> dict[str, str]:
    """The names and texts in a `.env` file; empty if there is no such file.

    Raises:
        SettingsError: the file cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    return {name: value or "" for name, value in found.items()}


def _without_password(text: str) -> str:
    """The text with the password of `user:password@host` hidden. `name:tag@sha256:…` is unchanged."""
    return re.sub(r"(?<![^/\s])([^/\s@:]*):[^/\s@]*@(?!sha256:)", r"\1:***@", text)
