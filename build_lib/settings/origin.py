"""Finds the text of a setting, and parses it with an error that names its origin."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from build_lib.errors import Place, SettingsError
from build_lib.files import kind
from build_lib.settings.keys import Key
from build_lib.settings.masking import masked_value

T = TypeVar("T")

_FORM = "write NAME=VALUE, or NAME='VALUE' for a value with spaces or #"


def find(
    key: Key[Any], flags: Mapping[str, object], environ: Mapping[str, str], from_file: Mapping[str, str], file: str
) -> tuple[str, str]:
    """The text of a setting, and its origin for messages, where `file` is the name of the `.env` file."""
    if key.flag and flags.get(key.flag) is not None:
        return str(flags[key.flag]), f"--{key.flag}"
    for name in key.switches:
        if flags.get(name):
            return name, f"--{name}"
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
    except ValueError:
        shown = "***" if key.secret else masked_value(text)
        raise SettingsError(f"{origin} is {shown!r}", hint=f"allowed: {_allowed(key, shown)}") from None


def _allowed(key: Key[Any], shown: str) -> str:
    """What is allowed instead, in words that may quote the text as it is shown."""
    try:
        key.parse(shown.strip())
    except ValueError as error:
        return str(error)
    return "the same without a password"


def read_env_file(path: Path) -> dict[str, str]:
    """The names and texts in a `.env` file; empty if there is no such file.

    Raises:
        SettingsError: the file cannot be read, or one of its lines cannot be understood; with the line's number.
    """
    text = _text(path)
    for binding in parse_stream(io.StringIO(text)):
        wrong = _wrong(binding)
        if wrong:
            line = _line(binding)
            raise SettingsError(f"{path.name}:{line}: {wrong}", hint=_FORM, place=Place(path=path, line=line))
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def set_again(path: Path) -> dict[str, int]:
    """The names that a `.env` file sets more than once, each with the last line that does, the one that counts."""
    lines: dict[str, list[int]] = {}
    for binding in parse_stream(io.StringIO(_text(path))):
        if binding.key is not None:
            lines.setdefault(binding.key, []).append(_line(binding))
    return {name: each[-1] for name, each in lines.items() if len(each) > 1}


def _text(path: Path) -> str:
    try:
        if not os.path.lexists(path):
            return ""
        odd = kind(path, follow=True)
        if odd and odd != "a directory":
            raise SettingsError(
                f"{path} is {odd}: only regular files are read", hint=f"{_FORM}, in a file of that name"
            )
        if not path.is_file():  # a directory, or a link that leads nowhere
            raise SettingsError(f"{path} is not a file", hint=f"{_FORM}, in a file of that name; or remove it")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} cannot be read: {error}", hint="save it as UTF-8") from None


def _wrong(binding: Binding) -> str:
    """Why a statement cannot be understood; "" if it can. Its value is not shown, because it may be a password."""
    if not binding.error and (binding.key is None or binding.value is not None):  # else, a comment has no key
        return ""
    name, equals, value = binding.original.string.strip().partition("=")
    if binding.error and equals and value.lstrip().startswith(("'", '"')):
        return f"{name.strip()}: the quotes of the value are not closed, or something follows them"
    return "this is not of the form NAME=VALUE"


def _line(binding: Binding) -> int:
    """The line of a statement. The parser's own is that of the empty lines before it."""
    statement = binding.original.string
    return binding.original.line + statement[: len(statement) - len(statement.lstrip())].count("\n")
