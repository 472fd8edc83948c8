"""The files that give another repository these tasks: a `tasks.py` of three lines, `invoke.yaml`, `.env.example`."""

from dataclasses import dataclass
from pathlib import Path

from build_lib import state
from build_lib.errors import BuildError
from build_lib.settings import documents

_TASKS = '''\
"""The tasks of build-lib for this repository; `inv --list` shows them."""
from build_lib.tasks import collection
namespace = collection(__file__)
'''
_INVOKE = """\
tasks:
  # hands a task's arguments to its pre-tasks, and turns failures into one line
  executor_class: build_lib.executor.Executor
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Initialized:
    """The files that were written, and those that already existed with the same content."""

    written: tuple[Path, ...]
    there: tuple[Path, ...]


def initialize(repository: Path, *, dry: bool = False) -> Initialized:
    """Write the three files, except those that already exist; with `dry`, only return which would be written.

    Raises:
        BuildError: one of them exists with different content, and nothing was written; or one cannot be written.
    """
    if not repository.is_dir():
        raise BuildError(f"{repository} is not a directory", hint="--path names the repository that gets the tasks")
    contents = {"tasks.py": _TASKS, "invoke.yaml": _INVOKE, ".env.example": documents.env_example()}
    files = {repository / name: content for name, content in contents.items()}
    there = tuple(path for path, content in files.items() if path.exists() and path.read_bytes() == content.encode())
    for path, content in files.items():
        if path.exists() and path not in there:
            hint = "move it away, or add to it by hand:\n" + content if path.suffix != ".example" else "move it away"
            raise BuildError(f"{path} already exists with different content; nothing was written", hint=hint)
    written = tuple(path for path in files if path not in there)
    try:
        for path in () if dry else written:
            state.write_text(path, files[path])
            path.chmod(0o644)
    except OSError as error:
        raise BuildError(f"{error.filename} cannot be written: {error.strerror}") from None
    return Initialized(written=written, there=there)
