"""A directory that `downloads --export` wrote, served by apphub: pip, npm, apt and git get what they need from it."""

import json
import lzma
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from build_lib.downloads import Download, Store, export
from build_lib.engine import Engine
from build_lib.settings import Settings
from tests.support.browser import Browser
from tests.support.commands import ROOT, run_inv
from tests.support.engines import remove_images
from tests.support.hubs import Hub, running
from tests.support.recordings import download, fetched, of_npm, of_pypi, recording

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
UPDATES = "http://deb.debian.org/debian/dists/bookworm-updates"


@pytest.fixture(scope="module")
def image(engine: Engine, debian: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """apphub's, without any package."""
    project, prefix = tmp_path_factory.mktemp("project"), f"blt-{secrets.token_hex(4)}-"
    shutil.copytree(ROOT / "src/apphub", project / "src/apphub")
    done = run_inv(project, ("build", "-s", "apphub", "-t", "v1"), {"IMAGE_PREFIX": prefix})
    assert done.returncode == 0, done.stdout + done.stderr
    yield f"{prefix}apphub:v1"
    remove_images(engine, prefix)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the hub has as a volume: empty until something is exported into it."""
    made = tmp_path_factory.mktemp("volume")
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def hub(image: str, mirror: Path) -> Iterator[Hub]:
    with running(image, f"--volume={mirror}:/usr/share/nginx/html/mirror:ro") as started:
        yield started


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(Settings.load(tmp_path_factory.mktemp("store"), environ={}))


@pytest.fixture(scope="module")
def url(hub: Hub, mirror: Path, store: Store) -> str:
    """The mirror's address, with real packages of three registries, one without a version here, and a file."""
    address = f"{hub.url}/mirror"
    downloads = [
        *of_pypi(store, "six", "six-1.16.0-py2.py3-none-any.whl"),
        *of_npm(store, "left-pad", "1.2.0"),
        *of_npm(store, "@types/ms", "0.7.31"),
        *_archive(store),
        download(store, "https://github.com/a/b/releases/download/v1/b+c.tar.gz", "a release"),
        download(store, "https://files.example/.hidden/x", "hidden"),
    ]
    done = export([recording(*downloads)], store, mirror, dict(os.environ), base=address)
    assert done is not None
    assert (done.left_out, done.remarks) == ((), ())
    return address


def _archive(store: Store) -> list[Download]:
    """The signed index of a small suite, the list of its packages, and the smallest of these."""
    release, text = fetched(store, f"{UPDATES}/InRelease")
    found = re.search(rb"^ ([0-9a-f]{64}) +\d+ main/binary-amd64/Packages\.xz$", text, re.MULTILINE)
    assert found
    by_hash = f"{UPDATES}/main/binary-amd64/by-hash/SHA256/{found[1].decode()}"
    packages, packed = fetched(store, by_hash)
    unpacked = lzma.decompress(packed).decode()
    sizes = {int(size): name for name, size in re.findall(r"^Filename: (\S+)\nSize: (\d+)$", unpacked, re.MULTILINE)}
    package, _ = fetched(store, f"http://deb.debian.org/debian/{sizes[min(sizes)]}")
    return [release, packages, package]


def run(*command: str, cwd: Path | None = None) -> str:
    """What a command prints, without this machine's settings of pip and npm."""
    kept = {name: text for name, text in os.environ.items() if not name.lower().startswith(("pip_", "npm_config"))}
    own = {"PIP_CONFIG_FILE": os.devnull, "NPM_CONFIG_USERCONFIG": os.devnull}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**kept, **own}, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pip_installs_from_it(url: str, hub: Hub, tmp_path: Path) -> None:
    options = ("--no-cache-dir", "--disable-pip-version-check", "--trusted-host", hub.address)
    index = ("--index-url", f"{url}/pypi/simple", "--target", str(tmp_path))
    run(sys.executable, "-m", "pip", "install", *options, *index, "six")
    assert '__version__ = "1.16.0"' in (tmp_path / "six.py").read_text()


