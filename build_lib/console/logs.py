"""Output of `logs`."""

from collections.abc import Iterable, Sequence

from build_lib.console.output import Console


def logs(console: Console, lines: Iterable[tuple[str, str]], names: Sequence[str]) -> None:
    """Print the lines of logs as they come; if there are several logs, with the service in front of each line."""
    width = max(map(len, names), default=0)
    for name, line in lines:
        console.line(f"{name:{width}} | {line}" if len(names) > 1 else line)
