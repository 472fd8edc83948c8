"""Placeholders in the names of images: `{{NAME}}`, `{NAME}`, `$NAME`, and `${NAME:-default}` as in compose files."""

import re
from collections.abc import Mapping

from build_lib.compose import InvalidInterpolation, expand
from build_lib.errors import BuildError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_REQUIRED = re.compile(rf"\{{\{{\s*({_NAME})\s*\}}\}}|\$\{{({_NAME})\}}|\$({_NAME})|(?<!\$)\{{({_NAME})\}}")
_ANY = re.compile(rf"{_REQUIRED.pattern}|\$\{{[^{{}}]*\}}")


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its placeholders replaced by the values of these names, which may be empty.

    Raises:
        BuildError: names without a default have no value; the message has the names to write.
    """
    names: list[str] = []

    def as_required(found: re.Match[str]) -> str:
        names.append(str(found[found.lastindex or 0]))
        return f"${{{names[-1]}?}}"

    try:
        return expand(_REQUIRED.sub(as_required, text), variables)
    except InvalidInterpolation as error:
        missing = [name for name in dict.fromkeys(names) if name not in variables]
        if not missing:
            raise
        raise BuildError(f"write in .env: {' '.join(f'{name}=…' for name in missing)}") from error


def without_placeholders(text: str) -> str:
    """Return the text without its placeholders."""
    return _ANY.sub("", text)
