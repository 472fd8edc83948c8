"""Hubs to ask, packages to publish, and clients that know nothing yet."""

import contextlib
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

from build_lib.settings import Settings
from tests.support.engines import DEBIAN, install

_READY_SECONDS = 30


def docker(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@dataclass(frozen=True)
class Hub:
    """A running container of apphub."""

    name: str
    address: str
    port: int = 8080

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        """Status, headers and body, of exactly this path: no client in between that makes it a better one."""
        connection = HTTPConnection(self.address, self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")

    def wait(self, path: str) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with contextlib.suppress(ConnectionError):
                self.get(path)
                return
            assert time.monotonic() < deadline, docker("logs", self.name).stderr
            time.sleep(0.05)


_HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


@contextlib.contextmanager
def running(
    image: str, *options: str, hardened: bool = True, ready: str = "/health", port: int = 8080
) -> Iterator[Hub]:
    """A hub as hardened as can be: a file system that cannot be written, no capabilities, no way to get any."""
    name = docker("run", "--detach", *(_HARDENED if hardened else ()), *options, image).stdout.strip()
    try:
        address = json.loads(docker("inspect", name).stdout)[0]["NetworkSettings"]["IPAddress"]
        hub = Hub(name, address, port)
        hub.wait(ready)
        yield hub
    finally:
        docker("rm", "--force", "--volumes", name)


def in_client(script: str, *options: str, image: str = DEBIAN, check: bool = True) -> str:
    """What a shell says in a new container, which knows no more than its image."""
    done = docker("run", "--rm", *options, image, "sh", "-euc", script, check=check)
    return done.stdout + done.stderr


def deb(directory: Path, name: str, version: str, architecture: str = "all", content: bytes = b"") -> Path:
    """A real package, made by dpkg-deb; its one file has the package's name and version, or this content."""
    directory.mkdir(exist_ok=True)
    tree = directory / f"tree-{name}-{version}-{architecture}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: nobody <x@y.example>\n"
        f"Description: <b>{name}</b> & more\n"
    )
    (tree / "opt").mkdir()
    (tree / "opt" / name).write_bytes(content or f"{name} {version}\n".encode())
    made = directory / f"{name}_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(made)], check=True, capture_output=True)
    return made


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real package, made by rpmbuild."""
    top = tmp_path_factory.mktemp("rpm")
    program = install("rpmbuild", "rpm", Settings.load(top, environ=dict(os.environ)))
    (top / "own.spec").write_text(
        "Name: own-rpm\nVersion: 2\nRelease: 1\nSummary: One < of > our own\nLicense: MIT\nBuildArch: noarch\n"
        "%description\nx\n%install\nmkdir -p %{buildroot}/opt\necho own >%{buildroot}/opt/own-rpm\n"
        "%files\n/opt/own-rpm\n"
    )
    command = [program, "-bb", "--define", f"_topdir {top}", str(top / "own.spec")]
    subprocess.run(command, check=True, capture_output=True)
    [made] = top.rglob("*.rpm")
    return made


def signing_key(directory: Path, machine: Settings) -> Path:
    """A new secret key without a passphrase, in a file."""
    install("gpg", "gpg", machine)
    install("gpg-agent", "gpg-agent", machine)
    home = directory / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    try:
        subprocess.run([*gpg, "--quick-gen-key", "hub <hub@y.example>", "rsa2048", "sign", "never"], check=True)
        key = directory / "key.asc"
        exported = subprocess.run([*gpg, "--armor", "--export-secret-keys"], check=True, capture_output=True)
        key.write_bytes(exported.stdout)
        return key
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def members(image: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Each regular file of an image's file system."""
    made = docker("create", image).stdout.strip()
    try:
        with (
            subprocess.Popen(["docker", "export", made], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as tar,
        ):
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member, content.read()
    finally:
        docker("rm", made)


def apt_line(hub: Hub, *, signed: bool) -> str:
    """Shell lines that make a client know the hub, and prefer it for a version that others have too: it comes first."""
    place = f"{hub.url}/pkgs/slurm-deb"
    key = "/etc/apt/keyrings/apphub.asc"
    get = f"install -d /etc/apt/keyrings\n/usr/lib/apt/apt-helper download-file {place}/apphub.asc {key}\n"
    trust = f"signed-by={key}" if signed else "trusted=yes"
    old = "$(cat /etc/apt/sources.list 2>/dev/null || true)"
    return f'{get if signed else ""}printf "%s\\n" "deb [{trust}] {place} ./" "{old}" >/etc/apt/sources.list\n'
