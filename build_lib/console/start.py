"""Output of the program without a task, and of `--version`."""

from __future__ import annotations

import inspect
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from build_lib.console.output import plain
from build_lib.invocation import as_typed

if TYPE_CHECKING:  # as in output
    from collections.abc import Mapping, Sequence

_FIRST = ("doctor", "services", "build-all")
_GROUPS = {
    "What there is": ("services", "status", "graph", "deps", "outside", "builders", "doctor"),
    "Building": ("prefetch", "build", "build-all", "watch", "logs", "copy-slurm", "push"),
    "Closed sites": ("deps-push", "deps-save", "deps-verify", "deps-load", "deps-inventory", "downloads", "mirrors"),
    "This machine": ("engine-up", "engine-down", "registry-up", "registry-down", "clean", "init"),
    "Working on build-lib": ("test", "lint", "bench"),
}
_OTHERS = "Of this repository"
_HEAD = "usage: ./inv TASK [FLAGS] [TASK [FLAGS]] ..."
_FOOT = """
./inv TASK --help shows what a task does, and its flags.
./inv --help shows the flags that come before the tasks, such as --dry."""


def tasks(documentation: Mapping[str, str]) -> None:
    """Print the tasks in groups, each with the first line of its documentation, and those to begin with."""
    plain(as_typed(_HEAD))
    width = max(map(len, documentation))
    for title, names in groups(list(documentation)).items():
        plain(f"\n{title}:")
        for name in names:
            sentence, _, _ = inspect.cleandoc(documentation[name]).partition("\n")
            plain(f"  {name.ljust(width)}  {sentence}".rstrip())
    plain(as_typed(_FOOT))


def groups(names: Sequence[str]) -> dict[str, list[str]]:
    """The tasks of each group; tasks of no group, which are not build-lib's, have one of their own."""
    known = {"To begin with": _FIRST, **_GROUPS}
    others = [name for name in names if not any(name in group for group in _GROUPS.values())]
    found = {title: [name for name in group if name in names] for title, group in (*known.items(), (_OTHERS, others))}
    return {title: group for title, group in found.items() if group}


def versions(*packages: str) -> None:
    """Print the version of each package."""
    plain(", ".join(f"{package} {_version(package)}" for package in packages))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
