"""What clean may remove of the recorded downloads: recordings of releases that are removed, and unused content.

Recordings without images here are kept: a bundle may have brought them, and nothing else has what they need.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from build_lib.downloads import Store
from build_lib.job.leftover import Leftover, size_of
from build_lib.settings import Settings
from build_lib.units import number


def find(gone: Collection[str], settings: Settings) -> Iterator[Leftover]:
    """Find the recordings of the releases that are `gone`, and content that no other recording refers to."""
    store = Store(settings)
    for release in store.releases():
        if release in gone:
            path = store.directory / "recordings" / release
            yield Leftover(kind="file", name=str(path), why="recordings of an earlier release", size=size_of(path))
    unused = _unused(store, [release for release in store.releases() if release not in gone])
    for directory in dict.fromkeys(path.parent for path in unused):
        files = tuple(path for path in unused if path.parent == directory)
        begun = directory.name == "incoming"
        why = "left by a run that was killed" if begun else f"{number(len(files), 'file')} that no recording needs"
        yield Leftover(kind="file", name=str(directory), why=why, size=size_of(*files), content=files)


def still_unused(item: Leftover, settings: Settings) -> list[Path]:
    """The content of a leftover, without what has been recorded since it was found."""
    store = Store(settings)
    return sorted(set(item.content) & set(_unused(store, store.releases())))


def _unused(store: Store, kept: Sequence[str]) -> list[Path]:
    """The files of content that these releases do not need; none if a recording cannot be read."""
    readable = all(store.recording(release, name) for release in kept for name in store.services(release))
    return list(store.unused(kept)) if readable else []
