"""Prints the errors in a repository's files, for every command that reads these files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_lib.console.output import Console, stderr_line
from build_lib.errors import Incomplete
from build_lib.units import number, printable

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterable

    from build_lib.compose import Problem
    from build_lib.repository import Repository


def problems(console: Console, repository: Repository) -> None:
    """Print each problem with its file and line, on stderr.

    Raises:
        Incomplete: the repository has problems.
    """
    _print(console, repository.problems)
    if repository.problems:
        raise Incomplete(f"{number(len(repository.problems), 'error')} in the repository's files, see above")


def wrong_tags(console: Console, repository: Repository) -> None:
    """Print the problems for which a service cannot be built, before anything is built."""
    _print(console, [problem for service in repository.services.values() for problem in service.wrong_tags])


def _print(console: Console, problems: Iterable[Problem]) -> None:
    for problem in problems:
        stderr_line(printable(f"problem: {_where(console, problem)}: {problem.reason}"))


def _where(console: Console, problem: Problem) -> str:
    path = console.below(problem.path)
    return f"{path}:{problem.line}" if problem.line else path
