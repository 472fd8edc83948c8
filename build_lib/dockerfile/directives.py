"""Parser directives, the `# name=value` lines at the top of a Dockerfile: BuildKit's `parser/directives.go`."""

import json
import re
from collections.abc import Sequence

from build_lib.dockerfile.shell_pattern import shortened
from build_lib.dockerfile.shell_word import SPACE

_DIRECTIVES = frozenset(["check", "escape", "syntax"])
_NAME = re.compile("[a-zA-Z][a-zA-Z0-9]*")
_BLANK = "\t\n\f\r "


def escape(lines: Sequence[str]) -> tuple[str, list[tuple[int, str]]]:
    """Return the character that `# escape=` sets, and the lines of refused directives with the reasons.

    Unlike in `frontend`, a directive may be indented, and none can follow a shebang.
    """
    seen: dict[str, str] = {}
    refused: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        found = _directive(line.rstrip("\r").lstrip(SPACE), "#")
        if not found:
            break
        name, value = found
        if name in seen:
            refused.append((number, f"there is more than one {name} directive"))
        elif name == "escape" and value not in ("\\", "`"):
            refused.append((number, f"the escape directive has to be \\ or `, not {shortened(value)}"))
        seen.setdefault(name, value)
    return "`" if seen.get("escape") == "`" else "\\", refused


def frontend(lines: Sequence[str], text: str) -> tuple[int, str] | None:
    """Return the line and the image of `# syntax=`, `// syntax=` or `{"syntax": …}`: DetectSyntax."""
    first = 1 if lines and lines[0].startswith("#!") else 0
    for comment in ("#", "//"):
        for number in range(first, len(lines)):
            found = _directive(lines[number].rstrip("\r"), comment)
            if not found:
                break
            if found[0] == "syntax":
                return number + 1, found[1].partition(" ")[0]
    return _json_frontend(text)


def _json_frontend(text: str) -> tuple[int, str] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        name = json.loads(text).get("syntax")
    except (ValueError, RecursionError):
        return None
    return (1, name) if isinstance(name, str) else None


def _directive(line: str, comment: str) -> tuple[str, str] | None:
    """Return a directive's name and value, or None: the first line without one ends the directives."""
    if not line.startswith(comment):
        return None
    name, equals, value = line.removeprefix(comment).lstrip(SPACE).partition("=")
    name, value = name.rstrip(_BLANK), value.strip(_BLANK)
    if not equals or not value or not _NAME.fullmatch(name) or name.lower() not in _DIRECTIVES:
        return None
    return name.lower(), value
