"""Daemons that want a client certificate: with it they build, without it they are an error."""

import subprocess
from pathlib import Path

import pytest

from build_lib.settings import Settings
from tests.support.commands import ROOT
from tests.support.engines import install
from tests.support.fleet_sites import Site
from tests.support.fleets import StartDaemon

SCRIPT = ROOT / "docs/fleet/certificates.sh"


def certificates(directory: Path) -> Path:
    """Those of an authority of their own, made as the documents say."""
    subprocess.run([str(SCRIPT), str(directory), "127.0.0.1"], check=True, capture_output=True)
    return directory


@pytest.fixture
def made(machine: Settings, tmp_path: Path) -> Path:
    install("openssl", "openssl", machine)
    return certificates(tmp_path / "certificates")


@pytest.fixture
def guarded(site: Site, daemon: StartDaemon, made: Path) -> Site:
    """A site of two services whose daemons want a client certificate."""
    files = "".join(f'  {key} = "{made}/daemon/{key}.pem"\n' for key in ("cert", "key", "ca"))
    site.use(*(daemon(name, config=f"[grpc.tls]\n{files}") for name in ("one", "two")))
    site.service("base", "RUN echo base > /base")
    site.service("web", "RUN cat /base > /copy", on="site-base:v1")
    return site


def test_with_the_certificate_they_build(guarded: Site, made: Path) -> None:
    guarded.done("build-all", BUILDER_CERTS=str(made / "client"))
    assert guarded.text("web", "copy") == "base\n"


def test_without_it_the_error_names_the_setting(guarded: Site) -> None:
    done = guarded.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: none of BUILDERS can be used: builder 127.0.0.1:")
    assert "BUILDER_CERTS names the directory with it\n" in done.stderr


def test_one_of_another_authority_is_refused(guarded: Site, tmp_path: Path) -> None:
    done = guarded.inv("build-all", BUILDER_CERTS=str(certificates(tmp_path / "others") / "client"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: none of BUILDERS can be used: builder 127.0.0.1:")
    assert "certificate verify failed" in done.stderr


def test_a_directory_without_the_files_is_an_error(guarded: Site, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = guarded.inv("build-all", BUILDER_CERTS=str(tmp_path / "empty"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
