"""Something that clean may remove."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """What it is, why it is unused, and its size in bytes, if known.

    `content`, if there is any, are the files of the store of downloads that it stands for.
    """

    kind: str  # "container", "image", "file"
    name: str
    why: str
    size: int | None = None
    content: tuple[Path, ...] = ()


def size_of(*paths: Path) -> int:
    """The bytes of these files, and of all files in these directories; links are not followed."""
    return sum(map(_size, paths))


def _size(path: Path) -> int:
    whole = path.is_dir() and not path.is_symlink()
    files = [item for item in path.rglob("*") if item.is_file()] if whole else [path]
    return sum(file.lstat().st_size for file in files)
