"""The settings that are suggested for repositories of many layouts, and what is only listed."""

import os
import subprocess
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.repository import survey
from build_lib.repository.survey import Survey
from tests.support.projects import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty repository."""
    (tmp_path / "My Shop").mkdir()
    return tmp_path / "My Shop"


def lay(root: Path, *paths: str, text: str = "FROM scratch\n") -> None:
    write(root, dict.fromkeys(paths, text))


def look(root: Path, env_file: str = ".env", **environment: str) -> Survey:
    return survey.take(root, {"PATH": os.environ["PATH"], **environment}, env_file)


def suggested(root: Path, *names: str) -> dict[str, str]:
    """The suggestions; those of the image's name only if they are asked for."""
    every = {item.name: item.value for item in look(root).suggestions}
    return {name: value for name, value in every.items() if name in names or not name.startswith("IMAGE_")}


def git(root: Path, *arguments: str) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *own, "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("paths", "settings", "services"),
    [
        (["src/a/Dockerfile"], {}, ["a"]),
        (["Dockerfile"], {}, ["my-shop"]),
        (["services/a/Dockerfile"], {"SERVICES_DIR": "services"}, ["a"]),
        (["src/a/Dockerfile", "tools/b/Dockerfile"], {"SERVICES_DIR": "src,tools"}, ["a", "b"]),
        (["a/Dockerfile", "b/Dockerfile", "Dockerfile"], {"SERVICES_DIR": "."}, ["a", "b", "my-shop"]),
        ([f"apps/{name}/{name}/Dockerfile" for name in "abc"], {"SERVICES_DIR": "apps/*"}, ["a", "b", "c"]),
        (["src/a/Dockerfile", "third_party/x/y/Dockerfile", "tests/e2e/Dockerfile"], {}, ["a"]),
        (["src/a/Dockerfile", ".devcontainer/Dockerfile", "a b/c/Dockerfile"], {}, ["a"]),
        (["src/a/Dockerfile", "src/a/Dockerfile.gpu", "src/b/Dockerfile.gpu"], {}, ["a"]),
        (["src/a/Dockerfile.tpl", "src/a/Dockerfile.md"], {}, []),
        ([], {}, []),
        (
            ["docker/api.Dockerfile", "docker/web.Dockerfile"],
            {"DOCKERFILES": "Dockerfile,api.Dockerfile,web.Dockerfile", "SERVICES_DIR": "."},
            ["docker-api", "docker-web"],
        ),
        (
            [f"src/{name}/Dockerfile.{name}" for name in "abc"],
            {"DOCKERFILES": "Dockerfile,Dockerfile.*"},
            ["a-a", "b-b", "c-c"],
        ),
        (
            [f"{name}.Dockerfile" for name in "abc"],
            {"DOCKERFILES": "Dockerfile,*.Dockerfile"},
            ["a", "b", "c"],
        ),
        (
            ["src/a/Dockerfile", "src/b/Containerfile", "src/b/Containerfile.gpu"],
            {"DOCKERFILES": "Dockerfile,Containerfile"},
            ["a", "b"],
        ),
    ],
)
def test_directories_and_file_names(
    root: Path, paths: list[str], settings: dict[str, str], services: list[str]
) -> None:
    lay(root, *paths)
    assert suggested(root) == settings
    assert list(look(root).repository.services) == services


def test_a_dockerfile_that_a_compose_file_names_needs_no_setting(root: Path) -> None:
    lay(root, "back/Dockerfile", "back/Dockerfile.gpu", "apps/web/Dockerfile")
    (root / "compose.yaml").write_text(
        "services: {back: {build: back}, web: {build: {context: ., dockerfile: apps/web/Dockerfile}}}\n"
    )
    assert suggested(root) == {}
    assert list(look(root).repository.services) == ["back", "web"]


