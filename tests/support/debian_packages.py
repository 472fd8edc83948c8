"""Engines and plugins of the docker CLI from newer Debians, unpacked beside what this machine has."""

import subprocess
from pathlib import Path

import pytest

from build_lib.machine import apt
from build_lib.settings import Settings
from tests.support.shared import one_at_a_time


def docker_plugin(name: str, suite: str, settings: Settings, directory: Path) -> Path:
    """A plugin of the docker CLI from a suite of Debian."""
    return unpacked(name, suite, settings, directory) / "usr/libexec/docker/cli-plugins" / name


def unpacked(name: str, suite: str, settings: Settings, directory: Path) -> Path:
    """The files of a package from a suite of Debian; processes that name the same directory share them."""
    if not apt.available():
        pytest.skip(f"needs root and apt, to download {name}")
    archive = apt.debian_archive(settings)
    if archive is None:
        pytest.skip(f"this machine's apt sources name no Debian archive to take {name} from")
    root = directory / f"{name}-{suite}"
    with one_at_a_time(f"{name}-{suite}"):
        if not (root / "files").is_dir():
            _download(name, f"deb [trusted=yes] {archive.main} {suite} main\n", root)
    return root / "files"


def _download(package: str, source: str, root: Path) -> None:
    (root / "lists/partial").mkdir(parents=True, exist_ok=True)
    (root / "sources.list").write_text(source)
    options = [
        f"Dir::Etc::sourcelist={root}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={root}/lists",
        f"Dir::Cache::pkgcache={root}/pkgcache",
        f"Dir::Cache::srcpkgcache={root}/srcpkgcache",
        "APT::Sandbox::User=root",
        "Acquire::Check-Valid-Until=false",  # a mirror of a testing suite may be weeks old
    ]
    flags = [word for option in options for word in ("-o", option)]
    for command in (["apt-get", *flags, "-qq", "update"], ["apt-get", *flags, "-qq", "download", package]):
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
        if done.returncode:
            pytest.skip(f"{package} cannot be downloaded: {done.stderr.strip()}")
    [file] = root.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(file), str(root / "unpacking")], check=True)
    (root / "unpacking").rename(root / "files")
