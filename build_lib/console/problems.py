"""Prints the errors in a repository's files, and the remarks, for every command that reads these files."""

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
    return remarks


def _where(console: Console, problem: Problem) -> str:
    path = console.below(problem.path)
    return f"{path}:{problem.line}" if problem.line else path
