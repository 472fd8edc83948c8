"""No bytes of a registry make their readers fail in another way than they say, or keep them."""

import json
import time
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests import Response

from build_lib.errors import RegistryError
from build_lib.registry.addresses import is_here, is_loopback, joined
from build_lib.registry.answer import Answer
from build_lib.registry.login import parse_challenge, parse_token, retry_after
from build_lib.registry.manifests import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    LARGEST,
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    InvalidManifest,
    Manifest,
    digest_of,
    is_sha256,
)
from build_lib.registry.session import _said
from tests.support.images import index, layer, make
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=2))
IMAGE = make([layer(a="1"), layer(b="2")])
WHOLE = [json.loads(IMAGE.manifest.body), json.loads(index(IMAGE, IMAGE).body)]
KEYS = ["config", "layers", "manifests", "mediaType", "digest", "size", "platform", "os", "urls", "token", "errors"]
ODD = [0, -1, 1 << 63, 1 << 70, 1e308, float("inf"), float("nan"), "", "\ud800", "\0", "\x1b[2J", "a" * 5000]
ODD += [digest_of(b""), "sha256:" + "0" * 63, "sha512:" + "0" * 128, OCI_INDEX, DOCKER_MANIFEST, "2", None, True]
VALUES = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=12,
)
TYPES = st.sampled_from([*MEDIA_TYPES, "", "text/html", f"{OCI_MANIFEST}; charset=utf-8"]) | st.text(max_size=20)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A manifest or an index with some of its values replaced, taken out or put in."""
    content = deepcopy(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 4))):
        place: Any = content
        while True:
            keys = list(range(len(place))) if isinstance(place, list) else [*place, draw(st.sampled_from(KEYS))]
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place[key] if isinstance(place, list) else place.get(key)
            if isinstance(inner, dict | list) and draw(st.booleans()):
                place = inner
                continue
            place[key] = draw(VALUES)
            break
    return json.dumps(content).encode()


@IN_TIME
@given(body=changed() | VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200), kind=TYPES)
def test_a_manifest_is_read_or_refused(body: bytes, kind: str) -> None:
    found, said = outcome(lambda: Manifest.read(body, kind), InvalidManifest)
    assert len(said) < 500
    if found is None:
        return
    assert found.media_type in MEDIA_TYPES
    assert bool(found.blobs) == (found.media_type in (OCI_MANIFEST, DOCKER_MANIFEST))
    assert not found.manifests or found.media_type in (OCI_INDEX, DOCKER_INDEX)
    for item in (*found.blobs, *found.manifests):
        assert is_sha256(item.digest)
        assert item.size >= 0
        assert (item.media_type + item.platform).isprintable()


@IN_TIME
@given(header=st.text(max_size=300) | st.text(alphabet=' ,="\\abBearer', max_size=300).map("Bearer ".__add__))
def test_a_challenge_is_read_or_is_none(header: str) -> None:
    found = parse_challenge(header)
    assert found is None or found.scheme == "basic" or found.realm


@IN_TIME
@given(
    content=VALUES | st.fixed_dictionaries({}, optional={"token": VALUES, "access_token": VALUES, "expires_in": VALUES})
)
def test_a_token_is_one_that_a_header_can_carry(content: Any) -> None:
    try:
        token, seconds = parse_token(content)
    except ValueError:
        return
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token
    assert seconds <= 24 * 60 * 60


URLS = st.text(max_size=60) | st.text(alphabet="htps:/@[]?#%\\.0129a-", max_size=40).map("http:".__add__)


@IN_TIME
@given(given=URLS)
def test_an_address_is_plain_or_refused(given: str) -> None:
    url, said = outcome(lambda: joined("https://registry.example/v2/", given), RegistryError)
    if url is None:
        assert said.startswith("registry.example leads to ")
        return
    assert url.scheme in ("http", "https")
    assert "@" not in url.netloc
    assert url.hostname
    assert is_here(url.netloc) >= is_loopback(url.netloc)


@IN_TIME
@given(body=VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=300), retry=st.text(max_size=20))
def test_what_a_registry_says_is_a_short_line(body: bytes, retry: str) -> None:
    response = Response()
    response.status_code, response.url = 500, "http://registry.example/"
    response.headers["Retry-After"] = retry
    answer = Answer(response, "registry.example", 1)
    answer.body = body
    said = _said(answer)
    said.encode()
    assert len(said) <= 300
    assert len(said.splitlines()) <= 1
    assert (retry_after(answer) or 0) >= 0


LONG = 60_000  # as long as a header may be
CHALLENGES = ["a", "a=", 'a="', "a ", "a,", '"', "\\", '\\"', "a=b,", 'realm="', ", "]


@pytest.mark.parametrize("piece", CHALLENGES)
def test_a_long_challenge_takes_no_time(piece: str) -> None:
    began = time.process_time()
    parse_challenge("Bearer " + piece * (LONG // len(piece)))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("piece", [b"[", b"{}", b'{"":0},', b"[[],", b'"\\u0000', b"1", b"-", b" "])
@pytest.mark.parametrize("start", [b"", b"[", b'{"manifests": [', b'{"layers": ['])
def test_a_large_manifest_takes_no_time(start: bytes, piece: bytes) -> None:
    began = time.process_time()
    with pytest.raises(InvalidManifest):
        Manifest.read(start + piece * (LARGEST // len(piece)), OCI_INDEX)
    assert time.process_time() - began < 5
