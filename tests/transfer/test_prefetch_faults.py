"""What networks, registries and disks do wrong while images come in; a real engine, a real registry behind a proxy.

Each fault is tried with the content path, and with the engine's own pulls where those can meet it.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference, pinned
from build_lib.registry import CHUNK, Descriptor, Registries
from build_lib.settings import Settings
from tests.support.commands import Inv, ended, inv_command, said, small_disk, until
from tests.support.engines import OwnEngine, content
from tests.support.faults import ALWAYS, Fault, Proxy, proxied
from tests.support.images import Made, layer, make, write
from tests.support.projects import needs
from tests.support.registries import Registry, free_place, running_registry
from tests.support.tokens import token_server

KB, MB = 1 << 10, 1 << 20
WAYS = ("content", "engine")
both_ways = pytest.mark.parametrize("way", WAYS)
_PATIENCE_SECONDS = 60


@pytest.fixture
def registries(machine: Settings) -> Iterator[Registries]:
    """A client for what is not under test."""
    with Registries(machine) as made:
        yield made


@dataclass
class Site:
    """The project and the engine, and the registries of one test, whose images are removed after it."""

    engine: Engine
    project: Path
    hosts: set[str] = field(default_factory=set)
    pins: set[Reference] = field(default_factory=set)

    def names(self) -> set[str]:
        """What the engine has of the registries of this test, by its names."""
        found = {Reference.parse(name) for name in self.engine.images.by_name()}
        return {str(name) for name in found if name.host in self.hosts and name.tag and not name.digest}

    def check(self, marks: dict[str, str], *, begun: tuple[Descriptor, ...] = ()) -> None:
        """These images are there with this content, no other names, and of blobs only what was `begun`."""
        assert self.names() == set(marks)
        for name, mark in marks.items():
            assert content(self.engine, name, "/mark") == mark
        self.check_leftovers(*begun)

    def check_leftovers(self, *begun: Descriptor) -> None:
        blobs = {path.name for path in self.blobs()}
        assert blobs == {blob.digest.removeprefix("sha256:") for blob in begun}
        command = ["docker", "ps", "--all", "--format", "{{.Image}}"]
        containers = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert not [image for image in containers if image.startswith(tuple(self.hosts))]

    def blobs(self) -> list[Path]:
        return list((self.project / ".build").glob("blobs/*/*"))

    def has(self, blob: Descriptor) -> bool:
        """Whether the whole blob is on disk."""
        return blob.digest.removeprefix("sha256:") in {path.name for path in self.blobs()}

    def partial(self, blob: Descriptor) -> int:
        """How many bytes of the blob are on disk, not complete."""
        path = self.project / ".build/blobs/partial" / blob.digest.removeprefix("sha256:")
        return path.stat().st_size if path.exists() else 0

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            inv_command("prefetch"),
            cwd=self.project,
            env={**os.environ, "PROJECT_ROOT": str(self.project), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def site(engine: Engine, project: Path) -> Iterator[Site]:
    made = Site(engine, project)
    yield made
    for name in set(engine.images.by_name()):
        reference = Reference.parse(name)
        if reference.host in made.hosts or reference in made.pins:
            engine.images.remove(reference)


@contextlib.contextmanager
def faulty(site: Site, registry: Registry, *faults: Fault) -> Iterator[Proxy]:
    with proxied(registry.host, *faults) as proxy:
        site.hosts |= {registry.host, proxy.host}
        yield proxy


def image(mark: str, size: int = 10) -> Made:
    """One layer of noise, about so many bytes, and above it one that says what the image is."""
    return make([layer(noise=os.urandom(size)), layer(mark=mark)])


def big(made: Made) -> Descriptor:
    return made.manifest.blobs[1]


def range_of(proxy: Proxy, blob: Descriptor, request: int) -> int:
    """From which byte on the blob was asked for in a request."""
    found = re.fullmatch(r"bytes=(\d+)-\d*", proxy.of("GET", blob.digest)[request].headers.get("Range", "bytes=0-"))
    assert found
    return int(found[1])


@both_ways
def test_a_reset_in_a_blob_loses_at_most_a_chunk(
    way: str, registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    made = {name: image(name, 3 * MB) for name in ("early", "late")}
    at = {"early": big(made["early"]).size // 10, "late": big(made["late"]).size * 99 // 100}
    for name, item in made.items():
        write(registries, f"{registry.host}/{name}:1", item)
    resets = [Fault(method="GET", path=big(made[name]).digest, reset_at=at[name]) for name in made]
    with faulty(site, registry, *resets) as proxy:
        for name in made:
            needs(site.project, name, f"{proxy.host}/{name}:1")
        done = inv("prefetch", PULL_THROUGH=way)
        assert done.returncode == 0, said(done)
        for name, item in made.items():
            if way == "engine" and site.engine.keeps_content():  # which begins again
                assert [asked.status for asked in proxy.of("GET", big(item).digest)] == [200, 200]
                continue
            assert [asked.status for asked in proxy.of("GET", big(item).digest)] == [200, 206]
            assert at[name] - CHUNK <= range_of(proxy, big(item), 1) <= at[name]
        site.check({f"{proxy.host}/{name}:1": name for name in made})


# The engine keeps nothing of a pull whose client is gone (that is why there is a content path): it begins again.
@both_ways
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_ends_in_a_blob_is_followed_by_one_that_goes_on(
    way: str, how: signal.Signals, registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    made, small = image("whole", 3 * MB), image("small")
    write(registries, f"{registry.host}/a:1", made)
    write(registries, f"{registry.host}/b:1", small)
    at = 2 * MB
    with faulty(site, registry, Fault(method="GET", path=big(made).digest, hold_at=at)) as proxy:
        names = {f"{proxy.host}/a:1": "whole", f"{proxy.host}/b:1": "small"}
        for service, name in zip("ab", names, strict=True):
            needs(site.project, service, name)
        process = site.start(PULL_THROUGH=way)
        try:
            assert proxy.held.wait(_PATIENCE_SECONDS)
            # a containerd store names an image before its load has ended
            until(
                lambda: f"{proxy.host}/b:1" in site.names() and not site.has(big(small)),
                "the small image waits for the large one",
            )
            if way == "content":
                until(lambda: site.partial(big(made)) >= at - 2 * CHUNK, "what came is not on disk")
        finally:
            began = time.monotonic()
            process.send_signal(how)
            text = ended(process)
        assert time.monotonic() - began < 10, "it waited for the silent registry"
        assert process.returncode == (130 if how is signal.SIGINT else -how), text
        assert how is signal.SIGKILL or f"error: interrupted while pulling {proxy.host}/a:1" in text
        assert "Traceback" not in text
        begun = site.partial(big(made))
        proxy.go_on.set()
        done = inv("prefetch", PULL_THROUGH=way)
        assert done.returncode == 0, said(done)
        assert "1 already present" in done.stdout
        if way == "content":
            assert begun >= at - 2 * CHUNK
            assert range_of(proxy, big(made), 1) == begun
        site.check(names)


@both_ways
def test_a_server_that_fails_once_is_asked_again(
    way: str, registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    write(registries, f"{registry.host}/a:1", image("there"))
    failing = [
        Fault(method="GET|HEAD", path=path, status=status, body=b"<html>gateway</html>")
        for path, status in (("/manifests/", 500), ("/manifests/", 503), ("/blobs/", 503))
    ]
    with faulty(site, registry, *failing) as proxy:
        needs(site.project, "one", f"{proxy.host}/a:1")
        done = inv("prefetch", PULL_THROUGH=way)
        assert done.returncode == 0, said(done)
        assert [item.status for item in proxy.of("GET|HEAD", "/manifests/")][:3] == [500, 503, 200]
        assert [item.status for item in proxy.of("GET|HEAD", "/blobs/")].count(503) == 1
        assert re.search(rf"{proxy.host}/a:1 .* s  {4 if way == 'content' else '[2-4]'}\n", done.stdout), said(done)
        site.check({f"{proxy.host}/a:1": "there"})


@both_ways
def test_a_server_that_fails_for_ever_is_named_and_other_images_come(
    way: str, registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    write(registries, f"{registry.host}/a:1", image("a"))
    write(registries, f"{registry.host}/b:1", image("b"))
    with faulty(site, registry, Fault(method="GET|HEAD", path="/a/manifests/", status=503, times=ALWAYS)) as proxy:
        for name in "ab":
            needs(site.project, name, f"{proxy.host}/{name}:1")
        done = inv("prefetch", PULL_THROUGH=way, TRIES="2")
        assert done.returncode == 1
        assert re.search(rf"not from {proxy.host}: .*503", done.stdout), said(done)
        assert re.search(rf"{proxy.host}/a:1  not available +- +- +2\n", done.stdout), said(done)
        assert f"{proxy.host}/a:1" in done.stderr
        site.check({f"{proxy.host}/b:1": "b"})


@both_ways
def test_who_is_asked_to_wait_waits(way: str, registries: Registries, registry: Registry, site: Site, inv: Inv) -> None:
    write(registries, f"{registry.host}/a:1", image("there"))
    busy = Fault(method="HEAD|GET", path="/manifests/", status=429, headers={"Retry-After": "1"})
    with faulty(site, registry, busy) as proxy:
        needs(site.project, "one", f"{proxy.host}/a:1")
        done = inv("prefetch", PULL_THROUGH=way)
        assert done.returncode == 0, said(done)
        first, second = proxy.of("HEAD|GET", "/manifests/")[:2]
        assert (first.status, second.status) == (429, 200)
        if way == "content":  # the engine does not hand the header on
            assert second.at - first.at >= 1
        site.check({f"{proxy.host}/a:1": "there"})


@both_ways
def test_a_token_exchange_that_ends_early_twice_is_begun_again(
    way: str, machine: Settings, registries: Registries, site: Site, inv: Inv, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        tokens = stack.enter_context(token_server(tmp_path / "tokens", user="secret"))
        early = Fault(method="GET", path="/token", end_at=0, times=2)
        realm = stack.enter_context(proxied(tokens.host, early))
        with running_registry(machine, tmp_path / "private") as open_one:  # the same data, without a login
            write(registries, f"{open_one.host}/p/token.invalid/a:1", image("closed"))
        private = stack.enter_context(
            running_registry(machine, tmp_path / "private", auth=tokens.auth(host=realm.host))
        )
        name = "token.invalid/a:1"
        site.hosts |= {private.host, "token.invalid"}
        needs(site.project, "one", name)
        login = {"PRIVATE_REGISTRY_USERNAME": "user", "PRIVATE_REGISTRY_PASSWORD": "secret"}
        done = inv("prefetch", "-r", f"{private.host}/p", PULL_THROUGH=way, **login)
        assert done.returncode == 0, said(done)
        assert [item.status for item in realm.of("GET", "/token")][:3] == [0, 0, 200]
        site.check({name: "closed"})


@both_ways
def test_a_registry_that_is_not_there_keeps_no_other_image(
    way: str, registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    write(registries, f"{registry.host}/b:1", image("b"))
    closed, nowhere = free_place(), "something.invalid"
    site.hosts |= {registry.host, closed, nowhere}
    for service, name in {"a": f"{closed}/a:1", "b": f"{registry.host}/b:1", "c": f"{nowhere}/c:1"}.items():
        needs(site.project, service, name)
    done = inv("prefetch", PULL_THROUGH=way)
    assert done.returncode == 1
    assert re.search(rf"{closed}/a:1: .*\n    not from {closed}: .*connection refused", done.stdout, re.IGNORECASE)
    cause = r"name resolution|no such host|server misbehaving|name or service not known|no address associated"
    found = re.search(rf"{nowhere}/c:1: .*\n    not from {nowhere}: (.*)", done.stdout)
    assert found, said(done)
    assert re.search(cause, found[1], re.IGNORECASE), said(done)
    assert "2 of 3 images" in done.stderr, said(done)
    assert "Traceback" not in done.stderr
    site.check({f"{registry.host}/b:1": "b"})


@both_ways
def test_a_refused_login_is_said_once_and_not_tried_again(
    way: str, registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    write(registries, f"{registry.host}/open/c:1", image("open"))
    body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
    closed = Fault(method="GET|HEAD", path="/closed/", status=401, body=body, times=ALWAYS)
    with faulty(site, registry, closed) as proxy:
        names = [f"{proxy.host}/closed/a:1", f"{proxy.host}/closed/b:1", f"{proxy.host}/open/c:1"]
        for service, name in zip("abc", names, strict=True):
            needs(site.project, service, name)
        done = inv("prefetch", PULL_THROUGH=way)
        assert done.returncode == 1
        found = re.findall(rf"    not from {proxy.host}: .*unauthorized", done.stdout, re.IGNORECASE)
        assert len(found) == 2, said(done)
        for name in "ab":
            # of the engine's own: a HEAD, and a GET after it
            asked = [item.method for item in proxy.of("GET|HEAD", f"/closed/{name}/")]
            assert len(asked) == len(set(asked)), asked
        site.check({names[2]: "open"})


@both_ways
def test_what_the_private_registry_lacks_comes_from_its_own(
    way: str, registries: Registries, registry: Registry, private: Registry, site: Site, inv: Inv
) -> None:
    name = f"{registry.host}/a:1"
    write(registries, name, image("upstream"))
    site.hosts |= {registry.host, private.host}
    needs(site.project, "one", name)
    done = inv("prefetch", "-r", f"{private.host}/p", "-t", "v1", PULL_THROUGH=way)
    assert done.returncode == 0, said(done)
    place = f"{private.host}/p/{registry.host.replace(':', '_')}/a:1"
    assert f"{name}: from {registry.host}" in done.stdout
    for lacking in (f"{place}-v1", place):
        assert re.search(rf"not from {re.escape(lacking)}: .*(no such image|not found|manifest unknown)", done.stdout)
    site.check({name: "upstream"})


def _patient(way: str, engine: Engine) -> str:
    """Alone, the pulls of a containerd store keep a mirror's wrong bytes, and go on with them from other registries."""
    return "auto" if way == "engine" and engine.keeps_content() else way


