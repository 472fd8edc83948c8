"""apphub compared with a stock nginx of the same version and files, and copying compared with `docker cp` and commit.

First build-all in both modes, after a change in Slurm's packages, in apphub, and in nothing, and the sizes of the
images. Then 60 packages of 100 MB in all are copied into a hub, by copy-slurm and by `docker cp`, `docker commit` and
apt-ftparchive, in turn. Then wrk requests the index and a package from both servers in turn, several times: the medians
of requests per second and of latencies, and their ratio. Needs root and apt, for wrk and apt-ftparchive.
"""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench._transfers import run
from build_lib.engine import Engine
from build_lib.machine import daemon
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import ROOT, inv_command
from tests.support.engines import install, remove_images
from tests.support.hubs import deb, docker, running

_PREFIX = "blb-apphub-"
_SECONDS = 5
_ROUNDS = 5
_WRK = ("--threads=1", "--connections=32", "--latency", f"--duration={_SECONDS}s")
_STOCK = """\
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends nginx
RUN ln -sf /dev/stdout /var/log/nginx/access.log
RUN sed -i 's/listen 80 /listen 8080 /; /\\[::\\]/d; s#root .*#root /site;#' /etc/nginx/sites-available/default
COPY --from={hub} /usr/share/nginx/html /site
CMD ["nginx", "-g", "daemon off;"]
"""
# adds a package, so that slurm-build's packages change
_PACKAGE = """
mkdir -p /tmp/p/DEBIAN
printf 'Package: p\\nVersion: 0{version}\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' >/tmp/p/DEBIAN/control
dpkg-deb --build /tmp/p "$2/p_0{version}_all.deb"
"""

_PACKAGES, _PACKAGE_BYTES = 60, 1_700_000
# without reading back what was written, and without former versions and signatures
_BY_HAND = """
rm -rf "$WORK" && mkdir "$WORK"
source=$(docker create "$SOURCE" -) && docker cp "$source:/out/." "$WORK" && docker rm "$source"
cd "$WORK" && apt-ftparchive packages . >Packages && gzip -k Packages && xz -k Packages
apt-ftparchive release . >../Release && mv ../Release .
hub=$(docker create "$HUB" -) && docker cp "$WORK/." "$hub:/usr/share/nginx/html/pkgs/slurm-deb"
docker commit "$hub" "$HUB-by-hand" && docker rm "$hub"
docker rmi "$HUB-by-hand"
"""


def _build(project: Path, mode: str) -> float:
    began = time.perf_counter()
    environment = {"PROJECT_ROOT": str(project), "IMAGE_PREFIX": _PREFIX, "SLURM_FROM": "distro", "APPHUB_MODE": mode}
    run(*inv_command("build-all", "-t", mode), **environment)
    return time.perf_counter() - began


def _modes(project: Path, engine: Engine) -> None:
    print("build-all, seconds after a change in")
    slurm, apphub = project / "src/slurm-build/collect-packages", project / "src/apphub/nginx.conf"
    for mode in ("copy", "unified"):
        _build(project, mode)
        slurm.write_text(slurm.read_text() + _PACKAGE.format(version=mode))
        seconds = {"Slurm": _build(project, mode)}
        apphub.write_text(apphub.read_text() + f"# {mode}\n")
        seconds |= {"apphub": _build(project, mode), "nothing": _build(project, mode)}
        size = engine.images.by_name()[Reference.parse(f"{_PREFIX}apphub:{mode}").canonical].size / 1e6
        times = "".join(f"  {what} {took:5.2f}" for what, took in seconds.items())
        print(f"  {mode:8}{times}  image {size:.0f} MB")


def _packages(directory: Path) -> None:
    """Packages of the size of a Slurm release's, whose content does not compress."""
    for number in range(_PACKAGES):
        made = deb(directory / f"made-{number}", f"package{number}", "1", content=os.urandom(_PACKAGE_BYTES))
        made.rename(directory / made.name)


