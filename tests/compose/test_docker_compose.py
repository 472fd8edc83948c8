"""Compose files read here and by `docker compose config`: the same services, images and builds."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from build_lib.compose.project import BuildEntry, ImageEntry, read
from build_lib.settings import Settings
from tests.compose.cases import Case
from tests.compose.cases.composition import EXTENDS, INCLUDES
from tests.compose.cases.merging import LAYOUTS, MERGED
from tests.compose.cases.profiles import PROFILES
from tests.compose.cases.refused import REFUSED
from tests.compose.cases.repositories import REPOSITORIES
from tests.compose.cases.variables import ENV_FILES, FORMS, NAMES
from tests.support.debian_packages import docker_plugin

GROUPS = {
    "layouts": LAYOUTS,
    "merged": MERGED,
    "profiles": PROFILES,
    "forms": FORMS,
    "env files": ENV_FILES,
    "names": NAMES,
    "extends": EXTENDS,
    "includes": INCLUDES,
    "repositories": REPOSITORIES,
}
CASES = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}
SUITES = ("trixie", "forky")  # of Debian: compose 2.26, and a current one


@pytest.fixture(scope="session", params=SUITES)
def docker_compose(
    request: pytest.FixtureRequest, shared_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The program; it needs no engine to read files."""
    settings = Settings.load(tmp_path_factory.mktemp("settings"), environ=dict(os.environ))
    return docker_plugin("docker-compose", request.param, settings, shared_directory)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory with no compose file above it: `docker compose` would take that one for the project's."""
    names = ("compose", "docker-compose")
    for place in (tmp_path, Path("/var/tmp"), Path.home()):
        above = (place, *place.parents)
        if not any((at / f"{name}.{end}").exists() for at in above for name in names for end in ("yaml", "yml")):
            with tempfile.TemporaryDirectory(dir=place) as made:
                yield Path(made)
            return
    pytest.fail(f"{tmp_path}, /var/tmp and {Path.home()} all lie below a compose file: remove it")


@pytest.fixture(scope="session")
def version(docker_compose: Path) -> tuple[int, ...]:
    answer = subprocess.run([docker_compose, "version", "--short"], check=True, capture_output=True, text=True).stdout
    return tuple(map(int, re.findall(r"\d+", answer)))


def config(docker_compose: Path, directory: Path, environment: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """What `docker compose config` says of the files in a directory, or why it refuses them."""
    done = subprocess.run(
        [docker_compose, "config", "--format", "json"],
        cwd=directory,
        env={"HOME": str(directory), "DOCKER_HOST": "unix:///nowhere", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {}, done.stderr
    return json.loads(done.stdout.replace("$$", "$")), ""  # doubled, so that the answer is a compose file again


def their_service(service: Mapping[str, Any]) -> dict[str, Any]:
    build = service.get("build")
    platform = [service["platform"]] if "platform" in service else []
    said = {"image": service.get("image"), "profiles": service.get("profiles") or [], "platforms": platform}
    if build is None:
        return said
    dockerfile = build.get("dockerfile")
    if dockerfile and "://" not in build["context"]:
        dockerfile = os.path.normpath(Path(build["context"]) / dockerfile)
    return {
        **said,
        "context": build["context"],
        "dockerfile": dockerfile,
        "dockerfile_inline": build.get("dockerfile_inline"),
        "target": build.get("target"),
        "args": build.get("args") or {},
        "additional_contexts": build.get("additional_contexts") or {},
        "platforms": build.get("platforms") or platform,
    }


def our_service(entry: BuildEntry | ImageEntry) -> dict[str, Any]:
    said = {"image": entry.image, "profiles": list(entry.profiles)}
    if isinstance(entry, ImageEntry):
        return {**said, "platforms": [entry.platform] if entry.platform else []}
    return {
        **said,
        "context": str(entry.context),
        "dockerfile": str(entry.dockerfile) if entry.dockerfile else None,
        "dockerfile_inline": entry.dockerfile_inline,
        "target": entry.target,
        "args": dict(entry.args),
        "additional_contexts": dict(entry.additional_contexts),
        "platforms": list(entry.platforms),
    }


def written(case: Case, root: Path) -> Path:
    for name, text in case.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, newline="")
    return root


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_files_mean_what_they_mean_to_docker_compose(
    case: Case, docker_compose: Path, version: tuple[int, ...], directory: Path
) -> None:
    if version < case.since:
        pytest.skip(f"compose does so since {'.'.join(map(str, case.since))}")
    root = written(case, directory / "Project_1")
    theirs, problem = config(docker_compose, root, case.environment)
    assert problem == ""
    ours = read(root, {"HOME": str(root), **case.environment})
    assert ours.problems == ()
    assert ours.name == theirs["name"]
    entries: tuple[BuildEntry | ImageEntry, ...] = (*ours.builds, *ours.images)
    assert {entry.name: our_service(entry) for entry in entries if entry.active} == {
        name: their_service(service) for name, service in theirs["services"].items()
    }


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_docker_compose_refuses_is_a_problem(case: Case, docker_compose: Path, directory: Path) -> None:
    root = written(case, directory)
    _, problem = config(docker_compose, root, case.environment)
    assert problem
    ours = read(root, case.environment)
    assert ours.problems or not ours.files
