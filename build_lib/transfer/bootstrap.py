"""Plain Debian base images made from an apt archive: the last resort of the source chain."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.machine import apt
from build_lib.process import run, started, tail
from build_lib.reference import Reference
from build_lib.settings import Settings

LABEL = "build-lib.bootstrapped-from"  # on such an image: the archive it was made from
_REPOSITORY = "docker.io/library/debian"
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_TEMPORARY = Path("/var/tmp")  # not /tmp, which is often mounted without devices, where debootstrap refuses
_PREFIX = "build-lib-bootstrap-"
_PROBE_SECONDS = 10
# what the official slim images leave out too
_NOT_IN_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")


def suite(image: Reference) -> str | None:
    """The Debian suite that the image is a plain copy of, or None: only `debian:SUITE[-slim]` can be made."""
    if image.repository != _REPOSITORY or image.digest or not image.tag:
        return None
    found = re.fullmatch(r"([a-z]+)(-slim)?", image.tag)
    return found[1] if found and found[1] != "latest" else None


def make(image: Reference, engine: Engine, settings: Settings, cancel: Cancel) -> str:
    """Make the image with debootstrap; where from, in words.

    Raises:
        BuildError: it cannot be made here, with the reason.
    """
    name = suite(image)
    archive = apt.debian_archive(settings)
    if name is None:
        raise BuildError("only debian:SUITE and debian:SUITE-slim can be made from an apt archive")
    if archive is None:
        raise BuildError("this machine's apt sources name no Debian archive", hint="set APT_MIRROR")
    _check_machine(engine, settings, cancel)
    with _directory() as directory:
        root = directory / "root"
        _debootstrap(name, archive, root, settings, cancel)
        _finish(root, name, archive, slim=str(image.tag).endswith("-slim"))
        _import(root, image, archive, engine, cancel)
    return archive.main


def _check_machine(engine: Engine, settings: Settings, cancel: Cancel) -> None:
    if not apt.available():
        raise BuildError("making it from an apt archive needs root and apt")
    if shutil.which("debootstrap") is None:
        apt.install(["debootstrap"], settings, cancel, wanted=["debian-archive-keyring"])
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    if engine.platform() != f"linux/{architecture.strip()}":
        raise BuildError(f"the engine runs {engine.platform()}, this machine {architecture.strip()}")


def _debootstrap(name: str, archive: apt.Archive, root: Path, settings: Settings, cancel: Cancel) -> None:
    if not (_SCRIPTS / name).exists():
        raise BuildError(f"debootstrap knows no Debian suite {name!r}")
    # an archive behind https is of no use to the image without certificates
    extra = ["--include=ca-certificates"] if archive.main.startswith("https:") else []
    command = ["debootstrap", "--variant=minbase", *extra, name, str(root), archive.main]
    environment = {**settings.environment, "LC_ALL": "C.UTF-8"}
    log = root.with_suffix(".log")
    with log.open("w") as file:
        code = run(command, log=file, cancel=cancel, env=environment)
    if code:
        raise BuildError(f"debootstrap of {name} from {archive.main} failed: {tail(log).splitlines()[-1]}")


def _finish(root: Path, name: str, archive: apt.Archive, *, slim: bool) -> None:
    """Leave in the root what an image needs, as the official images do."""
    (root / "etc/apt/sources.list").write_text(_sources_list(name, archive))
    (root / "etc/apt/apt.conf.d/docker-no-languages").write_text('Acquire::Languages "none";\n')
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\n# no service starts while an image is built\nexit 101\n")
    policy.chmod(0o755)
    for directory in ("var/cache/apt", "var/lib/apt/lists", *(_NOT_IN_SLIM if slim else ())):
        shutil.rmtree(root / directory, ignore_errors=False)
        (root / directory).mkdir()
    for file in ("etc/resolv.conf", "etc/hostname", "var/log/bootstrap.log", "var/log/dpkg.log"):
        (root / file).unlink(missing_ok=True)


def _sources_list(name: str, archive: apt.Archive) -> str:
    lines = [f"deb {archive.main} {name} main"]
    if _has_suite(archive.main, f"{name}-updates"):
        lines.append(f"deb {archive.main} {name}-updates main")
    if archive.security and _has_suite(archive.security, f"{name}-security"):
        lines.append(f"deb {archive.security} {name}-security main")
    return "\n".join(lines) + "\n"


def _has_suite(archive: str, name: str) -> bool:
    try:
        with urllib.request.urlopen(f"{archive}/dists/{name}/Release", timeout=_PROBE_SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, TimeoutError):
        return False


def _import(root: Path, image: Reference, archive: apt.Archive, engine: Engine, cancel: Cancel) -> None:
    changes = ['CMD ["bash"]', f"LABEL {LABEL}={archive.main}"]
    command = ["tar", "--create", "--numeric-owner", "--exclude=./dev/*", "--exclude=./proc/*", "-C", str(root), "."]
    with started(command, cancel, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        engine.streams.import_root(process.stdout, image, changes)
        if process.wait():
            raise BuildError(f"tar could not read the new root of {image}")


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory of this process; those of processes that were killed go first."""
    for left in _TEMPORARY.glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{left.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
            _remove(left)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_TEMPORARY))
    try:
        yield made
    finally:
        _remove(made)


def _remove(directory: Path) -> None:
    """Remove the directory, and first what an interrupted debootstrap left mounted below it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([path for path in mounts if path.startswith(f"{directory}/")]):
        subprocess.run(["umount", "--lazy", mount], check=True)
    shutil.rmtree(directory)
