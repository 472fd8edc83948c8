"""What goes wrong while services are built: in Dockerfiles, contexts, disks, engines, and by who ends a run."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import ended, run_inv, said, small_disk, start_inv, until
from tests.support.engines import OwnEngine, tiny_image
from tests.support.projects import needs


@dataclass
class Site:
    """A project whose services are built under a prefix of their own, and how they are built."""

    project: Path
    tiny: str
    prefix: str
    environment: dict[str, str] = field(default_factory=dict)

    def inv(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.project, arguments, {**self.own(), **environment})

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return start_inv(self.project, arguments, self.own())

    def own(self) -> dict[str, str]:
        return {"IMAGE_PREFIX": self.prefix, "IMAGE_TAG": "v1", **self.environment}

    def service(self, name: str, *lines: str, on: str = "") -> None:
        """A service on the tiny image, or on another service."""
        needs(self.project, name, f"{self.prefix}{on}:v1" if on else self.tiny, *lines)

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.project / ".build/last-run.json").read_text())
        return found

    def states(self) -> dict[str, str]:
        """What the record says of each service."""
        return {service["name"]: service["state"] for service in self.record()["services"]}

    def status(self) -> dict[str, dict[str, str]]:
        done = self.inv("status", "--json")
        assert done.returncode == 0, said(done)
        return {item["service"]: item for item in json.loads(done.stdout)}

    def to_build(self) -> dict[str, str]:
        """The services that are not up to date, and why."""
        return {name: item["reason"] for name, item in self.status().items() if item["reason"]}

    def builds(self, *names: str) -> None:
        """The next run builds just these; after it all is up to date."""
        done = self.inv("build-all")
        assert done.returncode == 0, said(done)
        assert re.findall(r"^  (\S+) \.\.\.$", done.stdout, re.MULTILINE) == list(names), said(done)
        assert self.to_build() == {}
        self.check_leftovers()

    def check_leftovers(self) -> None:
        """No half-written file, no copy of a Dockerfile, no container."""
        assert containers(self.tiny) == []
        names = [path.name for path in (self.project / ".build").rglob("*")]
        assert [name for name in names if name.startswith(".") or "Dockerfile" in name] == []


@pytest.fixture
def site(project: Path, prefix: str, tiny: str) -> Site:
    return Site(project, tiny, prefix)


@pytest.fixture
def each(backend: dict[str, str], site: Site) -> Site:
    """The site, with each of the builder backends."""
    site.environment |= backend
    return site


@pytest.fixture
def pause() -> Iterator["Pause"]:
    made = Pause()
    yield made
    made.end()


class Pause:
    """A step of a build that lasts until the test ends it: a sleep of a length that no other one has."""

    def __init__(self) -> None:
        self._seconds = str(10**6 + secrets.randbelow(10**9))
        self.line = f"RUN echo has-begun; sleep {self._seconds} || true"

    def begun(self) -> bool:
        return bool(self._processes())

    def wait(self, process: "subprocess.Popen[str] | None" = None) -> None:
        """Until a build has come to it."""

        def there() -> bool:
            assert process is None or process.poll() is None, ended(process)
            return self.begun()

        until(there, "no build comes to the pause")

    def end(self) -> None:
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _processes(self) -> list[int]:
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if self._is_at(path)]

    def _is_at(self, path: Path) -> bool:
        try:
            words = path.read_bytes().rstrip(b"\0").split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return words[0].endswith(b"sleep") and words[1:] == [self._seconds.encode()]


def containers(image: str) -> list[str]:
    """The containers that stand on the image, directly or not, by id."""
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_a_step_that_fails_in_the_middle_stops_what_stands_on_it_and_nothing_else(each: Site) -> None:
    each.service("aaa")
    each.service("bad", "RUN echo about-to-break && false", on="aaa")
    each.service("ccc", on="bad")
    each.service("ddd", on="ccc")
    each.service("eee", on="aaa")
    each.service("fff")
    done = each.inv("build-all")
    assert done.returncode == 1
    assert "error: bad cannot be built: " in said(done)
    assert "about-to-break" in done.stderr
    assert "  ccc: not built: depends on bad\n  ddd: not built: depends on ccc\n" in done.stdout
    assert done.stderr.endswith("error: 1 service failed: bad; 2 services not built: ccc, ddd\n")
    states = {"aaa": "built", "bad": "failed", "ccc": "blocked", "ddd": "blocked", "eee": "built", "fff": "built"}
    assert each.states() == states
    assert each.record()["result"] == "failed"
    [failed] = [item for item in each.record()["services"] if item["name"] == "bad"]
    assert failed["error"].startswith("bad cannot be built: ")
    assert any("about-to-break" in line for line in failed["tail"])
    page = (each.project / ".build/report.html").read_text()
    assert "about-to-break" in page
    status = each.status()
    assert {name: item["state"] for name, item in status.items()} == {
        "aaa": "built", "bad": "failed last time", "ccc": "missing", "ddd": "missing", "eee": "built", "fff": "built"
    }  # fmt: skip
    assert status["bad"]["error"].startswith("bad cannot be built: ")
    each.check_leftovers()
    each.service("bad", "RUN true", on="aaa")
    each.builds("bad", "ccc", "ddd")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_in_a_build_leaves_nothing_running_and_the_next_one_builds(
    how: signal.Signals, each: Site, pause: Pause
) -> None:
    each.service("aaa")
    each.service("bbb", "COPY data /", pause.line, on="aaa")
    each.service("ccc", on="bbb")
    (each.project / "src/bbb/data").write_text("1")
    before = each.inv("build-all", "--dry")
    assert before.returncode == 0, said(before)
    process = each.start("build-all")
    pause.wait(process)
    began = time.monotonic()
    process.send_signal(how)
    text = ended(process)
    assert time.monotonic() - began < 10, "it waited for the build's end"
    code = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}[how]
    assert process.returncode == code, text
    assert "Traceback" not in text
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGKILL: ""}[how]
    assert not word or text.endswith(f"error: {word} while building bbb\n  next: ./inv build-all does the rest\n")
    assert each.status()["bbb"]["state"] == "interrupted last time"
    until(lambda: not pause.begun(), "the build goes on without its run")
    until(lambda: not containers(each.tiny), "a container is left")
    if how is signal.SIGKILL:
        assert not (each.project / ".build/last-run.json").exists()
    else:
        assert each.record()["result"] == "interrupted"
        assert each.states() == {"aaa": "built", "bbb": "interrupted", "ccc": "not begun"}
        assert "interrupted" in (each.project / ".build/report.html").read_text()
    assert set(each.to_build()) == {"bbb", "ccc"}
    each.service("bbb", "COPY data /", on="aaa")
    each.builds("bbb", "ccc")


def test_the_record_of_the_run_before_stays_readable_after_a_kill(each: Site, pause: Pause) -> None:
    each.service("aaa")
    each.builds("aaa")
    each.service("bbb", pause.line)
    process = each.start("build-all")
    pause.wait(process)
    process.kill()
    ended(process)
    until(lambda: not containers(each.tiny), "a container is left")
    assert each.record()["result"] == "done"
    assert each.states() == {"aaa": "built"}


def test_an_engine_that_dies_in_a_build_is_named_and_the_next_run_builds(
    each: Site, pause: Pause, mortal_engine: OwnEngine, machine: Settings
) -> None:
    each.environment |= mortal_engine.environment
    settings = Settings.load(each.project, environ={**os.environ, **mortal_engine.environment})
    with Engine.connect(settings) as engine:
        tiny_image(engine, each.tiny, machine)
    each.service("aaa")
    each.service("bbb", pause.line, on="aaa")
    each.service("ccc", on="bbb")
    process = each.start("build-all")
    try:
        pause.wait(process)
    finally:
        mortal_engine.kill()
        text = ended(process)
    pause.end()
    assert process.returncode == 1, text
    assert "Traceback" not in text
    assert text.count("error: ") == 1, text
    assert f"error: the Docker Engine at {mortal_engine.address} ended in the middle of the work" in text
    assert "next: ./inv engine-up" in text
    assert each.record()["result"] == "failed"
    assert each.states() == {"aaa": "built", "bbb": "interrupted", "ccc": "not begun"}
    assert each.record()["failures"][0]["message"] in text
    assert "ended in the middle of the work" in (each.project / ".build/report.html").read_text()
    mortal_engine.start()
    assert set(each.to_build()) == {"bbb", "ccc"}
    each.service("bbb", on="aaa")
    each.builds("bbb", "ccc")


def test_of_two_runs_at_once_the_second_says_who_is_at_work(each: Site, pause: Pause) -> None:
    each.service("aaa", pause.line)
    each.service("bbb", on="aaa")
    process = each.start("build-all")
    pause.wait(process)
    for command in (("build-all",), ("build", "-s", "aaa")):
        second = each.inv(*command)
        assert second.returncode == 1
        assert second.stderr == (
            f"error: another build-all (pid {process.pid}) is running in this repository\n"
            "  next: try again when it has ended\n"
        )
    assert not (each.project / ".build/last-run.json").exists()
    pause.end()
    text = ended(process)
    assert process.returncode == 0, text
    assert each.states() == {"aaa": "built", "bbb": "built"}
    each.builds()


def test_two_runs_in_two_projects_at_once_both_build(
    site: Site, pause: Pause, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Site(tmp_path_factory.mktemp("other"), site.tiny, f"{site.prefix}other-")
    processes = []
    for place in (site, other):
        place.service("aaa", pause.line)
        processes.append(place.start("build-all"))
    until(lambda: all("has-begun" in _log(place, "aaa") for place in (site, other)), "one waits for the other")
    until(lambda: not _pause_over(pause, processes), "they do not end")
    for process in processes:
        text = ended(process)
        assert process.returncode == 0, text
    for place in (site, other):
        assert place.states() == {"aaa": "built"}
        place.builds()


def _log(site: Site, service: str) -> str:
    path = site.project / f".build/logs/{service}.log"
    return path.read_text() if path.exists() else ""


def _pause_over(pause: Pause, processes: "list[subprocess.Popen[str]]") -> bool:
    pause.end()
    return any(process.poll() is None for process in processes)


def _rewritten(site: Site) -> None:
    (site.project / "src/aaa/data").write_text("1")  # the same again


def _changed(site: Site) -> None:
    (site.project / "src/aaa/data").write_text("2")


def _removed(site: Site) -> None:
    (site.project / "src/aaa/data").unlink()


def _added(site: Site) -> None:
    (site.project / "src/aaa/data2").write_text("")


@pytest.mark.parametrize(
    ("change", "names"), [(_rewritten, "data"), (_changed, "data"), (_removed, "data"), (_added, "data2")]
)
def test_a_context_that_changes_while_it_is_built_is_built_again(
    change: Callable[[Site], None], names: str, each: Site, pause: Pause
) -> None:
    each.service("aaa", "COPY . /", pause.line)
    each.service("bbb", on="aaa")
    (each.project / "src/aaa/data").write_text("1")
    process = each.start("build-all")
    pause.wait(process)
    change(each)
    pause.end()
    text = ended(process)
    assert process.returncode == 0, text
    assert f"context changed during the build: {names}: the next run builds it again\n" in text
    assert set(each.to_build()) == {"aaa", "bbb"}
    if change is _rewritten:
        assert each.to_build()["aaa"] == f"context changed during the build: {names}"
    each.service("aaa", "COPY . /")
    each.builds("aaa", "bbb")


def test_a_dockerfile_that_changes_while_it_is_built_is_built_again(each: Site, pause: Pause) -> None:
    """Also one that is put back: which of the two texts was built, nobody knows."""
    each.service("aaa", pause.line)
    each.service("bbb", "RUN echo first", on="aaa")
    process = each.start("build-all")
    pause.wait(process)
    each.service("bbb", "RUN echo second", on="aaa")
    pause.end()
    text = ended(process)
    assert process.returncode == 0, text
    assert "context changed during the build: Dockerfile: the next run builds it again\n" in text
    each.service("bbb", "RUN echo first", on="aaa")
    done = each.inv("build-all")
    assert "bbb: out of date: context changed during the build: Dockerfile" in done.stdout, said(done)


def test_a_run_that_is_killed_between_a_build_and_its_record_is_not_believed(
    each: Site, pause: Pause, engine: Engine
) -> None:
    """Its image says what the context was before: what it was when it was read, only the end of the run would tell."""
    each.service("aaa", "COPY data /", pause.line)
    data = each.project / "src/aaa/data"
    data.write_text("1")
    process = each.start("build-all")
    pause.wait(process)
    process.send_signal(signal.SIGSTOP)
    name = Reference.parse(f"{each.prefix}aaa:v1").canonical

    def there() -> bool:
        pause.end()
        return name in engine.images.by_name()

    try:
        until(there, "the builder does not end by itself")
    finally:
        process.kill()
        ended(process)
    assert each.to_build() == {"aaa": "the run that built it was interrupted"}
    each.service("aaa", "COPY data /")
    each.builds("aaa")


def test_files_that_go_away_while_they_are_read_are_named(site: Site) -> None:
    site.service("aaa", "COPY . /")
    stop = threading.Event()
    churning = threading.Thread(target=_churn, args=(site.project / "src/aaa", stop))
    churning.start()
    gone = []
    try:
        for _ in range(40):
            done = site.inv("status")
            if done.returncode:
                gone.append(said(done))
            if len(gone) == 3:
                break
    finally:
        stop.set()
        churning.join()
    assert gone, "no file went away at the right moment"
    for text in gone:
        form = r"error: service aaa: .*/src/aaa\S* cannot be read: No such file or directory\n"
        assert re.search(rf"{form}  next: it was removed while the context was read: run again\n", text), text


def _churn(directory: Path, stop: threading.Event) -> None:
    while not stop.is_set():
        for number in range(50):
            below = directory / f"d{number}"
            below.mkdir()
            (below / "file").write_text("x")
        for number in range(50):
            (directory / f"d{number}/file").unlink()
            (directory / f"d{number}").rmdir()


def _gone(site: Site) -> str:
    path = site.project / "src/bbb/Dockerfile"
    path.unlink()
    return f"error: bbb cannot be built: {path} no longer exists\n"


def _without_context(site: Site) -> str:
    path = site.project / "src/bbb"
    (path / "Dockerfile").unlink()
    path.rmdir()
    return f"error: bbb cannot be built: {path} no longer exists\n"


def _invalid(site: Site) -> str:
    site.service("bbb", "NONSENSE here", on="aaa")
    return "error: bbb cannot be built: "


@pytest.mark.parametrize("harm", [_gone, _without_context, _invalid])
def test_a_dockerfile_that_goes_wrong_after_the_check_is_named_and_others_are_built(
    harm: Callable[[Site], str], each: Site, pause: Pause
) -> None:
    each.service("aaa", pause.line)
    each.service("bbb", on="aaa")
    each.service("ccc", on="bbb")
    each.service("ddd", on="aaa")
    process = each.start("build-all")
    pause.wait(process)
    message = harm(each)
    pause.end()
    text = ended(process)
    assert process.returncode == 1, text
    assert "Traceback" not in text
    assert message in text
    assert each.states() == {"aaa": "built", "bbb": "failed", "ccc": "blocked", "ddd": "built"}
    each.service("aaa", pause.line)  # as it was
    each.service("bbb", on="aaa")
    each.builds("bbb", "ccc")


NAMES = (
    "a space", "quo'te", 'dou"ble', "-rf", "--file=x", "new\nline", "tab\t", "ünïcödé", "日本", "$HOME", "back\\slash",
    "*", "#hash", "!not", "a,b=c", "%2e", ".hidden",
)  # fmt: skip


def test_any_name_in_a_context_is_built_and_watched(each: Site, engine: Engine) -> None:
    each.service("aaa", "COPY . /all/")
    directory = each.project / "src/aaa"
    for name in NAMES:
        (directory / name).write_text(name)
    each.builds("aaa")
    with engine.containers.temporary(f"{each.prefix}aaa:v1", owner="test") as container:
        found = {
            member.name.removeprefix("all/"): file.read().decode()
            for member, file in container.files("/all")
            if file is not None
        }
    found.pop("Dockerfile")
    assert found == {name: name for name in NAMES}
    for name in ("new\nline", "ünïcödé", "-rf"):
        (directory / name).write_text("changed")
        shown = name.replace("\n", "\\n")
        assert each.to_build() == {"aaa": f"context changed: {shown}"}
        each.builds("aaa")


def test_a_name_that_is_no_text_is_built_or_refused_by_name(each: Site) -> None:
    each.service("aaa", "COPY . /all/")
    path = os.fsencode(each.project / "src/aaa") + b"/\xff\xfe"
    Path(os.fsdecode(path)).write_text("bytes")
    done = each.inv("build-all")
    assert "Traceback" not in said(done)
    if done.returncode:
        assert "error: aaa cannot be built: " in done.stderr
        return
    assert each.to_build() == {}
    Path(os.fsdecode(path)).write_text("others")
    assert each.to_build() == {"aaa": "context changed: \\udcff\\udcfe"}


def test_pipes_sockets_and_links_to_nowhere_are_no_hindrance(each: Site) -> None:
    each.service("aaa", "COPY . /all/")
    directory = each.project / "src/aaa"
    os.mkfifo(directory / "pipe")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made, contextlib.chdir(directory):
        made.bind("socket")
    (directory / "link").symlink_to("nowhere")
    each.builds("aaa")
    (directory / "link").unlink()
    (directory / "link").symlink_to("elsewhere")
    assert each.to_build() == {"aaa": "context changed: link"}


def test_the_whole_repository_may_be_a_context(each: Site) -> None:
    """Where the program writes, too."""
    (each.project / "compose.yaml").write_text("services:\n  app:\n    build: .\n")
    (each.project / "Dockerfile").write_text(f"FROM {each.tiny}\nCOPY . /all/\n")
    done = each.inv("build-all")
    assert done.returncode == 0, said(done)
    assert "changed" not in done.stdout
    assert each.to_build() == {}
    (each.project / "new").write_text("")
    assert each.to_build() == {"app": "context changed: new"}


@pytest.mark.parametrize(("name", "text"), [("Dockerfile.dockerignore", b"data\n"), (".dockerignore", b"\xff\ndata\n")])
def test_an_ignore_file_holds_for_every_builder_or_is_refused(name: str, text: bytes, each: Site) -> None:
    """Whatever the builder is sent must be what is watched."""
    each.service("aaa", "COPY . /all/", "RUN test ! -e /all/data")
    for file, content in ((name, text), ("data", b"1")):
        (each.project / "src/aaa" / file).write_bytes(content)
    done = each.inv("build-all")
    if each.environment["BUILDER_BACKEND"] == "classic":
        assert done.returncode == 1
        assert f"error: {each.project}/src/aaa/{name}: " in said(done)
        assert "next: install docker-buildx" in done.stderr
        return
    assert done.returncode == 0, said(done)
    (each.project / "src/aaa/data").write_text("2")
    assert each.to_build() == {}


PLACES = ("with a space", "ünï-日本", 'quo\'te "and" double', "a,b=c:d", "-dash", "per%20cent")


@pytest.mark.parametrize("name", PLACES)
def test_a_project_may_lie_anywhere(name: str, each: Site) -> None:
    each.project = each.project / name
    each.project.mkdir()
    each.service("aaa", "COPY data /")
    (each.project / "src/aaa/data").write_text("1")
    (each.project / "secret").write_text("hidden")
    lines = "RUN --mount=type=secret,id=one cat /run/secrets/one | grep -q hidden"
    if each.environment["BUILDER_BACKEND"] != "classic":
        each.environment["SECRET_one"] = "secret"
        each.service("bbb", lines)
    each.builds(*(["aaa"] if each.environment["BUILDER_BACKEND"] == "classic" else ["aaa", "bbb"]))
    assert each.record()["result"] == "done"
    each.service("aaa", "RUN false")
    done = each.inv("build-all")
    assert done.returncode == 1
    assert f"the whole log: {each.project}/.build/logs/aaa.log" in said(done)


@pytest.mark.parametrize("name", ["My Service", "Upper", "ünï", "-dash", "quo'te", "new\nline", "a" * 250])
def test_a_directory_whose_name_cannot_be_an_image_s_is_refused_and_others_are_built(name: str, site: Site) -> None:
    site.service("aaa")
    site.service(name)
    done = site.inv("build-all")
    if name == "-dash":  # after a prefix it can
        assert done.returncode == 0, said(done)
        return
    assert done.returncode == 1
    assert "aaa: built" in said(done)
    shown = name.replace("\n", "\\n")
    assert f"src/{shown}/Dockerfile:1: service {shown}: " in done.stderr, said(done)
    assert site.states() == {"aaa": "built"}


@contextlib.contextmanager
def _filled(directory: Path) -> Iterator[None]:
    """A disk without room: all of it is taken until the `with` is left."""
    taken = directory / "taken"
    with contextlib.suppress(OSError), taken.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    try:
        yield
    finally:
        taken.unlink()


def test_a_disk_that_is_full_is_named_and_the_next_run_builds(each: Site) -> None:
    each.service("aaa")
    state = each.project / ".build"
    with small_disk(state, "size=256k"):
        with _filled(state):
            done = each.inv("build-all")
            assert done.returncode == 1
            form = rf"error: {re.escape(str(state))}/\S+ cannot be written: No space left on device\n"
            assert re.search(form, said(done)), said(done)
        each.check_leftovers()
        each.builds("aaa")


def test_a_disk_that_fills_up_in_a_build_is_named_and_the_next_run_builds(each: Site, pause: Pause) -> None:
    """Its log has no room either."""
    each.service("aaa", f"{pause.line}; i=0; while [ $i -lt 2000 ]; do echo line $i of the log; i=$((i+1)); done")
    each.service("bbb", on="aaa")
    state = each.project / ".build"
    with small_disk(state, "size=256k"):
        process = each.start("build-all")
        pause.wait(process)
        with _filled(state):
            pause.end()
            text = ended(process)
            assert process.returncode == 1, text
            assert "Traceback" not in text
            assert re.search(rf"error: .*{re.escape(str(state))}/\S+ cannot be written: No space left on device", text)
            until(lambda: not containers(each.tiny), "a container is left")
            each.check_leftovers()
        assert "aaa" in each.to_build() or "bbb" in each.to_build()
        each.service("aaa")
        each.builds("aaa", "bbb")


def test_a_project_that_cannot_be_written_to_is_named(site: Site) -> None:
    site.service("aaa")
    with _read_only(site.project):
        for command in ("build-all", "build"):
            done = site.inv(command)
            assert done.returncode == 1
            assert f"error: {site.project}/.build cannot be created: Read-only file system\n" in said(done)
            assert done.stderr.count("error: ") == 1
    site.builds("aaa")


def test_a_file_in_the_place_of_the_state_directory_is_named(site: Site) -> None:
    site.service("aaa")
    (site.project / ".build").write_text("")
    done = site.inv("build-all")
    assert done.returncode == 1
    assert f"error: {site.project}/.build is not a directory\n" in said(done)


@contextlib.contextmanager
def _read_only(directory: Path) -> Iterator[None]:
    if subprocess.run(["mount", "--bind", str(directory), str(directory)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(directory)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)
