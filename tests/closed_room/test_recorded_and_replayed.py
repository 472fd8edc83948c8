"""Six services that download in six ways: recorded once, and replayed, here and on a machine without a network."""

import base64
import hashlib
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from build_lib.downloads import Recorder, Store
from build_lib.engine import Engine
from build_lib.repository import discover
from build_lib.settings import Settings
from tests.closed_room.conftest import RELEASE, Room, files_in
from tests.support.closed_rooms import LOCKED, SDIST, SERVICES, WHEELS
from tests.support.commands import MEMORY_LIMIT, inv_command, peak_memory, run_inv, said
from tests.support.engines import lonely_engine
from tests.support.projects import needs, write
from tests.support.upstreams import LARGE, MODULES, OTHER, PLAIN, REPOSITORY
from tests.support.upstreams import RELEASE as TARBALL

GO = "https://proxy.golang.org/"
GREETING = next(f"{GO}{name}/@v/{version}.zip" for name, version in MODULES.items())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_all_services_are_built_and_recorded(room: Room) -> None:
    assert room.store.releases() == [RELEASE]
    assert room.store.services(RELEASE) == list(SERVICES)
    assert f"recorded for {RELEASE}: " in room.done.stdout
    assert "by 6 services" in room.done.stdout
    assert all(f"{name}: built" in room.done.stdout for name in SERVICES)


def test_wheels_and_an_sdist_are_recorded_by_their_place_on_pypi(room: Room) -> None:
    found = room.downloads("python")
    files = {url.rpartition("/")[2]: item for url, item in found.items() if item.kind == "http"}
    assert sorted(files) == sorted((*WHEELS, SDIST))
    for name, item in files.items():
        project = name.partition("-")[0]
        page = found[f"https://pypi.org/simple/{project}/"]
        assert (page.kind, page.status, item.status) == ("pypi", 200, 200)
        # the raw page names the file with its digest
        assert item.sha256 in room.store.path(page.sha256).read_text()
        assert page.lines
        assert set(page.lines) <= {5, 6}


def test_packages_of_npm_are_recorded_with_and_without_a_lock_file(room: Room) -> None:
    found = room.downloads("node")
    for name, (version, sha512) in LOCKED.items():
        item = found[f"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"]
        assert (item.kind, item.status, item.lines[0]) == ("npm", 200, 5)
        content = room.store.path(item.sha256).read_bytes()
        assert base64.b64encode(hashlib.sha512(content).digest()).decode() == sha512
        assert f"https://registry.npmjs.org/{name}" not in found  # the lock file says all
    free = found["https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz"]
    assert (found["https://registry.npmjs.org/left-pad"].status, free.lines) == (200, (7,))


def test_packages_of_debian_are_recorded_with_the_signed_indexes_that_name_them(room: Room) -> None:
    found = room.downloads("debian")
    content = {url: room.store.path(item.sha256).read_bytes() for url, item in found.items()}
    [package] = [item for url, item in found.items() if "/pool/" in url]
    assert re.search(r"/pool/main/h/hello/hello_[\w.-]+\.deb$", package.url)
    indexes = [data for url, data in content.items() if "/by-hash/" in url or "/Packages" in url]
    packages = b"".join(lzma.decompress(data) for data in indexes)
    assert f"\nSHA256: {package.sha256}\n".encode() in packages
    signed = b"".join(data for url, data in content.items() if url.endswith("/InRelease"))
    assert signed.count(b"-----BEGIN PGP SIGNATURE-----") == signed.count(b"-----BEGIN PGP SIGNED MESSAGE-----") > 0
    assert all(sha256(data).encode() in signed for data in indexes)
    assert {item.lines for item in found.values()} == {(2,)}
    assert {item.kind for item in found.values()} <= {"http", "apt"}


