"""apphub in both modes, signed and unsigned: what clients get from it, what the image holds, and its page."""

import re
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.browser import Browser, Tab
from tests.support.commands import ROOT, run_inv
from tests.support.engines import remove_images
from tests.support.hubs import Hub, apt_line, deb, docker, in_client, members, running, signing_key
from tests.support.looks import NAMES, faults
from tests.support.looks import SHOWN as LOOKS

MODES = ("copy", "unified")
SIGNED = (True, False)
_VARIANTS = [
    pytest.param((mode, signed), id=f"{mode}-{'un' * (not signed)}signed") for mode in MODES for signed in SIGNED
]


@dataclass(frozen=True)
class Job:
    """A project with a signing key, whose images bear a prefix of their own."""

    project: Path
    prefix: str

    @property
    def key(self) -> Path:
        return self.project / "key.asc"

    def image(self, mode: str, signed: bool = False) -> str:
        return f"{self.prefix}apphub:{_tag(mode, signed)}"

    def inv(self, *arguments: str, mode: str, signed: bool = False, **more: str) -> "subprocess.CompletedProcess[str]":
        environment = {"IMAGE_PREFIX": self.prefix, "SLURM_FROM": "distro", "APPHUB_MODE": mode, **more}
        if signed:
            environment["APT_SIGNING_KEY"] = str(self.key)
        return run_inv(self.project, (*arguments, "-t", _tag(mode, signed)), environment)


def _tag(mode: str, signed: bool) -> str:
    return f"{mode}-{'signed' if signed else 'unsigned'}"


@pytest.fixture(scope="module")
def job(
    engine: Engine, machine: Settings, debian: str, rpm: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Job]:
    """Both modes built, signed and unsigned, from packages of the distribution and two of our own."""
    made = Job(tmp_path_factory.mktemp("project"), f"blt-{secrets.token_hex(4)}-")
    shutil.copytree(ROOT / "src", made.project / "src")
    signing_key(made.project, machine)
    pkgs = made.project / "src/apphub/pkgs"
    shutil.copy(deb(made.project / "debs", "own-tool", "1.0+1~a"), pkgs / "slurm-deb")
    shutil.copy(rpm, pkgs / "slurm-rpm")
    for mode in MODES:
        for signed in SIGNED:
            done = made.inv("build-all", mode=mode, signed=signed)
            assert done.returncode == 0, done.stdout + done.stderr
    yield made
    remove_images(engine, made.prefix)


@pytest.fixture(params=_VARIANTS, ids=lambda chosen: _tag(*chosen))
def variant(request: pytest.FixtureRequest) -> tuple[str, bool]:
    chosen: tuple[str, bool] = request.param
    return chosen


@pytest.fixture
def hub(job: Job, variant: tuple[str, bool]) -> Iterator[Hub]:
    with running(job.image(*variant)) as started:
        yield started


