"""HTML and SVG that is safe by construction: text that is not Markup is escaped before it becomes part of it."""

import html

from build_lib.foreign import printable

_VOID = ("br", "link", "meta")  # elements without an end tag


class Markup(str):
    """Text that already is HTML."""

    __slots__ = ()


def escape(content: str) -> Markup:
    """The content, escaped for use between tags or in an attribute."""
    return content if isinstance(content, Markup) else Markup(html.escape(printable(content)))


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