def test_modules_of_go_are_recorded_as_those_of_its_proxy(room: Room) -> None:
    found = room.downloads("go")
    for name, version in MODULES.items():
        for suffix in ("info", "mod", "zip"):
            item = found[f"{GO}{name}/@v/{version}.{suffix}"]
            content = room.upstreams.front.files[f"/go/{name}/@v/{version}.{suffix}"]
            assert (item.kind, item.status, item.lines) == ("go", 200, (6,))
            assert (item.sha256, item.size) == (sha256(content), len(content))


def test_a_release_of_github_is_recorded_by_its_url_there(room: Room) -> None:
    for service, line in (("tarball", 3), ("add", 5)):
        item = room.downloads(service)[TARBALL]
        assert (item.kind, item.status, item.sha256) == ("http", 200, sha256(room.upstreams.tarball))
        assert line in item.lines
        # where it was, without the signature of the redirect
        assert item.source == f"http://{room.upstreams.storage.host}/objects/17"


def test_adds_and_clones_are_recorded(room: Room, tmp_path: Path) -> None:
    found = room.downloads("add")
    storage = f"http://{room.upstreams.storage.host}"
    plain = found[f"{storage}{PLAIN}"]
    assert (plain.kind, plain.status, plain.lines) == ("http", 200, (3,))
    assert plain.sha256 == sha256(room.upstreams.storage.files[PLAIN])
    for url, line in ((REPOSITORY, 6), (f"{storage}{OTHER}", 7)):
        item = found[url]
        assert (item.kind, item.status) == ("git", 200)
        assert line in item.lines
        bundle, clone = room.store.path(item.sha256), tmp_path / f"clone-{line}"
        subprocess.run(["git", "clone", "--quiet", str(bundle), str(clone)], check=True, capture_output=True)
        log = subprocess.run(["git", "-C", str(clone), "log", "--format=%s %D"], check=True, capture_output=True)
        assert b"second" in log.stdout
        assert b"tag: v1" in log.stdout
        assert (clone / "second").is_file()


def test_only_an_encrypted_connection_is_not_recorded_and_is_named(room: Room) -> None:
    passed = {name: each.passed for name, each in room.store.recordings(RELEASE).items() if each.passed}
    assert list(passed) == ["tarball"]
    [connection] = passed["tarball"]
    assert (connection.what, connection.lines) == (room.upstreams.encrypted.host, (4,))
    assert f"not recorded: tarball: {room.upstreams.encrypted.host}" in room.done.stdout


def test_the_store_has_what_recordings_name_and_nothing_else(room: Room) -> None:
    recordings = room.store.recordings(RELEASE)
    blobs = {digest: blob for each in recordings.values() for digest, blob in each.blobs().items()}
    assert list(room.store.wrong(blobs.values())) == []
    assert list(room.store.unused([RELEASE])) == []
    paths = {service: each.path for service, each in recordings.items()}
    assert paths == {name: f"src/{name}/Dockerfile" for name in SERVICES}


def test_what_is_recorded_is_not_built_again(room: Room) -> None:
    before = {name: room.store.recording(RELEASE, name) for name in SERVICES}
    asked = room.upstreams.front.asked.total()
    done = room.inv("build-all", "--record")
    assert done.returncode == 0, said(done)
    assert "nothing to build" in done.stdout
    assert room.upstreams.front.asked.total() == asked
    assert {name: room.store.recording(RELEASE, name) for name in SERVICES} == before


def test_logins_are_in_no_process_arguments_and_in_nothing_that_is_kept(room: Room) -> None:
    tokens = room.watch.tokens
    assert len(tokens) >= len(SERVICES)  # other tests may build meanwhile
    shown = [command for command in room.watch.commands if any(token in command for token in tokens)]
    assert shown == []
    kept = [path for path in (room.root / ".build").rglob("*") if path.is_file()]
    assert any(path.name == "python.log" for path in kept)
    told = [str(path) for path in kept if any(token in path.read_bytes() for token in tokens)]
    assert told == []
    assert not [token for token in tokens if token.decode() in said(room.done)]