# "honest" says whose bytes it gives, "lying" says the digest that was asked for and gives others
@both_ways
@pytest.mark.parametrize("mirror", ["honest", "lying"])
def test_a_mirror_s_other_image_is_refused_where_a_digest_is_asked_for(
    way: str, mirror: str, registries: Registries, registry: Registry, private: Registry, site: Site, inv: Inv
) -> None:
    way = _patient(way, site.engine)
    made, other = image("asked for"), image("another")
    digest = write(registries, f"{registry.host}/a:1", made)
    write(registries, f"{private.host}/cache/a:1", other)
    says = digest if mirror == "lying" else other.manifest.digest
    headers = {
        "Docker-Content-Digest": says,
        "Content-Type": other.manifest.media_type,
        "Content-Length": str(len(other.manifest.body)),
    }
    swapped = Fault(
        method="GET|HEAD",
        path=digest.removeprefix("sha256:"),
        status=200,
        headers=headers,
        body=other.manifest.body,
        times=ALWAYS,
    )
    name = Reference.parse(f"{registry.host}/a@{digest}")
    local = pinned(name)
    assert local is not None
    site.pins.add(local)
    site.hosts.add(registry.host)
    with faulty(site, private, swapped) as proxy:
        needs(site.project, "one", str(name))
        settings = {"REGISTRY_MIRRORS": f"{registry.host}={proxy.host}/cache", "TRIES": "2"}
        done = inv("prefetch", PULL_THROUGH=way, **settings)
    assert done.returncode == 0, said(done)
    assert f"{name}: from {registry.host}" in done.stdout
    refused = "refused: it has a different image there" if mirror == "honest" else "does not match its digest"
    if way == "engine":
        refused = "verification failed"
    assert re.search(rf"not from {proxy.host}/cache/a@{digest}: .*{refused}", done.stdout), said(done)
    loaded = local.canonical in site.engine.images.by_name()
    assert way == "auto" or loaded == (way == "content")
    assert content(site.engine, str(local if loaded else name), "/mark") == "asked for"
    assert site.names() == set()
    site.check_leftovers()


