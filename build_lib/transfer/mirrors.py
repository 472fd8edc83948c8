"""`inv mirrors`: whether the mirrors in the settings answer, and the engine's own mirror settings.

The engine's `registry-mirrors` apply to Docker Hub alone, and fall back to it silently (moby#18818).
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_lib.errors import BuildError, RegistryError, SettingsError
from build_lib.reference import DOCKER_HUB, Mirror, Reference
from build_lib.registry import Registries
from build_lib.settings import Settings

DAEMON_CONFIG = Path("/etc/docker/daemon.json")
_KEY = "registry-mirrors"
_KNOWN = "library/busybox"  # an image that a mirror of Docker Hub has


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What a mirror answered, and how fast: `problem` is "" if it gave a known image."""

    mirror: Mirror
    seconds: float
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The engine's mirrors before and after, and where the file as it was is kept (None if there was none)."""

    path: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
    kept: Path | None

    @property
    def changed(self) -> bool:
        """Whether anything had to be written."""
        return self.before != self.after


def probe(settings: Settings, image: str = "") -> list[Probe]:
    """Ask each mirror for an image by a HEAD: `image`, else one that every mirror of Docker Hub has.

    Raises:
        SettingsError: there are no mirrors.
    """
    if not settings.registry_mirrors:
        raise SettingsError("there are no mirrors", hint="REGISTRY_MIRRORS in .env lists them")
    with Registries(settings) as registries:
        return [_probe(mirror, image, registries) for mirror in settings.registry_mirrors]


def write(settings: Settings, path: Path = DAEMON_CONFIG, *, dry: bool = False) -> Written:
    """Make the mirrors of Docker Hub the engine's; everything else in its file stays, and a copy of it is kept.

    Raises:
        BuildError: the file is broken, may not be written, or dockerd refuses what it would be.
    """
    content = read(path)
    before = tuple(content.get(_KEY) or ())
    after = tuple(_url(mirror, settings) for mirror in settings.registry_mirrors if mirror.of == DOCKER_HUB)
    kept = path.with_name(f"{path.name}.before-build-lib") if path.exists() else None
    written = Written(path=path, before=before, after=after, kept=kept)
    if written.changed and not dry:
        _replace(path, {**content, _KEY: list(after)}, kept)
    return written


def read(path: Path = DAEMON_CONFIG) -> dict[str, Any]:
    """The engine's settings; none if it has no such file.

    Raises:
        BuildError: the file is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BuildError(f"{path} cannot be read: {error}", hint="correct it by hand; it was not changed") from None
    if not isinstance(content, dict):
        raise BuildError(f"{path} is not a JSON object", hint="correct it by hand; it was not changed")
    return content


def _probe(mirror: Mirror, image: str, registries: Registries) -> Probe:
    wanted = Reference.parse(image) if image else Reference(mirror.of, _KNOWN, "latest")
    place = mirror.place(wanted)
    began = time.monotonic()
    problem = f"it mirrors {mirror.of}, and not {wanted.host}"
    if place is not None:
        try:
            problem = "" if registries.resolve(place) else f"it answers, and has no {place}"
        except RegistryError as error:
            problem = error.message
    return Probe(mirror=mirror, seconds=time.monotonic() - began, problem=problem)


def _url(mirror: Mirror, settings: Settings) -> str:
    if mirror.registry.project:
        raise BuildError(
            f"the engine takes no mirror with a path, such as {mirror}",
            hint="prefetch uses it all the same; leave it out of REGISTRY_MIRRORS for --write",
        )
    scheme = "http" if mirror.registry.host in settings.insecure_registries else "https"
    return f"{scheme}://{mirror.registry.host}"


def _replace(path: Path, content: Mapping[str, Any], kept: Path | None) -> None:
    """Beside it, checked by dockerd itself where it can, then renamed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise BuildError(f"{path} cannot be written: {error.strerror}", hint="run it as root") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        _validate(Path(temporary), path)
        mode = path.stat().st_mode & 0o777 if kept else 0o644
        Path(temporary).chmod(mode)
        if kept:
            shutil.copy2(path, kept)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _validate(file: Path, path: Path) -> None:
    """`dockerd --validate` came with version 23; an older one says that it does not know the flag."""
    program = shutil.which("dockerd")
    if program is None:
        return
    command: Sequence[str] = [program, "--validate", f"--config-file={file}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "unknown flag" not in done.stderr:
        reason = " ".join(done.stderr.split())
        raise BuildError(f"dockerd refuses what {path} would be: {reason}", hint="it was left as it is")
