"""A slurm-build and an apphub as small as can be, for sites that a fleet builds."""

import secrets
import subprocess
from pathlib import Path

from tests.support.fleet_sites import Site
from tests.support.hubs import deb

SERVED = "/usr/share/nginx/html/pkgs/slurm-deb"


def write_packages(site: Site, *made: tuple[str, str]) -> None:
    """What slurm-build makes: packages of these names and versions, and nothing else."""
    directory = site.service("slurm-build", "COPY *.deb /out/")
    for path in directory.glob("*.deb"):
        path.unlink()
    (site.project / "debs").mkdir(exist_ok=True)
    for name, version in made:
        made_now = deb(site.project / "debs" / secrets.token_hex(4), name, version)
        made_now.rename(directory / f"{name}_{version}_all.deb")


def write_hub(site: Site) -> None:
    """The hub, which serves nothing of its own."""
    (site.service("apphub", f"COPY page {SERVED}/") / "page").write_text("a hub\n")


def download(served: dict[str, bytes], name: str, place: Path) -> bytes:
    """A package, as apt gets it from a directory of these files that it trusts."""
    repository = place / "repository"
    repository.mkdir(parents=True)
    for path, content in served.items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_bytes(content)
    (place / "lists/partial").mkdir(parents=True)
    (place / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    options = [
        f"Dir::Etc::sourcelist={place}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={place}/lists",
        f"Dir::Cache::pkgcache={place}/pkgcache",
        f"Dir::Cache::srcpkgcache={place}/srcpkgcache",
        "APT::Sandbox::User=",
        "APT::Update::Error-Mode=any",
    ]
    flags = [word for option in options for word in ("-o", option)]
    got = place / "got"
    got.mkdir()
    for command in (["update"], ["download", name]):
        done = subprocess.run(
            ["apt-get", *flags, "-qq", *command], cwd=got, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    [file] = got.iterdir()
    return file.read_bytes()
