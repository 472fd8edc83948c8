"""Which files of a build context are sent to the builder: the `.dockerignore` rules.

The rules are those of moby/patternmatcher: Go's path matching plus `**`, the last matching line decides,
`!` includes a path again, and a line that matches a directory matches everything below it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from build_lib.errors import BuildError, Place
from build_lib.files import kind


@dataclass(frozen=True, slots=True)
class Rules:
    """The lines of an ignore file, compiled; an empty tuple ignores nothing."""

    lines: tuple[tuple[bool, re.Pattern[str]], ...]  # (whether it includes again, what it matches)

    def ignores(self, path: str) -> bool:
        """Return whether the path, relative to the context and with `/`, is left out."""
        ignored = False
        for brings_back, pattern in self.lines:
            if brings_back == ignored and pattern.match(path):
                ignored = not brings_back
        return ignored

    @property
    def brings_back(self) -> bool:
        """Whether a path below an ignored directory can be included again."""
        return any(brings_back for brings_back, _ in self.lines)


def place(context: Path, dockerfile: Path) -> Path:
    """The ignore file of a build: `DOCKERFILE.dockerignore` beside the Dockerfile, else the context's `.dockerignore`.

    There may be neither.
    """
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    return own if own.exists() else context / ".dockerignore"


def rules(context: Path, dockerfile: Path) -> Rules:
    """The rules for a build.

    Raises:
        BuildError: the ignore file cannot be read.
    """
    return read(place(context, dockerfile))


def read(path: Path) -> Rules:
    """The rules in an ignore file; none if there is no such file.

    Raises:
        BuildError: it cannot be read.
    """
    odd = kind(path, follow=True)
    if odd:
        raise BuildError(f"{path} is {odd}: only regular files are read", hint=f"rm {path}")
    if not path.is_file():
        return Rules(())
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Rules:
    """The rules in the text of an ignore file.

    Raises:
        BuildError: a line is no pattern; with its number.
    """
    return Rules(tuple(_compiled(text, path)))


def _compiled(text: str, path: Path) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        brings_back = pattern.startswith("!")
        pattern = _clean(pattern.removeprefix("!").strip())
        if pattern:
            try:
                yield brings_back, _pattern(pattern)
            except re.error:
                place = Place(path=path, line=number)
                hint = r"a class is written [a-z]; \[ is a bracket"
                raise BuildError(f"{path}:{number}: {pattern!r} is not a pattern", hint=hint, place=place) from None


def _clean(pattern: str) -> str:
    """Go's filepath.Clean, without a leading slash; "" if nothing is left."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


# the elements of a pattern, and below the regular expression for each
_ELEMENTS = re.compile(
    r"(?P<dirs>\*\*/)|(?P<all>\*\*)|(?P<some>\*)|(?P<one>\?)|\[(?P<set>.[^\]]*)\]|\\(?P<escaped>.)|.", re.DOTALL
)
_ODD = re.compile(r"\[|[^/]\*\*/")
_FEW = 3  # wildcards
_ANY_DEPTH = {"dirs": "(?:.*?/)??", "all": ".*?"}


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    """A line as a regular expression that also matches everything below what it names.

    What stands between two `**`, or between two `*`, may as well match where it does so first: there the expression
    does not go back (atomic groups), and takes no more time than the square of a path's length. Where a class may match
    a slash, or `**/` follows part of a name, the first place is not always right: a few wildcards may go back.

    Raises:
        re.error: it is malformed.
    """
    parts: list[tuple[str, list[str]]] = [("", [""])]  # each `**`, and what follows it, divided at each `*`
    for element in _ELEMENTS.finditer(pattern):
        if element.lastgroup in _ANY_DEPTH:
            parts.append((_ANY_DEPTH[element.lastgroup], [""]))
        elif element.lastgroup == "some":
            parts[-1][1].append("")
        else:
            parts[-1][1][-1] += _expression(element)
    wildcards = sum(len(pieces) for _, pieces in parts) - 1
    group = "(?:" if _ODD.search(pattern) and wildcards <= _FEW else "(?>"
    *before, (depth, last) = parts
    expression = "".join(f"{group}{each}{_name(pieces, group)})" for each, pieces in before)
    end = f"[^/]*{last.pop()}" if len(last) > 1 else ""
    return re.compile(f"{expression}{depth}{_name(last, group)}{end}(?:/.*)?\\Z", re.DOTALL)


def _name(pieces: list[str], group: str) -> str:
    """Pieces with a `*` between each two."""
    first, *others = pieces
    return first + "".join(f"{group}[^/]*?{piece})" for piece in others)


def _expression(element: re.Match[str]) -> str:
    kind = element.lastgroup or ""
    if kind == "set":
        return "[" + element["set"].replace("[", "\\[") + "]"
    return "[^/]" if kind == "one" else re.escape(element["escaped"] or element[0])