def test_images_tell_of_the_recorder_only_what_arguments_of_their_dockerfiles_are(room: Room) -> None:
    arguments = {
        "add": {"GITHUB_MIRROR"},
        "debian": set(),
        "go": {"GOPROXY"},
        "node": {"NPM_CONFIG_REGISTRY"},
        "python": {"GITHUB_MIRROR", "PIP_INDEX_URL"},
        "tarball": {"GITHUB_MIRROR"},
    }
    tokens = [token.decode() for token in room.watch.tokens]
    for name, allowed in arguments.items():
        command = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", room.image(name)]
        history = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        config = subprocess.run(["docker", "inspect", room.image(name)], check=True, capture_output=True, text=True)
        lines = [line for line in history.splitlines() if not line.startswith("ADD http")]  # the builder fetches these
        words = " ".join(lines).split()
        named = {word.partition("=")[0] for token in tokens for word in words if token in word}
        assert named <= allowed, name
        assert not [token for token in tokens if token in config.stdout], name
        assert "_proxy=" not in (history + config.stdout).lower(), name


@pytest.fixture(scope="module")
def with_one_missing(room: Room) -> "subprocess.CompletedProcess[str]":
    """A replay of all services on this machine, without the content of one file."""
    path = room.store.path(room.downloads("go")[GREETING].sha256)
    away = path.with_name("away")
    path.rename(away)
    try:
        return room.inv("build-all", "--replay", "--force")
    finally:
        away.rename(path)


def test_a_file_that_is_missing_fails_its_service_by_line_and_url(
    room: Room, with_one_missing: "subprocess.CompletedProcess[str]"
) -> None:
    told = said(with_one_missing)
    assert with_one_missing.returncode == 1, told
    digest = room.downloads("go")[GREETING].sha256
    assert f"src/go/Dockerfile:6: {GREETING}: its content, sha256:{digest}, is missing" in told
    assert "error: 1 service failed: go" in told
    assert all(f"{name}: built" in told for name in SERVICES if name != "go")


def test_replayed_images_have_the_files_of_the_recorded_ones(
    room: Room, engine: Engine, with_one_missing: "subprocess.CompletedProcess[str]"
) -> None:
    assert with_one_missing.returncode == 1
    for name in set(SERVICES) - {"go"}:
        assert files_in(engine, room.image(name), name) == room.files[name], name
        assert room.files[name], name


def test_a_replay_asks_nobody(room: Room, with_one_missing: "subprocess.CompletedProcess[str]") -> None:
    told = said(with_one_missing)
    assert "closed room: not proved: 1 service not built; " in told
    assert f"refused, and done without: tarball: {room.upstreams.encrypted.host}" in told
    assert room.upstreams.front.asked == room.asked


def test_a_release_that_was_not_recorded_cannot_be_replayed(room: Room) -> None:
    done = room.inv("build-all", "--replay", "--tag", "v2")
    assert done.returncode == 1
    assert f"error: the downloads of v2 are not in {room.store.directory}\n" in done.stderr
    assert "next: ./inv deps-load -f BUNDLE" in done.stderr


def test_a_repository_is_replayed_to_its_own_service_alone(room: Room, engine: Engine) -> None:
    settings = Settings.load(room.root, environ={**os.environ, **room.environment})
    network = engine.networks.default()
    assert network is not None
    services = discover(settings).services
    refs = f"http://{room.upstreams.storage.host}{OTHER}/info/refs?service=git-upload-pack"
    with Recorder(network.gateway, room.store, settings, room.store.recordings(RELEASE)) as recorder:
        ways = [recorder.open(services[name])[0] for name in ("add", "tarball")]
        codes = []
        for way in ways:
            proxies = {"http": way.proxy(recorder.authority)}
            codes.append(requests.get(refs, proxies=proxies, timeout=60).status_code)
        assert codes == [200, 403]
        [refused] = recorder.close(ways[1]).events
    assert (refused.kind, refused.why) == ("refused", "not recorded")
    assert refused.what == f"http://{room.upstreams.storage.host}{OTHER}"


