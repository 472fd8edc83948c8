"""Which images were made in this repository: labels don't tell, for an image inherits those of its base."""

from build_lib import state
from build_lib.settings import Settings

_FILE = "images"


def remember(id: str, settings: Settings) -> None:
    """Note one more; for several threads and processes at once."""
    path = settings.state_dir / _FILE
    with state.writing(path), path.open("a", encoding="ascii") as file:
        file.write(f"{id}\n")  # one write, at the end: short enough to be whole


def ids(settings: Settings) -> frozenset[str]:
    """All that were noted."""
    return frozenset((state.read_text(settings.state_dir / _FILE) or "").split())
