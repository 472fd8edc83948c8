"""Links of index pages, rewritten so that a client stays at the mirror that serves the page.

Pages are those of the Simple Repository API of PyPI, as HTML (PEP 503) and JSON (PEP 691), pages of links to wheels,
and the documents of an npm registry about a package or a version of one, which have the URLs of its tarballs.
"""

import json
import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

_PYPI_HTML = "application/vnd.pypi.simple.v1+html"
_PYPI_JSON = "application/vnd.pypi.simple.v1+json"
_NPM = "application/vnd.npm.install-v1+json"
_HTML = ("text/html", _PYPI_HTML)
_JSON = ("application/json", _PYPI_JSON, _NPM)

# A tag with its attributes, whose values may have a `>` if they are quoted: data-requires-python=">=3.9"
_TAG = re.compile(r"""<(?:a|base)(?=\s)(?:[^<>"']|"[^"]*"|'[^']*')*+>""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\s"']([^\s"'=<>]+)\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")  # in front, name, value

To = Callable[[str], str]


def is_index(url: str, content_type: str) -> bool:
    """Whether an answer may be a page with links: it has to be read as a whole before `rewritten` can tell."""
    kind = _media_type(content_type)
    path = _path(url)
    return kind in _HTML or (kind in _JSON and not path.endswith(".json") and "/-/" not in path)


def rewritten(content: bytes, content_type: str, url: str, to: To) -> bytes:
    """The page, with `to(link)` in place of each link. `url` is the page's own, relative links are resolved with it.

    `to` gets absolute URLs of http or https without a fragment, which stays as it is. Other content, and pages that
    cannot be read, are returned unchanged.
    """
    kind = _media_type(content_type)
    if not is_index(url, content_type):
        return content
    if kind in _HTML:
        return _html(content, url, to, sure=kind == _PYPI_HTML or "simple" in _path(url).split("/"))
    return _json(content, url, to)


def _html(content: bytes, url: str, to: To, *, sure: bool) -> bytes:
    text = content.decode(errors="surrogateescape")
    links = list(_links(text))
    if not sure and not any(_path(link).endswith(".whl") for link in links):
        return content
    base = next((_href(tag[0]) for tag in _TAG.finditer(text) if _is_base(tag[0])), "")
    against = _joined(url, base)

    def attribute(found: re.Match[str]) -> str:
        is_href = found[2].lower() == "href"
        return f'{found[1]}"{escape(_moved(_value(found[3]), against, to))}"' if is_href else found[0]

    def changed(tag: re.Match[str]) -> str:  # relative links would be resolved with a <base>
        return "" if _is_base(tag[0]) else _ATTRIBUTE.sub(attribute, tag[0])

    return _TAG.sub(changed, text).encode(errors="surrogateescape")


def _links(text: str) -> Iterator[str]:
    return (_href(tag[0]) for tag in _TAG.finditer(text) if not _is_base(tag[0]))


def _is_base(tag: str) -> bool:
    return tag[1:5].lower() == "base"


def _href(tag: str) -> str:
    return next((_value(found[3]) for found in _ATTRIBUTE.finditer(tag) if found[2].lower() == "href"), "")


def _value(text: str) -> str:
    return unescape(text[1:-1] if text[0] in "\"'" else text).strip()


def _json(content: bytes, url: str, to: To) -> bytes:
    try:
        page = json.loads(content)
        places = list(_places(page))
        for place, key in places:
            place[key] = _moved(place[key], url, to)
        return json.dumps(page, separators=(",", ":")).encode() if places else content
    except (ValueError, RecursionError):  # not JSON
        return content


def _places(page: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of a page that have a link, and at which key: files of PyPI's, tarballs of npm's."""
    if not isinstance(page, dict):
        return
    files, versions = page.get("files"), page.get("versions")
    if isinstance(files, list) and "meta" in page:
        yield from ((item, "url") for item in files if isinstance(item, dict) and isinstance(item.get("url"), str))
    for version in (page, *(versions.values() if isinstance(versions, dict) else ())):
        dist = version.get("dist") if isinstance(version, dict) else None
        if isinstance(dist, dict) and isinstance(dist.get("tarball"), str):
            yield dist, "tarball"


def _moved(link: str, url: str, to: To) -> str:
    """The link that replaces one; itself if it leads to no URL of http or https."""
    absolute, mark, fragment = _joined(url, link).partition("#")
    if not absolute.startswith(("http://", "https://")) or link.startswith("#"):
        return link
    return f"{to(absolute)}{mark}{fragment}"


def _joined(url: str, link: str) -> str:
    """The absolute URL of a link; "" if it has none, such as https://[."""
    try:
        joined = urljoin(url, link)
        _ = urlsplit(joined).port
        return joined
    except ValueError:
        return ""


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
