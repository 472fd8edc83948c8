"""What is known of this run until it ends: the repository, and what the running task has for programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]  # of a build, as in docs/last-run.md
_repositories: list[Path] = []
_documents: list[Any] = []
_records: list[Record] = []


def work_in(repository: Path) -> None:
    """Remember the repository that is worked on."""
    _repositories[:] = [repository]


def repository() -> Path | None:
    """Return the repository that is worked on; None if that is not known yet."""
    return _repositories[0] if _repositories else None


def keep_document(document: Any) -> None:
    """Keep the JSON document that the running task prints when it ends."""
    _documents[:] = [document]


def take_document() -> Any:
    """Return the document that was kept, and forget it; None if there is none."""
    return _documents.pop() if _documents else None


def keep_record(record: Record) -> None:
    """Keep the record of the build that the running task has done."""
    _records[:] = [record]


def take_record() -> Record | None:
    """Return the record that was kept, and forget it; None if there is none."""
    return _records.pop() if _records else None
