"""Shell patterns in `${name#…}`, `${name%…}` and `${name/…/…}`, as BuildKit's `shell/lex.go` reads them."""

import re

LIMIT = 4096  # characters: far above the longest reference that an image can have

_LITERAL = {"*": r"\*", "?": r"\?", "\\": r"\\", "}": r"\}", "/": "/"}


class Refused(Exception):
    """Something that BuildKit refuses; `argument` is the build argument that is missing, if it is that."""

    def __init__(self, reason: str, argument: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.argument = argument


def trimmed(value: str, operator: str, pattern: str) -> str:
    """`${name#pattern}` and `${name%pattern}`, and with the operator doubled the longest match.

    The shortest end is found as lex.go finds it: as the beginning of what is turned round.
    """
    greedy = pattern.startswith(operator)
    backwards = operator == "%"
    text = value[::-1] if backwards else value
    found = _glob(pattern[greedy:], greedy=greedy, backwards=backwards).match(text)
    rest = text[found.end() :] if found else text
    return rest[::-1] if backwards else rest


def replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """`${name/pattern/replacement}`, and with `//` for each match, as Go's ReplaceAllString goes about it."""
    glob = _glob(pattern, greedy=True, anchored=False)
    parts: list[str] = []
    size = at = end = 0
    while at <= len(value) and size <= LIMIT and (found := glob.match(value, at)):
        start, stop = found.start(1), found.end()
        if stop > end or start == 0:  # an empty match right behind another counts for nothing
            parts += value[end:start], replacement
            size += start - end + len(replacement)
            end = stop
        if not every:
            break
        at = max(at + 1, stop)
    return "".join(parts) + value[end:]


def _glob(pattern: str, *, greedy: bool, backwards: bool = False, anchored: bool = True) -> re.Pattern[str]:
    """A shell pattern of `*` and `?` as a regular expression that never tries again what has failed once.

    What stands between two stars is best taken as early as it comes, whatever follows: hence the atomic groups.
    """
    first, *rest = _between_stars(pattern, backwards=backwards)
    source = f"({first})" if anchored else f"(?>.*?({first}))"
    if rest:
        source += "".join(f"(?>.*?{part})" for part in rest[:-1]) + (".*" if greedy else ".*?") + rest[-1]
    return re.compile(source)


def _between_stars(pattern: str, *, backwards: bool) -> list[str]:
    """The parts of a pattern as regular expressions; a backslash also stands before what would end the pattern."""
    tokens: list[str] = []
    characters = iter(pattern)
    for char in characters:
        if char == "\\":
            escaped = next(characters, "")
            if escaped not in _LITERAL:
                raise Refused(f"'\\{escaped}' means nothing in the pattern {shortened(pattern)}")
            tokens.append(_LITERAL[escaped])
        else:
            tokens.append({"*": "*", "?": "."}.get(char) or re.escape(char))
    parts: list[list[str]] = [[]]
    for token in reversed(tokens) if backwards else tokens:
        if token == "*":
            parts.append([])
        else:
            parts[-1].append(token)
    return ["".join(part) for part in parts]


def shortened(text: str) -> str:
    """The text in quotes, as much of it as fits into a message."""
    return repr(text if len(text) <= 60 else text[:60] + "…")
