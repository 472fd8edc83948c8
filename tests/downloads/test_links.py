"""Index pages of package registries, with their links rewritten."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.downloads.links import is_index, rewritten

SIMPLE = "https://pypi.org/simple/six/"
PYPI_JSON = "application/vnd.pypi.simple.v1+json"
NPM = "application/vnd.npm.install-v1+json"
WHEEL = "https://files.pythonhosted.org/packages/b7/six-1.17.0-py2.py3-none-any.whl"


def to(url: str) -> str:
    return f"/to/{url}"


def html(text: str, url: str = SIMPLE, content_type: str = "text/html; charset=UTF-8") -> str:
    return rewritten(text.encode(), content_type, url, to).decode()


def as_json(page: Any, content_type: str, url: str) -> Any:
    return json.loads(rewritten(json.dumps(page).encode(), content_type, url, to))


def test_a_link_of_a_pypi_page_leads_to_the_mirror_and_keeps_its_hash() -> None:
    page = (
        f'<!DOCTYPE html>\n<body><a href="{WHEEL}#sha256=ab" data-requires-python=">=3.9" '
        'data-core-metadata="sha256=cd">six-1.17.0-py2.py3-none-any.whl</a><br/>'
    )
    assert html(page) == page.replace(WHEEL, to(WHEEL))


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("../../packages/x.whl", "/to/https://pypi.org/packages/x.whl"),
        ("/packages/x.whl#sha256=ab", "/to/https://pypi.org/packages/x.whl#sha256=ab"),
        ("x.whl", "/to/https://pypi.org/simple/six/x.whl"),
        ("//files.example/x.whl", "/to/https://files.example/x.whl"),
        ("x.whl?a=1&amp;b=2", "/to/https://pypi.org/simple/six/x.whl?a=1&amp;b=2"),
        ("x%2Blocal.whl", "/to/https://pypi.org/simple/six/x%2Blocal.whl"),
        ("#top", "#top"),
        ("mailto:a@b.example", "mailto:a@b.example"),
        ("javascript:void(0)", "javascript:void(0)"),
        ("https://[x.whl", "https://[x.whl"),
        ("ftp://x.example/x.whl", "ftp://x.example/x.whl"),
    ],
)
def test_a_link_is_resolved_against_the_page(link: str, leads_to: str) -> None:
    assert html(f'<a href="{link}">x</a>') == f'<a href="{leads_to}">x</a>'


@pytest.mark.parametrize(
    "tag",
    [
        '<a href="x.whl">',
        "<a href='x.whl'>",
        "<a href=x.whl>",
        '<A\n  rel="internal"\n  HREF = "x.whl">',
        '<a title=" href=y" href="x.whl">',
        '<a data-href="y" data-requires-python=">=3,<4" href="x.whl">',
    ],
)
def test_however_the_tag_is_written(tag: str) -> None:
    assert '"/to/https://pypi.org/simple/six/x.whl"' in html(tag)
    assert html(tag).count("/to/") == 1


def test_the_base_of_a_page_counts_and_is_left_out() -> None:
    page = '<head><base href="https://files.example/a/"></head><a href="b/x.whl">x</a>'
    assert html(page) == '<head></head><a href="/to/https://files.example/a/b/x.whl">x</a>'


def test_a_page_of_links_to_wheels_is_one_wherever_it_is() -> None:
    url = "https://download.pytorch.org/whl/torch/"
    page = '<a href="/whl/cpu/torch-2.0%2Bcpu-cp311-cp311-linux_x86_64.whl#sha256=ab">torch</a>'
    assert "/to/https://download.pytorch.org/whl/cpu/torch-2.0%2Bcpu" in html(page, url)


@pytest.mark.parametrize(
    ("text", "url", "content_type"),
    [
        ('<a href="/about">about</a>', "https://site.example/", "text/html"),
        ('<a href="/x.whl">x</a>', SIMPLE, "text/plain"),
        ('<a href="/x.whl">x</a>', SIMPLE, ""),
        ("<p>no links</p>", SIMPLE, "text/html"),
        ('{"files": [{"url": "/x"}]}', "https://api.github.com/repos/x", "application/json"),
        ('{"dist": {"tarball": "https://a.example/x"}}', "https://site.example/data.json", "application/json"),
        ("[1, 2", "https://registry.npmjs.org/x", NPM),
        ("[" * 100_000, "https://registry.npmjs.org/x", NPM),
        ('{"versions": {"1": null, "2": {"dist": 3}}, "dist": {"tarball": 1}}', "https://registry.npmjs.org/x", NPM),
        ('{"meta": {}, "files": [1, {"url": 2}]}', SIMPLE, PYPI_JSON),
    ],
)
def test_other_content_is_unchanged(text: str, url: str, content_type: str) -> None:
    assert html(text, url, content_type) == text


def test_bytes_that_are_no_text_stay() -> None:
    page = b'\xff\xfe<a href="x.whl">\x80</a>'
    changed = rewritten(page, "text/html", SIMPLE, to)
    assert changed == page.replace(b"x.whl", b"/to/https://pypi.org/simple/six/x.whl")


def test_files_of_pypi_as_json() -> None:
    file = {"filename": "six.whl", "url": "../../p/six.whl", "hashes": {"sha256": "ab"}, "core-metadata": True}
    page = {"meta": {"api-version": "1.1"}, "name": "six", "files": [file]}
    moved = {**file, "url": "/to/https://pypi.org/p/six.whl"}
    assert as_json(page, PYPI_JSON, SIMPLE) == {**page, "files": [moved]}


@pytest.mark.parametrize("content_type", [NPM, "application/json", "application/json; charset=utf-8"])
def test_tarballs_of_npm(content_type: str) -> None:
    def packument(prefix: str) -> Any:
        tarball = f"{prefix}https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz"
        version = {"version": "1.3.0", "dist": {"tarball": tarball, "integrity": "sha512-ab"}}
        return {"name": "left-pad", "versions": {"1.3.0": version}, "readme": "\ud800 é"}

    for url in ("https://registry.npmjs.org/left-pad", "https://registry.npmjs.org/@a%2fleft-pad"):
        assert as_json(packument(""), content_type, url) == packument("/to/")
    one = packument("")["versions"]["1.3.0"]
    moved = packument("/to/")["versions"]["1.3.0"]
    assert as_json(one, content_type, "https://registry.npmjs.org/left-pad/1.3.0") == moved


@pytest.mark.parametrize(
    ("url", "content_type", "may_be"),
    [
        (SIMPLE, "text/html", True),
        (SIMPLE, PYPI_JSON, True),
        ("https://registry.npmjs.org/left-pad", "application/json", True),
        ("https://registry.npmjs.org/@a%2fb", NPM, True),
        ("https://registry.npmjs.org/left-pad/-/left-pad-1.tgz", "application/octet-stream", False),
        (WHEEL, "application/octet-stream", False),
        ("https://site.example/large.json", "application/json", False),
        ("https://[", "text/plain", False),
    ],
)
def test_what_has_to_be_read_as_a_whole(url: str, content_type: str, may_be: bool) -> None:
    assert is_index(url, content_type) is may_be


TAGS = st.text(alphabet="<a href='\">=x/#b\n", max_size=60)


@given(text=TAGS, content_type=st.sampled_from(["text/html", PYPI_JSON, NPM, ""]))
def test_any_text_is_taken_and_only_links_change(text: str, content_type: str) -> None:
    same = rewritten(text.encode(), content_type, SIMPLE, lambda url: url).decode()
    if "href" not in text and "base" not in text:
        assert same == text


def test_a_page_of_half_tags_takes_no_time_to_speak_of() -> None:
    for part in ("<a ", '<a "', "<a '\"", "<a href=", '<a href="x" ', "<a ''"):
        page = part * 20_000
        assert html(page).count("<a") <= page.count("<a")
