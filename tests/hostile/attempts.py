"""Saving and pushing an image from registries that may lie, by the library, within the limits of memory and time."""

import hashlib
from pathlib import Path

import pytest

from build_lib.bundle import Collected, Saved, save
from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.graph import Outcome
from build_lib.reference import Reference
from build_lib.registry import Progress, Pushed
from build_lib.repository import Dependency
from build_lib.settings import Settings
from build_lib.transfer import deps_push
from tests.hostile.limits import limits

NOWHERE = "unix:///nowhere/docker.sock"  # no engine is asked


class Listener:
    """Hears how a save or a push goes."""

    def on_start(self, name: str) -> None:
        pass

    def on_gathered(self, outcome: Outcome[Collected]) -> None:
        pass

    def on_progress(self, progress: Progress) -> None:
        pass

    def on_pushed(self, outcome: Outcome[Pushed]) -> None:
        pass


def settings(root: Path, **environment: str) -> Settings:
    quick = {"STALL_SECONDS": "1", "TRIES": "1", "PLATFORM": "linux/amd64", "DOCKER_HOST": NOWHERE, "IMAGE_TAG": "v1"}
    return Settings.load(root, environ={"HOME": str(root), **quick, **environment})


def saved(root: Path, image: str, **environment: str) -> Saved:
    used = settings(root, **environment)
    wanted = [Dependency(image=Reference.parse(image), needs=())]
    with limits():
        return save(wanted, [], used, lambda: Engine.connect(used), Listener(), path=root / "deps.tar")


def failed(root: Path, image: str, **environment: str) -> str:
    """What is said when the image is not saved; nothing is written that is not what it should be."""
    with pytest.raises(BuildError) as caught:
        saved(root, image, **environment)
    assert not [path.name for path in root.glob("*deps.tar*")]
    for path in root.glob(".build/blobs/sha256/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert len(caught.value.message) < 3000
    return caught.value.message


def pushed(root: Path, image: str, **environment: str) -> Outcome[Pushed]:
    used = settings(root, **environment)
    wanted = [Dependency(image=Reference.parse(image), needs=())]
    with limits():
        [outcome] = deps_push.push(wanted, used, lambda: Engine.connect(used), Listener())
    return outcome
