"""apphub compared with a stock nginx of the same version and files, and mode copy compared with mode unified.

First build-all in both modes, after a change in Slurm's packages, in apphub, and in nothing, and the sizes of the
images. Then wrk requests the index and a package from both servers in turn, several times: the medians of requests per
second and of latencies, and their ratio. Needs root and apt, for wrk.
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
from tests.support.hubs import docker, running

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
        name = next(part for part in re.findall(r'href="(pkgs/slurm-deb/slurm-client_[^"]*)"', ours.get("/")[2]))
        for path in ("pkgs/slurm-deb/Packages.xz", name):
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
        with Engine.connect(settings) as engine:
            try:
                shutil.copytree(ROOT / "src", root / "project/src")
                _modes(root / "project", engine)
                _serving(root)
            finally:
                remove_images(engine, _PREFIX)
        daemon.down(settings)


if __name__ == "__main__":
    main()
