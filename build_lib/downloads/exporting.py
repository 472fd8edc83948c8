"""Recordings as a directory of plain files, which any web server serves as a mirror."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_lib import state
from build_lib.downloads import exported_git, front_page, packuments, pages
from build_lib.downloads.expiry import valid_until
from build_lib.downloads.export_plan import Item, LeftOut, Plan, absolute, plan, read, relative
from build_lib.downloads.places import INDEX, TOPS
from build_lib.downloads.recording import Recording
from build_lib.downloads.store import Store
from build_lib.errors import BuildError, SettingsError
from build_lib.files import kind
from build_lib.registry import Check, cannot_write

_MARK = ".build-lib-mirror"  # in each exported directory: the lock of whoever exports into it
_BASE = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?(?:/[\w.~%+-]+)*/?", re.ASCII)
_UNFIT = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # for names that a file system does not take
_OWN = (*TOPS, INDEX, front_page.STYLE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written, and what was not."""

    directory: Path
    files: int
    size: int  # bytes
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]


def export(
    recordings: Sequence[Recording],
    store: Store,
    directory: Path | None,
    environ: Mapping[str, str],
    *,
    base: str = "",
    dry: bool = False,
) -> Exported | None:
    """Write the content of the recordings into the directory, in place of an earlier export; None for no directory.

    `base` is the URL at which the directory will be served. All is written into a directory within it, and then
    renamed: a server that serves the directory goes on.

    Raises:
        SettingsError: `base` is no such URL, or it is needed and "".
        BuildError: the directory has something else, or cannot be written.
    """
    base = _base(base)
    if directory is None:
        if base:
            raise SettingsError("--url is given without --export", hint="--export DIR --url URL")
        return None
    require_own(directory)
    planned = plan(recordings, store)
    if not base and any(item.form == "npm" for item in planned.items):
        raise SettingsError(
            "the indexes of npm have whole addresses: the one at which the directory will be served is needed",
            hint="--url http://HOST:PORT/PATH",
        )
    if dry:
        size = sum(item.first.size for item in planned.items)
        return _exported(directory, planned, len(planned.items), size)
    made = not directory.exists()
    with state.lock(directory / _MARK, "downloads"):
        if made:
            directory.chmod(0o755)  # a server of another user reads it
        return _written(planned, recordings, store, directory, environ, base)


def require_own(directory: Path) -> None:
    """Refuse a directory that has something else than an earlier export.

    Raises:
        BuildError: it has, or it is none, or this user may not read it.
    """
    try:
        _require_own(directory)
    except OSError as error:
        raise BuildError(f"{directory} cannot be read: {error.strerror}", hint="name another directory") from None


def _require_own(directory: Path) -> None:
    if kind(directory / _MARK):
        raise BuildError(f"{directory / _MARK} is {kind(directory / _MARK)}", hint="name another directory")
    if directory.is_dir():
        if any(directory.iterdir()) and not (directory / _MARK).exists():
            raise BuildError(f"{directory} is not empty, and no earlier export", hint="name another directory")
    elif directory.exists() or directory.is_symlink():
        raise BuildError(f"{directory} is no directory", hint="name another directory")


def _base(text: str) -> str:
    if text and not _BASE.fullmatch(text):
        raise SettingsError(f"--url is {text!r}", hint="such as http://hub.example:8080/mirror")
    return text.rstrip("/")


def _written(
    planned: Plan,
    recordings: Sequence[Recording],
    store: Store,
    directory: Path,
    environ: Mapping[str, str],
    base: str,
) -> Exported:
    for left in _temporary(directory):  # of an export that was killed
        shutil.rmtree(left, ignore_errors=True)
    new, old = (directory / f".{name}-{secrets.token_hex(4)}" for name in ("new", "old"))
    try:
        for each in (new, old):
            each.mkdir()
        left_out = tuple(_items(planned, store, new, environ, base))
        files, size = _readable(new)
        expiries = [each for recording in recordings for each in valid_until(recording, store, within=None)]
        front_page.write(new, planned, expiries, base)
        for name in _OWN:
            _exchange(name, new, directory, old)
    except OSError as error:
        raise cannot_write(error.filename or directory, error) from error
    finally:
        for each in (new, old):
            shutil.rmtree(each, ignore_errors=True)
    readable = directory.stat().st_mode & 0o005 == 0o005
    advice = () if readable else (f"a server of another user cannot read {directory}: chmod a+rx {directory}",)
    return _exported(directory, planned, files, size, left_out, advice)


