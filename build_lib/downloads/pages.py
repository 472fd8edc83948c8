"""Pages of PyPI's Simple Repository API, read in both of their forms and written as HTML (PEP 503, 629, 691).

A server of plain files has one answer for all clients, and all of them understand HTML.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin

_JSON = "application/vnd.pypi.simple.v1+json"
_METADATA = ("data-core-metadata", "data-dist-info-metadata")  # PEP 714, PEP 658


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A link of a page: its text, its absolute URL, the hash in its fragment, and its attributes besides."""

    text: str
    url: str
    fragment: str
    attributes: tuple[tuple[str, str], ...]


def read(content: bytes, content_type: str, url: str, source: str) -> list[Link] | None:
    """The links of a page, which count from its source; None if it is none of packages."""
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == _JSON:
            return list(_of_json(json.loads(content), source))
        if "html" not in media_type:
            return None
        parser = _Parser(source)
        parser.feed(content.decode(errors="replace"))
        parser.close()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    of_packages = "/simple/" in url or any(each.url.endswith(".whl") for each in parser.links)
    return parser.links if of_packages else None


def html(links: Iterable[Link], to: Callable[[str], str | None]) -> bytes:
    """A page of the links for which `to` has a replacement.

    Metadata of a wheel is a file of its own; a client that is told of it and does not get it fails.
    """
    lines = ["<!DOCTYPE html>", "<html><head>", '<meta name="pypi:repository-version" content="1.0">', "</head><body>"]
    for item in links:
        target = to(item.url)
        if target is not None:
            lines.append(_anchor(item, target, has_metadata=to(f"{item.url}.metadata") is not None))
    return "\n".join([*lines, "</body></html>", ""]).encode(errors="replace")


def _anchor(item: Link, target: str, *, has_metadata: bool) -> str:
    kept = ((name, text) for name, text in item.attributes if has_metadata or name not in _METADATA)
    attributes = "".join(f' {name}="{escape(text)}"' for name, text in kept)
    fragment = f"#{item.fragment}" if item.fragment else ""
    return f'<a href="{escape(target + fragment)}"{attributes}>{escape(item.text)}</a><br>'


class _Parser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self._base = url
        self._open: Link | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: text or "" for name, text in attrs}
        if tag == "base" and "href" in found:
            self._base, _ = _absolute(self._base, found["href"])
        if tag == "a" and "href" in found:
            url, fragment = _absolute(self._base, found.pop("href").strip())
            kept = tuple((name, text) for name, text in found.items() if name.startswith("data-"))
            self._open, self._text = Link(text="", url=url, fragment=fragment, attributes=kept), []

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            text = "".join(self._text).strip()
            self.links.append(
                Link(text=text, url=self._open.url, fragment=self._open.fragment, attributes=self._open.attributes)
            )
            self._open = None


def _of_json(page: Any, url: str) -> Iterator[Link]:
    for file in page["files"]:
        hashes = file.get("hashes") or {}
        best = "sha256" if "sha256" in hashes else next(iter(hashes), "")
        yield Link(
            text=str(file["filename"]),
            url=_absolute(url, file["url"])[0],
            fragment=f"{best}={hashes[best]}" if best else "",
            attributes=tuple(_attributes(file)),
        )


def _absolute(base: str, link: str) -> tuple[str, str]:
    """A link's URL, "" if it has none, and its fragment."""
    try:
        url, fragment = urldefrag(urljoin(base, link))
        return url, fragment
    except ValueError:  # such as https://[
        return "", ""


def _attributes(file: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if file.get("requires-python"):
        yield "data-requires-python", str(file["requires-python"])
    metadata = file.get("core-metadata") or file.get("dist-info-metadata")
    if metadata:
        hashes = metadata if isinstance(metadata, dict) else {}
        told = next((f"{name}={value}" for name, value in hashes.items()), "true")
        yield from ((name, told) for name in _METADATA)
    if file.get("yanked"):
        yield "data-yanked", file["yanked"] if isinstance(file["yanked"], str) else ""
