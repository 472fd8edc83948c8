"""Shell patterns in `${name#…}`, `${name%…}` and `${name/…/…}`, as BuildKit's `shell/lex.go` reads them."""

import re

LIMIT = 4096  # characters: far more than the longest image reference

_LITERAL = {"*": r"\*", "?": r"\?", "\\": r"\\", "}": r"\}", "/": "/"}


class Refused(Exception):
    """BuildKit refuses the input; `argument` is the build argument that is missing, if that is the reason."""

    def __init__(self, reason: str, argument: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.argument = argument


def trimmed(value: str, operator: str, pattern: str) -> str:
    """Return the result of `${name#pattern}` or `${name%pattern}`; a doubled operator removes the longest match.

    The shortest suffix is found as in lex.go: as a prefix of the reversed value.
    """
    greedy = pattern.startswith(operator)
    backwards = operator == "%"
    text = value[::-1] if backwards else value
    found = _glob(pattern[greedy:], greedy=greedy, backwards=backwards).match(text)
    rest = text[found.end() :] if found else text
    return rest[::-1] if backwards else rest


def replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """Return the result of `${name/pattern/replacement}`; `//` replaces every match, as Go's ReplaceAllString does."""
    glob = _glob(pattern, greedy=True, anchored=False)
    parts: list[str] = []
    size = at = end = 0
    while at <= len(value) and size <= LIMIT and (found := glob.match(value, at)):
        start, stop = found.start(1), found.end()
        if stop > end or start == 0:  # an empty match right after another one is skipped
            parts += value[end:start], replacement
            size += start - end + len(replacement)
            end = stop
        if not every:
            break
        at = max(at + 1, stop)
    return "".join(parts) + value[end:]


def _glob(pattern: str, *, greedy: bool, backwards: bool = False, anchored: bool = True) -> re.Pattern[str]:
    """Compile a shell pattern of `*` and `?` into a regular expression that does not backtrack.

    The first match of the text between two stars is always the best one, whatever follows: hence the atomic groups.
    """
    first, *rest = _between_stars(pattern, backwards=backwards)
    source = f"({first})" if anchored else f"(?>.*?({first}))"
    if rest:
        source += "".join(f"(?>.*?{part})" for part in rest[:-1]) + (".*" if greedy else ".*?") + rest[-1]
    return re.compile(source)


def _between_stars(pattern: str, *, backwards: bool) -> list[str]:
    """The parts of a pattern as regular expressions; a backslash also escapes characters that would end the pattern."""
    tokens: list[str] = []
    characters = iter(pattern)
    for char in characters:
        if char == "\\":
            escaped = next(characters, "")
            if escaped not in _LITERAL:
                raise Refused(f"invalid escape '\\{escaped}' in the pattern {shortened(pattern)}")
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
    """Return the text in quotes, cut to a length that suits a message."""
    return repr(text if len(text) <= 60 else text[:60] + "…")
