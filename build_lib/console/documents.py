"""What tasks give to programs: the JSON document of `--json`, on stdout, and the file of `--junit`.

Both are written when a task has ended, because only then it is known whether it failed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build_lib import state
from build_lib.console.ci import end_section
from build_lib.console.output import json_document
from build_lib.console.this_run import repository, take_document, take_record
from build_lib.errors import BuildError

if TYPE_CHECKING:
    from build_lib.console.this_run import Record


class Documents:
    """What the tasks of one command line give to programs.

    `json` says whether one of them was asked for a document. `junit` are the files that they were asked for, each with
    the name of its task.
    """

    def __init__(self, *, json: bool, junit: Mapping[Path, str]) -> None:
        self._json = json
        self._junit = junit
        self._unwritten: set[Path] = set()  # of those that can be written

    def check(self) -> None:
        """Check that the files can be written, before the work begins.

        Raises:
            BuildError: one cannot be written.
        """
        for path in self._junit:
            with state.writing(path):
                if path.is_dir():
                    raise BuildError(f"{path} is a directory", hint="--junit names a file")
                if not os.access(path.parent, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._unwritten.add(path)

    def ended(self, junit: Sequence[Path]) -> None:
        """Print the document of a task that has ended, if there is one, and write its files.

        Raises:
            BuildError: one cannot be written.
        """
        end_section()
        document, record = take_document(), take_record()
        if document is not None:
            json_document(document)
        for path in junit:
            self._write(path, record, None)

    def failed(self, error: BuildError) -> None:
        """Print the document of a task that has failed, and write all files that are not written yet.

        Raises:
            BuildError: one cannot be written.
        """
        end_section()
        document, record = take_document(), take_record()
        if self._json:
            json_document(_failed(document, error))
        for path in sorted(self._unwritten):
            self._write(path, record, error)

    def _write(self, path: Path, record: Record | None, error: BuildError | None) -> None:
        from build_lib.console import junit  # noqa: PLC0415  # most runs do not need it

        state.write_text(path, junit.document(self._junit[path], record, error))
        self._unwritten.discard(path)


def _failed(document: Any, error: BuildError) -> dict[str, Any]:
    """The document of a task that failed: an object has its `error` beside the rest, anything else is its `result`."""
    if document is None:
        return {"error": error.described(repository())}
    if isinstance(document, dict):
        return {**document, "error": error.described(repository())}
    return {"error": error.described(repository()), "result": document}
