"""Passwords in texts, such as `user:password@host`, are hidden where settings become text.

A password may contain any character, also `@`, `/` and spaces, because it is hidden in wrong values too.
"""

import re

_HIDDEN = "***"
_WORD = re.compile(r"\S+")
_AT = re.compile(r"@(?!sha\d+\b)")  # one that no digest follows
_BETWEEN = re.compile(r"[\s,]+")
_SCHEME = re.compile(r"(.*?\w://)?(.*)", re.DOTALL)
_TAKES_NAMES = "ssh://"  # before whose @ there is a name; before that of other URLs, there may be a token


def masked(text: str) -> str:
    """A sentence or a document without the passwords in its words."""
    return _WORD.sub(lambda found: _masked(found[0]), text) if "@" in text else text


def masked_value(text: str) -> str:
    """The text of a setting without its passwords. If one may contain what separates a list's items, more is hidden."""
    items = _BETWEEN.split(text)
    if any(_AT.search(item) and _masked(item) == item and not item.startswith(_TAKES_NAMES) for item in items):
        return _masked(text)
    return "".join(_masked(part) for part in re.split(f"({_BETWEEN.pattern})", text))


def without_password_of(value: str, text: str) -> str:
    """A text about the text of a setting, without the parts of its password."""
    before = value[: max(_last_at(value), 0)]
    password = before.partition("://")[2].partition(":")[2] or before.partition(":")[2]
    for part in filter(None, re.split(r"[@/:?#\[\]\s]+", password)):
        text = text.replace(part, _HIDDEN)
    return text


def _masked(item: str) -> str:
    """The text without what is between its first colon and its last `@`, or without a token before that of a URL."""
    at = _last_at(item)
    found = _SCHEME.fullmatch(item[: max(at, 0)])
    if at < 0 or found is None:
        return item
    scheme, login = found[1] or "", found[2]
    user, colon, _ = login.partition(":")
    if colon:
        return f"{scheme}{user}:{_HIDDEN}{item[at:]}"
    if scheme and not scheme.endswith(_TAKES_NAMES) and "/" not in login:
        return f"{scheme}{_HIDDEN}{item[at:]}"
    return item


def _last_at(text: str) -> int:
    return max((found.start() for found in _AT.finditer(text)), default=-1)
