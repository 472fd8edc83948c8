"""Registries that mean harm: what they say is refused and named, costs little memory and time, and the next source is
asked. The attacks are in `attacks`.
"""

import itertools
import os
import re
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.reference import Reference
from build_lib.registry import Registries
from tests.hostile.attacks import GOOD, LIES, MB, SLOW, SLOW_BODY, TAGS, UPLOADS, layered
from tests.hostile.attempts import failed, pushed, saved, settings
from tests.hostile.limits import limits
from tests.hostile.lying_registry import Handler, gives, lying, says, silently
from tests.support.images import layer, make


@pytest.mark.parametrize("attack", LIES)
def test_a_lie_is_refused_and_named(attack: str, tmp_path: Path) -> None:
    at, lie, reason = LIES[attack]
    with lying(GOOD, at=at, lie=lie) as registry:
        said = failed(tmp_path, f"{registry.host}/a:1")
    assert f"{registry.host}/a:1" in said
    assert re.search(reason, said), said


SLOW_ONES = [name for name, (_, _, reason) in LIES.items() if reason in (SLOW, SLOW_BODY)]
FOUND_OUT = [name for name, (at, _, _) in LIES.items() if at in ("head", "manifest", "token")]
FOUND_OUT = [name for name in FOUND_OUT if name not in SLOW_ONES[1:]]  # a second each; one stands for all


@pytest.mark.parametrize("attack", FOUND_OUT)
def test_what_is_no_manifest_is_one_sources_failure(attack: str, tmp_path: Path) -> None:
    """One rule for all commands: the next source is asked."""
    at, lie, _ = LIES[attack]
    with lying(GOOD, at=at, lie=lie) as mirror, lying(GOOD) as honest, lying() as private:
        image, mirrors = f"{honest.host}/a:1", f"{honest.host}={mirror.host}"
        found = saved(tmp_path, image, REGISTRY_MIRRORS=mirrors)
        outcome = pushed(tmp_path, image, REGISTRY_MIRRORS=mirrors, PRIVATE_REGISTRY=f"{private.host}/p")
        assert private.names["1"].digest == GOOD.manifest.digest
    assert [(item.source, item.digest) for item in found.listing.images] == [(honest.host, GOOD.manifest.digest)]
    assert outcome.value is not None
    assert outcome.value.source == honest.host


@pytest.mark.parametrize("attack", [name for name, (at, _, _) in LIES.items() if at in ("config", "layer")])
def test_a_blob_that_one_source_spoils_is_saved_from_the_next(attack: str, tmp_path: Path) -> None:
    at, lie, _ = LIES[attack]
    with lying(GOOD, at=at, lie=lie) as mirror, lying(GOOD) as honest:
        found = saved(tmp_path, f"{honest.host}/a:1", REGISTRY_MIRRORS=f"{honest.host}={mirror.host}")
    assert [item.digest for item in found.listing.images] == [GOOD.manifest.digest]
    assert found.path.is_file()


@pytest.mark.parametrize("attack", UPLOADS)
def test_a_registry_that_is_pushed_to_can_lie_too(attack: str, tmp_path: Path) -> None:
    at, lie, reason = UPLOADS[attack]
    with lying(GOOD) as source, lying(at=at, lie=lie) as private:
        try:
            outcome = pushed(tmp_path, f"{source.host}/a:1", PRIVATE_REGISTRY=f"{private.host}/p")
            error = outcome.error
        except BuildError as refused:
            error = refused
        assert error is not None
        assert private.host in error.message or "127.0.0.1:1" in error.message
        assert re.search(reason, error.message), error.message


@pytest.mark.parametrize("attack", TAGS)
def test_a_list_of_tags_ends(attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_lib.registry.client._MOST_TAGS", 5000)
    monkeypatch.setattr("build_lib.registry.retry._STALLS_OF_WORK", 2)
    lie, reason = TAGS[attack]
    with lying(GOOD, at="tags", lie=lie) as registry, Registries(settings(tmp_path)) as registries:
        with limits(), pytest.raises(BuildError, match=reason) as caught:
            registries.tags(Reference.parse(f"{registry.host}/a"))
        assert registry.host in caught.value.message


def test_pages_of_tags_that_lead_to_each_other_are_read_once(tmp_path: Path) -> None:
    page = says("200 OK", '{"tags": ["1", "2"]}', 'Link: </v2/a/tags/list?page=1>; rel="next"')
    with lying(GOOD, at="tags", lie=page) as registry, Registries(settings(tmp_path)) as registries:
        assert registries.tags(Reference.parse(f"{registry.host}/a")) == ("1", "2")
        assert len(registry.asked("tags")) == 2


def test_a_layer_of_a_petabyte_is_not_begun(tmp_path: Path) -> None:
    with lying(GOOD, at="manifest", lie=gives(layered(size=1 << 50))) as registry:
        assert "not enough space for the bundle in" in failed(tmp_path, f"{registry.host}/a:1")
        assert registry.asked("layer") == []


def test_a_registry_that_takes_an_upload_byte_by_byte_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("build_lib.registry.connections._CONNECT_SECONDS", 1)
    large = make([layer(large=os.urandom(32 * MB))])  # more than the buffers of the sockets take
    with lying(large) as source, lying(at="upload", lie=silently()) as private:
        private.unread = "upload"
        outcome = pushed(tmp_path, f"{source.host}/a:1", PRIVATE_REGISTRY=f"{private.host}/p")
    assert outcome.error is not None
    assert re.search(f"{private.host}: .*timed out", outcome.error.message), outcome.error.message


def test_a_registry_does_not_lead_to_ever_new_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_lib.registry.connections._MOST_HOSTS", 5)
    numbers = itertools.count(2)

    def on(handler: Handler) -> None:
        handler.say("307 Go", b"", f"Location: http://127.0.0.{next(numbers)}:{handler.registry.port}/v2/a/blobs/x")

    with lying(GOOD, at="config", lie=on) as registry:
        said = failed(tmp_path, f"{registry.host}/a:1")
    assert "this run was led to more than 5 hosts" in said or "leads to 127.0.0." in said
