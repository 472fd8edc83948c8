"""Images that other files name (`IMAGE_FILES`), among the dependency images of a repository."""

import json
from pathlib import Path

import pytest

from build_lib.repository import dependencies, discover
from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.projects import needs, write

MANIFEST = """\
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: {image}
      - image: redis:7
"""


def named(root: Path, **environment: str) -> dict[str, bool]:
    """The dependency images, and whether a build needs them."""
    settings = Settings.load(root, environ={"IMAGE_FILES": "k8s/*", **environment})
    return {str(item.image): item.for_build for item in dependencies.find(discover(settings), settings)}


def test_they_are_runtime_images_with_file_and_line(project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12")
    write(project, {"k8s/web.yaml": MANIFEST.format(image="nginx:1.27"), "k8s/images.txt": "redis:7\n"})
    found = json.loads(inv("deps", "--json", "--kind", "runtime", IMAGE_FILES="k8s/*").stdout)
    own = {"needed_by": "IMAGE_FILES", "kind": "run"}
    assert found == [
        {"image": "nginx:1.27", "build": False, "needs": [own | {"path": "k8s/web.yaml", "line": 6}]},
        {
            "image": "redis:7",
            "build": False,
            "needs": [own | {"path": "k8s/images.txt", "line": 1}, own | {"path": "k8s/web.yaml", "line": 7}],
        },
    ]
    assert inv("deps", "--plain", "-s", "web", IMAGE_FILES="k8s/*").stdout == "debian:12\n"


def test_an_image_that_a_build_needs_too_is_one(project: Path) -> None:
    needs(project, "web", "redis:7")
    write(project, {"k8s/web.yaml": MANIFEST.format(image="nginx")})
    assert named(project) == {"nginx:latest": False, "redis:7": True}


@pytest.mark.parametrize(
    ("image", "settings"),
    [
        ("ai-infra-web:v0.3.6-dev", {}),
        ("ai-infra-web:v1", {}),
        ("ai-infra-other:v1", {}),
        ("harbor.example/team/ai-infra-web:v1", {}),
        ("harbor.example/team/ai-infra-web:v1", {"PRIVATE_REGISTRY": "harbor.example/team"}),
        ("{{PRIVATE_REGISTRY}}/ai-infra-web:{{IMAGE_TAG}}", {"PRIVATE_REGISTRY": "harbor.example/team"}),
        ("${PRIVATE_REGISTRY}ai-infra-web:${IMAGE_TAG}", {}),
        ("web:v1", {"IMAGE_PREFIX": ""}),
        ("harbor.example/team/web", {"IMAGE_PREFIX": "", "PRIVATE_REGISTRY": "harbor.example/team"}),
        ("harbor.example/team/web", {"IMAGE_PREFIX": "harbor.example/team/"}),
    ],
)
def test_a_service_s_own_image_is_no_dependency(project: Path, image: str, settings: dict[str, str]) -> None:
    needs(project, "web", "debian:12")
    write(project, {"k8s/web.yaml": MANIFEST.format(image=f"'{image}'")})
    assert named(project, **settings) == {"debian:12": True, "redis:7": False}


@pytest.mark.parametrize(
    ("image", "settings"),
    [
        ("harbor.example/team/web:latest", {"IMAGE_PREFIX": ""}),
        ("bitnami/web:latest", {"IMAGE_PREFIX": ""}),
        ("harbor.example/team/ai-infra-other:latest", {}),
        ("harbor.example/team/not-ai-infra-web:latest", {}),
    ],
)
def test_an_image_that_only_looks_like_a_service_s_is_one(project: Path, image: str, settings: dict[str, str]) -> None:
    needs(project, "web", "debian:12")
    write(project, {"k8s/web.yaml": MANIFEST.format(image=image)})
    assert named(project, **settings) == {"debian:12": True, "redis:7": False, image: False}


def test_the_image_of_a_service_without_the_prefix_has_one_name_only(project: Path) -> None:
    write(project, {"compose.yaml": "services: {cache: {image: 'redis:own', build: src/cache}}\n"})
    needs(project, "cache", "debian:12")
    write(project, {"k8s/web.yaml": MANIFEST.format(image="bitnami/redis:7")})
    assert named(project) == {"bitnami/redis:7": False, "debian:12": True}


def test_they_are_enough_for_tasks_about_images(project: Path, inv: Inv) -> None:
    write(project, {"images.txt": "127.0.0.1:1/tool:1\n"})
    done = inv("deps", "--plain", IMAGE_FILES="images.txt")
    assert (done.returncode, done.stdout, done.stderr) == (0, "127.0.0.1:1/tool:1\n", "")


def test_what_is_wrong_in_a_file_stops_nothing_else(project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12")
    write(project, {"k8s/bad.yaml": "image: [\n", "k8s/web.yaml": MANIFEST.format(image="'{{REG}}/x'")})
    done = inv("deps", "--plain", IMAGE_FILES="k8s/*,none/*.yaml")
    assert done.stdout == "debian:12\nredis:7\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "remark: none/*.yaml: IMAGE_FILES names it, but no file or chart matches"
    assert lines[1].startswith("problem: k8s/bad.yaml:2: this is not valid YAML: ")
    assert lines[2:] == [
        "remark: k8s/web.yaml:6: '{{REG}}/x' cannot be filled: write in .env: REG=…",
        "2 remarks",
        "error: 1 error in the repository's files, see above",
    ]
    assert done.returncode == 1
    write(project, {"k8s/bad.yaml": "image: redis:7\n"})
    assert inv("deps", IMAGE_FILES="k8s/*").returncode == 0
    assert inv("deps", "--strict", IMAGE_FILES="k8s/*").returncode == 1


@pytest.mark.parametrize("pattern", ["/etc/*.yaml", "k8s/**.yaml"])
def test_a_pattern_that_cannot_be_used_is_refused(project: Path, inv: Inv, pattern: str) -> None:
    done = inv("deps", IMAGE_FILES=pattern)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: IMAGE_FILES in the environment is {pattern!r}\n"
        "  next: allowed: paths relative to the repository, or patterns of paths, such as k8s/**/*.yaml\n"
    )