def test_npm_installs_from_it(url: str, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    (tmp_path / "package.json").write_text("{}")
    options = ("--registry", f"{url}/npm/", "--no-audit", "--no-fund", "--no-update-notifier")
    place = ("--prefix", str(tmp_path), "--cache", str(tmp_path / "cache"))
    run("npm", "install", *options, *place, "left-pad", "@types/ms")
    assert _versions(tmp_path) == {"left-pad": "1.2.0", "@types/ms": "0.7.31"}
    lock = json.loads((tmp_path / "package-lock.json").read_text())
    for name, version in _versions(tmp_path).items():  # as a lock file has it that was made outside
        tarball = f"https://registry.npmjs.org/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        lock["packages"][f"node_modules/{name}"]["resolved"] = tarball
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    for name in ("node_modules", "cache"):
        shutil.rmtree(tmp_path / name)
    run("npm", "ci", *options, *place)
    assert _versions(tmp_path) == {"left-pad": "1.2.0", "@types/ms": "0.7.31"}


def _versions(project: Path) -> dict[str, str]:
    installed = {name: project / "node_modules" / name / "package.json" for name in ("left-pad", "@types/ms")}
    return {name: json.loads(path.read_text())["version"] for name, path in installed.items()}


def test_apt_trusts_it_as_it_trusts_the_archive(url: str, mirror: Path, tmp_path: Path) -> None:
    if not Path(KEYRING).exists() or shutil.which("apt-get") is None:
        pytest.skip("this is no Debian")
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (tmp_path / name).mkdir(parents=True)
    line = f"deb [signed-by={KEYRING} arch=amd64] {url}/apt/deb.debian.org/debian bookworm-updates main\n"
    (tmp_path / "etc/sources.list").write_text(line)
    (tmp_path / "status").write_text("")
    options = {
        "Dir::Etc": f"{tmp_path}/etc", "Dir::State::Lists": f"{tmp_path}/lists", "Dir::Cache": f"{tmp_path}/cache",
        "Dir::State::Status": f"{tmp_path}/status", "APT::Architecture": "amd64", "APT::Architectures": "amd64",
        "Acquire::Languages": "none", "Acquire::Check-Valid-Until": "false", "APT::Sandbox::User": "root",
        "Acquire::http::Proxy": "DIRECT",
    }  # fmt: skip
    apt = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", *apt, "update", "--error-on=any")
    [name] = [path.name.partition("_")[0] for path in mirror.rglob("*.deb")]
    run("apt-get", *apt, "download", name, cwd=tmp_path)
    [package] = tmp_path.glob("*.deb")
    assert name in run("dpkg-deb", "--field", str(package), "Package")


def test_a_file_is_at_the_path_of_its_url(url: str, hub: Hub) -> None:
    """Clients such as those of GITHUB_MIRROR write the whole URL."""
    path = "github.com/a/b/releases/download/v1/b+c.tar.gz"
    for prefix in ("https/", "https://", "https:/"):
        status, headers, body = hub.get(f"/mirror/{prefix}{path}")
        assert (status, body) == (200, "a release")
    assert "script-src 'none';" in headers["Content-Security-Policy"]
    assert "script-src 'self';" in hub.get("/")[1]["Content-Security-Policy"]
    assert hub.get("/mirror/https/files.example/.hidden/x")[2] == "hidden"
    assert hub.get("/mirror/.build-lib-mirror")[0] == 404
    assert hub.get("/mirror/https/files.example/../../../../etc/passwd")[0] == 404
    assert hub.get("/mirror/https/files.example/y")[0] == 404


@pytest.mark.parametrize("path", ["", "/some/mirror"])
def test_the_lines_for_nginx_are_right(path: str, image: str, store: Store, tmp_path: Path) -> None:
    """Here in a server that has nothing else."""
    url = f"http://hub.example{path}"
    made = recording(*of_npm(store, "left-pad", "1.2.0"), download(store, "https://files.example/a", "a"))
    assert export([made], store, tmp_path / "mirror", dict(os.environ), base=url)
    [lines] = re.findall(r"<pre>(location .*?)</pre>", (tmp_path / "mirror/index.html").read_text(), re.DOTALL)
    lines = unescape(lines).replace("/path/to/this/directory", "/mirror")
    server = f"access_log off; server {{ listen 8080; {lines} }}"
    (tmp_path / "nginx.conf").write_text(f"daemon off; pid /dev/shm/pid; events {{}} http {{ {_TEMPORARY} {server} }}")
    volumes = [f"--volume={tmp_path}/{name}:{at}:ro" for name, at in _VOLUMES.items()]
    with running(image, *volumes, ready="/") as hub:
        assert hub.get(f"{path}/")[2].startswith("<!DOCTYPE html>")
        assert hub.get(f"{path}/npm/left-pad")[1]["Location"] == f"{path}/npm/left-pad/"
        assert json.loads(hub.get(f"{path}/npm/left-pad/")[2])["name"] == "left-pad"
        assert {hub.get(f"{path}/{way}files.example/a")[2] for way in ("https/", "https://", "https:/")} == {"a"}


_VOLUMES = {"nginx.conf": "/etc/nginx/nginx.conf", "mirror": "/mirror"}
_TEMPORARY = " ".join(
    f"{name}_temp_path /dev/shm/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def test_the_hub_s_page_leads_to_it_and_its_page_has_the_lines(
    url: str, hub: Hub, image: str, browser: Browser
) -> None:
    with browser.tab() as tab:
        tab.open(f"{hub.url}/")
        shown = "new Promise(done => { const look = () => document.getElementById('mirror').hidden"
        assert tab.value(f"{shown} ? setTimeout(look, 10) : done(true); look(); }})")
        tab.follow("#mirror a")
        assert tab.address() == f"{url}/"
        text = tab.value("document.body.innerText")
        assert f"pip config set global.index-url {url}/pypi/simple" in text
        assert f"npm config set registry {url}/npm/" in text
        assert [text for text in tab.complaints if "Content Security Policy" in text] == []
        with running(image) as other:
            tab.open(f"{other.url}/")
            count = "document.getElementById('count').textContent ? done(true) : setTimeout(look, 10)"
            assert tab.value(f"new Promise(done => {{ const look = () => {count}; look(); }})")
            assert tab.value("document.getElementById('mirror').hidden")


def test_another_export_is_served_without_a_restart(url: str, hub: Hub, mirror: Path, store: Store) -> None:
    more = download(store, "https://files.example/more", "more")
    before = (mirror / "pypi").exists()
    done = export([recording(more)], store, mirror, dict(os.environ), base=url)
    assert done is not None
    assert (before, (mirror / "pypi").exists()) == (True, False)
    assert hub.get("/mirror/https/files.example/more")[2] == "more"
