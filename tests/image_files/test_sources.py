"""Which files the patterns name."""

from pathlib import Path

import pytest

from tests.image_files.repositories import images, look, told

IMAGE = "image: redis:7\n"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("k8s/web.yaml", ["k8s/web.yaml"]),
        ("./k8s/web.yaml", ["k8s/web.yaml"]),
        ("k8s/*.yaml", ["k8s/web.yaml"]),
        ("k8s/**/*.yaml", ["k8s/a/b/db.yaml", "k8s/web.yaml"]),
        ("k8s/**", ["k8s/a/b/db.yaml", "k8s/web.yaml"]),
        ("**/*.yaml", ["[x]/a.yaml", "k8s/a/b/db.yaml", "k8s/web.yaml"]),
        (".hidden/*.yaml", [".hidden/x.yaml"]),
        ("[x]/a.yaml", ["[x]/a.yaml"]),
        ("[k]8s/*.yaml k8s/web.yaml,k8s/../k8s/web.yaml", ["k8s/web.yaml"]),
    ],
)
def test_paths_and_patterns(tmp_path: Path, pattern: str, found: list[str]) -> None:
    names = ["k8s/web.yaml", "k8s/a/b/db.yaml", ".hidden/x.yaml", "[x]/a.yaml"]
    (tmp_path / "k8s/a/b/loop").parent.mkdir(parents=True)
    (tmp_path / "k8s/a/b/loop").symlink_to(tmp_path / "k8s")
    assert images(tmp_path, pattern, dict.fromkeys(names, IMAGE)) == [f"{name}:1 redis:7" for name in found]


@pytest.mark.parametrize("pattern", ["nothing/*.yaml", "nothing.yaml", "directory", "x" * 300, f"{'x' * 300}/*"])
def test_what_names_nothing_is_told(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "directory").mkdir()
    found = look(tmp_path, pattern)
    assert told(tmp_path, found) == [f"remark {pattern}:0 IMAGE_FILES names it, but no file or chart matches"]


def test_files_without_an_image_are_told_once_for_their_pattern(tmp_path: Path) -> None:
    files = dict.fromkeys(["k8s/a.yaml", "k8s/b.yaml", "other.yaml"], "kind: Service\nspec: {ports: [1]}\n")
    found = look(tmp_path, "k8s/*.yaml,other.yaml", files)
    assert told(tmp_path, found) == [
        "remark k8s/*.yaml:0 IMAGE_FILES names it, but there is no image in it",
        "remark other.yaml:0 IMAGE_FILES names it, but there is no image in it",
    ]
    assert images(tmp_path, "k8s/*.yaml", {"k8s/c.yaml": IMAGE}) == ["k8s/c.yaml:1 redis:7"]


def test_files_outside_of_the_repository(tmp_path: Path) -> None:
    root = tmp_path / "here"
    root.mkdir()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/x.yaml").write_text(IMAGE)
    [image] = look(root, "../deploy/*.yaml").images
    assert image.path == tmp_path / "deploy/x.yaml"


def test_a_pattern_for_too_many_files_is_an_error(tmp_path: Path) -> None:
    found = look(tmp_path, "many/*", {f"many/{number}": "redis:7\n" for number in range(1001)})
    assert (found.images, told(tmp_path, found)) == (
        (),
        ["error many/*:0 IMAGE_FILES names it, but more than 1000 files match"],
    )


def test_the_same_image_in_several_places_has_all_of_them_once(tmp_path: Path) -> None:
    files = {"a.yaml": "a: {image: redis:7}\nb: {image: docker.io/library/redis:7}\n", "b.txt": "redis:7\n"}
    found = look(tmp_path, "a.yaml,*.txt,*", files)
    assert [(str(item.image), item.path.name, item.line) for item in found.images] == [
        ("redis:7", "a.yaml", 1),
        ("redis:7", "a.yaml", 2),
        ("redis:7", "b.txt", 1),
    ]