@pytest.mark.parametrize(
    ("paths", "value"),
    [
        (["compose.yaml", "docker-compose.prod.yml"], None),
        (["docker-compose.prod.yml"], "docker-compose.prod.yml"),
        (["deploy/docker-compose.yml", "deploy/compose.override.yaml"], "deploy/docker-compose.yml"),
        (["compose.prod.yaml", "deploy/compose.yaml"], "compose.prod.yaml"),
        (["a/compose.yaml", "b/compose.yaml"], None),
        (["third_party/a/compose.yaml", "docker-compose.test.yml"], None),
        (["docker-compose.yml.tpl", "docker-compose.prod.yml"], None),
        (["my deploy/compose.yaml"], None),
    ],
)
def test_the_compose_file_is_suggested_if_it_is_certain(root: Path, paths: list[str], value: str | None) -> None:
    lay(root, *paths, text="services: {cache: {image: redis}}\n")
    assert suggested(root).get("COMPOSE_FILE") == value
    read = [value] if value else [path for path in paths if path == "compose.yaml"]
    assert list(map(str, look(root).compose_files)) == read
    assert {str(path) for path in look(root).other_compose_files} == {
        path for path in paths if path not in read and not path.endswith(".tpl")
    }


@pytest.mark.parametrize(
    ("files", "prefix"),
    [
        ({}, "my-shop-"),
        ({"src/web/Dockerfile": "FROM shop-base:v1\n"}, "shop-"),
        ({"src/web/Dockerfile": "FROM scratch\nCOPY --from=shop_base / /\n"}, "shop_"),
        ({"src/base/Dockerfile": "FROM gitea-base\n"}, "my-shop-"),  # somebody else's: it is not built from itself
        ({"src/web/Dockerfile": "FROM bitnami/base\n"}, "my-shop-"),
        ({"src/web/Dockerfile": "FROM database\n"}, "my-shop-"),
        (
            {
                "src/web/Dockerfile": "FROM reg.example:5000/team/base\n",
                "compose.yaml": "services: {web: {image: 'reg.example:5000/team/web:1'}}\n",
            },
            "reg.example:5000/team/",
        ),
        ({"docker-compose.yml.tpl": "  image: ${REG}shop-web:{{TAG}}\n  image: {{OTHER}}:{{TAG}}\n"}, "shop-"),
        ({"compose.yaml": "services: {x: {image: a-web}, y: {image: b-web}, z: {image: b-base}}\n"}, "b-"),
    ],
)
def test_the_prefix_is_that_of_images_which_the_files_name(root: Path, files: dict[str, str], prefix: str) -> None:
    lay(root, "src/web/Dockerfile", "src/base/Dockerfile")
    write(root, files)
    assert suggested(root, "IMAGE_PREFIX") == {"IMAGE_PREFIX": prefix}


def test_services_of_the_repository_s_name_need_no_prefix(root: Path) -> None:
    lay(root, "Dockerfile", "src/my-shop-web/Dockerfile")
    assert suggested(root, "IMAGE_PREFIX") == {"IMAGE_PREFIX": ""}
    assert [str(service.image) for service in look(root).repository.services.values()] == [
        "my-shop:dev",
        "my-shop-web:dev",
    ]
    lay(root, "src/my-shopping/Dockerfile")
    assert suggested(root, "IMAGE_PREFIX") == {"IMAGE_PREFIX": "my-shop-"}


@pytest.mark.parametrize(
    "url", ["https://git.example/team/shop.git", "git@git.example:team/shop", "/srv/git/shop.git/"]
)
def test_otherwise_it_is_the_name_of_the_repository_at_its_origin(root: Path, url: str) -> None:
    git(root, "init", "--quiet")
    git(root, "remote", "add", "origin", url)
    assert suggested(root, "IMAGE_PREFIX") == {"IMAGE_PREFIX": "shop-"}


