"""Slurm's packages from upstream's source: how long each release takes, and what a client gets from the hub.

`SLURM_TARBALLS` names the releases' archives, oldest first, such as those of the tags slurm-25-05-8-1 and
slurm-26-05-3-1 of its repository. For each: build-all, and a clean Debian that installs from the hub what was built.
At last the first release again, which is not newer than the hub's: build-all says so.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from build_lib.engine import Engine
from build_lib.machine import daemon
from build_lib.settings import Settings
from tests.support.commands import ROOT, inv_command
from tests.support.engines import remove_images
from tests.support.hubs import apt_line, in_client, running

_PREFIX = "blb-slurm-"
_CLIENT = """
apt-get -qq update
apt-get -qq install -y --no-install-recommends slurm-smd-client >/dev/null 2>&1
printf 'ClusterName=test\\nSlurmctldHost=localhost\\n' >/etc/slurm/slurm.conf
sinfo --version
"""


def _build(project: Path, tarball: Path) -> str:
    """What build-all says about the packages of this archive."""
    shutil.copy(tarball, project / "src/slurm-build")
    environment = {"PROJECT_ROOT": str(project), "IMAGE_PREFIX": _PREFIX, "SLURM_TARBALL": tarball.name}
    began = time.perf_counter()
    done = subprocess.run(
        inv_command("build-all", "-t", "upstream"),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (project / "src/slurm-build" / tarball.name).unlink()
    [copied] = re.findall(r"^  (\d+ packages copied into apphub and read back.*)$", done.stdout, re.MULTILINE)
    return f"{time.perf_counter() - began:.0f} s, {copied}"


def main() -> None:
    """Build each release, and install it."""
    tarballs = [Path(name).resolve() for name in os.environ.get("SLURM_TARBALLS", "").split()]
    if not tarballs:
        print("nothing to build: SLURM_TARBALLS names no archives of Slurm's source")
        return
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory)
        settings = Settings.load(project, environ=dict(os.environ))
        daemon.up(settings)
        with Engine.connect(settings) as engine:
            try:
                shutil.copytree(ROOT / "src", project / "src")
                for tarball in tarballs:
                    print(f"{tarball.name}: {_build(project, tarball)}")
                    with running(f"{_PREFIX}apphub:upstream") as hub:
                        print(f"  a client has {in_client(apt_line(hub, signed=False) + _CLIENT).strip()}")
                if len(tarballs) > 1:
                    print(f"{tarballs[0].name} again: {_build(project, tarballs[0])}")
            finally:
                remove_images(engine, _PREFIX)
        daemon.down(settings)


if __name__ == "__main__":
    main()
