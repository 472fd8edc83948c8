"""Which files an exported directory has, of the recordings of a release."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from build_lib.downloads import packuments, pages
from build_lib.downloads.links import is_index
from build_lib.downloads.places import INDEX, Parts, apt_hosts, link, place
from build_lib.downloads.recording import Download, Recording
from build_lib.downloads.store import Store

_LARGEST_PAGE = 64 << 20  # bytes
Form = Literal["file", "pypi", "npm", "git"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A file, or a directory that is a repository of git. `downloads`, the newest first, are what it is made of."""

    parts: Parts
    form: Form
    downloads: tuple[Download, ...]

    @property
    def first(self) -> Download:
        """The newest one."""
        return self.downloads[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A download that is not in the directory, and why."""

    url: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is written, what is left out, and what is otherwise than a build got it."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]
    apt: frozenset[str]  # the hosts with archives of apt
    places: Mapping[Parts, Parts]  # of URLs, by what they would be without other URLs

    def available(self, url: str) -> Parts | None:
        """The place of a URL's content; None if it is not there."""
        try:
            return self.places.get(place(url, self.apt))
        except ValueError:
            return None


def plan(recordings: Iterable[Recording], store: Store) -> Plan:
    """Plan an export. Nothing but pages of packages is read."""
    newest_first = sorted(recordings, key=lambda each: each.at, reverse=True)
    downloads = [item for each in newest_first for item in reversed(each.downloads) if item.sha256]
    apt = apt_hosts(downloads)
    left_out: list[LeftOut] = []
    remarks: list[str] = []
    grouped = _grouped(downloads, apt, store, left_out)
    items = [_item(parts, found, left_out, remarks) for parts, found in grouped.items()]
    moved = tuple(_beside_directories(items, left_out, remarks))
    return Plan(
        items=moved,
        left_out=tuple(dict.fromkeys(left_out)),
        remarks=tuple(dict.fromkeys(remarks)),
        apt=apt,
        places={place(each.url, apt): item.parts for item in moved for each in item.downloads},
    )


def form(download: Download, store: Store) -> Form:
    """What a download is, by its content."""
    content_type = dict(download.headers).get("Content-Type", "")
    if download.kind == "git":
        return "git"
    if not is_index(download.url, content_type) or download.size > _LARGEST_PAGE:
        return "file"
    if download.kind == "npm":
        return "npm" if packuments.read(read(download, store)) is not None else "file"
    if "application/json" in content_type:  # any program's
        return "file"
    is_page = pages.read(read(download, store), content_type, download.url, download.source) is not None
    return "pypi" if is_page else "file"


def read(download: Download, store: Store) -> bytes:
    """The content of a page; b"" if it is missing."""
    try:
        return store.path(download.sha256).read_bytes()
    except OSError:
        return b""


def _grouped(
    downloads: Iterable[Download], apt: Collection[str], store: Store, left_out: list[LeftOut]
) -> Mapping[Parts, list[tuple[Form, Download]]]:
    found: dict[Parts, list[tuple[Form, Download]]] = {}
    for item in downloads:
        kind = form(item, store)
        try:
            parts = place(item.url, apt)
        except ValueError as error:
            left_out.append(LeftOut(url=item.url, why=str(error)))
            continue
        parts = parts[:-1] if parts[-1] == INDEX and kind != "file" else parts
        parts = (*parts, INDEX) if kind in ("pypi", "npm") else parts
        found.setdefault(parts, []).append((kind, item))
    return found


def _item(
    parts: Parts,
    found: Sequence[tuple[Form, Download]],
    left_out: list[LeftOut],
    remarks: list[str],
) -> Item:
    kind, first = found[0]
    same = tuple(item for other, item in found if other == kind)
    if kind in ("pypi", "npm"):
        return Item(parts=parts, form=kind, downloads=same)
    encoding = dict(first.headers).get("Content-Encoding", "")
    if encoding and not parts[-1].endswith("gz"):
        remarks.append(f"{first.url} came encoded as {encoding}: it is written so, which no server will tell clients")
    for item in (item for _, item in found if item.sha256 != first.sha256):
        if item.url == first.url:
            remarks.append(f"{item.url} was recorded with different content: the newest is used")
        else:
            left_out.append(LeftOut(url=item.url, why=f"a server of files takes it for {first.url}"))
    return Item(parts=parts, form=kind, downloads=(first,))


def _beside_directories(items: Sequence[Item], left_out: list[LeftOut], remarks: list[str]) -> Iterator[Item]:
    """The items, with files that have the path of a directory as the index of that directory."""
    taken = {item.parts for item in items}
    directories = {item.parts[:length] for item in items for length in range(1, len(item.parts))}
    directories |= {item.parts for item in items if item.form == "git"}
    for item in items:
        if item.form == "git" or item.parts not in directories:
            yield item
        elif (*item.parts, INDEX) in taken:
            left_out.append(LeftOut(url=item.first.url, why="its path is a directory, too, which has an index"))
        else:
            remarks.append(f"{item.first.url} is the index of a directory: clients need to follow a redirect")
            yield replace(item, parts=(*item.parts, INDEX))


def relative(planned: Plan, page: Parts) -> Callable[[str], str | None]:
    """What gives links of a page to what is in the directory, relative to that page."""
    return partial(_link, planned, page, "")


def absolute(planned: Plan, base: str) -> Callable[[str], str | None]:
    """What gives links to what is in the directory, as it is served at `base`."""
    return partial(_link, planned, None, f"{base}/")


def _link(planned: Plan, page: Parts | None, base: str, url: str) -> str | None:
    parts = planned.available(url)
    return None if parts is None else f"{base}{link(parts, page)}"
