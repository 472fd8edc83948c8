"""The packages in an image, and whether they, their index and its signature are as expected."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings

KEY_DIGEST = ".signing-key"  # the digest of the key that the repository is signed with
_CHUNK = 1 << 20
_STANZA = re.compile(r"^Filename: (?:\./)?(\S+)$.*?^SHA256: ([0-9a-f]{64})$", re.MULTILINE | re.DOTALL)

Packages = Mapping[str, str]  # file name -> sha256 in hex


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What is in an image: its packages, the packages that its apt index lists, and the digest of its signing key."""

    packages: Packages
    indexed: Packages
    key_digest: str
    odd: tuple[str, ...] = ()  # names of packages that are no regular files


def read(engine: Engine, image: Reference | str, directory: str, owner: str) -> Published:
    """Read the packages in a directory of the image, without its subdirectories; none if it has no such directory.

    Raises:
        EngineError: there is no such image.
    """
    packages: dict[str, str] = {}
    odd: list[str] = []
    texts = {"Packages": "", KEY_DIGEST: ""}
    with engine.containers.temporary(str(image), owner=owner) as container:
        for member, content in container.files(directory) if container.entry(directory) else ():
            name = member.name.partition("/")[2]
            if content is None or "/" in name:
                odd += [name] if name.endswith(".deb") and "/" not in name else []
                continue
            if name.endswith(".deb"):
                packages[name] = _sha256(content)
            elif name in texts:
                texts[name] = content.read().decode(errors="replace")
    indexed = {name: digest for name, digest in _STANZA.findall(texts["Packages"]) if "/" not in name}
    return Published(
        packages=dict(sorted(packages.items())), indexed=indexed, key_digest=texts[KEY_DIGEST], odd=tuple(odd)
    )


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def difference(wanted: Packages, held: Published, settings: Settings) -> str:
    """How `held` differs from `wanted`, its index from its packages, or its signature from the settings; "" if none."""
    missing = [name for name in wanted if name not in held.packages]
    other = [name for name in wanted if name in held.packages and held.packages[name] != wanted[name]]
    if missing:
        return f"it is missing {', '.join(missing)}"
    if other:
        return f"its {', '.join(other)} {'differs' if len(other) == 1 else 'differ'} from slurm-build's"
    # apphub's own packages may be too old for the index (APPHUB_KEEP_VERSIONS)
    wrong = dict(held.indexed.items() - held.packages.items()) | dict(wanted.items() - held.indexed.items())
    if wrong:
        return f"its apt index does not match its packages: {', '.join(sorted(wrong))}"
    if held.key_digest != settings.apt_signing_key_digest:
        signed = "it is signed, but APT_SIGNING_KEY is not set"
        return "it is not signed with the key of APT_SIGNING_KEY" if settings.apt_signing_key else signed
    return ""
