"""The packages that an image holds, and whether they and their index are what they should be."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings

_KEY_DIGEST = ".signing-key"  # the digest of the key that the repository is signed with
_CHUNK = 1 << 20
_STANZA = re.compile(r"^Filename: (?:\./)?(\S+)$.*?^SHA256: ([0-9a-f]{64})$", re.MULTILINE | re.DOTALL)

Packages = Mapping[str, str]  # file name -> sha256 in hex


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What an image really holds: its packages, what its apt index says that it holds, and whose signature it has."""

    packages: Packages
    indexed: Packages
    key_digest: str


def read(engine: Engine, image: Reference | str, directory: str, owner: str) -> Published:
    """Read back what the image holds in the directory itself, not below it.

    Raises:
        EngineError: there is no such image, or no such directory in it.
    """
    packages: dict[str, str] = {}
    texts = {"Packages": "", _KEY_DIGEST: ""}
    with engine.containers.temporary(str(image), owner=owner) as container:
        for member, content in container.files(directory):
            name = member.name.partition("/")[2]
            if content is None or "/" in name:
                continue
            if name.endswith(".deb"):
                packages[name] = _sha256(content)
            elif name in texts:
                texts[name] = content.read().decode(errors="replace")
    indexed = {name: digest for name, digest in _STANZA.findall(texts["Packages"]) if "/" not in name}
    return Published(packages=dict(sorted(packages.items())), indexed=indexed, key_digest=texts[_KEY_DIGEST])


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def difference(wanted: Packages, held: Published, settings: Settings) -> str:
    """What of `wanted` is not there as it should be, not in the index, or not signed as set; "" if all is well."""
    missing = [name for name in wanted if name not in held.packages]
    other = [name for name in wanted if name in held.packages and held.packages[name] != wanted[name]]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if other:
        return f"its {', '.join(other)} has another content than slurm-build's"
    # packages of its own may be older than APPHUB_KEEP_VERSIONS lets into the index
    wrong = dict(held.indexed.items() - held.packages.items()) | dict(wanted.items() - held.indexed.items())
    if wrong:
        return f"its apt index does not fit its packages: {', '.join(sorted(wrong))}"
    if held.key_digest != settings.apt_signing_key_digest:
        return "it is not signed by the key of APT_SIGNING_KEY" if settings.apt_signing_key else "it is signed"
    return ""
