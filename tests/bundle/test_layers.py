"""Layers and configs of images, whatever is in them: no bytes make their readers fail in another way than they say."""

import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.bundle import layers
from build_lib.bundle.collect import variant_of
from build_lib.bundle.layers import Layers, unpacked_digest
from build_lib.engine import NotLoadable
from build_lib.errors import BuildError
from build_lib.foreign import on_one_line
from build_lib.registry import digest_of, is_sha256
from tests.support.images import layer, make
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=2))
IMAGE = make([layer(a="1"), layer(b="2")])
CONFIG = json.loads(IMAGE.blobs[0])
CONTENT = b"some content of a layer, " * 500
ODD = [0, 1e308, "", "\ud800", "\x1b[2J", "a" * 5000, digest_of(b""), None, True, [[[[]]]]]
VALUES = st.recursive(
    st.sampled_from(ODD) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["diff_ids", "os", "a"]), inner),
    max_leaves=8,
)
CONFIGS = st.fixed_dictionaries(
    {}, optional={"rootfs": VALUES | st.fixed_dictionaries({"diff_ids": VALUES}), "os": VALUES, "architecture": VALUES}
)


def packed(kind: str) -> bytes:
    match kind:
        case "gzip":
            return gzip.compress(CONTENT)
        case "two members":
            return gzip.compress(CONTENT[:99]) + gzip.compress(b"") + gzip.compress(CONTENT[99:])
        case "zstd":
            return zstandard.compress(CONTENT)
        case "two frames":
            return zstandard.compress(CONTENT[:99]) + zstandard.compress(CONTENT[99:])
    return CONTENT


def pieces(content: bytes, size: int) -> list[bytes]:
    """The first four bytes together: an engine tells by them how a layer is compressed."""
    rest = content[4:]
    return [content[:4], *(rest[at : at + size] for at in range(0, len(rest), size))]


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize("kind", ["plain", "gzip", "two members", "zstd", "two frames"])
def test_a_layer_is_unpacked_however_it_comes(kind: str, size: int) -> None:
    content = packed(kind)
    assert unpacked_digest(pieces(content, size), len(content)) == digest_of(CONTENT)


def test_a_layer_is_unpacked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_lib.registry.unpacking._PIECE", 7)
    for kind in ("gzip", "two members", "zstd"):
        assert unpacked_digest([packed(kind)], 1) == digest_of(CONTENT)


@IN_TIME
@given(
    kind=st.sampled_from(["gzip", "two members", "zstd", "two frames"]),
    at=st.integers(0, 300),
    change=st.integers(1, 255),
    cut=st.integers(0, 60),
)
def test_a_layer_that_is_not_as_it_was_is_found(kind: str, at: int, change: int, cut: int) -> None:
    content = bytearray(packed(kind))
    content[at % len(content)] ^= change
    content = content[: len(content) - cut]
    found, said = outcome(lambda: unpacked_digest([bytes(content)], len(content)), BuildError)
    assert is_sha256(found) if found else "unpack" in said


@IN_TIME
@given(content=st.binary(max_size=300) | st.binary(max_size=300).map(zlib.compress))
def test_no_bytes_fail_otherwise(content: bytes) -> None:
    for head in (b"", b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"):
        found, said = outcome(lambda whole=head + content: unpacked_digest([whole], 1), BuildError)  # type: ignore[misc]
        assert is_sha256(found) if found else "unpack" in said


@IN_TIME
@given(config=CONFIGS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_a_config_is_read_or_refused(config: bytes) -> None:
    variant = variant_of(IMAGE.manifest, config)
    assert all(map(is_sha256, variant.diff_ids))
    assert on_one_line(variant.platform) == variant.platform
    found, _said = outcome(lambda: layers.diff_ids(IMAGE.manifest, config), NotLoadable)
    assert found is None or found == variant.diff_ids
    assert found is None or len(found) == len(IMAGE.manifest.blobs) - 1


def test_a_layer_of_two_images_is_what_both_say() -> None:
    content = gzip.compress(CONTENT)
    name = digest_of(content)
    found = Layers()
    found.expect("right:1", [name], [digest_of(CONTENT)])
    found.expect("wrong:1", [name], [digest_of(b"")])
    found.unpack(name, len(content), [content])
    [problem] = found.problems
    assert problem.startswith(f"wrong:1: the layer {name} unpacks to {digest_of(CONTENT)}")


@pytest.mark.parametrize("config", [CONFIG, {"os": [[]], "architecture": {"a": 1}, **{"rootfs": CONFIG["rootfs"]}}])
def test_what_is_right_has_no_problems(config: Any) -> None:
    found = Layers()
    found.add("a:1", IMAGE.manifest, json.dumps(config).encode())
    for each in IMAGE.blobs[1:]:
        found.unpack(digest_of(each), len(each), [each])
    assert found.problems == []
