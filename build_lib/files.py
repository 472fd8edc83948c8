"""What is read of a repository: regular files. Others may never end, or have no end to what they do when opened."""

import stat
from pathlib import Path

_OF_THE_KERNEL = ("/proc", "/sys")
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def kind(path: Path, *, follow: bool = False) -> str:
    """What is at the path, in words, if it is something else than a regular file; "" if it is one, or if nothing is.

    With `follow`, it is about what a symbolic link leads to. A file of the kernel, such as one in /proc, is something
    else, for reading it may wait forever.
    """
    try:
        status = path.stat() if follow else path.lstat()
        place = path.resolve() if follow else path
    except (OSError, ValueError, RuntimeError):  # RuntimeError: of links in a circle, before Python 3.13
        return ""
    within = next((directory for directory in _OF_THE_KERNEL if place.is_relative_to(directory)), "")
    return _KINDS.get(stat.S_IFMT(status.st_mode), f"in {within}" if within else "")
