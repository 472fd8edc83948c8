"""Packages as dpkg-deb makes them, read whole, and the index of them, beside what Debian's own tools make."""

import gzip
import lzma
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from debian.deb822 import Deb822

from build_lib.errors import PackagesError
from build_lib.hub import apt_index, deb
from build_lib.hub.signature import Key
from build_lib.settings import Settings
from tests.support.engines import install
from tests.support.hubs import deb as made_deb


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.load(tmp_path_factory.mktemp("local"), environ=dict(os.environ))


def _package(directory: Path, name: str, version: str, architecture: str = "all") -> deb.Package:
    path = made_deb(directory / f"{name}-{version}-{architecture}", name, version, architecture)
    return deb.read(path, path.name)


COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (".gz", gzip.compress),
    "xz": (".xz", lzma.compress),
    "zstd": (".zst", lambda content: subprocess.run(["zstd"], input=content, check=True, capture_output=True).stdout),
    "none": ("", lambda content: content),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_package_is_read_however_it_is_compressed(compression: str, tmp_path: Path, local: Settings) -> None:
    install("zstd", "zstd", local)
    path = _repacked(made_deb(tmp_path / "d", "tool", "1:2.0~rc1-3"), compression)
    found = deb.read(path, path.name)
    assert (found.name, str(found.version), found.architecture) == ("tool", "1:2.0~rc1-3", "all")
    assert found.size == path.stat().st_size
    shown = subprocess.run(["sha256sum", str(path)], check=True, capture_output=True, text=True).stdout
    assert shown.startswith(found.sha256)
    assert found.control["Description"] == "<b>tool</b> & more"


def _repacked(path: Path, compression: str) -> Path:
    """The same package with members of another compression: Debian's own dpkg-deb does not write them all."""
    tree = path.parent / "members"
    tree.mkdir()
    install("ar", "binutils", Settings.load(tree, environ=dict(os.environ)))
    subprocess.run(["ar", "x", str(path)], cwd=tree, check=True)
    end, compressed = COMPRESSIONS[compression]
    for part in ("control.tar", "data.tar"):
        (tree / f"{part}{end}").write_bytes(compressed(lzma.decompress((tree / f"{part}.xz").read_bytes())))
    new = path.with_name(f"{compression}.deb")
    members = ["debian-binary", *(f"{part}{end}" for part in ("control.tar", "data.tar"))]
    subprocess.run(["ar", "qS", str(new), *members], cwd=tree, check=True, capture_output=True)
    return new


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _content: b"",
    "no package": lambda _content: b"no package at all" * 9,
    "cut off": lambda content: content[:-3],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "changed inside": lambda content: content[: len(content) // 2] + bytes(40) + content[len(content) // 2 + 40 :],
    "another archive": lambda _content: b"!<arch>\nx/              0           0     0     644     2         `\nab",
}


@pytest.mark.parametrize(
    ("damage", "compression"),
    # an uncompressed member has no checksum
    [(damage, kind) for damage in DAMAGE for kind in ("xz", "none") if (damage, kind) != ("changed inside", "none")],
)
def test_a_damaged_package_is_refused_by_name(damage: str, compression: str, tmp_path: Path) -> None:
    path = _repacked(made_deb(tmp_path / "d", "tool", "1"), compression)
    content = path.read_bytes()
    path.write_bytes(DAMAGE[damage](content))
    with pytest.raises(PackagesError, match=r"^bad\.deb is damaged: ."):
        deb.read(path, "bad.deb")


def test_packages_lists_what_apt_ftparchive_lists(tmp_path: Path, local: Settings) -> None:
    program = install("apt-ftparchive", "apt-utils", local)
    pool = tmp_path / "pool"
    pool.mkdir()
    packages: dict[str, deb.Package] = {}
    for name, version, architecture in (("a", "1", "all"), ("b", "2:1~x", "amd64"), ("c+d", "3", "arm64")):
        path = made_deb(tmp_path / f"tree{len(packages)}", name, version, architecture)
        path = path.rename(pool / path.name)
        packages[path.name] = deb.read(path, path.name)
    made = apt_index.files(packages, origin="o", label="l", now=0, key=None)["Packages"]
    listed = subprocess.run([program, "packages", "."], cwd=pool, check=True, capture_output=True).stdout
    ours, theirs = ([dict(each) for each in Deb822.iter_paragraphs(text, use_apt_pkg=False)] for text in (made, listed))
    for each in theirs:
        for weak in ("MD5sum", "SHA1", "SHA512"):
            each.pop(weak, None)
    assert ours == theirs


def test_release_lists_each_form_and_each_is_there_by_its_hash(tmp_path: Path) -> None:
    files = apt_index.files({"t.deb": _package(tmp_path, "t", "1")}, origin="hub", label="debs", now=86400, key=None)
    release = Deb822(files["Release"])
    assert (release["Origin"], release["Label"], release["Acquire-By-Hash"]) == ("hub", "debs", "yes")
    assert release["Date"] == "Fri, 02 Jan 1970 00:00:00 GMT"
    assert "Architectures" not in release
    for line in release["SHA256"].split("\n")[1:]:
        digest, size, name = line.split()
        assert len(files[name]) == int(size)
        assert files[f"by-hash/SHA256/{digest}"] == files[name]
    assert gzip.decompress(files["Packages.gz"]) == lzma.decompress(files["Packages.xz"]) == files["Packages"]
    assert list(files)[-1] == "Release"  # what names the others comes after them
    assert len(apt_index.listed_hashes(files["Release"].decode())) == 3


def test_a_control_file_cannot_say_where_it_is_or_what_it_is(tmp_path: Path) -> None:
    package = _package(tmp_path, "t", "1")
    package.control["Filename"], package.control["SHA256"] = "../../etc/passwd", "0" * 64
    files = apt_index.files({"t.deb": package}, origin="o", label="l", now=0, key=None)
    assert apt_index.indexed(files["Packages"]) == {"t.deb": package.sha256}


def test_former_versions_stay_beside_newer_ones_and_no_more_than_asked_for(tmp_path: Path) -> None:
    versions = ["1", "1.1~rc1", "1.1", "1:0.1", "2"]  # the last epoch is the greatest
    of = {version: _package(tmp_path, "t", version) for version in versions}
    other = _package(tmp_path, "gone", "9")
    former = [of["1"], of["1.1~rc1"], of["2"], of["1.1"], other]
    random.Random(4).shuffle(former)
    for keep, stays in ((1, []), (2, ["2"]), (3, ["2", "1.1"]), (9, ["2", "1.1", "1.1~rc1", "1"])):
        stay = apt_index.kept([of["1:0.1"]], former, keep)
        assert [str(each.version) for each in stay] == stays
    assert apt_index.kept([of["1"]], [of["2"]], 3) == []  # withdrawn: a former version is older
    arm = _package(tmp_path, "t", "0.5", "arm64")
    assert apt_index.kept([of["1"]], [arm], 3) == []  # another architecture's


def test_what_is_no_key_is_refused_by_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for content in (
        b"",
        b"no key",
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n",
    ):
        path.write_bytes(content)
        with pytest.raises(PackagesError, match=r"APT_SIGNING_KEY: .*key is not a secret key that can sign") as caught:
            Key(path)
        assert "\n" not in caught.value.message