def test_the_recorder_answers_only_builds_of_its_run(room: Room, engine: Engine, tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ=dict(os.environ))
    network = engine.networks.default()
    assert network is not None
    service = discover(Settings.load(room.root, environ=room.environment)).services["tarball"]
    inside = f"http://{room.upstreams.storage.host}{PLAIN}"
    with Recorder(network.gateway, Store(settings), settings, None) as recorder:
        way, _ = recorder.open(service)
        here, other = f"http://{recorder.authority}", way.token[::-1]
        requests = {
            f"{here}/{inside}": "403",
            f"{here}/{other}/{inside}": "403",
            f"--proxy {here} {inside}": "407",
            f"--proxy http://build:{other}@{recorder.authority} {inside}": "407",
            f"--proxy {here} --proxytunnel {inside}": "000",
            f"{here}/{way.token}/add/http://127.0.0.1:2375/version": "403",
            f"{here}/{way.token}/add/http://169.254.169.254/latest/": "403",
            f"--proxy {way.proxy(recorder.authority)} http://localhost:2375/": "403",
            f"--path-as-is {here}/{way.token}/../../etc/passwd": "404",
            f"{here}/{way.token}/add/{inside}": "200",
        }
        script = "".join(f"curl -sS -o /dev/null -w '%{{http_code}}\\n' {each} 2>/dev/null\n" for each in requests)
        command = ["docker", "run", "--rm", "--entrypoint", "sh", room.tools, "-c", script]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.stdout.split() == list(requests.values())
        seen = recorder.close(way)
        assert [item.url for item, _ in seen.downloads] == [inside]
        again = subprocess.run(
            ["docker", "run", "--rm", "--entrypoint", "sh", room.tools, "-c", script],
            check=False,
            capture_output=True,
            text=True,
        )
        assert "200" not in again.stdout.split()  # the build has ended


def test_cache_mounts_do_not_hide_downloads_from_a_recording(room: Room, prefix: str, tmp_path: Path) -> None:
    write(tmp_path, {
        "src/go/Dockerfile": f"""\
            FROM {room.tools}
            ARG GOPROXY={room.upstreams.arguments["GOPROXY"]}
            ENV GOSUMDB=off GOFLAGS=-mod=mod GOPATH=/opt/go
            WORKDIR /src
            COPY go.mod ./
            RUN --mount=type=cache,target=/opt/go/pkg/mod go mod download all
            """,
        "src/go/go.mod": (room.root / "src/go/go.mod").read_text(),
    })  # fmt: skip
    environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": RELEASE}
    assert run_inv(tmp_path, ("build-all",), environment).returncode == 0  # fills the builder's cache
    for times in (1, 2):
        done = run_inv(tmp_path, ("build-all", "--record", *(["--force"] if times == 2 else [])), environment)
        assert done.returncode == 0, said(done)
        recording = Store(Settings.load(tmp_path, environ=environment)).recording(RELEASE, "go")
        assert recording is not None
        assert GREETING in {item.url for item in recording.downloads}, times
    done = run_inv(tmp_path, ("build-all", "--replay", "--force"), environment)
    assert done.returncode == 0, said(done)


def test_an_add_that_a_base_image_brings_is_told(room: Room, prefix: str, tmp_path: Path) -> None:
    url = f"http://{room.upstreams.storage.host}{PLAIN}"
    needs(tmp_path, "base", room.tools, f"ONBUILD ADD {url} /opt/")
    needs(tmp_path, "web", f"{prefix}base:{RELEASE}")
    environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": RELEASE}
    done = run_inv(tmp_path, ("build-all", "--record"), environment)
    assert done.returncode == 0, said(done)
    found = Store(Settings.load(tmp_path, environ=environment)).recordings(RELEASE)
    assert {name: [each.what for each in made.passed] for name, made in found.items()} == {"base": [], "web": [url]}


