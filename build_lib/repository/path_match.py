"""Go's filepath.Match, one component of a path after the other: the wildcards in the sources of COPY and ADD."""

import re
from functools import lru_cache

_SPECIAL = re.compile(r"[*?\[\\]")
_CHARACTER = r"(?:\\.|[^\\\]-])"
_RANGE = re.compile(rf"({_CHARACTER})(?:-({_CHARACTER}))?", re.DOTALL)
_ELEMENT = re.compile(
    rf"(?P<some>\*)|(?P<one>\?)|\[(?P<ranges>(?:{_CHARACTER}(?:-{_CHARACTER})?)+)\]|\\(?P<escaped>.)|(?P<plain>[^\\\[])",
    re.DOTALL,
)
_NOTHING = "(?!)"

Component = str | re.Pattern[str]  # a name, or what names it matches


def components(pattern: str) -> tuple[Component, ...] | None:
    """Return the components of a path with wildcards, or None if it cannot be told what it names."""
    found: list[Component] = []
    for part in pattern.split("/"):
        component = part if not _SPECIAL.search(part) else compiled(part)
        if component is None:
            return None
        found.append(component)
    return tuple(found)


@lru_cache(maxsize=4096)
def compiled(component: str) -> re.Pattern[str] | None:
    """Return what a component of a pattern matches, or None.

    That is for a malformed one, and for a class that may match a slash (`[^a]` does), and thus more than a component.
    """
    expressions: list[str] = []
    at = 0
    while at < len(component):
        found = _ELEMENT.match(component, at)
        expression = _expression(found) if found else None
        if found is None or expression is None:
            return None
        expressions.append(expression)
        at = found.end()
    return re.compile("".join(expressions), re.DOTALL)


def _expression(element: re.Match[str]) -> str | None:
    match element.lastgroup:
        case "some":
            return ".*"
        case "one":
            return "."
        case "ranges":
            return _class(element["ranges"])
    return re.escape(element["escaped"] or element["plain"])


def _class(ranges: str) -> str | None:
    if ranges.startswith("^"):
        return None
    pairs = [(low[-1], (high or low)[-1]) for low, high in _RANGE.findall(ranges)]
    if any(low <= "/" <= high for low, high in pairs):
        return None
    inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in pairs if low <= high)
    return f"[{inside}]" if inside else _NOTHING
