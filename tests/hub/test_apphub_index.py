"""The repository that apphub-indexer makes, and apphub serves."""

import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.settings import Settings
from tests.support.commands import ROOT, run_inv
from tests.support.engines import remove_images
from tests.support.hubs import apt_line, deb, docker, in_client, running, signing_key

_ROUNDS = 200  # of a client
_PUBLICATIONS = 100  # while it goes round


@pytest.fixture(scope="module")
def built(engine: Engine, debian: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The prefix of both images."""
    prefix = f"blt-{secrets.token_hex(4)}-"
    project = tmp_path_factory.mktemp("project")
    for name in ("apphub", "apphub-indexer"):
        shutil.copytree(ROOT / "src" / name, project / "src" / name)
    done = run_inv(project, ("build", "-s", "apphub", "-t", "1"), {"IMAGE_PREFIX": prefix})
    assert done.returncode == 0, done.stderr
    yield prefix
    remove_images(engine, prefix)


@dataclass(frozen=True)
class Place:
    """A directory of packages on this machine, and the prefix of the images that publish and serve it."""

    pkgs: Path
    prefix: str

    @property
    def indexer(self) -> str:
        return f"{self.prefix}apphub-indexer:1"

    @property
    def hub(self) -> str:
        return f"{self.prefix}apphub:1"

    @property
    def debs(self) -> Path:
        return self.pkgs / "slurm-deb"

    def add(self, name: str, version: str, architecture: str = "all", under: str = "") -> Path:
        made = deb(self.pkgs.parent / secrets.token_hex(4), name, version, architecture)
        (self.debs / under).mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(made, self.debs / under))

    def publish(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        options = [f"--env={name}={value}" for name, value in {"APPHUB_KEEP_VERSIONS": "", **environment}.items()]
        command = ["run", "--rm", "--network=none", f"--volume={self.pkgs}:/pkgs", *options]
        return docker(*command, self.indexer, check=False)

    def index(self) -> list[tuple[str, str, str]]:
        """Name, version, architecture of all that the index has, in its order."""
        stanzas = (self.debs / "Packages").read_text().strip().split("\n\n")
        fields = [dict(re.findall(r"^(\w+): (.*)$", stanza, re.MULTILINE)) for stanza in stanzas]
        return [(item["Package"], item["Version"], item["Architecture"]) for item in fields]


@pytest.fixture
def place(tmp_path: Path, built: str) -> Place:
    (tmp_path / "pkgs/slurm-deb").mkdir(parents=True)
    return Place(tmp_path / "pkgs", built)


def _state(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_versions_and_architectures_lie_side_by_side(place: Place) -> None:
    for version, architecture in (("1", "amd64"), ("2", "amd64"), ("2", "arm64")):
        place.add("tool", version, architecture)
    place.add("text", "1:1~rc1")
    done = place.publish()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "apphub-publish: packages in slurm-deb: 4\n"
    expected = [("text", "1:1~rc1", "all"), ("tool", "1", "amd64"), ("tool", "2", "amd64"), ("tool", "2", "arm64")]
    assert sorted(place.index()) == expected
    with running(place.hub, f"--volume={place.pkgs}:/usr/share/nginx/html/pkgs:ro") as hub:
        said = in_client(
            "dpkg --add-architecture arm64\n" + apt_line(hub, signed=False) + "apt-get update -qq\n"
            "apt-get install -qq tool=1 text >/dev/null 2>&1\ncat /opt/tool\n"
            "apt-get install -qq --only-upgrade tool 2>&1 | grep Unpacking\napt-cache policy tool:arm64\n"
        )
    assert "tool 1\n" in said
    assert "Unpacking tool (2) over (1)" in said
    assert re.search(r"tool:arm64:\n *Installed: \(none\)\n *Candidate: 2\n", said)


def test_the_index_has_each_form_under_its_hash_and_release_names_them(place: Place) -> None:
    place.add("tool", "1")
    assert place.publish().returncode == 0
    release = (place.debs / "Release").read_text()
    assert "Acquire-By-Hash: yes\n" in release
    listed = re.findall(r"^ ([0-9a-f]{64}) +(\d+) (\S+)$", release, re.MULTILINE)
    assert [name for _, _, name in listed] == ["Packages", "Packages.gz", "Packages.xz"]
    for digest, size, name in listed:
        content = (place.debs / name).read_bytes()
        assert len(content) == int(size)
        assert (place.debs / "by-hash/SHA256" / digest).read_bytes() == content


def test_an_index_stays_for_a_day_under_its_hash(place: Place) -> None:
    place.add("tool", "1")
    assert place.publish().returncode == 0
    first = {path.name for path in (place.debs / "by-hash/SHA256").iterdir()}
    for path in (place.debs / "by-hash/SHA256").iterdir():  # it was published long ago, and is valid until now
        subprocess.run(["touch", "--date=3 days ago", str(path)], check=True)
    place.add("tool", "2")
    assert place.publish().returncode == 0
    assert first < {path.name for path in (place.debs / "by-hash/SHA256").iterdir()}
    for name in first:
        subprocess.run(["touch", "--date=25 hours ago", str(place.debs / "by-hash/SHA256" / name)], check=True)
    place.add("tool", "3")
    assert place.publish().returncode == 0
    assert not first & {path.name for path in (place.debs / "by-hash/SHA256").iterdir()}


def test_the_newest_versions_are_kept_by_the_order_of_dpkg(place: Place) -> None:
    for version in ("9", "10", "10~rc1", "1:1"):
        place.add("tool", version)
    place.add("other", "1")
    done = place.publish(APPHUB_KEEP_VERSIONS="2")
    assert done.returncode == 0, done.stderr
    assert sorted(place.index()) == [("other", "1", "all"), ("tool", "10", "all"), ("tool", "1:1", "all")]
    assert sorted(path.name for path in place.debs.glob("*.deb")) == [
        "other_1_all.deb",
        "tool_10_all.deb",
        "tool_1:1_all.deb",
    ]
    assert "tool_9_all.deb is not kept" in done.stdout


def test_a_former_version_stays_only_beside_a_newer_one(place: Place) -> None:
    place.add("tool", "2")
    for name, version in (("tool", "1"), ("tool", "2"), ("tool", "3"), ("gone", "1")):
        place.add(name, version, under="old")
    assert place.publish(APPHUB_KEEP_VERSIONS="3").returncode == 0
    assert sorted(place.index()) == [("tool", "1", "all"), ("tool", "2", "all")]
    assert [path.name for path in (place.debs / "old").iterdir()] == ["tool_1_all.deb"]


@pytest.mark.parametrize("harm", ["truncated", "garbage", "changed inside"])
def test_a_damaged_package_is_refused_by_name_and_the_repository_stays(place: Place, harm: str) -> None:
    place.add("good", "1")
    assert place.publish().returncode == 0
    bad = place.add("bad", "1")
    before = _state(place.pkgs)
    content = bad.read_bytes()
    middle = len(content) - 60
    harmed = {"truncated": content[:middle], "garbage": b"x" * 99, "changed inside": content[:middle] + bytes(60)}
    bad.write_bytes(harmed[harm])
    done = place.publish()
    assert done.returncode == 1
    assert done.stderr.startswith("apphub-index: bad_1_all.deb is damaged: ")
    assert _state(place.pkgs) == before | {"slurm-deb/bad_1_all.deb": harmed[harm]}


def test_a_place_without_packages_is_said_and_nothing_is_indexed(place: Place) -> None:
    done = place.publish()
    assert (done.returncode, done.stdout) == (0, "apphub-publish: no packages in /pkgs/slurm-deb yet\n")
    assert list(place.debs.iterdir()) == []


def test_an_empty_repository_is_not_published(place: Place) -> None:
    package = place.add("tool", "1")
    assert place.publish().returncode == 0
    package.unlink()
    before = _state(place.pkgs)
    done = place.publish()
    assert done.returncode == 1
    assert "slurm-deb holds no packages. An empty repository must not be published" in done.stderr
    assert _state(place.pkgs) == before


@pytest.mark.parametrize("keep", ["0", "-1", "many"])
def test_a_wrong_number_of_versions_is_refused(place: Place, keep: str) -> None:
    place.add("tool", "1")
    done = place.publish(APPHUB_KEEP_VERSIONS=keep)
    assert done.returncode == 1
    assert f"APPHUB_KEEP_VERSIONS is '{keep}'" in done.stderr
    assert not (place.debs / "Packages").exists()


def test_a_signature_goes_with_its_key(place: Place, machine: Settings) -> None:
    place.add("tool", "1")
    shutil.copy(signing_key(place.pkgs.parent, machine), place.pkgs / "key")
    assert place.publish(APT_SIGNING_KEY="/pkgs/key").returncode == 0
    assert {"InRelease", "Release.gpg", "apphub.asc"} <= {path.name for path in place.debs.iterdir()}
    assert "PRIVATE" not in (place.debs / "apphub.asc").read_text()
    assert place.publish().returncode == 0
    assert not {"InRelease", "Release.gpg", "apphub.asc"} & {path.name for path in place.debs.iterdir()}


def test_what_is_no_secret_key_is_refused_and_the_repository_stays(place: Place) -> None:
    place.add("tool", "1")
    (place.pkgs / "key").write_text("no key")
    done = place.publish(APT_SIGNING_KEY="/pkgs/key")
    assert done.returncode == 1
    assert "APT_SIGNING_KEY is no OpenPGP secret key" in done.stderr
    assert [path.name for path in place.debs.iterdir()] == ["tool_1_all.deb"]


def test_symbolic_links_are_not_followed(place: Place) -> None:
    place.add("tool", "1")
    assert place.publish().returncode == 0
    (place.debs / "passwd").symlink_to("/etc/passwd")
    (place.debs / "root").symlink_to("/")
    with running(place.hub, f"--volume={place.pkgs}:/usr/share/nginx/html/pkgs:ro") as hub:
        assert hub.get("/pkgs/slurm-deb/Release")[0] == 200
        for path in ("passwd", "root/", "root/etc/passwd"):
            assert hub.get(f"/pkgs/slurm-deb/{path}")[0] == 404


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_apt_get_update_survives_publications(place: Place, machine: Settings, signed: bool) -> None:
    """Rounds of a client, while a publisher makes new indexes as fast as it can."""
    place.add("tool", "0")
    environment: tuple[str, ...] = ("--env=APPHUB_KEEP_VERSIONS=3",)
    if signed:
        shutil.copy(signing_key(place.pkgs.parent, machine), place.pkgs / "key")
        environment += ("--env=APT_SIGNING_KEY=/pkgs/key",)
    publisher = """
        mkdir -p /dev/shm/tree/DEBIAN
        number=0
        while [ ! -e /pkgs/stop ]; do
            { echo Package: tool; echo Version: $number; echo Architecture: all
              echo "Maintainer: x <x@y.example>"; echo Description: x; } >/dev/shm/tree/DEBIAN/control
            dpkg-deb --build /dev/shm/tree /pkgs/new >/dev/null
            mv /pkgs/new /pkgs/slurm-deb/tool_${number}_all.deb
            apphub-publish /pkgs >/dev/null
            number=$((number + 1))
            echo $number >/pkgs/published.new
            mv /pkgs/published.new /pkgs/published
        done
    """
    client = f"""
        rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
        {{}}
        round=0
        until [ $round -ge {_ROUNDS} ] && [ "$(cat /pkgs/published)" -ge {_PUBLICATIONS} ]; do
            apt-get -qq -o APT::Update::Error-Mode=any update || {{{{ echo failed in round $round; exit 1; }}}}
            round=$((round + 1))
        done
        apt-get -qq -o APT::Update::Error-Mode=any update
        echo updated $round times
        apt-cache policy tool | grep Candidate
    """
    writing = ["run", "--detach", f"--volume={place.pkgs}:/pkgs", *environment, place.indexer]
    (place.pkgs / "published").write_text("0")
    assert place.publish(**({"APT_SIGNING_KEY": "/pkgs/key"} if signed else {})).returncode == 0
    with running(place.hub, f"--volume={place.pkgs}:/usr/share/nginx/html/pkgs:ro") as hub:
        writer = docker(*writing, "sh", "-euc", publisher).stdout.strip()
        try:
            said = in_client(
                client.format(apt_line(hub, signed=signed)), f"--volume={place.pkgs}:/pkgs:ro", check=False
            )
            (place.pkgs / "stop").touch()
            assert docker("wait", writer).stdout == "0\n", docker("logs", writer).stderr
        finally:
            docker("rm", "--force", writer)
    found = re.search(r"updated (\d+) times\n *Candidate: (\d+)\n", said)
    assert found, said
    assert int(found[1]) >= _ROUNDS
    # an update sees all that was published before it
    assert int(found[2]) >= _PUBLICATIONS - 1