def test_the_tag_is_git_s_and_a_release_is_not_overwritten(root: Path) -> None:
    assert suggested(root, "IMAGE_TAG") == {"IMAGE_TAG": "dev"}
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "--message=one")
    assert suggested(root, "IMAGE_TAG") == {"IMAGE_TAG": "dev"}
    git(root, "tag", "v1.2-rc")
    assert suggested(root, "IMAGE_TAG") == {"IMAGE_TAG": "v1.2-rc"}
    git(root, "commit", "--quiet", "--allow-empty", "--message=two")
    assert suggested(root, "IMAGE_TAG") == {"IMAGE_TAG": "v1.2-rc-dev"}
    [tag] = [item for item in look(root).suggestions if item.name == "IMAGE_TAG"]
    assert tag.why == "1 commit after the git tag v1.2-rc"
    git(root, "tag", "team/v2")
    assert suggested(root, "IMAGE_TAG") == {"IMAGE_TAG": "dev"}, "this tag is none of an image"


@pytest.mark.parametrize("env_file", [".env", ".env.example"])
def test_what_the_file_says_is_taken_and_not_suggested(root: Path, env_file: str) -> None:
    lay(root, "services/web/Dockerfile", "deploy/api/Dockerfile", text="ARG IMAGE_TAG\nFROM a:${IMAGE_TAG}\n")
    (root / env_file).write_text("SERVICES_DIR=services\nIMAGE_TAG=v3\nBASE=redis\n")
    (root / "compose.yaml").write_text("services: {cache: {image: '${BASE}:7'}}\n")
    found = look(root, env_file, SERVICES_DIR="deploy", IMAGE_TAG="v4", PROJECT_ROOT="/nowhere")
    assert [item.name for item in found.suggestions] == ["IMAGE_PREFIX"]
    [service] = found.repository.services.values()
    assert (str(service.image), str(service.base_images[0])) == ("my-shop-web:v3", "a:v3")
    assert [item.image for item in found.repository.run_images] == ["redis:7"]
    assert list(map(str, found.other_dockerfiles)) == ["deploy/api/Dockerfile"]


def test_a_wrong_value_is_told_with_its_file(root: Path) -> None:
    lay(root, "src/web/Dockerfile")
    (root / ".env.example").write_text("IMAGE_TAG=\n")
    with pytest.raises(BuildError, match=r"IMAGE_TAG in \.env\.example is ''"):
        look(root, ".env.example")


def test_what_is_not_taken_is_listed(root: Path) -> None:
    lay(root, "src/a/Dockerfile", "src/a/Dockerfile.tpl", "src/a/web.Dockerfile.orig", "src/a/Dockerfile~")
    lay(root, "vendor/b/c/Dockerfile", "Dockerfile.backup", "docker-compose.yml.example", "docs/DOCKERFILE_NOTES.md")
    (root / "Dockerfile").write_text("nothing\n")
    git(root, "init", "--quiet")
    found = look(root)
    assert list(map(str, found.other_dockerfiles)) == ["vendor/b/c/Dockerfile"]
    assert list(map(str, found.dockerfile_templates)) == [
        "Dockerfile.backup",
        "src/a/Dockerfile.tpl",
        "src/a/Dockerfile~",
        "src/a/web.Dockerfile.orig",
    ]
    assert list(map(str, found.compose_templates)) == ["docker-compose.yml.example"]
    assert [problem.path.name for problem in found.repository.problems] == ["Dockerfile"]


def test_the_top_is_suggested_as_context_if_the_dockerfiles_copy_from_there(root: Path) -> None:
    lay(root, "src/a/Dockerfile", text="FROM scratch\nCOPY src/a/main lib /\n")
    lay(root, "src/b/Dockerfile", text="FROM scratch\nCOPY main /\n")
    lay(root, "src/a/main", "src/b/main", "lib/x")
    assert suggested(root) == {}  # one of each
    lay(root, "src/c/Dockerfile", text="FROM scratch\nCOPY lib /\n")
    assert suggested(root) == {"SERVICES_CONTEXT": "."}
