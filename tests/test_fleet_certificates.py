"""The certificates that docs/fleet/certificates.sh makes: who reaches whom with them."""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from build_lib.settings import Settings
from tests.support.commands import ROOT
from tests.support.engines import install

SCRIPT = ROOT / "docs/fleet/certificates.sh"


@pytest.fixture(scope="module", autouse=True)
def openssl(tmp_path_factory: pytest.TempPathFactory) -> None:
    install("openssl", "openssl", Settings.load(tmp_path_factory.mktemp("openssl"), environ=dict(os.environ)))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of a fleet in Kubernetes that is reached on this machine, too."""
    directory = tmp_path_factory.mktemp("certificates") / "fleet"
    made(directory)
    return directory


def made(directory: Path, *names: str) -> None:
    names = names or ("*.buildkitd.build.svc", "127.0.0.1", "::1", "builder-1.example")
    command = [str(SCRIPT), str(directory), *names]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def listening(certificates: Path) -> Iterator[int]:
    """The port of a server that asks for a client's certificate, as a daemon does, and answers each with a word."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server, context))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)  # ends accept
            thread.join()


def answer(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # it was shut down
            return
        with connection:
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.sendall(b"come in")
            except OSError:  # a client that was refused, or one that refused
                continue


def greeting(port: int, directory: Path, client: Path | None, host: str) -> bytes:
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    if client:
        context.load_cert_chain(client / "cert.pem", client / "key.pem")
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        context.wrap_socket(connection, server_hostname=host) as secure,
    ):
        return secure.recv(100)


@pytest.mark.parametrize(
    "host", ["buildkitd-0.buildkitd.build.svc", "buildkitd-11.buildkitd.build.svc", "127.0.0.1", "::1"]
)
def test_a_client_of_the_fleet_reaches_each_builder(certificates: Path, host: str) -> None:
    with listening(certificates / "daemon") as port:
        assert greeting(port, certificates / "client", certificates / "client", host) == b"come in"


def test_a_builder_of_another_name_is_refused(certificates: Path) -> None:
    with listening(certificates / "daemon") as port, pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        greeting(port, certificates / "client", certificates / "client", "buildkitd-0.buildkitd.other.svc")


@pytest.mark.parametrize("client", [None, "daemon"])
def test_who_has_no_clients_certificate_is_refused(certificates: Path, client: str | None) -> None:
    with listening(certificates / "daemon") as port, pytest.raises(OSError, match=r"ALERT|alert|reset"):
        greeting(port, certificates / "client", certificates / client if client else None, "127.0.0.1")


def test_a_client_of_another_fleet_is_refused(certificates: Path, tmp_path: Path) -> None:
    made(tmp_path / "other", "127.0.0.1")
    with listening(certificates / "daemon") as port, pytest.raises(OSError, match=r"ALERT|alert|reset"):
        greeting(port, certificates / "client", tmp_path / "other/client", "127.0.0.1")


def test_certificates_are_renewed_with_the_same_authority(tmp_path: Path) -> None:
    made(tmp_path / "fleet", "127.0.0.1")
    before = {path.name: path.read_bytes() for path in (tmp_path / "fleet/client").iterdir()}
    (tmp_path / "fleet/client").rename(tmp_path / "old")
    made(tmp_path / "fleet", "127.0.0.1")
    after = {path.name: path.read_bytes() for path in (tmp_path / "fleet/client").iterdir()}
    assert [name for name in sorted(before) if before[name] == after[name]] == ["ca.pem"]
    with listening(tmp_path / "fleet/daemon") as port:
        assert greeting(port, tmp_path / "old", tmp_path / "old", "127.0.0.1") == b"come in"


def test_keys_are_their_owners_alone(certificates: Path) -> None:
    files = [path for path in certificates.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"ca-key.pem", "ca.pem", "cert.pem", "key.pem"}
    assert {path for path in files if path.stat().st_mode & 0o077} == set()


def test_certificates_without_a_name_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    command = [str(SCRIPT), str(tmp_path / "fleet")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "DIRECTORY NAME" in done.stderr
    assert not (tmp_path / "fleet").exists()