def around(room: Room, prefix: str, directory: Path, url: str) -> "subprocess.CompletedProcess[str]":
    """A replay with the classic builder, one step of which goes around the recorder to a URL that it does not need."""
    step = f"RUN curl -fsS --noproxy '*' --max-time 5 {url} -o /opt/around || true"
    needs(
        directory, "web", room.tools, f"RUN curl -fsS http://{room.upstreams.storage.host}{PLAIN} -o /opt/plain", step
    )
    environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": RELEASE, "BUILDER_BACKEND": "classic"}
    recorded = run_inv(directory, ("build-all", "--record"), environment)
    assert recorded.returncode == 0, said(recorded)
    assert opt_of(f"{prefix}web:{RELEASE}") == opt_of(room.tools) | {"/opt/plain", "/opt/around"}
    done = run_inv(directory, ("build-all", "--replay", "--force"), environment)
    assert done.returncode == 0, said(done)
    return done


def test_steps_of_the_classic_builder_reach_no_other_machine(room: Room, prefix: str, tmp_path: Path) -> None:
    elsewhere = next(url for url in room.downloads("debian") if url.endswith("/InRelease"))
    done = around(room, prefix, tmp_path, elsewhere)
    assert "closed room: proved: " in done.stdout
    assert opt_of(f"{prefix}web:{RELEASE}") == opt_of(room.tools) | {"/opt/plain"}


def opt_of(image: str) -> set[str]:
    """The paths below /opt in an image."""
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint", "find", image, "/opt", "-maxdepth", "1"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_a_large_download_takes_little_memory(room: Room, prefix: str, tmp_path: Path) -> None:
    fetch = f"curl -fsS http://{room.upstreams.storage.host}{LARGE} | wc -c"
    needs(tmp_path, "large", room.tools, f"RUN {fetch} >/size")
    environment = {"PROJECT_ROOT": str(tmp_path), "IMAGE_PREFIX": prefix, "IMAGE_TAG": RELEASE}
    assert peak_memory("build", "--record", **environment) < MEMORY_LIMIT
    recording = Store(Settings.load(tmp_path, environ={})).recording(RELEASE, "large")
    assert recording is not None
    assert [item.size for item in recording.downloads] == [room.upstreams.storage.large[LARGE]]
    assert peak_memory("build", "--replay", "--force", **environment) < MEMORY_LIMIT
    shutil.rmtree(tmp_path / ".build/downloads")


def test_a_machine_without_any_network_builds_all_from_a_bundle(room: Room, machine: Settings, tmp_path: Path) -> None:
    bundle = str(tmp_path / "bundle.tar")
    saved = room.inv("deps-save", "--downloads", "-f", bundle)
    assert saved.returncode == 0, said(saved)
    there = tmp_path / "there"
    shutil.copytree(room.root / "src", there / "src")
    with lonely_engine(machine) as alone:
        environment = {**room.environment, **alone.environment, "PROJECT_ROOT": str(there)}
        links = subprocess.run([*alone.inside(), "ip", "-o", "link"], check=True, capture_output=True, text=True)
        assert {line.split(": ")[1] for line in links.stdout.splitlines()} == {"lo", "lonely0"}
        for arguments in (("deps-load", "-f", bundle), ("build-all", "--replay")):
            done = subprocess.run(
                [*alone.inside(), *inv_command(*arguments)],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, said(done)
        assert all(f"{name}: built" in done.stdout for name in SERVICES)
        assert re.search(
            r"closed room: proved: \d+ requests, \d+ downloads, .+ from \d+ hosts, by 6 services\n", done.stdout
        )
        with Engine.connect(Settings.load(there, environ={**os.environ, **environment})) as engine:
            for name in SERVICES:
                assert files_in(engine, room.image(name), name) == room.files[name], name
