"""What deps-save and deps-verify say is whole can be loaded; and what is odd but right is saved."""

import gzip
import re
from pathlib import Path

import pytest
import zstandard

from build_lib import bundle
from build_lib.errors import BadBundle
from build_lib.registry import OCI_MANIFEST, Manifest
from tests.bundle.bundles import bundle as bundle_of
from tests.hostile.attacks import GOOD, IMAGES, MANIFEST, MB, TYPE, layered, packed
from tests.hostile.attempts import Listener, failed, saved, settings
from tests.hostile.limits import limits
from tests.hostile.lying_registry import Handler, Lie, gives, head, lying, says, sends
from tests.support.images import Made


@pytest.mark.parametrize("attack", IMAGES)
def test_an_image_that_cannot_be_loaded_is_not_saved(attack: str, tmp_path: Path) -> None:
    image, reason = IMAGES[attack]
    with lying(image) as registry:
        said = failed(tmp_path, f"{registry.host}/a:1")
    assert f"{registry.host}/a:1" in said
    assert re.search(reason, said), said


@pytest.mark.parametrize("urls", [["https://other.example/layer"], ["file:///etc/passwd"], "https://x", {"a": 1}, 7])
def test_a_layer_with_urls_is_fetched_like_any_other(urls: object, tmp_path: Path) -> None:
    body = layered(urls=urls)
    image = Made(Manifest.read(body, OCI_MANIFEST), GOOD.blobs, GOOD.platform)
    with lying(image) as registry:
        found = saved(tmp_path, f"{registry.host}/a:1")
        assert (
            bundle.verify(found.path, settings(tmp_path), Listener()).listing.images[0].digest == image.manifest.digest
        )
        assert len(registry.asked("layer")) == 2
    with lying(image, at="layer", lie=says("404 Not Found")) as registry:
        (tmp_path / "without").mkdir()
        assert "answered 404 Not Found" in failed(tmp_path / "without", f"{registry.host}/a:1")


@pytest.mark.parametrize("attack", IMAGES)
def test_a_bundle_of_an_image_that_cannot_be_loaded_is_not_whole(attack: str, tmp_path: Path) -> None:
    image, reason = IMAGES[attack]
    path = tmp_path / "deps.tar"
    path.write_bytes(bundle_of({"a.example/a:1": image}))
    with limits(), pytest.raises(BadBundle) as caught:
        bundle.verify(path, settings(tmp_path), Listener())
    assert str(path) in caught.value.message
    assert re.search(f"a.example/a:1.*({reason}|is too large|is damaged)", caught.value.message), caught.value.message


def test_a_layer_that_unpacks_to_too_much_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_lib.registry.unpacking._LIMIT", 64 * MB)
    for pack in (gzip.compress, zstandard.compress):
        content = bytes(200 * MB)
        bomb = packed(pack(content), content)
        directory = tmp_path / pack.__module__
        directory.mkdir()
        with lying(bomb) as registry:
            said = failed(directory, f"{registry.host}/a:1")
        assert re.search(f"{registry.host}/a:1: the layer .* unpacks to more than {64 * MB} bytes", said)


def in_chunks(size: int, pause: float = 0) -> Lie:
    """The truth, in chunks of so many bytes."""

    def answer(handler: Handler) -> None:
        registry = handler.registry
        content = registry.blobs.get(handler.name) or registry.names["1"].body
        handler.write(head("200 OK", TYPE, "Transfer-Encoding: chunked"))
        for at in range(0, len(content), size):
            chunk = content[at : at + size]
            handler.write(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk))
            handler.wait(pause)
        handler.write(b"0\r\nX-Trailer: 1\r\n\r\n")

    return answer


HARMLESS: dict[str, tuple[str, Lie]] = {
    "a manifest in chunks of a byte": ("manifest", in_chunks(1)),
    "layers in chunks": ("layer", in_chunks(1000)),
    "layers that take longer than STALL_SECONDS": ("layer", in_chunks(1 << 14, 0.1)),
    "a HEAD with a length too long to count": (
        "head",
        sends(head("200 OK", "Connection: close", "Content-Length: " + "9" * 5000)),
    ),
    "a HEAD with a coding": ("head", says("200 OK", b"", "Content-Encoding: gzip", "Docker-Content-Digest: sha256:x")),
    "a coding that is none": ("manifest", gives(MANIFEST, coding="identity")),
    "a token for ever": ("token", says("200 OK", '{"access_token": "a", "expires_in": 1e99}')),
    "a token for no time": ("token", says("200 OK", '{"token": "a", "expires_in": -7}')),
    "a header of 50 kB": ("manifest", gives(MANIFEST, f"{OCI_MANIFEST}; {'a' * 50_000}")),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_odd_and_right_is_saved(case: str, tmp_path: Path) -> None:
    at, answer = HARMLESS[case]
    with lying(GOOD, at=at, lie=answer) as registry:
        found = saved(tmp_path, f"{registry.host}/a:1")
    assert [item.digest for item in found.listing.images] == [GOOD.manifest.digest]
    assert bundle.verify(found.path, settings(tmp_path), Listener()).size == found.size