def _copies(root: Path, engine: Engine) -> None:
    """Copying into a hub, by us and by the commands of the plan's script."""
    source, hub = root / "pair/src/slurm-build", root / "pair/src/apphub"
    source.mkdir(parents=True)
    hub.mkdir()
    _packages(source)
    (source / "Dockerfile").write_text("FROM scratch\nCOPY *.deb /out/\n")
    (source / ".dockerignore").write_text("made-*\n")
    (hub / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /usr/share/nginx/html/pkgs/slurm-deb/\n")
    environment = {"PROJECT_ROOT": str(root / "pair"), "IMAGE_PREFIX": _PREFIX}
    run(*inv_command("build", "-t", "pair"), **environment)
    names = {name: f"{_PREFIX}{name}:pair" for name in ("slurm-build", "apphub")}
    took: dict[str, list[float]] = {"copy-slurm": [], "docker cp and commit": []}
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        run(*inv_command("copy-slurm", "-t", "pair"), **environment)
        took["copy-slurm"].append(time.perf_counter() - began)
        for suffix in ("", "-with-slurm"):
            engine.images.remove(Reference.parse(f"{names['apphub']}{suffix}"))
        engine.images.tag(f"{names['apphub']}-without-slurm", Reference.parse(names["apphub"]))
        began = time.perf_counter()
        run(
            "sh",
            "-euc",
            _BY_HAND,
            **{"SOURCE": names["slurm-build"], "HUB": names["apphub"], "WORK": str(root / "work")},
        )
        took["docker cp and commit"].append(time.perf_counter() - began)
    megabytes = _PACKAGES * _PACKAGE_BYTES / 1e6
    print(f"copying {_PACKAGES} packages, {megabytes:.0f} MB, median of {_ROUNDS}")
    medians = {how: statistics.median(seconds) for how, seconds in took.items()}
    for how, seconds in medians.items():
        print(f"  {how:20} {seconds:.2f} s")
    print(f"  docker cp and commit / copy-slurm: {medians['docker cp and commit'] / medians['copy-slurm']:.2f}")


def _ask(url: str) -> tuple[float, float, float]:
    """Requests per second, and the median and 99th percentile of the latencies, in milliseconds."""
    said = subprocess.run(["wrk", *_WRK, url], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    latencies = re.findall(r"(50|99)% +([\d.]+)(us|ms|s)", said)
    assert rate, said
    factor = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    half, most = (float(number) * factor[unit] for _, number, unit in latencies)
    return float(rate[1]), half, most


def _serving(root: Path) -> None:
    hub = f"{_PREFIX}apphub:unified"
    (root / "Dockerfile").write_text(_STOCK.format(hub=hub))
    run("docker", "build", "--tag", f"{_PREFIX}stock:1", str(root))
    # the stock image cannot start hardened; this does not affect its speed
    with running(hub) as ours, running(f"{_PREFIX}stock:1", hardened=False, ready="/") as stock:
        for server in (ours, stock):
            print(f"  {docker('exec', server.name, 'nginx', '-v').stderr.strip()}")
        listed = ours.get("/pkgs/slurm-deb/")[2]
        [name] = re.findall(r'href="(slurm-client_[^"]*)"', listed)
        for path in ("pkgs/slurm-deb/Packages.xz", f"pkgs/slurm-deb/{name}"):
            found: dict[str, list[tuple[float, float, float]]] = {"apphub": [], "stock nginx": []}
            for _ in range(_ROUNDS):
                found["apphub"].append(_ask(f"{ours.url}/{path}"))
                found["stock nginx"].append(_ask(f"{stock.url}/{path}"))
            medians = {
                who: [statistics.median(column) for column in zip(*rows, strict=True)] for who, rows in found.items()
            }
            print(f"{path.rpartition('/')[2]}, {_ROUNDS} times {_SECONDS} s of 32 connections")
            for who, (rate, half, most) in medians.items():
                print(f"  {who:12} {rate:8.0f} requests/s, latency 50% {half:.2f} ms, 99% {most:.2f} ms")
            print(f"  apphub / stock nginx: {medians['apphub'][0] / medians['stock nginx'][0]:.2f}")


def main() -> None:
    """Measure both comparisons in one run."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        settings = Settings.load(root, environ=dict(os.environ))
        daemon.up(settings)
        install("wrk", "wrk", settings)
        install("apt-ftparchive", "apt-utils", settings)
        with Engine.connect(settings) as engine:
            try:
                shutil.copytree(ROOT / "src", root / "project/src")
                _modes(root / "project", engine)
                _copies(root, engine)
                _serving(root)
            finally:
                remove_images(engine, _PREFIX)
        daemon.down(settings)


if __name__ == "__main__":
    main()
