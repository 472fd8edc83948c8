"""HTML and SVG that is safe by construction: what is no Markup yet is escaped before it becomes part of one."""

import html
import re

# ECMA-48: control sequences, strings for the terminal such as its title, and two-byte escapes
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-Z\\^-~]"
)
# what shows nothing itself, cannot be written as UTF-8, or has the rest of a line shown in another order
_UNSHOWN = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPLACEMENT = "\ufffd"
_VOID = ("br", "link", "meta")  # elements that have no end


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def clean(text: str) -> str:
    """Text without a terminal's colours; other control characters are seen as U+FFFD."""
    return _UNSHOWN.sub(_REPLACEMENT, _TERMINAL.sub("", text))


def escape(content: str) -> Markup:
    """Content that may stand between tags or in an attribute."""
    return content if isinstance(content, Markup) else Markup(html.escape(clean(content)))


def join(*content: str) -> Markup:
    """The contents one after the other."""
    return Markup("".join(map(escape, content)))


def tag(name: str, /, *content: str, **attributes: str | float | None) -> Markup:
    """An element. In an attribute's name, `_` stands for `-`, and one at its end for nothing; None leaves it out."""
    given = (
        f' {key.removesuffix("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    begin = f"<{name}{''.join(given)}>"
    return Markup(begin if name in _VOID else f"{begin}{join(*content)}</{name}>")


def _text(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else str(value)
