"""Which Debian archive a machine uses, from real sources files."""

import fcntl
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from build_lib.graph import Cancel
from build_lib.machine.apt import Archive, debian_archive, install
from build_lib.reference import Reference
from build_lib.settings import Settings
from build_lib.transfer import bootstrap
from tests.support.commands import ROOT, until
from tests.support.engines import needs_root

DEBIAN = 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian"\n'
OFFICIAL = """Types: deb
# a comment
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://deb.debian.org/debian-security/
Suites: bookworm-security
Components: main
"""


def archive(tmp_path: Path, files: dict[str, str], release: str = DEBIAN, mirror: str = "") -> Archive | None:
    (tmp_path / "os-release").write_text(release)
    config = tmp_path / "apt"
    (config / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        (config / name).write_text(text)
    return debian_archive(Settings.load(tmp_path, environ={"APT_MIRROR": mirror}), config)


def test_the_official_deb822_sources(tmp_path: Path) -> None:
    found = archive(tmp_path, {"sources.list.d/debian.sources": OFFICIAL})
    assert found == Archive(main="http://deb.debian.org/debian", security="http://deb.debian.org/debian-security")


def test_one_line_sources_with_options_and_other_archives_before(tmp_path: Path) -> None:
    text = (
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] https://tools.example/apt stable-tools main\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb [arch=amd64] http://mirror.example/debian/ bookworm main contrib\n"
    )
    assert archive(tmp_path, {"sources.list": text}) == Archive(main="http://mirror.example/debian", security="")


def test_a_disabled_stanza_and_source_packages_are_no_archive(tmp_path: Path) -> None:
    text = OFFICIAL.replace("Types: deb\n#", "Enabled: no\nTypes: deb\n#").replace(
        "Types: deb\nURIs", "Types: deb-src\nURIs"
    )
    assert archive(tmp_path, {"sources.list.d/debian.sources": text}) is None


def test_a_cloud_image_s_list_of_mirrors(tmp_path: Path) -> None:
    (tmp_path / "mirrors").write_text("# first\nhttps://cdn.example/debian priority:1\nhttp://b.example/debian\n")
    text = f"deb mirror+file://{tmp_path}/mirrors bookworm main\n"
    found = archive(tmp_path, {"sources.list": text})
    assert found == Archive(main="https://cdn.example/debian", security="")


def test_an_address_with_a_password_is_not_put_into_an_image(tmp_path: Path) -> None:
    assert archive(tmp_path, {"sources.list": "deb http://me:geheim@mirror.example/debian bookworm main\n"}) is None


def test_another_distribution_has_no_debian_archive_but_a_configured_one(tmp_path: Path) -> None:
    ubuntu = "ID=ubuntu\nVERSION_CODENAME=jammy\n"
    sources = {"sources.list": "deb http://archive.ubuntu.com/ubuntu jammy main\n"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert archive(tmp_path / "a", sources, ubuntu) is None
    assert archive(tmp_path / "b", sources, ubuntu, "http://mirror.example/debian/") == Archive(
        main="http://mirror.example/debian", security="http://mirror.example/debian-security"
    )


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("debian:bookworm-slim", "bookworm"),
        ("docker.io/library/debian:trixie", "trixie"),
        ("debian:12-slim", None),
        ("debian", None),
        ("debian:bookworm-20250520-slim", None),
        ("ubuntu:jammy", None),
        ("harbor.example/debian:bookworm", None),
        ("me/debian:bookworm", None),
        (f"debian:bookworm@sha256:{'0' * 64}", None),
    ],
)
def test_only_plain_debian_images_can_be_made(image: str, found: str | None) -> None:
    assert bootstrap.suite(Reference.parse(image)) == found


def test_another_apt_that_reads_its_lists_is_waited_for(tmp_path: Path) -> None:
    needs_root()
    settings = Settings.load(tmp_path, environ=dict(os.environ))
    log = settings.state_dir / "logs/apt.log"
    with Path("/var/lib/apt/lists/lock").open("a") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        installing = pool.submit(install, ["apt"], settings, Cancel())
        until(lambda: log.is_file() and "Could not get lock" in log.read_text(), "apt met the lock")
        assert not installing.done()
        fcntl.lockf(lock, fcntl.LOCK_UN)
        installing.result()


def test_a_mirror_without_a_scheme(tmp_path: Path) -> None:
    found = archive(tmp_path, {"sources.list.d/debian.sources": OFFICIAL}, mirror="mirrors.aliyun.com")
    expected = ("http://mirrors.aliyun.com/debian", "http://mirrors.aliyun.com/debian-security")
    assert found == Archive(main=expected[0], security=expected[1])


@pytest.mark.parametrize(
    ("mirror", "url"),
    [
        ("mirror.example", "http://mirror.example/debian"),
        ("mirror.example/a/b/", "http://mirror.example/a/b"),
        ("https://mirror.example/debian/", "https://mirror.example/debian"),
    ],
)
def test_the_script_of_the_images_takes_what_the_setting_takes(tmp_path: Path, mirror: str, url: str) -> None:
    (tmp_path / "os-release").write_text(DEBIAN)
    sources = tmp_path / "apt/sources.list.d/debian.sources"
    sources.parent.mkdir(parents=True)
    (tmp_path / "apt/apt.conf.d").mkdir()
    sources.write_text(OFFICIAL)
    subprocess.run(["sh", ROOT / "src/slurm-build/apt-setup", mirror, tmp_path / "apt"], check=True)
    assert re.findall("URIs: (.*)", sources.read_text()) == [url, f"{url}-security"]
