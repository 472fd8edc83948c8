"""The line of a failed build's output that says why it failed.

A command that fails often goes on for some lines: make says which target failed, and the shell ends. The first line
that reads like an error comes before these.
"""

import re
from collections.abc import Sequence

from build_lib.foreign import printable

# what the builder says about the command, rather than the command: the steps in its log, excerpts, the result
_BUILDERS = re.compile(
    r"ERROR: |\[[^\]]*\d+/\d+\] |\[internal\] |Step \d+/\d+ : |done \d|cached$|-{6,}$|\S+:\d+$|executor failed |\s*$"
)
_RESULT = re.compile(r"ERROR: ")
_ERROR = re.compile(
    r"error(\[\w+\])?:|fatal:|panic:|\bERR!|^E: |traceback|no such file or directory|not found$|permission denied"
    r"|cannot |can't |unable to |no space left",
    re.IGNORECASE,
)
_NO_ERROR = re.compile(r"\bwarn(ing)?\b", re.IGNORECASE)
_TRACEBACK = re.compile(r"traceback", re.IGNORECASE)


def deciding_line(log: Sequence[str]) -> int | None:
    """The number of the line in the end of a log, beginning at 0; None if no line says anything."""
    lines = [printable(line) for line in log]
    own = {number: line for number, line in enumerate(lines) if not _BUILDERS.match(line)}
    errors = [number for number, text in own.items() if _ERROR.search(text) and not _NO_ERROR.search(text)]
    if errors and not _TRACEBACK.search(own[errors[0]]):
        return errors[0]
    if own:
        return max(own)  # Python's exceptions are the last line, and so is most of what has no word for it
    results = [number for number, line in enumerate(lines) if _RESULT.match(line)]
    return results[-1] if results else None
