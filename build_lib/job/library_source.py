"""Where another repository's `./inv` gets build-lib from: this machine's, or else what pip installs."""

import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from build_lib import git

_NAME = "build-lib"
_SCP = re.compile(r"(?P<host>[^/:]+):(?P<path>[^/].*)")  # git's other form of ssh://host/path


def clone() -> Path | None:
    """Return the directory of the clone whose library this is; None if the library was installed by a package."""
    top = Path(__file__).resolve().parents[2]
    return top if (top / "inv").is_file() else None


def on_this_machine(repository: Path) -> Path | None:
    """Return the clone, if its own environment runs; otherwise the Python that runs, which has the library.

    The result is None if that is the environment that the repository's own `./inv` has made, and keeps up to date.
    """
    own, environment = clone(), Path(sys.prefix).resolve()
    if own is not None and environment == own / ".venv":
        return own
    return None if environment.is_relative_to(repository / ".build") else Path(sys.executable)


def requirement(environ: Mapping[str, str]) -> str:
    """Return what pip installs the same library from, anywhere; "" if that is not known.

    The name alone is only right if the library came from a package index: elsewhere, it may be somebody else's.
    """
    own = clone()
    if own is not None:
        commit = git.pushed_commit(own, environ)
        address = _address(git.origin(own, environ))
        return f"{_NAME} @ git+{address}@{commit}" if commit and address else ""
    try:
        found = distribution(_NAME)
    except PackageNotFoundError:
        return ""
    source = found.read_text("direct_url.json")  # PEP 610; packages from an index have none
    return _of(json.loads(source)) if source else f"{_NAME}=={found.version}"


def _of(source: Mapping[str, Any]) -> str:
    """The requirement for what `direct_url.json` describes."""
    address = _address(source["url"])
    vcs = source.get("vcs_info")
    if not address:
        return ""
    return f"{_NAME} @ {vcs['vcs']}+{address}@{vcs['commit_id']}" if vcs else f"{_NAME} @ {address}"


def _address(url: str) -> str:
    """The URL as other machines can use it, without a password; "" for a path on this one."""
    if scp := _SCP.fullmatch(url):
        return f"ssh://{scp['host']}/{scp['path']}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ssh", "git"):
        return ""
    host = parts.netloc.rpartition("@")[2] if parts.scheme != "ssh" else re.sub(":[^@]*@", "@", parts.netloc)
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