def _temporary(directory: Path) -> Iterator[Path]:
    return (path for path in directory.iterdir() if path.name.startswith((".new-", ".old-")))


def _exchange(name: str, new: Path, directory: Path, old: Path) -> None:
    if (directory / name).is_symlink() or (directory / name).exists():
        (directory / name).rename(old / name)
    if (new / name).exists():
        (new / name).rename(directory / name)


def _items(planned: Plan, store: Store, top: Path, environ: Mapping[str, str], base: str) -> Iterator[LeftOut]:
    """Write all items, repositories of git first, and yield those that cannot be written."""
    for item in sorted(planned.items, key=lambda item: item.form != "git"):
        path = top.joinpath(*item.parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(item, planned, store, path, environ, base)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            why = "there is a file of this name already, as the file system sees it: it may ignore case"
            yield LeftOut(url=item.first.url, why=why)
        except OSError as error:
            if error.errno not in _UNFIT:
                raise
            yield LeftOut(url=item.first.url, why=f"the file system does not take its name: {error.strerror}")
        except BuildError as error:
            if isinstance(error.__cause__, OSError):
                raise
            yield LeftOut(url=item.first.url, why=error.message)


def _write(item: Item, planned: Plan, store: Store, path: Path, environ: Mapping[str, str], base: str) -> None:
    if item.form == "git":
        _require_whole(item, store)
        exported_git.unpack(store.path(item.first.sha256), path, environ)
    elif item.form == "file":
        _copy(item, store, path)
    else:
        with path.open("xb") as file:
            file.write(_page(item, planned, store, base))


def _page(item: Item, planned: Plan, store: Store, base: str) -> bytes:
    if item.form == "npm":
        known = (packuments.read(read(download, store)) for download in item.downloads)
        return packuments.merged([document for document in known if document], absolute(planned, base))
    links: dict[str, pages.Link] = {}
    for download in reversed(item.downloads):  # what a newer page says of a file is what counts
        content, content_type = read(download, store), dict(download.headers).get("Content-Type", "")
        found = pages.read(content, content_type, download.url, download.source)
        links |= {each.text: each for each in found or ()}
    return pages.html(links.values(), relative(planned, item.parts))


def _require_whole(item: Item, store: Store) -> None:
    blob = item.first.blob
    for _, why in store.wrong([blob] if blob else []):
        raise BuildError(why)


def _copy(item: Item, store: Store, path: Path) -> None:
    """Write the content, and check it.

    Raises:
        BuildError: it is missing or damaged.
        FileExistsError: there is such a file.
    """
    blob = item.first.blob
    assert blob is not None
    try:
        with path.open("xb") as file:
            for chunk in Check(blob).passing(store.blobs.chunks(blob)):
                file.write(chunk)
    except BuildError:
        path.unlink(missing_ok=True)
        raise


def _readable(top: Path) -> tuple[int, int]:
    """Let a server of another user read all of it, and return how many files it has, and their size."""
    files = size = 0
    for place, _, names in os.walk(top):
        Path(place).chmod(0o755)
        for name in names:
            path = Path(place, name)
            path.chmod(0o644)
            files, size = files + 1, size + path.stat().st_size
    return files, size


def _exported(
    directory: Path,
    planned: Plan,
    files: int,
    size: int,
    left_out: tuple[LeftOut, ...] = (),
    advice: tuple[str, ...] = (),
) -> Exported:
    return Exported(
        directory=directory,
        files=files,
        size=size,
        left_out=(*planned.left_out, *left_out),
        remarks=(*planned.remarks, *advice),
    )
