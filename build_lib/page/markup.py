"""HTML and SVG that is safe by construction: text that is not Markup is escaped before it becomes part of it."""

import html
import re

# ECMA-48: control sequences, strings for the terminal such as its title, and two-byte escapes
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-Z\\^-~]"
)
# characters that are invisible, cannot be written as UTF-8, or change the order in which a line is shown
_UNSHOWN = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPLACEMENT = "\ufffd"
_VOID = ("br", "link", "meta")  # elements without an end tag


class Markup(str):
    """Text that already is HTML."""

    __slots__ = ()


def clean(text: str) -> str:
    """The text without terminal escape sequences; other control characters are replaced by U+FFFD."""
    return _UNSHOWN.sub(_REPLACEMENT, _TERMINAL.sub("", text))


def escape(content: str) -> Markup:
    """The content, escaped for use between tags or in an attribute."""
    return content if isinstance(content, Markup) else Markup(html.escape(clean(content)))


def join(*content: str) -> Markup:
    """The contents, escaped and concatenated."""
    return Markup("".join(map(escape, content)))


def tag(name: str, /, *content: str, **attributes: str | float | None) -> Markup:
    """An element. In an attribute's name, `_` means `-` and a trailing `_` is dropped; the value None omits it."""
    given = (
        f' {key.removesuffix("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    begin = f"<{name}{''.join(given)}>"
    return Markup(begin if name in _VOID else f"{begin}{join(*content)}</{name}>")


def _text(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else str(value)
