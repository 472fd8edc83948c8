"""Recordings and their content on disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.downloads import Download, Passed, Recording, Store, recording
from build_lib.settings import Settings

HELLO = hashlib.sha256(b"hello").hexdigest()


def made(service: str = "web", *, release: str = "v1", sha256: str = HELLO) -> Recording:
    download = Download(
        url="http://deb.debian.org/debian/x.deb",
        kind="http",
        status=200,
        sha256=sha256,
        size=5,
        headers=(("Content-Type", "text/plain"),),
        accept="",
        source="http://deb.debian.org/debian/x.deb",
        at="2026-11-29T10:00:00+00:00",
        lines=(3, 5),
    )
    passed = Passed(what="github.com:443", why="encrypted", lines=(4,))
    return Recording(
        service=service,
        release=release,
        fingerprint="f" * 16,
        path="src/web/Dockerfile",
        at="2026-11-29T10:00:00+00:00",
        downloads=(download,),
        passed=(passed,),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings.load(tmp_path, environ={}))


def put(store: Store, content: bytes) -> str:
    with store.incoming() as incoming:
        incoming.write(content)
        return incoming.keep()


def test_a_recording_is_read_as_it_was_written(store: Store) -> None:
    store.write(made())
    assert store.recording("v1", "web") == made()
    assert store.recordings("v1") == {"web": made()}
    assert (store.releases(), store.services("v1")) == (["v1"], ["web"])
    assert store.recording("v1", "api") is None


def test_content_is_kept_once_under_its_digest(store: Store) -> None:
    assert put(store, b"hello") == put(store, b"hello") == HELLO
    assert store.path(HELLO).read_bytes() == b"hello"
    [blob] = made().blobs().values()
    assert store.blobs.has(blob)
    assert list(store.wrong([blob])) == []


def test_content_that_is_not_kept_leaves_nothing(store: Store) -> None:
    with store.incoming() as incoming:
        incoming.write(b"hel")
    assert [path for path in store.directory.rglob("*") if path.is_file()] == []


def test_damaged_and_missing_content_is_told(store: Store) -> None:
    [blob] = made().blobs().values()
    assert "is not in" in next(store.wrong([blob]))[1]
    put(store, b"hello")
    store.path(HELLO).write_bytes(b"jello")
    assert "does not match" in next(store.wrong([blob]))[1]


def test_content_is_unused_without_the_release_that_needs_it(store: Store) -> None:
    put(store, b"hello")
    store.write(made())
    assert list(store.unused(["v1"])) == []
    assert list(store.unused([])) == [store.path(HELLO)]
    store.remove("v1")
    assert store.releases() == []
    assert list(store.unused(["v1"])) == [store.path(HELLO)]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a\n"])
def test_a_name_leads_nowhere_else(name: str) -> None:
    for field in ("service", "release"):
        with pytest.raises((ValueError, TypeError), match=r"name|text"):
            recording.from_json(recording.as_json(made()) | {field: name})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["url", "kind", "x"]), each, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(["downloads", "passed", "service", "format", "path"]), value=JSON)
def test_a_recording_of_another_shape_is_refused(field: str, value: Any) -> None:
    changed = json.loads(json.dumps(recording.as_json(made()) | {field: value}))
    try:
        found = recording.from_json(changed)
    except (ValueError, TypeError, LookupError):
        return
    assert recording.from_json(recording.as_json(found)) == found
