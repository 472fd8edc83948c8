"""Until when the recorded indexes of apt are valid: `Valid-Until` of InRelease and Release (repository format, Debian).

apt refuses an index after that date, however it is signed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from build_lib.downloads.recording import Recording
from build_lib.downloads.store import Store

SOON = timedelta(days=7)
_NAMES = ("InRelease", "Release")
_FIELD = re.compile(r"^Valid-Until:[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_HEAD = 64 << 10  # bytes; the field is before the hashes of the indexes


@dataclass(frozen=True, kw_only=True, slots=True)
class Expiry:
    """An index of apt that is valid until this time."""

    url: str
    until: datetime


def valid_until(recording: Recording, store: Store, *, within: timedelta | None = SOON) -> tuple[Expiry, ...]:
    """The indexes that are no longer valid, or not for longer than `within`; None is for all that have such a date."""
    last = None if within is None else datetime.now(UTC) + within
    found = (
        Expiry(url=item.url, until=until)
        for item in recording.downloads
        if item.sha256 and item.url.partition("?")[0].rpartition("/")[2] in _NAMES
        if (until := _until(store, item.sha256)) is not None
    )
    return tuple(each for each in found if last is None or each.until <= last)


def _until(store: Store, sha256: str) -> datetime | None:
    try:
        with store.path(sha256).open("rb") as file:
            field = _FIELD.search(file.read(_HEAD).decode(errors="replace"))
        until = parsedate_to_datetime(field[1]) if field else None
    except (OSError, ValueError):
        return None
    return until.replace(tzinfo=until.tzinfo or UTC) if until else None
