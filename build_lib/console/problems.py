"""Prints what is wrong in a repository's files, and what is left out of them, for the commands that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_lib.console.output import Console, next_line, stderr_line
from build_lib.errors import Incomplete, InvalidReference
from build_lib.reference import Reference
from build_lib.units import number, printable

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterable

    from build_lib.compose import Problem
    from build_lib.repository import Repository


def problems(console: Console, repository: Repository) -> None:
    """Print each problem and each remark with its file and line, on stderr; with `--strict`, a remark is a problem.

    Raises:
        Incomplete: the repository has problems.
    """
    errors = listed(console, repository)
    if errors:
        raise Incomplete(f"{number(errors, 'error')} in the repository's files, see above")


def listed(console: Console, repository: Repository) -> int:
    """Print them, and return how many are problems."""
    remarks = _print(console, repository.problems)
    if remarks:
        stderr_line(number(remarks, "remark"))
    return len(repository.problems) - remarks


def left_out(console: Console, repository: Repository) -> None:
    """Print how many images are not included because no profile of the services that run them is active."""
    own = [name for one in repository.services.values() for name in (one.image, one.in_compose) if name]
    named = [item.image for item in repository.named_images]
    included = {_canonical(entry.image) for entry in repository.run_images} | {
        name.canonical for name in (*own, *named)
    }
    entries = [entry for entry in repository.not_deployed if _canonical(entry.image) not in included]
    if entries:
        images = number(len({_canonical(entry.image) for entry in entries}), "image")
        profiles = ", ".join(sorted({profile for entry in entries for profile in entry.profiles}))
        line = f"{images} left out, for profiles that are not active: {profiles} (COMPOSE_PROFILES)"
        console.line(printable(line))


def _canonical(image: str) -> str:
    """The image's name in its longest form, or the text if it is no name."""
    try:
        return Reference.parse(image).canonical
    except InvalidReference:
        return image


def wrong_tags(console: Console, repository: Repository) -> None:
    """Print the problems for which a service cannot be built, before anything is built."""
    _print(console, [problem for service in repository.services.values() for problem in service.wrong_tags])


def _print(console: Console, problems: Iterable[Problem]) -> int:
    """Print them, and return how many are remarks."""
    remarks = 0
    for problem in problems:
        is_remark = problem.remark and not console.strict
        remarks += is_remark
        kind = "remark" if is_remark else "problem"
        stderr_line(printable(f"{kind}: {_where(console, problem)}: {problem.reason}"))
        if problem.hint:
            next_line(problem.hint)
    return remarks


def _where(console: Console, problem: Problem) -> str:
    path = console.below(problem.path)
    return f"{path}:{problem.line}" if problem.line else path
