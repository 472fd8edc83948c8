"""Which files `docker compose` finds, and the variables it gives them; `test_docker_compose` compares more of them."""

from pathlib import Path

import pytest

from build_lib.compose.project import Compose, read
from tests.support.projects import write


def reads(root: Path, files: dict[str, str], **variables: str) -> Compose:
    write(root, files)
    return read(root, variables)


def named(root: Path, names: list[str], **variables: str) -> list[str]:
    """The files that are read, of files that each say which image the service runs."""
    found = reads(root, {name: f"services: {{a: {{image: '{name}'}}}}" for name in names}, **variables)
    assert found.problems == ()
    assert [entry.image for entry in found.images] == [path.name for path in found.files[-1:]]
    return [path.relative_to(root).as_posix() for path in found.files]


@pytest.mark.parametrize(
    ("names", "read_of_them"),
    [
        (["docker-compose.yaml", "docker-compose.yml", "compose.yml", "compose.yaml"], ["compose.yaml"]),
        (["docker-compose.yaml", "docker-compose.yml"], ["docker-compose.yml"]),
        (["compose.yml", "compose.override.yaml"], ["compose.yml", "compose.override.yaml"]),
        (["compose.yaml", "docker-compose.override.yml"], ["compose.yaml", "docker-compose.override.yml"]),
        (["compose.yaml", "compose.override.yaml", "compose.override.yml"], ["compose.yaml", "compose.override.yml"]),
        (["compose.override.yaml"], []),
        (["other.yaml"], []),
    ],
)
def test_files_are_found_by_their_usual_names(tmp_path: Path, names: list[str], read_of_them: list[str]) -> None:
    assert named(tmp_path, names) == read_of_them


@pytest.mark.parametrize("variables", [{}, {"COMPOSE_PATH_SEPARATOR": ","}])
def test_named_files_are_read_and_no_others(tmp_path: Path, variables: dict[str, str]) -> None:
    separator = variables.get("COMPOSE_PATH_SEPARATOR", ":")
    files = ["compose.yaml", "compose.override.yaml", "b.yaml", "a.yaml"]
    assert named(tmp_path, files, COMPOSE_FILE=f"b.yaml{separator}a.yaml", **variables) == ["b.yaml", "a.yaml"]


def test_an_env_file_names_files_and_profiles_and_the_environment_beats_it(tmp_path: Path) -> None:
    files = {
        ".env": "COMPOSE_FILE=deploy/c.yaml\nCOMPOSE_PROFILES=p\nA=top\n",
        "deploy/.env": "A=deploy\nB=deploy\nCOMPOSE_PROJECT_NAME=site\nCOMPOSE_PROFILES=q\n",
        "deploy/c.yaml": "services: {a: {image: '$A-$B', profiles: [p]}, b: {build: b, profiles: [q]}}",
        "c.yaml": "services: {a: {image: '$A$B'}}",
    }
    found = reads(tmp_path, files)
    assert [(entry.image, entry.active) for entry in found.images] == [("top-deploy", True)]
    assert [(entry.context, entry.active) for entry in found.builds] == [(tmp_path / "deploy/b", False)]
    assert (found.name, found.builds[0].default_image) == ("site", "site-b")
    found = reads(tmp_path, files, COMPOSE_FILE="c.yaml", A="given")
    assert [entry.image for entry in found.images] == ["given"]


def test_other_env_files_can_be_named(tmp_path: Path) -> None:
    files = {
        ".env": "A=no\n",
        "1.env": "A=1\nB=1\n",
        "2.env": "B=2$A\n",
        "compose.yaml": "services: {a: {image: $A-$B}}",
    }
    found = reads(tmp_path, files, COMPOSE_ENV_FILES="1.env,2.env")
    assert [entry.image for entry in found.images] == ["1-21"]
    [problem] = reads(tmp_path, files, COMPOSE_ENV_FILES="gone.env,1.env").problems
    assert (problem.path, problem.line, problem.reason) == (tmp_path / "gone.env", 0, "there is no such file")


def test_the_directory_is_a_variable_wherever_the_command_is_called(tmp_path: Path) -> None:
    [entry] = reads(tmp_path, {"compose.yaml": "services: {a: {build: $PWD/a}}"}, PWD="/elsewhere").builds
    assert entry.context == tmp_path / "a"