_CLUSTER = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends --print-uris slurm-client slurmd slurmctld own-tool
apt-get -qq install -y --no-install-recommends slurm-client slurmd slurmctld own-tool munge >/dev/null 2>&1
dpkg-query --show slurm-client slurmd slurmctld own-tool
cat >/etc/slurm/slurm.conf <<END
ClusterName=test
SlurmctldHost=node1
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
NodeName=node1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes=node1 Default=YES
END
mkdir -p /var/spool/slurmctld /var/spool/slurmd /run/munge
chown munge: /run/munge
su -s /bin/sh munge -c /usr/sbin/munged
slurmctld
slurmd
timeout 120 srun hostname || { cat /var/log/slurm/*.log; exit 1; }
"""


def test_a_clean_client_makes_a_cluster_of_what_the_hub_has(job: Job, hub: Hub, variant: tuple[str, bool]) -> None:
    said = in_client(apt_line(hub, signed=variant[1]) + _CLUSTER, "--hostname=node1")
    names = [member.name.rpartition("/")[2] for member, _ in members(f"{job.prefix}slurm-build:{_tag(*variant)}")]
    for package in ("slurm-client", "slurmd", "slurmctld"):
        [name] = [name for name in names if name.startswith(f"{package}_")]
        assert f"{hub.url}/pkgs/slurm-deb/./{name}".replace("+", "%2b") in said
        assert f"{package}\t{name.split('_')[1]}\n" in said
    assert "own-tool\t1.0+1~a\n" in said
    assert "node1" in said.splitlines()


def test_without_its_key_a_signed_hub_is_not_trusted(job: Job) -> None:
    with running(job.image("copy", signed=True)) as hub:
        line = f"deb {hub.url}/pkgs/slurm-deb ./"
        said = in_client(f"echo '{line}' >/etc/apt/sources.list\napt-get update\n", check=False)
    assert "NO_PUBKEY" in said
    assert "is not signed" in said


def test_both_modes_give_the_same_repository(job: Job) -> None:
    def published(mode: str) -> dict[str, str]:
        with running(job.image(mode)) as hub:
            release = re.sub(r"^Date:.*$", "", hub.get("/pkgs/slurm-deb/Release")[2], flags=re.MULTILINE)
            [primary] = re.findall(r'href="(\S*primary[^"]*)"', hub.get("/pkgs/slurm-rpm/repodata/repomd.xml")[2])
            return {"release": release, "index": hub.get("/pkgs/slurm-deb/Packages")[2], "primary": primary}

    assert published("copy") == published("unified")


@pytest.mark.parametrize("mode", MODES)
def test_a_second_build_all_finds_nothing_to_do(job: Job, mode: str) -> None:
    done = job.inv("build-all", mode=mode)
    assert done.returncode == 0, done.stderr
    assert "nothing to build" in done.stdout
    assert re.search(r"  nothing to do: [1-9]\d* packages already present in apphub\n", done.stdout)


def test_in_unified_mode_the_copy_adds_no_more_than_the_index(job: Job) -> None:
    layers = docker("history", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}", job.image("unified")).stdout
    [size] = [line.split()[0] for line in layers.splitlines() if "copy-slurm" in line]
    assert re.fullmatch(r"[\d.]+kB", size), layers


@pytest.mark.parametrize("mode", MODES)
def test_a_change_of_apphub_leaves_slurm_alone_and_one_of_slurm_installs_nothing_again(job: Job, mode: str) -> None:
    nginx, collect = (job.project / "src" / path for path in ("apphub/nginx.conf", "slurm-build/collect-packages"))
    originals = [(path, path.read_text()) for path in (nginx, collect)]
    try:
        nginx.write_text(originals[0][1] + "# changed\n")
        done = job.inv("build-all", mode=mode)
        assert "slurm-build: up to date" in done.stdout
        assert "apphub: out of date: context changed: nginx.conf" in done.stdout
        nginx.write_text(originals[0][1])
        collect.write_text(originals[1][1] + f"# changed for {mode}\n")
        done = job.inv("build-all", mode=mode)
        assert done.returncode == 0, done.stderr
        assert "slurm-build: out of date: context changed: collect-packages" in done.stdout
        assert "apphub: out of date: context changed: nginx.conf" in done.stdout
        log = (job.project / ".build/logs/apphub.log").read_text()
        assert "Unpacking nginx" not in log
    finally:
        for path, text in originals:
            path.write_text(text)
        assert job.inv("build-all", mode=mode).returncode == 0


_PROGRAMS = ("bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/local/", "opt/")


@pytest.mark.parametrize("mode", MODES)
def test_the_image_has_nothing_that_the_service_does_not_need(job: Job, mode: str) -> None:
    files = [(member.name, member.mode) for member, _ in members(job.image(mode))]
    programs = {name.rpartition("/")[2] for name, mode in files if mode & 0o111 and name.startswith(_PROGRAMS)}
    assert programs == {"nginx", "bash", "ls"}
    assert not [name for name, mode in files if mode & 0o6000]
    assert "var/lib/dpkg/status.d/nginx" in [name for name, _ in files]


@pytest.mark.parametrize("mode", MODES)
def test_the_signing_key_is_in_no_layer_and_no_record(job: Job, mode: str, tmp_path: Path) -> None:
    image = job.image(mode, signed=True)
    docker("save", "--output", str(tmp_path / "image.tar"), image)
    with running(image) as hub:
        public = hub.get("/pkgs/slurm-deb/apphub.asc")[2].splitlines()
    lines = [line for line in job.key.read_text().splitlines() if len(line) == 64 and line not in public]
    assert len(lines) > 5
    secret = re.compile(b"|".join(re.escape(line.encode()) for line in lines))
    with tarfile.open(tmp_path / "image.tar") as outer:
        for member in outer:
            content = outer.extractfile(member)
            assert content is None or not secret.search(content.read()), member.name
    assert not [member.name for member, _ in members(image) if "private-keys" in member.name]
    for path in (job.project / ".build").rglob("*"):
        assert not path.is_file() or not secret.search(path.read_bytes()), path
    assert "PRIVATE" not in docker("history", "--no-trunc", image).stdout + docker("inspect", image).stdout


@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_key_is_refused_and_apphub_stays(job: Job, mode: str, engine: Engine) -> None:
    name = Reference.parse(job.image(mode)).canonical
    before = engine.images.by_name()[name]
    wrong = job.project / "wrong.asc"
    wrong.write_text("no key")
    done = job.inv("build-all", mode=mode, APT_SIGNING_KEY=str(wrong))
    assert done.returncode == 1
    assert f"APT_SIGNING_KEY: {wrong} is not a secret key that can sign" in done.stderr
    assert engine.images.by_name()[name] == before


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_damaged_package_of_pkgs_is_refused_by_its_name(job: Job, kind: str) -> None:
    pkgs = job.project / "src/apphub/pkgs"
    [good] = pkgs.rglob(f"*.{kind}")
    bad = good.with_name(f"bad.{kind}")
    content = bytearray(good.read_bytes())
    content[-40:] = bytes(40)
    bad.write_bytes(content)
    try:
        done = job.inv("build-all", mode="copy")
    finally:
        bad.unlink()
    assert done.returncode == 1
    assert f"bad.{kind} is damaged: " in done.stderr
    assert job.inv("build-all", mode="copy").returncode == 0


@pytest.mark.parametrize("mode", MODES)
def test_old_versions_are_kept_beside_the_new_one(job: Job, mode: str) -> None:
    script = job.project / "src/slurm-build/collect-packages"
    original = script.read_text()
    pack = "\nmkdir -p /tmp/p/DEBIAN\nprintf 'Package: {0}\\nVersion: {1}\\nArchitecture: all\\n"
    pack += "Maintainer: x <x@y.example>\\n"
    pack += 'Description: x\\n\' >/tmp/p/DEBIAN/control\ndpkg-deb --build /tmp/p "$2/{0}_{1}_all.deb"\n'
    try:
        for version in "123":
            script.write_text(original + pack.format("plugin", version) + (pack.format("gone", "1") * (version == "2")))
            done = job.inv("build-all", mode=mode, APPHUB_KEEP_VERSIONS="2")
            assert done.returncode == 0, done.stdout + done.stderr
        with running(job.image(mode)) as hub:
            index = hub.get("/pkgs/slurm-deb/Packages")[2]
            held = re.findall(r"^Filename: (\S*(?:plugin_|gone)\S*)$", index, re.MULTILINE)
            assert [name for name in held if "slurm-wlm" not in name] == [
                "./old/plugin_2_all.deb",
                "./plugin_3_all.deb",
            ]
            assert hub.get("/pkgs/slurm-deb/old/plugin_2_all.deb")[0] == 200
    finally:
        script.write_text(original)
        assert job.inv("build-all", mode=mode).returncode == 0


_GONE = (
    "/etc/passwd",
    "/../../../../etc/passwd",
    "/pkgs/slurm-deb/../../../../../../etc/passwd",
    "/pkgs/slurm-deb/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/pkgs/slurm-deb/..%2f..%2f..%2fetc/passwd",
    "/pkgs/slurm-deb/.signing-key",
    "/pkgs/README.md",
    "/pkgs/slurm-deb/.gitkeep",
    "/index.html",
    "/404.html",
    "/status",
    "/mirror/",
    "/mirror/../etc/passwd",
    "/pkgs/slurm-deb/%00",
)


def test_what_is_not_published_is_not_there(hub: Hub) -> None:
    assert {path: hub.get(path)[0] for path in _GONE} == dict.fromkeys(_GONE, 404)
    assert {method: hub.get("/", method)[0] for method in ("POST", "PUT", "DELETE")} == dict.fromkeys(
        ("POST", "PUT", "DELETE"), 404
    )


def test_what_is_published_is_there_with_the_headers_of_a_careful_server(hub: Hub) -> None:
    for path in (
        "/",
        "/page.css",
        "/page.js",
        "/health",
        "/pkgs/",
        "/pkgs/slurm-deb/",
        "/pkgs/slurm-rpm/",
        "/pkgs/slurm-deb/Release",
    ):
        status, headers, _ = hub.get(path)
        assert status == 200, path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert headers["Server"] == "nginx"


def test_a_list_of_files_has_what_is_published(hub: Hub) -> None:
    assert hub.get("/pkgs")[:2][1]["Location"] == "/pkgs/"
    assert re.findall(r'href="(.*?/)"', hub.get("/pkgs/")[2])[1:] == ["../", "slurm-deb/", "slurm-rpm/"]
    text = hub.get("/pkgs/slurm-deb/")[2]
    names = re.findall(r"^Filename: \./(\S+)$", hub.get("/pkgs/slurm-deb/Packages")[2], re.MULTILINE)
    assert names
    assert [name for name in names if f'<a href="{name}"' not in text.replace("%2B", "+")] == []


def test_figures_are_for_the_container_itself(hub: Hub) -> None:
    script = r"exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /status HTTP/1.0\r\n\r\n' >&3; "
    script += "while read -r line <&3; do echo $line; done"
    assert "Active connections: " in docker("exec", hub.name, "bash", "-c", script).stdout
    assert hub.get("/status")[0] == 404


@pytest.mark.parametrize("mode", MODES)
def test_the_image_finds_itself_healthy(job: Job, mode: str) -> None:
    with running(job.image(mode), "--health-interval=200ms") as hub:
        state = "docker inspect --format '{{.State.Health.Status}}' " + hub.name
        script = f"until [ $({state}) = healthy ]; do sleep 0.1; done"
        subprocess.run(["timeout", "30", "sh", "-c", script], check=True)
        assert docker("exec", hub.name, "bash", "-c", "echo $UID").stdout == "101\n"


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as opened:
        yield opened


@pytest.fixture(scope="module")
def shown(job: Job) -> Iterator[Hub]:
    """The hub whose page is looked at, published on the loopback too, where browsers have a clipboard."""
    with running(job.image("unified", signed=True), "--publish=127.0.0.1::8080") as hub:
        yield hub


def _opened(tab: Tab, url: str) -> None:
    """Open the page, and wait for its list."""
    tab.open(url)
    look = "document.getElementById('count').textContent ? done(true) : setTimeout(look, 10)"
    assert tab.value(f"new Promise(done => {{ const look = () => {look}; look(); }})")


def _visible(tab: Tab) -> list[str]:
    found: list[str] = tab.value(
        "[...document.querySelectorAll('tbody tr')].filter(row => row.getClientRects().length)"
        ".map(row => row.querySelector('a').textContent)"
    )
    return found


def test_the_page_lists_everything_with_version_and_size(tab: Tab, shown: Hub) -> None:
    tab.look(width=1100)
    _opened(tab, f"{shown.url}/")
    rows = tab.value("[...document.querySelectorAll('tbody tr')].map(row => row.innerText)")
    assert len(rows) == shown.get("/pkgs/slurm-deb/Packages")[2].count("Package: ") + 1
    [own] = [row for row in rows if row.startswith("own-tool")]
    assert re.search(r"own-tool\s+<b>own-tool</b> & more\s+1\.0\+1~a\s+all\s+deb\s+1 kB$", own)
    [rpm] = [row for row in rows if row.startswith("own-rpm")]
    assert re.search(r"own-rpm\s+One < of > our own\s+2-1\s+noarch\s+rpm\s+\d+ kB$", rpm)
    for path in tab.value("[...document.querySelectorAll('tbody a')].map(link => link.getAttribute('href'))"):
        assert shown.get(f"/{path}", "HEAD")[0] == 200, path


def test_the_heading_has_the_release_and_the_host(tab: Tab, shown: Hub) -> None:
    _opened(tab, f"{shown.url}/")
    words = f"Packages of {_tag('unified', True)} on {shown.address}:8080"
    assert tab.value("document.querySelector('h1').textContent") == words
    assert tab.value("document.title") == words
    assert f"<h1>Packages of {_tag('unified', True)}<" in shown.get("/")[2]


# none of them is there but with its path; the last is deeper than anything that is published
_OTHER_PAGES = ("pkgs/", "pkgs/slurm-deb/", "pkgs/slurm-deb/by-hash/SHA256/", "nothing", "a/b/c?d=/e/f", "a/b/c/d/e/f")


@pytest.mark.parametrize(("width", "dark"), LOOKS, ids=NAMES)
def test_everything_can_be_read_and_tapped_on(tab: Tab, shown: Hub, width: int, dark: bool) -> None:
    tab.look(width=width, height=844, dark=dark)
    _opened(tab, f"{shown.url}/")
    assert faults(tab, width) == []
    ground = tab.value("getComputedStyle(document.body).backgroundColor")
    for path in _OTHER_PAGES:
        tab.open(f"{shown.url}/{path}")
        assert faults(tab, width) == [], path
        assert tab.value("getComputedStyle(document.body).backgroundColor") == ground, path
        assert tab.value("document.compatMode") == "CSS1Compat"
        assert tab.value("new URL([...document.querySelectorAll('p a')].at(-1).href).pathname") == "/"
    tab.look(width=1100)


# on how many lines a package's version stands, and on how many the whole of its cells
_LINES = """[...document.querySelectorAll('tbody tr')].map(row => {
    const version = document.createRange();
    version.selectNodeContents(row.querySelector('.version'));
    const tops = [...row.cells].map(cell => cell.getBoundingClientRect().top);
    return [new Set([...version.getClientRects()].map(box => box.top)).size, new Set(tops).size];
})"""


@pytest.mark.parametrize("width", [1280, 920, 760, 390, 320])
def test_versions_stand_on_one_line_and_on_a_phone_a_package_on_two(tab: Tab, shown: Hub, width: int) -> None:
    tab.look(width=width, height=844)
    _opened(tab, f"{shown.url}/")
    tab.value("document.querySelector('.version').textContent = '1:22.05.8-4+really22.05.8~git20260101.abcdef0-1'")
    found = tab.value(_LINES)
    assert found == [[1, 1 if width > 900 else 2]] * len(found)
    assert tab.value("document.documentElement.scrollWidth") <= width
    tab.look(width=1100)


def test_the_page_searches_and_a_search_can_be_linked_to(tab: Tab, shown: Hub) -> None:
    _opened(tab, f"{shown.url}/")
    everything = _visible(tab)
    tab.value("document.getElementById('search').focus()")
    tab.type("SLURM daemon")
    assert set(_visible(tab)) == {"slurmctld", "slurmd", "slurmrestd"}
    assert tab.value("document.getElementById('found').value") == f"{len(_visible(tab))} of {len(everything)}"
    followed = "addEventListener('hashchange', () => done(true), {once: true}); location.hash = '#q=own-tool'"
    assert tab.value(f"new Promise(done => {{ {followed} }})")
    assert _visible(tab) == ["own-tool"]
    for address in ("#q=own-tool", "#q=own%2Dtool", "#q=own-tool%"):
        _opened(tab, f"{shown.url}/{address}")
        assert _visible(tab) == ([] if address.endswith("%") else ["own-tool"])


_COPIED = """new Promise(done => {
    const look = () => document.querySelector('[data-copy=apt]').innerText.startsWith('Copied')
        ? done(document.getElementById('apt').textContent) : setTimeout(look, 20);
    look();
})"""


@pytest.mark.parametrize("secure", [True, False], ids=["with a clipboard", "by plain http"])
def test_the_lines_to_copy_are_right_for_the_address(tab: Tab, shown: Hub, secure: bool) -> None:
    port = docker("port", shown.name, "8080").stdout.strip().rpartition(":")[2]
    local = f"http://127.0.0.1:{port}/"
    url = local if secure else f"{shown.url}/"
    _opened(tab, url)
    assert tab.value("isSecureContext") is secure
    tab.value("document.querySelector('[data-copy=apt]').focus()")
    tab.press("Enter")
    text = tab.value(_COPIED)
    assert f"deb [signed-by=/etc/apt/keyrings/apphub.asc] {url}pkgs/slurm-deb ./" in text
    assert text.splitlines()[-1] == "apt-get install slurm-client"
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite"], origin=local.rstrip("/"))
    tab.open(local)
    assert tab.value("navigator.clipboard.readText()") == f"{text}\n"
    if not secure:
        typed = text.replace("apt-get install", "apt-get install --yes --no-install-recommends")  # nobody answers
        check = "test -e /var/lib/apt/lists/*_pkgs_slurm-deb_._InRelease\ndpkg-query --status slurm-client"
        assert "\nStatus: install ok installed\n" in in_client(f"{typed}\n{check}\n")


def test_dnf_takes_what_the_page_says(tab: Tab, shown: Hub) -> None:
    _opened(tab, f"{shown.url}/")
    script = tab.value("document.getElementById('dnf').textContent")
    said = in_client(
        "apt-get -qq update\napt-get -qq install -y --no-install-recommends dnf >/dev/null 2>&1\n"
        f"mkdir -p /etc/yum.repos.d\n{script.replace('dnf makecache', 'dnf --assumeyes makecache')}\n"
        "dnf --assumeyes --releasever=1 --installroot=/tmp/root install own-rpm\ncat /tmp/root/opt/own-rpm\n"
    )
    assert said.splitlines().count("own") == 1


def test_the_page_says_so_if_nothing_is_published(tab: Tab, job: Job) -> None:
    told = "document.getElementById('count').textContent"
    with running(f"{job.image('copy')}-without-slurm") as hub:
        _opened(tab, f"{hub.url}/")
        assert tab.value(told) == "Nothing is published here yet."


def test_the_page_suits_the_dark_and_a_phone(tab: Tab, shown: Hub) -> None:
    grounds = {}
    for dark in (False, True):
        tab.look(width=1100, dark=dark)
        _opened(tab, f"{shown.url}/")
        grounds[dark] = tab.value("getComputedStyle(document.body).backgroundColor")
    assert grounds == {False: "rgb(255, 255, 255)", True: "rgb(15, 20, 25)"}
    tab.look(width=320)
    _opened(tab, f"{shown.url}/")
    assert tab.value("document.documentElement.scrollWidth") <= 320
    assert tab.value("getComputedStyle(document.querySelector('tbody tr')).display") == "grid"
    tab.look(width=1100)


@pytest.mark.parametrize("width", [1100, 320])
def test_the_page_is_there_for_keyboards_and_screen_readers(tab: Tab, shown: Hub, width: int) -> None:
    tab.look(width=width)
    _opened(tab, f"{shown.url}/")
    order = []
    for _ in range(5):
        tab.press("Tab")
        order.append(tab.value("document.activeElement.id || document.activeElement.innerText.split('\\n')[0]"))
        assert tab.value("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert [order[0], order[3]] == ["To the packages", "search"]
    heard = tab.heard()
    expected = [
        ("heading", f"Packages of {_tag('unified', True)} on {shown.address}:8080"),
        ("heading", "Use it with apt"),
        ("button", "Copy the lines for apt"),
        ("button", "Copy the lines for dnf"),
        ("searchbox", "Search"),
        ("columnheader", "Version"),
        ("rowheader", "own-tool <b>own-tool</b> & more"),
    ]
    assert [item for item in expected if item not in heard] == []
    tab.look(width=1100)
