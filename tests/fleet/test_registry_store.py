"""What a name stands for: what this run built, else what the last one built, else what the registry says."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from build_lib.fleet import RegistryStore
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support import images
from tests.support.registries import Registry

IMAGE = Reference.parse("web:v1")
NAMED, RECORDED, BUILT = (images.make([images.layer(mark=mark)]) for mark in ("named", "recorded", "built"))


@pytest.fixture
def settings(registry: Registry, tmp_path: Path) -> Settings:
    environ = {"PRIVATE_REGISTRY": f"{registry.host}/project", "IMAGE_TAG": "v1"}
    return Settings.load(tmp_path, environ=environ)


@pytest.fixture
def registries(settings: Settings) -> Iterator[Registries]:
    with Registries(settings) as found:
        yield found


def store(registries: Registries, settings: Settings, *, project: str = "project") -> RegistryStore:
    """One that knows nothing yet, as a new run begins."""
    assert settings.private_registry is not None
    registry = PrivateRegistry.parse(f"{settings.private_registry.host}/{project}")
    return RegistryStore(registries, registry, settings, "linux/amd64")


def write(registries: Registries, settings: Settings, image: images.Made, tag: str, project: str = "project") -> None:
    assert settings.private_registry is not None
    images.write(registries, f"{settings.private_registry.host}/{project}/web:{tag}", image)


def test_nothing_is_known_of_what_is_nowhere(registries: Registries, settings: Settings) -> None:
    assert store(registries, settings).digest(IMAGE) is None
    assert store(registries, settings).image(IMAGE) is None


def test_a_name_stands_for_what_the_registry_says(registries: Registries, settings: Settings) -> None:
    write(registries, settings, NAMED, "v1")
    assert store(registries, settings).digest(IMAGE) == NAMED.manifest.digest


def test_what_the_last_run_built_comes_before_the_name(registries: Registries, settings: Settings) -> None:
    write(registries, settings, RECORDED, "other")
    write(registries, settings, NAMED, "v1")
    store(registries, settings).put(IMAGE, RECORDED.manifest.digest)
    assert store(registries, settings).digest(IMAGE) == RECORDED.manifest.digest


def test_what_this_run_built_comes_before_both(registries: Registries, settings: Settings) -> None:
    for image, tag in ((RECORDED, "other"), (BUILT, "new"), (NAMED, "v1")):
        write(registries, settings, image, tag)
    store(registries, settings).put(IMAGE, RECORDED.manifest.digest)
    now = store(registries, settings)
    assert now.digest(IMAGE) == RECORDED.manifest.digest
    now.put(IMAGE, BUILT.manifest.digest)
    assert now.digest(IMAGE) == BUILT.manifest.digest


def test_a_record_of_another_registry_counts_for_nothing(registries: Registries, settings: Settings) -> None:
    write(registries, settings, RECORDED, "other")
    write(registries, settings, RECORDED, "other", project="elsewhere")
    write(registries, settings, NAMED, "v1")
    store(registries, settings, project="elsewhere").put(IMAGE, RECORDED.manifest.digest)
    assert store(registries, settings).digest(IMAGE) == NAMED.manifest.digest
    assert store(registries, settings, project="elsewhere").digest(IMAGE) == RECORDED.manifest.digest


def test_a_record_of_an_image_that_was_deleted_counts_for_nothing(registries: Registries, settings: Settings) -> None:
    write(registries, settings, NAMED, "v1")
    store(registries, settings).put(IMAGE, BUILT.manifest.digest)
    assert store(registries, settings).digest(IMAGE) == NAMED.manifest.digest


@pytest.mark.parametrize("text", ["", "{", "[]", '{"registry": 1, "digest": 2}', '{"registry": "a"}'])
def test_a_record_that_cannot_be_read_counts_for_nothing(registries: Registries, settings: Settings, text: str) -> None:
    write(registries, settings, NAMED, "v1")
    store(registries, settings).put(IMAGE, BUILT.manifest.digest)
    [record] = (settings.state_dir / "images-built").iterdir()
    record.write_text(text)
    assert store(registries, settings).digest(IMAGE) == NAMED.manifest.digest


def test_written_names_stand_for_what_was_built_and_records_are_gone(
    registries: Registries, settings: Settings
) -> None:
    write(registries, settings, NAMED, "v1")
    write(registries, settings, BUILT, "new")
    now = store(registries, settings)
    now.put(IMAGE, BUILT.manifest.digest)
    assert now.write_names([IMAGE]) == [now.place(IMAGE)]
    assert now.write_names([IMAGE]) == []
    assert [*(settings.state_dir / "images-built").iterdir()] == []
    write(registries, settings, NAMED, "v1")  # as another machine does
    assert store(registries, settings).digest(IMAGE) == NAMED.manifest.digest


def test_a_held_name_is_known_to_this_run_alone_until_it_is_forgotten(
    registries: Registries, settings: Settings
) -> None:
    now = store(registries, settings)
    now.hold(IMAGE, BUILT.manifest.digest)
    assert now.by_digest(IMAGE) == replace(now.place(IMAGE), tag=None, digest=BUILT.manifest.digest)
    assert store(registries, settings).digest(IMAGE) is None
    now.forget(IMAGE)
    assert now.digest(IMAGE) is None