@both_ways
def test_a_mirror_s_wrong_blob_comes_from_the_registry_itself(
    way: str, registries: Registries, registry: Registry, private: Registry, site: Site, inv: Inv
) -> None:
    way = _patient(way, site.engine)
    made = image("right", MB)
    name = f"{registry.host}/a:1"
    write(registries, name, made)
    write(registries, f"{private.host}/cache/a:1", made)
    site.hosts.add(registry.host)
    wrong = Fault(method="GET", path=big(made).digest, corrupt_at=MB // 2, times=ALWAYS)
    with faulty(site, private, wrong) as proxy:
        needs(site.project, "one", name)
        settings = {"REGISTRY_MIRRORS": f"{registry.host}={proxy.host}/cache", "TRIES": "2"}
        done = inv("prefetch", PULL_THROUGH=way, **settings)
    assert done.returncode == 0, said(done)
    assert f"{name}: from {registry.host}" in done.stdout
    refused = "verification failed" if way == "engine" else "does not match its digest"
    assert re.search(rf"not from {proxy.host}/cache/a:1: .*{refused}", done.stdout), said(done)
    site.check({name: "right"})


# The engine takes a layer's wrong bytes for final, and we believe it.
def test_a_blob_of_wrong_bytes_once_is_fetched_again(
    registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    made = image("right", MB)
    write(registries, f"{registry.host}/a:1", made)
    with faulty(site, registry, Fault(method="GET", path=big(made).digest, corrupt_at=MB // 2)) as proxy:
        needs(site.project, "one", f"{proxy.host}/a:1")
        done = inv("prefetch", PULL_THROUGH="content")
        assert done.returncode == 0, said(done)
        assert [range_of(proxy, big(made), request) for request in (0, 1)] == [0, 0]
        site.check({f"{proxy.host}/a:1": "right"})


# The engine keeps its partials to itself.
def test_a_spoiled_partial_is_thrown_away_and_fetched_again(
    registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    """Such as a power cut leaves: of the right length, with other bytes."""
    made = image("right", MB)
    write(registries, f"{registry.host}/a:1", made)
    partial = site.project / ".build/blobs/partial" / big(made).digest.removeprefix("sha256:")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(300 * KB))
    with faulty(site, registry) as proxy:
        needs(site.project, "one", f"{proxy.host}/a:1")
        done = inv("prefetch", PULL_THROUGH="content")
        assert done.returncode == 0, said(done)
        assert [range_of(proxy, big(made), request) for request in (0, 1)] == [300 * KB, 0]
        site.check({f"{proxy.host}/a:1": "right"})


# STALL_SECONDS is for our own connections; the engine waits as long as its own sockets do.
def test_a_stream_that_goes_silent_is_begun_again(
    registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    made = image("whole", 2 * MB)
    write(registries, f"{registry.host}/a:1", made)
    with faulty(site, registry, Fault(method="GET", path=big(made).digest, hold_at=MB)) as proxy:
        needs(site.project, "one", f"{proxy.host}/a:1")
        done = inv("prefetch", PULL_THROUGH="content", STALL_SECONDS="1")
        assert done.returncode == 0, said(done)
        assert len(proxy.of("GET", big(made).digest)) == 2
        assert MB - CHUNK <= range_of(proxy, big(made), 1) <= MB
        site.check({f"{proxy.host}/a:1": "whole"})


@both_ways
def test_two_runs_at_once_both_have_the_images(
    way: str, registries: Registries, registry: Registry, site: Site
) -> None:
    made = image("a", 2 * MB)
    write(registries, f"{registry.host}/a:1", made)
    write(registries, f"{registry.host}/b:1", image("b"))
    # the first waits in the middle of a blob until the second has come to it
    with faulty(site, registry, Fault(method="GET", path=big(made).digest, hold_at=MB)) as proxy:
        names = {f"{proxy.host}/{name}:1": name for name in "ab"}
        for name, service in names.items():
            needs(site.project, service, name)
        first = site.start(PULL_THROUGH=way)
        second: subprocess.Popen[str] | None = None
        try:
            assert proxy.held.wait(_PATIENCE_SECONDS)
            until(lambda: f"{proxy.host}/b:1" in site.names(), "the small image does not come")
            before = len(proxy.of("GET|HEAD", "/a/manifests/"))
            second = site.start(PULL_THROUGH=way)
            until(lambda: len(proxy.of("GET|HEAD", "/a/manifests/")) > before, "the second asks for nothing")
        finally:
            proxy.go_on.set()
            texts = [ended(process) for process in (first, second) if process]
        assert second is not None
        assert (first.returncode, second.returncode) == (0, 0), texts
        assert len(proxy.of("GET", big(made).digest)) <= 2
        site.check(names)


@both_ways
def test_an_engine_that_dies_while_images_come_in_is_named_and_the_next_run_goes_on(
    way: str, registries: Registries, registry: Registry, site: Site, mortal_engine: OwnEngine, inv: Inv
) -> None:
    made = image("whole", 40 * MB)
    write(registries, f"{registry.host}/a:1", made)
    hold = Fault(method="GET", path=big(made).digest, hold_at=20 * MB, times=1 if way == "engine" else 0)
    with faulty(site, registry, hold) as proxy:
        name = f"{proxy.host}/a:1"
        needs(site.project, "one", name)
        process = site.start(PULL_THROUGH=way, **mortal_engine.environment)
        try:
            if way == "engine":
                assert proxy.held.wait(_PATIENCE_SECONDS)
            else:
                until(mortal_engine.takes_in, "nothing is loaded")
        finally:
            mortal_engine.kill()
            text = ended(process)
        proxy.go_on.set()
        assert process.returncode == 1, text
        assert "Traceback" not in text
        assert f"error: the Docker Engine at {mortal_engine.address} ended in the middle of the work" in text
        mortal_engine.start()
        asked = len(proxy.of("GET", big(made).digest))
        done = inv("prefetch", PULL_THROUGH=way, **mortal_engine.environment)
        assert done.returncode == 0, said(done)
        if way == "content":
            assert len(proxy.of("GET", big(made).digest)) == asked == 1, "what was on disk is not fetched again"
        settings = Settings.load(site.project, environ={**os.environ, **mortal_engine.environment})
        with Engine.connect(settings) as engine:
            assert content(engine, name, "/mark") == "whole"
        site.check_leftovers()


# The engine's disk is not under .build.
def test_a_full_disk_is_named_and_smaller_images_come(
    registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    site.hosts.add(registry.host)
    made = {"a": image("a", 6 * MB), "b": image("b", 3 * MB), "c": image("c", 3 * MB), "d": image("d")}
    for name, item in made.items():
        write(registries, f"{registry.host}/{name}:1", item)
        needs(site.project, name, f"{registry.host}/{name}:1")
    with small_disk(site.project / ".build/blobs", "size=4m"):
        done = inv("prefetch", PULL_THROUGH="content", JOBS="1")
        assert done.returncode == 1
        assert "No space left on device" in done.stdout, said(done)
        assert "1 of 4 images" in done.stderr, said(done)
        rest = [blob for blob in made["a"].manifest.blobs if blob != big(made["a"])]  # there for the next run
        site.check({f"{registry.host}/{name}:1": name for name in "bcd"}, begun=tuple(rest))


def test_a_disk_that_fills_up_in_a_blob_leaves_room_for_the_next_run(
    registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    """Each of the two has room alone, and not both at once."""
    made = {name: image(name, 5 * MB // 2) for name in "ab"}
    for name, item in made.items():
        write(registries, f"{registry.host}/{name}:1", item)
    holds = [Fault(method="GET", path=big(item).digest, hold_at=64 * KB) for item in made.values()]
    with small_disk(site.project / ".build/blobs", "size=4m"), faulty(site, registry, *holds) as proxy:
        for name in made:
            needs(site.project, name, f"{proxy.host}/{name}:1")
        process = site.start(PULL_THROUGH="content", JOBS="2")
        try:
            until(lambda: all(proxy.of("GET", big(item).digest) for item in made.values()), "one waits for the other")
        finally:
            proxy.go_on.set()
            text = ended(process)
        if process.returncode:
            assert "No space left on device" in text
        assert "Traceback" not in text
        done = inv("prefetch", PULL_THROUGH="content", JOBS="1")
        assert done.returncode == 0, text + said(done)
        site.check({f"{proxy.host}/{name}:1": name for name in made})


def test_a_disk_without_room_for_names_is_named(
    registries: Registries, registry: Registry, site: Site, inv: Inv
) -> None:
    site.hosts.add(registry.host)
    write(registries, f"{registry.host}/a:1", image("a"))
    needs(site.project, "a", f"{registry.host}/a:1")
    with small_disk(site.project / ".build/blobs", "nr_inodes=2"):
        done = inv("prefetch", PULL_THROUGH="content")
        assert done.returncode == 1
        assert "No space left on device" in said(done)
        site.check({})
