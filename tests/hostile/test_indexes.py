"""Trees of indexes: each manifest is read once, and there are not too many, too deep or too large ones."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from build_lib.registry import OCI_INDEX, Manifest
from tests.hostile.attacks import GOOD, MB, listed
from tests.hostile.attempts import failed, pushed
from tests.hostile.lying_registry import Handler, LyingRegistry, gives, lying


def tree(registry: LyingRegistry, *, wide: int, deep: int, own: bool) -> Manifest:
    """An index of indexes; with `own`, each has children of its own, else all of a level have the same ones."""
    below = [GOOD.manifest]
    for level in range(deep):
        count = wide ** (deep - level - 1) if own else wide
        groups = [below[wide * number : wide * (number + 1)] if own else below for number in range(count)]
        below = [registry.add(index_of(group or below, f"{level}-{number}")) for number, group in enumerate(groups)]
    return registry.add(index_of(below, "top"))


def index_of(manifests: Sequence[Manifest], note: str) -> Manifest:
    items = [each.descriptor.to_json() for each in manifests]
    content = {"mediaType": OCI_INDEX, "manifests": items, "annotations": {"note": note}}
    return Manifest.read(json.dumps(content).encode(), OCI_INDEX)


@pytest.mark.parametrize(("wide", "deep", "own"), [(10, 9, False), (2, 4, False), (7, 3, True)])
def test_a_tree_of_indexes_that_is_too_large_ends(wide: int, deep: int, own: bool, tmp_path: Path) -> None:
    with lying(GOOD) as registry:
        registry.names["1"] = tree(registry, wide=wide, deep=deep, own=own)
        said = failed(tmp_path, f"{registry.host}/a:1")
        assert len(registry.asked("manifest")) < 300
    assert f"{registry.host} has an index that exceeds the limits: 256 manifests, 3 levels, {8 * MB} bytes" in said


def test_a_tree_of_indexes_is_visited_once(tmp_path: Path) -> None:
    with lying(GOOD) as registry, lying() as private:
        registry.names["1"] = tree(registry, wide=10, deep=2, own=False)
        outcome = pushed(tmp_path, f"{registry.host}/a:1", PRIVATE_REGISTRY=f"{private.host}/p")
        names = [item.path for item in registry.asked("manifest")]
        assert outcome.error is None
        assert len(private.manifests) == 10 + 10 + 2
    assert len(names) == len(private.manifests) + 1  # by its tag and by its digest


def test_manifests_that_are_large_together_end(tmp_path: Path) -> None:
    with lying(GOOD) as registry:
        large = [registry.add(index_of([], str(number) + "x" * 3 * MB)) for number in range(5)]
        registry.names["1"] = registry.add(index_of(large, "top"))
        said = failed(tmp_path, f"{registry.host}/a:1")
    assert "has an index that exceeds the limits" in said


def test_manifests_that_come_just_in_time_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_lib.registry.retry._STALLS_OF_WORK", 2)

    def late(handler: Handler) -> None:
        if handler.wait(0.4):
            handler.tell_the_truth()

    with lying(GOOD, at="manifest", lie=late) as registry:
        registry.names["1"] = tree(registry, wide=10, deep=2, own=False)
        said = failed(tmp_path, f"{registry.host}/a:1")
    assert f"{registry.host} takes longer than 2s for the manifests of an image" in said


def test_an_index_for_no_machine_is_not_saved(tmp_path: Path) -> None:
    other = gives(listed(platform={"os": "plan9", "architecture": "mips"}))
    with lying(GOOD, at="manifest", lie=other) as registry:
        assert "it is not available for linux/amd64, only for plan9/mips" in failed(tmp_path, f"{registry.host}/a:1")
