"""Tab completion in the shells themselves, at a terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.projects import write
from tests.support.shells import Shell, shell

FILES = {
    "src/web/Dockerfile": "FROM debian:12\n",
    "src/worker/Dockerfile": "FROM debian:12\n",
    "src/worker-gpu/Dockerfile": "FROM debian:12\n",
    ".env": "IMAGE_TAG=v1\nPRIVATE_REGISTRY=harbor.example:5000/aihpc\n",
    "my disk/a file.tar": "",
    "disks/deps.tar": "",
    "images.txt": "",
    "compose.yaml": "services: {db: {image: 'registry.example:5000/db:1'}}\n",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shells") / "shop"
    write(root, FILES)
    return root


@pytest.fixture(scope="module", params=["bash", "zsh", "fish"])
def typing(request: pytest.FixtureRequest, shop: Path, module_copy: Path) -> Iterator[Shell]:
    (shop / "inv").unlink(missing_ok=True)
    (shop / "inv").symlink_to(module_copy / "inv")
    with shell(request.param, module_copy / "inv", shop) as started:
        yield started


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("./inv build -s we", ["build", "-s", "web", "+"]),
        ("./inv build --service=we", ["build", "--service=web", "+"]),
        ("./inv build web wor", ["build", "web", "worker+"]),
        ("./inv build -s 'we", ["build", "-s", "web", "+"]),
        ('./inv build -s "we', ["build", "-s", "web", "+"]),
        ("./inv status -t v", ["status", "-t", "v1", "+"]),
        ("./inv graph --format mer", ["graph", "--format", "mermaid", "+"]),
        ("./inv graph --format=mer", ["graph", "--format=mermaid", "+"]),
        ("./inv deps-push -r harb", ["deps-push", "-r", "harbor.example:5000/aihpc", "+"]),
        ("./inv deps-push -r harbor.example:50", ["deps-push", "-r", "harbor.example:5000/aihpc", "+"]),
        ("./inv deps-push --registry=harbor.example:50", ["deps-push", "--registry=harbor.example:5000/aihpc", "+"]),
        ("./inv mirrors --image registry.example:5000/db:", ["mirrors", "--image", "registry.example:5000/db:1", "+"]),
        ("./inv deps-load -f di", ["deps-load", "-f", "disks/+"]),
        ("./inv deps-load -f disks/", ["deps-load", "-f", "disks/deps.tar", "+"]),
        ("./inv deps-load -f my\\ disk/", ["deps-load", "-f", "my disk/a file.tar", "+"]),
        ("./inv deps-load '--file=my disk/", ["deps-load", "--file=my disk/a file.tar", "+"]),
        ("./inv deps-load -f im", ["deps-load", "-f", "im+"]),
        ("./inv prefetch --fail", ["prefetch", "--fail-fast", "+"]),
        ("./inv serv", ["services", "+"]),
        ("./inv deps-push --dr", ["deps-push", "--dry", "+"]),
        ("./inv --config ima", ["--config", "images.txt", "+"]),
        ("./inv build -s sr", ["build", "-s", "sr+"]),
        ("./inv clean --keep s", ["clean", "--keep", "s+"]),
    ],
)
def test_tab_writes_the_rest_of_the_word(typing: Shell, text: str, words: list[str]) -> None:
    assert typing.completed(text) == ["./inv", *words]
