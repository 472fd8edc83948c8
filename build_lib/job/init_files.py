"""The files that give another repository these tasks, and what becomes of those that it has already.

New files are created and lines are added at the end of `.gitignore` and `.env`. Nothing that is there is changed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from build_lib import git, state
from build_lib.errors import BuildError
from build_lib.job import library_source
from build_lib.repository import Survey
from build_lib.settings import documents

_TASKS = '''\
"""The tasks of build-lib for this repository, and its own; `./inv --list` shows them."""

from build_lib.tasks import collection

namespace = collection(__file__)
'''
_TASKS_TO_ADD = """\
from build_lib.tasks import collection
namespace = collection(__file__, ...)  # with your own tasks
"""
_INVOKE = """\
tasks:
  # passes a task's arguments to its pre-tasks, and prints expected failures in one form
  executor_class: build_lib.executor.Executor
"""
_REQUIREMENTS = """\
# What ./inv installs into .build/venv, for pip, unless .build/library or BUILD_LIB names a build-lib of this machine.
# Packages that your own tasks import belong here too.
"""
_NO_REQUIREMENT = """\
# How pip gets build-lib was not known when this file was written. For other machines, add a line such as
# build-lib @ git+https://git.example/build-lib.git
"""
_CONFIGURATIONS = ("invoke.yaml", "invoke.yml", "invoke.json", "invoke.py")  # invoke reads the first of these
_IN_ENV = "# settings of build-lib, written by init\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What becomes of a file.

    - create: it is written, with the text as its content;
    - copy: so is this, and the text is that of `.env.example`, perhaps with additional settings;
    - append: the text is added at its end;
    - keep: it has what it needs;
    - differs: it has other content than this version of build-lib would write;
    - lacks: it is the user's own, and has to get the text, which init cannot add.
    """

    path: Path
    kind: Literal["create", "copy", "append", "keep", "differs", "lacks"]
    text: str = ""
    mode: int = 0o644


def changes(survey: Survey) -> list[Change]:
    """Return what becomes of each file.

    Raises:
        BuildError: one of them cannot be read, or is no file.
    """
    root, environ = survey.settings.project_root, survey.settings.environment
    example = _example(root, survey)
    return [
        _ignored(root, environ),
        _library(root),
        _unless_there(root / "inv-requirements.txt", _requirements(environ)),
        _invoke(root),
        _tasks(root),
        example,
        _env(root, survey, example),
        _wrapper(root),
    ]


def write(change: Change) -> None:
    """Carry out the change.

    Raises:
        BuildError: the file cannot be written.
    """
    if change.kind in ("create", "copy"):
        state.write_text(change.path, change.text)
        change.path.chmod(change.mode)
    elif change.kind == "append":
        with state.writing(change.path), change.path.open("ab") as file:
            file.write(change.text.encode())


def _ignored(root: Path, environ: Mapping[str, str]) -> Change:
    """`.gitignore`, for what belongs to this machine alone."""
    path = root / ".gitignore"
    own = _read(path).splitlines() if _exists(path) else []
    names = [".env", ".build/", "__pycache__/", *([".venv/"] if (root / ".venv").is_dir() else [])]
    return _with_lines(path, "".join(f"{name}\n" for name in git.uncommitted(root, names, environ) if name not in own))


def _library(root: Path) -> Change:
    """The record of this machine's build-lib, which `./inv` runs. It is the program's own, so it is replaced."""
    path, library = root / ".build/library", library_source.on_this_machine(root)
    text = f"{library}\n"
    there = library is None or (_exists(path) and _read(path) == text)
    return Change(path=path, kind="keep" if there else "create", text=text)


def _requirements(environ: Mapping[str, str]) -> str:
    found = library_source.requirement(environ)
    return _REQUIREMENTS + (f"{found}\n" if found else _NO_REQUIREMENT)


def _invoke(root: Path) -> Change:
    path = next((root / name for name in _CONFIGURATIONS if _exists(root / name)), root / _CONFIGURATIONS[0])
    return _unless_used(path, "build_lib.executor.Executor", _INVOKE, _INVOKE)


def _tasks(root: Path) -> Change:
    package = root / "tasks/__init__.py"  # takes precedence over tasks.py
    path = package if _exists(package) else root / "tasks.py"
    return _unless_used(path, "build_lib.tasks", _TASKS, _TASKS_TO_ADD)


def _example(root: Path, survey: Survey) -> Change:
    values = {item.name: item.value for item in survey.suggestions}
    values |= {"IMAGE_PREFIX": survey.settings.image_prefix, "IMAGE_TAG": survey.settings.image_tag}
    return _unless_there(root / ".env.example", documents.env_example_with(values))


def _env(root: Path, survey: Survey, example: Change) -> Change:
    """`.env`: if there is none, a copy of `.env.example`, as its users make it, with what it lacks."""
    path = root / ".env"
    missing = "".join(f"{item.name}={item.value}\n" for item in survey.suggestions)
    block = _IN_ENV + missing if missing else ""
    if _exists(path):
        return _with_lines(path, block)
    text = example.text if example.kind == "create" else _end_of_line(_read(example.path)) + block
    return Change(path=path, kind="copy", text=text, mode=0o600)  # for passwords


def _wrapper(root: Path) -> Change:
    path, text = root / "inv", Path(__file__).with_name("inv").read_text(encoding="utf-8")
    if _exists(path):
        return Change(path=path, kind="keep" if _read(path) == text else "differs")
    return Change(path=path, kind="create", text=text, mode=0o755)


def _unless_there(path: Path, text: str) -> Change:
    return Change(path=path, kind="keep" if _exists(path) else "create", text=text)


def _unless_used(path: Path, name: str, text: str, to_add: str) -> Change:
    """A file that has to name something of the library: the user's own does, or lacks it."""
    if not _exists(path):
        return Change(path=path, kind="create", text=text)
    return Change(path=path, kind="keep") if name in _read(path) else Change(path=path, kind="lacks", text=to_add)


def _with_lines(path: Path, lines: str) -> Change:
    if not lines:
        return Change(path=path, kind="keep")
    if not _exists(path):
        return Change(path=path, kind="create", text=lines)
    before = _read(path)
    return Change(path=path, kind="append", text=_end_of_line(before).removeprefix(before) + lines)


def _end_of_line(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _exists(path: Path) -> bool:
    if os.path.lexists(path) and not path.is_file():
        raise BuildError(f"{path} is in the way: it is not a file", hint="move it away")
    return path.exists()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from None
