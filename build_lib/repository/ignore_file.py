"""Which files of a build context are sent to the builder: the `.dockerignore` rules.

The rules are those of moby/patternmatcher: Go's path matching plus `**`, the last matching line decides,
`!` includes a path again, and a line that matches a directory matches everything below it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from build_lib.errors import BuildError
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
        return parse(path.read_text(encoding="utf-8-sig", errors="surrogateescape"))
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from error


def parse(text: str) -> Rules:
    """The rules in the text of an ignore file."""
    return Rules(tuple(_compiled(text)))


def _compiled(text: str) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        brings_back = pattern.startswith("!")
        pattern = _clean(pattern.removeprefix("!").strip())
        if pattern:
            yield brings_back, _pattern(pattern)


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
_MEANING = {"dirs": "(?:.*/)?", "all": ".*", "some": "[^/]*", "one": "[^/]"}


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    """A line as a regular expression that also matches everything below what it names."""
    expression = "".join(_expression(element) for element in _ELEMENTS.finditer(pattern))
    return re.compile(f"{expression}(?:/.*)?\\Z", re.DOTALL)


def _expression(element: re.Match[str]) -> str:
    kind = element.lastgroup or ""
    if kind == "set":
        return "[" + element["set"].replace("[", "\\[") + "]"
    return _MEANING.get(kind) or re.escape(element["escaped"] or element[0])
