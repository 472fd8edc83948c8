"""What `outside` prints about the services of a repository."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from build_lib.repository import discover, outside
from build_lib.settings import Settings
from tests.support.commands import ROOT, Inv
from tests.support.projects import needs


@pytest.fixture
def shop(project: Path) -> Path:
    needs(
        project,
        "web",
        "debian:12",
        "ARG APT_MIRROR",
        "RUN echo $APT_MIRROR && apt-get update",
        "ADD https://a.example/x /",
    )
    needs(project, "api", "python:3.12", "RUN true && \\", "  pip install x")
    return project


def test_a_table_shows_which_lines_cannot_be_recorded(shop: Path, inv: Inv) -> None:
    done = inv("outside")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["SERVICE", "WHERE", "TOOL", "HOSTS", "CHECKSUM", "MIRROR", "RECORD", "URL"]
    assert rows[1][:4] == ["api", "src/api/Dockerfile:3", "pip", "install"]
    assert rows[1][-3:] == ["-", "NO", "https://pypi.org/simple"]
    assert rows[2][1:] == [
        *("src/web/Dockerfile:3", "apt-get", "update", "deb.debian.org", "-", "APT_MIRROR", "yes"),
        "http://deb.debian.org/debian",
    ]
    assert rows[3][1:] == ["src/web/Dockerfile:4", "ADD", "a.example", "no", "-", "yes", "https://a.example/x"]
    summary, what_it_is = done.stdout.splitlines()[-2:]
    assert summary.startswith(
        "4 hosts besides those of images, on 3 lines; 1 line that build-all --record cannot record"
    )
    assert what_it_is.startswith(
        "This is an estimate, made by reading the Dockerfiles, without building and without a network"
    )


def test_programs_get_each_find(shop: Path, inv: Inv) -> None:
    done = inv("outside", "--json", "-s", "web")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert first == {
        "service": "web",
        "path": "src/web/Dockerfile",
        "line": 3,
        "kind": "packages",
        "tool": "apt-get",
        "action": "update",
        "url": "http://deb.debian.org/debian",
        "hosts": ["deb.debian.org"],
        "checksum": None,
        "mirror": "APT_MIRROR",
        "record": True,
    }
    assert (second["tool"], second["checksum"], second["mirror"]) == ("ADD", False, "")


def test_a_problem_elsewhere_is_printed_and_the_rest_is_read(shop: Path, inv: Inv) -> None:
    needs(shop, "bad", "debian:12", "RUNN x", "RUN curl https://b.example")
    done = inv("outside", "-s", "bad")
    assert done.returncode == 1
    assert "src/bad/Dockerfile:3  curl  b.example" in done.stdout
    assert done.stderr.startswith("problem: src/bad/Dockerfile:2: unknown instruction 'RUNN'\n")


def test_nothing_is_said_to_be_nothing(project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12", "RUN true")
    done = inv("outside")
    assert done.stdout.startswith("the Dockerfiles download nothing besides images\n")
    assert json.loads(inv("outside", "--json").stdout) == []


def test_an_unknown_service_is_an_error(shop: Path, inv: Inv) -> None:
    done = inv("outside", "-s", "wbe")
    assert done.returncode == 1
    assert done.stderr == "error: there is no service 'wbe'\n  next: did you mean web?\n"


def test_passwords_and_control_characters_are_not_shown(project: Path, inv: Inv) -> None:
    needs(project, "web", "debian:12", "RUN curl https://me:hunter22@a.example/\x1b]0;x\x07")
    for arguments in (("outside",), ("outside", "--json")):
        done = inv(*arguments)
        assert done.returncode == 0, done.stderr
        assert "a.example" in done.stdout
        assert "hunter22" not in done.stdout
        assert "\x1b" not in done.stdout


def test_settings_and_compose_files_give_arguments_and_targets(project: Path) -> None:
    needs(
        project,
        "web",
        "debian:12 AS one",
        "ARG GO_MIRROR",
        "RUN curl $GO_MIRROR/x",
        "FROM debian:12",
        "ARG OTHER",
        "ADD $OTHER /",
    )
    build = "{context: src/web, target: one, args: {GO_MIRROR: 'https://m.example'}}"
    compose = f"services:\n  web:\n    build: {build}\n  all:\n    build: src/web\n"
    (project / "compose.yaml").write_text(compose)
    settings = Settings.load(project, environ={"BUILD_ARG_OTHER": "https://o.example/x", "APT_MIRROR": "m.example"})
    repository = discover(settings)
    found = {name: outside.of(service) for name, service in repository.services.items()}
    assert [(item.line, item.hosts) for item in found["web"]] == [(3, ("m.example",))]
    assert [(item.line, item.hosts, item.mirror) for item in found["all"]] == [(6, ("o.example",), "OTHER")]
    assert [item.service for item in outside.find(repository, settings)] == ["all", "web"]


def test_no_connection_is_made(shop: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from build_lib.repository import discover, outside;"
        "from build_lib.settings import Settings;"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and sys.exit(event));"
        "settings = Settings.load(Path(sys.argv[1]), environ={});"
        "print(len(outside.find(discover(settings), settings)))"
    )
    done = subprocess.run([sys.executable, "-c", code, shop], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3\n", "")
