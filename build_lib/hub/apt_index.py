"""The index of an apt repository in one directory: the flat format of https://wiki.debian.org/DebianRepository/Format.

Clients read while a new index replaces an old one. They fetch Release first, and then the indexes that it lists, by
their hashes. An index that was replaced therefore stays available by its hash for a day. Release lists no
architectures: apt would ignore a repository whose list lacks its own, and with it the packages for all architectures.
"""

import gzip
import hashlib
import lzma
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from debian.deb822 import Deb822

from build_lib.hub.deb import Package
from build_lib.hub.signature import PUBLIC_KEY, Key

OLD = "old/"  # where former versions of packages lie
BY_HASH = "by-hash/SHA256/"
KEPT_SECONDS = 86400  # how long a replaced index can be had by its hash
PACKAGES, RELEASE, IN_RELEASE, DETACHED = "Packages", "Release", "InRelease", "Release.gpg"
_COMPUTED = ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512")


def is_package(name: str) -> bool:
    """Whether a path is that of a package in the directory itself."""
    return name.endswith(".deb") and "/" not in name


def kept(present: Iterable[Package], former: Iterable[Package], versions: int) -> list[Package]:
    """The former packages that stay beside the present ones: older, and among the newest `versions`."""
    of: defaultdict[tuple[str, str], list[Package]] = defaultdict(list)
    for package in present:
        of[package.name, package.architecture].append(package)
    stay: list[Package] = []
    for package in sorted(former, key=lambda each: each.version, reverse=True):
        others = of[package.name, package.architecture]
        newer = {str(other.version) for other in others if other.version > package.version}
        same = any(other.version == package.version for other in others)
        if newer and not same and len(newer) < versions:
            others.append(package)
            stay.append(package)
    return stay


def files(listed: Mapping[str, Package], *, origin: str, label: str, now: int, key: Key | None) -> dict[str, bytes]:
    """The files of the index, by their paths in the repository, in the order in which they may be written.

    `listed` are the packages by their paths; `now` is the time of the Release, in seconds since 1970.
    """
    packages = "\n".join(_paragraph(path, listed[path]) for path in sorted(listed)).encode()
    forms = {
        PACKAGES: packages,
        f"{PACKAGES}.gz": gzip.compress(packages, mtime=0),
        f"{PACKAGES}.xz": lzma.compress(packages),
    }
    made = {f"{BY_HASH}{_sha256(content)}": content for content in forms.values()} | forms
    release = _release(forms, origin=origin, label=label, now=now)
    if key is None:
        return made | {RELEASE: release}
    signed = {
        PUBLIC_KEY: key.public,
        DETACHED: key.detached(release),
        RELEASE: release,
        IN_RELEASE: key.inline(release),
    }
    return made | signed


def indexed(packages: bytes) -> dict[str, str]:
    """What a `Packages` file lists: the SHA-256 of each package, by its path."""
    found = {}
    for paragraph in Deb822.iter_paragraphs(packages, use_apt_pkg=False):
        found[paragraph.get("Filename", "").removeprefix("./")] = paragraph.get("SHA256", "")
    return found


def listed_hashes(release: str) -> frozenset[str]:
    """The SHA-256 of each index that a `Release` file lists."""
    return frozenset(re.findall(r"^ ([0-9a-f]{64}) ", release, re.MULTILINE))


def _paragraph(path: str, package: Package) -> str:
    control = Deb822({name: value for name, value in package.control.items() if name not in _COMPUTED})
    control["Filename"] = f"./{path}"
    control["Size"] = str(package.size)
    control["SHA256"] = package.sha256
    return str(control.dump())


def _release(forms: Mapping[str, bytes], *, origin: str, label: str, now: int) -> bytes:
    date = format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)
    lines = [f"Origin: {origin}", f"Label: {label}", f"Date: {date}", "Acquire-By-Hash: yes", "SHA256:"]
    lines += [f" {_sha256(content)} {len(content)} {name}" for name, content in forms.items()]
    return ("\n".join(lines) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
