"""Times, sizes, names and counts as text for users."""

from collections.abc import Sequence
from datetime import datetime

_SHOWN = 10  # names in a sentence


def shortened(text: str, most: int = 300) -> str:
    """A text from elsewhere on one line of at most `most` characters, all of which can be encoded."""
    line = " ".join(text.split()).encode(errors="replace").decode()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def seconds(count: float) -> str:
    """A time: `0.4 s`, `28 s`, `14 min 3 s`, `2 h 5 min`."""
    if count < 10:
        return f"{count:.1f} s"
    minutes, rest = divmod(round(count), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def is_time(text: object) -> bool:
    """Whether this is a point in time in the form that a record has it."""
    try:
        return isinstance(text, str) and local_time(text) != ""
    except (ValueError, OverflowError):
        return False


def local_time(iso: str) -> str:
    """A point in time, such as a record has it, in the time zone of this machine: `2026-11-28 14:03`."""
    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"


def size(count: int | None) -> str:
    """A size in bytes: `0 B`, `12.3 MB`; `-` if it is not known."""
    if count is None:
        return "-"
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def some(names: Sequence[str]) -> str:
    """Names in a sentence: the first few, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def number(count: int, what: str) -> str:
    """A count with its noun: `1 image`, `3 images`, `no images`."""
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
