"""Another repository with these tasks, from the wheel as it is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, Inv

FILES = {"tasks.py", "invoke.yaml", ".env.example"}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the wheel was installed, without its dependencies: those are here."""
    top = tmp_path_factory.mktemp("wheel")
    source = top / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "tasks.py"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "build_lib", source / "build_lib", symlinks=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(top), str(source)], check=True)
    [wheel] = top.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(top / "site"), str(wheel)], check=True)
    return top / "site"


def call(installed: Path, cwd: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("PROJECT_ROOT", None)
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_from_the_wheel_a_repository_gets_the_tasks_and_works(installed: Path, tmp_path: Path) -> None:
    where = call(installed, tmp_path, "-c", "import build_lib.tasks; print(build_lib.tasks.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed), where.stderr
    done = call(installed, tmp_path, "-m", "build_lib", "init")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert len((tmp_path / "tasks.py").read_text().splitlines()) == 3
    listed = call(installed, tmp_path, "-m", "invoke", "--list").stdout
    assert "build-all" in listed
    assert "lint" not in listed
    (tmp_path / "src/one").mkdir(parents=True)
    (tmp_path / "src/one/Dockerfile").write_text("FROM debian:12\n")
    (tmp_path / ".env").write_text("IMAGE_PREFIX=mine-\nIMAGE_TAG=v7\n")
    (tmp_path / "src/two").mkdir()
    (tmp_path / "src/two/Dockerfile").write_text("FROM mine-one:v7\n")
    services = call(installed, tmp_path / "src", "-m", "invoke", "services").stdout
    assert "mine-two:v7" in services
    assert "one" in services
    deps = call(installed, tmp_path, "-m", "invoke", "deps", "--plain").stdout
    assert deps == "debian:12\n"
    wrong = call(installed, tmp_path, "-m", "invoke", "deps", "-s", "thre")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: "), "failures end as one line there too"
    (tmp_path / ".build").mkdir(exist_ok=True)
    (tmp_path / ".build/last-run.json").touch()
    alone = call(installed, tmp_path, "-m", "invoke", "clean")
    assert alone.stderr.endswith("  next: inv clean --yes\n"), "there is no ./inv there"


def test_init_by_path_and_again(tmp_path: Path, inv: Inv) -> None:
    other = tmp_path / "other"
    other.mkdir()
    dry = inv("--dry", "init", "--path", str(other))
    assert "would be written" in dry.stdout
    assert list(other.iterdir()) == []
    assert inv("init", "--path", str(other)).returncode == 0
    again = inv("init", "--path", str(other))
    assert again.returncode == 0
    assert again.stdout.count("already present") == 3


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_is_there_is_never_overwritten(name: str, tmp_path: Path, inv: Inv) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / name).write_text("mine\n")
    done = inv("init", "--path", str(other))
    assert done.returncode == 1
    assert f"{other / name} already exists with different content; nothing was written" in done.stderr
    assert [path.name for path in other.iterdir()] == [name]
    assert (other / name).read_text() == "mine\n"


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path, inv: Inv) -> None:
    done = inv("init", "--path", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "is not a directory" in done.stderr
