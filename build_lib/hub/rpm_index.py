"""The index of a dnf repository in one directory, by createrepo_c.

The format is https://github.com/rpm-software-management/createrepo_c's: `repodata/repomd.xml` names the other files,
whose names begin with their hashes, so that a client in the middle of an update finds those that it was told of.
"""

import importlib.util
import io
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from build_lib.errors import PackagesError
from build_lib.hub import rpm
from build_lib.hub.compression import DAMAGED, OPENERS
from build_lib.hub.signature import PUBLIC_KEY, Key

DATA = "repodata/"
REPOMD = f"{DATA}repomd.xml"
DETACHED = f"{REPOMD}.asc"
_PRIMARY = re.compile(rf"{DATA}[^/]*primary\.xml(\.\w+)?")
_REPO, _COMMON = "{http://linux.duke.edu/metadata/repo}", "{http://linux.duke.edu/metadata/common}"
_LARGEST_XML = 1 << 30  # bytes


def is_package(name: str) -> bool:
    """Whether a path is that of a package in the directory itself."""
    return name.endswith(".rpm") and "/" not in name


def is_index(name: str) -> bool:
    """Whether a path is that of a file that `indexed` needs."""
    return name == REPOMD or _PRIMARY.fullmatch(name) is not None


def files(
    packages: Mapping[str, Path], *, now: int, key: Key | None, environment: Mapping[str, str]
) -> dict[str, bytes]:
    """The files of the index, by their paths in the repository, in the order in which they may be written.

    `packages` are the packages' files by their names in the repository; `now` is the time of the index, in seconds
    since 1970; `environment` is for createrepo_c's process.

    Raises:
        PackagesError: a package is damaged, or createrepo_c is not installed.
    """
    if importlib.util.find_spec("createrepo_c") is None:
        raise PackagesError(
            "there are *.rpm to index, but createrepo_c is not installed",
            hint=f"{sys.executable} -m pip install createrepo_c",
        )
    for name, path in packages.items():
        rpm.require_whole(path, name)
    with tempfile.TemporaryDirectory(prefix="build-lib-rpm-") as scratch:
        for name, path in packages.items():
            Path(scratch, name).symlink_to(path)
        _createrepo(Path(scratch), now, environment)
        made = {f"{DATA}{path.name}": path.read_bytes() for path in sorted(Path(scratch, DATA).iterdir())}
    repomd = made.pop(REPOMD)
    signed = {PUBLIC_KEY: key.public, DETACHED: key.detached(repomd)} if key else {}
    return made | signed | {REPOMD: repomd}


def indexed(texts: Mapping[str, bytes]) -> dict[str, str]:
    """What an index lists: the SHA-256 of each package, by its path; nothing if it is damaged.

    `texts` has the files for which `is_index` is true, by their paths.
    """
    try:
        name = _primary(texts[REPOMD])
        content = OPENERS[posixpath.splitext(name)[1].replace(".xml", "")](io.BytesIO(texts[name])).read(_LARGEST_XML)
        return dict(_listed(ElementTree.fromstring(content)))
    except (KeyError, ElementTree.ParseError, *DAMAGED):
        return {}


def current(repomd: bytes) -> frozenset[str]:
    """The paths of the files that a `repomd.xml` names."""
    return frozenset(re.findall(rf'href="({DATA}[^"]+)"', repomd.decode(errors="replace")))


def _primary(repomd: bytes) -> str:
    data = ElementTree.fromstring(repomd).find(f"{_REPO}data[@type='primary']/{_REPO}location")
    return "" if data is None else data.get("href", "")


def _listed(primary: ElementTree.Element) -> list[tuple[str, str]]:
    found = []
    for package in primary.iter(f"{_COMMON}package"):
        location, checksum = package.find(f"{_COMMON}location"), package.find(f"{_COMMON}checksum")
        if location is not None and checksum is not None and checksum.get("type") == "sha256":
            found.append((location.get("href", "").removeprefix("./"), checksum.text or ""))
    return found


def _createrepo(directory: Path, now: int, environment: Mapping[str, str]) -> None:
    """Run createrepo_c. Its librpm complains about a machine without rpm, unless it finds an rpmrc, such as none."""
    (directory / "rpmrc").touch()
    options = ["--quiet", "--no-database", "--general-compress-type=gz", f"--revision={now}"]
    command = [sys.executable, "-c", "import createrepo_c; createrepo_c.createrepo_c()", *options]
    done = subprocess.run(
        [*command, "--set-timestamp-to-revision", str(directory)],
        env={**environment, "RPM_CONFIGDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PackagesError(f"createrepo_c failed with exit code {done.returncode}: {done.stderr.strip()}")
