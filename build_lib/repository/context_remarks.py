"""Remarks on what Dockerfiles take along with a whole context: .git, .env, and this program's own .build.

A remark needs a source that surely takes them: the context itself, or a wildcard that matches. There is none where an
ignore file covers them, where only other paths are copied, and where a source names them, because that is intended.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from build_lib.compose import Problem
from build_lib.dockerfile import ContextPath
from build_lib.repository import ignore_file, path_match
from build_lib.repository.dockerfiles import below
from build_lib.settings import Settings
from build_lib.units import number

_NAMED = 3  # services that share a context and are named
_ENV = ".env"
_GIT = ".git"


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """A service's use of a context."""

    service: str
    context: Path
    dockerfile: Path
    paths: tuple[ContextPath, ...]


def remarks(uses: Iterable[Use], settings: Settings) -> Iterator[Problem]:
    """Return a remark for each ignore file in which something is missing, at the line that takes it."""
    missing: dict[Path, list[tuple[Use, int, list[str]]]] = {}
    for use in uses:
        taken = {name: line for name in _present(use.context, settings) if (line := _taken_at(name, use)) is not None}
        if taken:
            place = ignore_file.place(use.context, use.dockerfile)
            missing.setdefault(place, []).append((use, min(taken.values()), list(taken)))
    for place, found in missing.items():
        names = list(dict.fromkeys(name for *_, names in found for name in names))
        use, line, _ = found[0]
        services = [use.service for use, *_ in found]
        more = [number(len(services) - _NAMED, "other")] if len(services) > _NAMED else []
        who = _and([*services[:_NAMED], *more])
        yield Problem(
            path=use.dockerfile,
            line=line,
            reason=f"the build context of {who} has {_and(names)}, which this line takes along: {_why(names)}",
            remark=True,
            hint=_hint(place, names, settings),
        )


def _present(context: Path, settings: Settings) -> Iterator[str]:
    """The entries of a context that should not be in an image; a .git that is a file only says where the other is."""
    if (context / _ENV).is_file():
        yield _ENV
    if (context / _GIT).is_dir():
        yield _GIT
    if settings.state_dir.is_relative_to(context):  # the first build makes it, if it is not there yet
        yield settings.state_dir.relative_to(context).as_posix()


def _taken_at(name: str, use: Use) -> int | None:
    """The first line that takes an entry along with others, or None."""
    rules = ignore_file.rules(use.context, use.dockerfile)
    if rules.ignores(name) or rules.ignores(f"{name}/-"):  # `.git/*` leaves an empty directory
        return None
    return next((item.line for item in use.paths if _takes_along(item, name, use.dockerfile)), None)


def _takes_along(item: ContextPath, name: str, dockerfile: Path) -> bool:
    """Whether it surely takes an entry that it does not name."""
    if not item.path:
        excluded = "\n" * (item.line - 1) + "\n".join(item.excluded)  # a malformed pattern is one of this line
        return item.path == "" and not ignore_file.parse(excluded, dockerfile).ignores(name)
    wanted, parts = path_match.components(item.path), name.split("/")
    if wanted is None or item.path == name or len(wanted) > len(parts):
        return False
    return all(
        part == one if isinstance(one, str) else one.fullmatch(part)
        for part, one in zip(parts, wanted, strict=False)  # what is below a match is taken with it
    )


def _why(names: list[str]) -> str:
    reasons = []
    if _ENV in names:
        reasons.append("a password in .env may end up in the image")
    changing = {name: "commit" if name == _GIT else "run" for name in names if name != _ENV}
    for name, each in changing.items():
        reasons.append(f"{name} changes with each {each}, and what copies it is never cached")
    return "; ".join(reasons)


def _hint(place: Path, names: list[str], settings: Settings) -> str:
    return (
        f"write in {below(place, settings)}{', each on a line of its own' if len(names) > 1 else ''}: {' '.join(names)}"
    )


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
