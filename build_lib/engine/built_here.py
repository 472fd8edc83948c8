"""Which images were made in this repository: labels don't tell, for an image inherits those of its base."""

from build_lib.settings import Settings

_FILE = "images"


def remember(id: str, settings: Settings) -> None:
    """Note one more; for several threads and processes at once."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with (settings.state_dir / _FILE).open("a", encoding="ascii") as file:
        file.write(f"{id}\n")  # one write, at the end: short enough to be whole


def ids(settings: Settings) -> frozenset[str]:
    """All that were noted."""
    path = settings.state_dir / _FILE
    return frozenset(path.read_text(encoding="ascii").split()) if path.is_file() else frozenset()
