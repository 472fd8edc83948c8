"""Prints what is wrong in a repository's files, and what is left out of them, for the commands that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from build_lib.console import ci
from build_lib.console.output import Console, stderr_line, told
from build_lib.errors import Incomplete, InvalidReference
from build_lib.foreign import on_one_line
from build_lib.invocation import as_typed
from build_lib.reference import Reference
from build_lib.units import number

if TYPE_CHECKING:  # as in output
    from collections.abc import Collection, Iterable, Sequence

    from build_lib.compose import Problem
    from build_lib.repository import Repository


def problems(
    console: Console, repository: Repository, names: Sequence[str] = (), *, failed: Sequence[str] = (), hint: str = ""
) -> None:
    """Print each problem and each remark with its file and line, on stderr; with `--strict`, a remark is a problem.

    With names of services, the problems of services that these do not need are only warnings. What else `failed` is
    reported in the same line, so that the last line of a run has everything; texts that are "" are left out.

    Raises:
        Incomplete: the repository has problems, or something failed.
    """
    errors = listed(console, repository, repository.chosen(names) if names else None)
    in_files = f"{number(errors, 'error')} in the repository's files, see above" if errors else ""
    if any(failed):
        raise Incomplete("; ".join(filter(None, (*failed, in_files))), hint=hint)
    if in_files:
        raise Incomplete(in_files)


def listed(console: Console, repository: Repository, chosen: Collection[str] | None = None) -> int:
    """Print them, and return how many are problems."""
    remarks, errors = _print(console, repository.problems, chosen)
    if remarks:
        stderr_line(number(remarks, "remark"))
    return errors


def left_out(console: Console, repository: Repository) -> None:
    """Print how many images are not included because no profile of the services that run them is active."""
    named = [item.image for item in repository.named_images]
    included = {_canonical(entry.image) for entry in repository.run_images} | {
        name.canonical for name in (*repository.own_images, *named)
    }
    entries = [entry for entry in repository.not_deployed if _canonical(entry.image) not in included]
    if entries:
        images = number(len({_canonical(entry.image) for entry in entries}), "image")
        profiles = ", ".join(sorted({profile for entry in entries for profile in entry.profiles}))
        console.line(f"{images} left out, for profiles that are not active: {profiles} (COMPOSE_PROFILES)")


def _canonical(image: str) -> str:
    """The image's name in its longest form, or the text if it is no name."""
    try:
        return Reference.parse(image).canonical
    except InvalidReference:
        return image


def wrong_tags(console: Console, repository: Repository) -> None:
    """Print the problems for which a service cannot be built, before anything is built."""
    _print(console, [problem for service in repository.services.values() for problem in service.wrong_tags])


def _print(console: Console, problems: Iterable[Problem], chosen: Collection[str] | None = None) -> tuple[int, int]:
    """Print them, and return how many are remarks, and how many are problems."""
    remarks = errors = 0
    for problem in problems:
        kind = _kind(problem, chosen, strict=console.strict)
        remarks += kind == "remark"
        errors += kind == "problem"
        told(on_one_line(f"{kind}: {_where(console, problem)}: {problem.reason}"), problem.hint)
        ci.annotate(kind, problem.reason, stderr_line, hint=as_typed(problem.hint), place=problem.place)
    return remarks, errors


def _kind(problem: Problem, chosen: Collection[str] | None, *, strict: bool) -> str:
    if problem.remark and not strict:
        return "remark"
    of_another = chosen is not None and problem.service and problem.service not in chosen
    return "warning" if of_another else "problem"


def _where(console: Console, problem: Problem) -> str:
    path = console.below(problem.path)
    return f"{path}:{problem.line}" if problem.line else path
