"""The packages in a directory of an image, and whether they, their index and its signature are as expected."""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

from build_lib.hub import apt_index, rpm_index
from build_lib.hub.images import Images
from build_lib.reference import Reference
from build_lib.settings import Settings
from build_lib.units import some

KEY_DIGEST = ".signing-key"  # the digest of the key that the repository is signed with
_CHUNK = 1 << 20
_LARGEST_INDEX = 256 << 20  # bytes

Packages = Mapping[str, str]  # file name -> sha256 in hex


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What is in a directory: its packages, those that its apt and dnf indexes list, and its signing key's digest."""

    packages: Packages = field(default_factory=dict)
    indexed: Packages = field(default_factory=dict)
    key_digest: str = ""
    odd: tuple[str, ...] = ()  # names of packages that are no regular files


def read(images: Images, image: Reference, directory: str, wanted: Callable[[str], bool]) -> Published:
    """Read the wanted files in a directory of the image, without its subdirectories; none if it has no such directory.

    Raises:
        EngineError: there is no such image.
    """
    packages: dict[str, str] = {}
    odd: list[str] = []
    texts: dict[str, bytes] = {}
    with images.opened(image) as opened:
        for member, content in opened.files(directory) if opened.entry(directory) else ():
            name = member.name.partition("/")[2]
            if "/" not in name and wanted(name):
                if content is None:
                    odd.append(name)
                else:
                    packages[name] = _sha256(content)
            elif content is not None and _is_index(name):
                texts[name] = content.read(_LARGEST_INDEX)
    return Published(
        packages=dict(sorted(packages.items())),
        indexed=_indexed(texts),
        key_digest=texts.get(KEY_DIGEST, b"").decode(errors="replace"),
        odd=tuple(odd),
    )


def difference(expected: Packages, held: Published, settings: Settings) -> str:
    """How `held` differs from `expected`, its index from its packages, its signature from the settings; "" if it is so.

    Files that are no packages are in no index.
    """
    missing = sorted(expected.keys() - held.packages.keys())
    other = sorted(name for name in expected.keys() - missing if held.packages[name] != expected[name])
    extra = sorted(held.packages.keys() - expected.keys())
    if missing:
        return f"it is missing {some(missing)}"
    if other:
        return f"its {some(other)} {'differs' if len(other) == 1 else 'differ'}"
    if extra:
        return f"it also has {some(extra)}"
    listed = {name: digest for name, digest in expected.items() if is_listed(name)}
    wrong = dict(held.indexed.items() - held.packages.items()) | dict(listed.items() - held.indexed.items())
    if wrong:
        return f"its index does not match its packages: {', '.join(sorted(wrong))}"
    if listed and held.key_digest != settings.apt_signing_key_digest:
        signed = "it is signed, but APT_SIGNING_KEY is not set"
        return "it is not signed with the key of APT_SIGNING_KEY" if settings.apt_signing_key else signed
    return ""


def is_listed(name: str) -> bool:
    """Whether a file is a package, which an index lists."""
    return apt_index.is_package(name) or rpm_index.is_package(name)


def _is_index(name: str) -> bool:
    return name in (apt_index.PACKAGES, f"{apt_index.PACKAGES}.gz", KEY_DIGEST) or rpm_index.is_index(name)


def _indexed(texts: Mapping[str, bytes]) -> dict[str, str]:
    """The packages in the directory itself that its indexes list; a damaged index lists none."""
    packages = texts.get(apt_index.PACKAGES)
    if packages is None:
        packages = _decompressed(texts.get(f"{apt_index.PACKAGES}.gz", b""))
    found = apt_index.indexed(packages) | rpm_index.indexed(texts)
    return {name: digest for name, digest in found.items() if "/" not in name}


def _decompressed(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError):
        return b""


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
