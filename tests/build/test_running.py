"""Builds that need a running service: a real engine, a hub of busybox's httpd, and children that download from it."""

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from build_lib.build.flags import past_proxies
from build_lib.build.running import Host
from build_lib.engine import Engine, owner
from build_lib.settings import Settings
from tests.support.commands import ended, run_inv, said, start_inv, until
from tests.support.engines import OwnEngine, content, tiny_image
from tests.support.hubs import deb
from tests.support.projects import needs, write

SERVE = ("EXPOSE 80", 'CMD ["busybox", "httpd", "-f", "-p", "80", "-h", "/www"]')
SLOW = 'CMD ["sh", "-c", "echo the hub begins; sleep 2; exec busybox httpd -f -p 80 -h /www"]'
DOWNLOAD = "RUN busybox wget -q -O /got http://hub/index.html"


@dataclass
class Job:
    """A repository with a service `hub` that serves /www, and services that are built while it runs."""

    project: Path
    tiny: str
    prefix: str
    engine: Engine
    environment: dict[str, str] = field(default_factory=dict)

    def hub(self, *lines: str, text: str = "one", name: str = "hub") -> None:
        needs(self.project, name, self.tiny, "COPY index.html /www/", *(lines or SERVE))
        (self.project / f"src/{name}/index.html").write_text(text)

    def child(self, name: str, *lines: str) -> None:
        """A service with these lines; the hub has to run while it is built."""
        needs(self.project, name, self.tiny, *lines)
        self.environment["BUILD_WITH"] = f"{self.environment.get('BUILD_WITH', '')} {name}=hub"

    def inv(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.project, arguments, {**self._own(), **environment})

    def built(self, *arguments: str, **environment: str) -> str:
        """What a run says that succeeds and leaves no container."""
        done = self.inv(*arguments, **environment)
        assert done.returncode == 0, said(done)
        assert self.containers() == []
        return done.stdout

    def failed(self, *arguments: str, **environment: str) -> str:
        done = self.inv(*arguments, **environment)
        assert done.returncode == 1, said(done)
        assert self.containers() == []
        assert "Traceback" not in done.stderr
        return done.stderr

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return start_inv(self.project, arguments, self._own())

    def containers(self) -> list[str]:
        return self.engine.containers.of(owner(Settings.load(self.project, environ={}), "build"))

    def got(self, name: str, path: str = "/got") -> str:
        return content(self.engine, f"{self.prefix}{name}:v1", path)

    def log(self, name: str) -> str:
        return (self.project / f".build/logs/{name}.log").read_text()

    def _own(self) -> dict[str, str]:
        return {"IMAGE_PREFIX": self.prefix, "IMAGE_TAG": "v1", **self.environment}


@pytest.fixture
def job(project: Path, tiny: str, prefix: str, engine: Engine) -> Job:
    return Job(project, tiny, prefix, engine)


@pytest.fixture
def each(backend: dict[str, str], job: Job) -> Job:
    """The job, with each of the builder backends."""
    job.environment |= backend
    return job


def test_a_child_downloads_from_the_hub_that_runs_while_it_is_built(each: Job) -> None:
    each.hub()
    each.child("child", DOWNLOAD)
    dry = each.inv("--dry", "build-all").stdout
    assert "  hub runs while child is built\n" in dry
    output = each.built("build-all")
    assert "  hub runs while child is built\n" in output
    assert output.index("  hub: built") < output.index("  child ...")
    assert each.got("child") == "one"
    assert "nothing to build" in each.built("build-all")


def test_a_child_downloads_again_what_changed_and_only_then(each: Job) -> None:
    """The builders' caches would not: neither the Dockerfile nor the context of the child has changed."""
    each.hub()
    each.child("child", DOWNLOAD, "COPY own /own")
    (each.project / "src/child/own").write_text("1")
    each.built("build-all")
    each.hub(text="two")
    assert "  child: out of date: depends on hub, which is rebuilt and may change\n" in each.built("build-all")
    assert each.got("child") == "two"
    each.hub(text="one")  # whose images the builders' caches still have
    each.built("build-all")
    assert each.got("child") == "one"
    (each.project / "src/child/own").write_text("2")
    assert "  hub: up to date\n" in each.built("build", "-s", "child")
    assert (each.got("child"), each.got("child", "/own")) == ("one", "2")
    cached = re.search(r"^cached$", each.log("child"), re.MULTILINE) is not None
    assert cached == (each.environment["BUILDER_BACKEND"] != "classic")


def test_one_container_serves_all_that_need_it(job: Job) -> None:
    job.hub("EXPOSE 80", 'CMD ["sh", "-c", "cat /etc/hostname >/www/id; exec busybox httpd -f -p 80 -h /www"]')
    for name in ("a", "b", "c"):
        job.child(name, "RUN busybox wget -q -O /got http://hub/id")
    output = job.built("build-all", "-j", "3")
    assert "  hub runs while a, b, c are built\n" in output
    [id] = {job.got(name) for name in ("a", "b", "c")}
    assert len(id.strip()) == 12


@pytest.mark.parametrize(
    "ready",
    [
        ("EXPOSE 443 80",),
        ("HEALTHCHECK --interval=60s CMD busybox wget -q -O /dev/null http://localhost/",),
        ("EXPOSE 443", "HEALTHCHECK --start-period=60s CMD busybox wget -q -O /dev/null http://localhost/"),
    ],
    ids=("port", "health check", "both"),
)
def test_the_hub_is_ready_before_the_build_begins(job: Job, ready: tuple[str, ...]) -> None:
    job.hub(*ready, SLOW)
    job.child("child", DOWNLOAD)
    job.built("build-all", READY_SECONDS="30")
    assert job.got("child") == "one"


def test_the_compose_file_s_health_check_counts_and_its_names(job: Job) -> None:
    job.hub("HEALTHCHECK CMD false", SLOW)
    job.child("child", DOWNLOAD)
    del job.environment["BUILD_WITH"]
    compose = """\
        services:
          hub: {build: src/hub, healthcheck: {test: [CMD, busybox, wget, -q, -O, /dev/null, http://localhost/]}}
          child: {build: {context: src/child, x-build-with: [hub]}}
        """
    write(job.project, {"compose.yaml": compose})
    job.built("build-all", READY_SECONDS="30")
    assert job.got("child") == "one"


def test_a_hub_that_is_not_ready_in_time_fails_what_needs_it_and_shows_its_log(job: Job) -> None:
    job.hub("HEALTHCHECK CMD echo no answer yet; false", SLOW.replace("sleep 2", "sleep 600"))
    job.child("child", DOWNLOAD)
    job.child("other", DOWNLOAD)
    needs(job.project, "alone", job.tiny)
    error = job.failed("build-all", "-j", "1", READY_SECONDS="1")
    why = "hub, which has to run meanwhile, was not ready after 1 s: no answer yet\n"
    assert (
        f"error: child is not built: {why}  | the hub begins\n  next: docker run --rm {job.prefix}hub:v1 shows" in error
    )
    assert f"error: other is not built: {why}  next:" in error
    [states] = [json.loads((job.project / ".build/last-run.json").read_text())["services"]]
    assert {item["name"]: item["state"] for item in states} == {
        "alone": "built",
        "child": "failed",
        "hub": "built",
        "other": "failed",
    }
    job.hub()
    job.built("build-all")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            ("EXPOSE 80", 'CMD ["sh", "-c", "echo a setting is missing >&2; exit 3"]'),
            "hub, which has to run meanwhile, ended with exit code 3 before it was ready\na setting is missing\n",
        ),
        (
            ('CMD ["sleep", "600"]',),
            "it is unknown when hub is ready: its image has no health check, and exposes no TCP port\n  next: write",
        ),
        (
            ("EXPOSE 80", 'CMD ["sleep", "600"]'),
            "hub, which has to run meanwhile, was not ready after 2 s: nothing listens on 80\n(its log is empty)\n",
        ),
        (
            ("FROM scratch", "COPY --from=0 /bin/busybox /busybox", "EXPOSE 80", 'CMD ["/busybox", "httpd", "-f"]'),
            "hub, which has to run meanwhile, was not ready after 2 s: OCI runtime exec failed: ",
        ),
        (("EXPOSE 80", 'CMD ["/nothing"]'), "cannot run a container from "),
    ],
    ids=("ends", "no sign", "silent", "no shell", "does not start"),
)
def test_a_hub_that_does_not_run_is_told_with_the_reason(job: Job, lines: tuple[str, ...], why: str) -> None:
    job.hub(*lines)
    job.child("child", DOWNLOAD)
    assert f"error: child is not built: {why}" in job.failed("build-all", READY_SECONDS="2").replace("\n  | ", "\n")


def test_a_failed_build_leaves_no_container(job: Job) -> None:
    job.hub()
    job.child("child", "RUN busybox wget -q -O /got http://hub/nothing")
    assert "server returned error: HTTP/1.1 404" in job.failed("build-all")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("during", ["the build", "the start"])
def test_an_interrupted_run_leaves_no_container(job: Job, end: signal.Signals, during: str) -> None:
    job.hub(*SERVE) if during == "the build" else job.hub("HEALTHCHECK CMD false", SLOW)
    job.child("child", "RUN busybox wget -q -O /got http://hub/index.html && sleep 600")
    process = job.start("build-all")
    until(job.containers, "the hub never came")
    if during == "the build":
        log = job.project / ".build/logs/child.log"
        until(lambda: log.exists() and "sleep 600" in log.read_text(), "the build never began")
    process.send_signal(end)
    ended(process)
    assert process.returncode == 128 + end
    assert job.containers() == []


def test_what_a_killed_run_left_goes_with_the_next_one_or_with_clean(job: Job) -> None:
    job.hub("HEALTHCHECK CMD false", SLOW)
    job.child("child", DOWNLOAD)
    for command in (("build-all",), ("clean", "--yes")):
        process = job.start("build-all")
        until(job.containers, "the hub never came")
        process.kill()
        ended(process)
        assert job.containers() != []
        job.hub()
        job.built(*command)
        job.hub("HEALTHCHECK CMD false", SLOW)


def test_an_engine_that_dies_meanwhile_is_named_and_the_next_run_removes_the_hub(
    job: Job, mortal_engine: OwnEngine, machine: Settings
) -> None:
    job.environment |= mortal_engine.environment
    with Engine.connect(Settings.load(job.project, environ={**os.environ, **mortal_engine.environment})) as engine:
        tiny_image(engine, job.tiny, machine)
        job.engine = engine
        _die_during_a_build(job, mortal_engine)
        mortal_engine.start()
        assert job.containers() != []
        job.child("child", DOWNLOAD)
        job.built("build-all")
        assert job.got("child") == "one"


def _die_during_a_build(job: Job, mortal_engine: OwnEngine) -> None:
    job.hub()
    job.child("child", "RUN busybox wget -q -O /got http://hub/index.html && sleep 600")
    process = job.start("build-all")
    log = job.project / ".build/logs/child.log"
    try:
        until(lambda: log.exists() and "sleep 600" in log.read_text(), "the build never began")
    finally:
        mortal_engine.kill()
        text = ended(process)
    assert process.returncode == 1, text
    assert text.count("error: ") == 1, text
    assert f"error: the Docker Engine at {mortal_engine.address} ended in the middle of the work" in text


def test_the_hub_is_reached_past_a_proxy(each: Job) -> None:
    each.hub()
    each.child("child", "RUN echo $NO_PROXY $no_proxy >/got")
    each.built("build-all", http_proxy="http://127.0.0.1:1", NO_PROXY="harbor.example")
    assert each.got("child") == "harbor.example,hub harbor.example,hub\n"


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, None),
        ({"HTTP_PROXY": "p"}, "hub"),
        ({"https_proxy": "p", "no_proxy": "a,b"}, "a,b,hub"),
        ({"ALL_PROXY": "p", "NO_PROXY": "a"}, "a,hub"),
    ],
)
def test_a_hub_needs_no_proxy_where_there_is_one(environment: dict[str, str], direct: str | None) -> None:
    host = Host(name="hub", address="172.17.0.2", content="hub-0123")
    assert past_proxies(environment, ()) == environment
    expected = {} if direct is None else {"NO_PROXY": direct, "no_proxy": direct}
    assert past_proxies(environment, [host]) == {**environment, **expected}


def test_no_deps_runs_the_existing_image(job: Job) -> None:
    job.hub()
    job.child("child", DOWNLOAD)
    hint = "error: child depends on hub, which is not built\n  next: ./inv build -s hub"
    assert hint in job.failed("build", "-s", "child", "--no-deps")
    job.built("build", "-s", "hub")
    job.hub(text="two")
    output = job.built("build", "-s", "child", "--no-deps")
    assert "  hub runs while child is built\n" in output
    assert job.got("child") == "one"


def test_the_hub_has_its_packages_before_others_are_built_from_it(job: Job) -> None:
    published = "/usr/share/nginx/html/pkgs/slurm-deb"
    needs(job.project, "slurm-build", job.tiny, "COPY *.deb /out/")
    needs(job.project, "apphub", job.tiny, "EXPOSE 80", 'CMD ["busybox", "httpd", "-f", "-h", "/usr/share/nginx/html"]')
    needs(job.project, "slurm-master", job.tiny, "RUN busybox wget -q -O /got http://apphub/pkgs/slurm-deb/Packages")
    job.environment["BUILD_WITH"] = "slurm-master=apphub"
    directory = job.project / "src/slurm-build"
    deb(job.project / "debs", "slurmctld", "25.05.3").rename(directory / "slurmctld.deb")
    output = job.built("build", "-s", "slurm-master")
    copied = "  1 package copied into apphub and read back\n"
    assert copied in output
    assert output.index("  slurm-build: built") < output.index("  slurm-master ...")
    assert "Version: 25.05.3\n" in job.got("slurm-master")
    assert "Version: 25.05.3\n" in content(job.engine, f"{job.prefix}apphub:v1", f"{published}/Packages")
    output = job.built("build-all")
    assert "nothing to build" in output
    assert "nothing to do: 1 package already present in apphub" in output
    deb(job.project / "debs", "slurmctld", "25.05.4").rename(directory / "slurmctld.deb")
    output = job.built("build-all")
    assert output.index("step 3/5") < output.index(copied)
    assert "  apphub: up to date\n" in output
    assert "  slurm-master: out of date: depends on slurm-build, which is rebuilt and may change\n" in output
    assert "Version: 25.05.4\n" in job.got("slurm-master")
    [master] = [item for item in json.loads(job.inv("status", "--json").stdout) if item["service"] == "slurm-master"]
    assert (master["state"], master["build_with"]) == ("built", ["apphub"])
    assert "slurm-master is built with apphub running\n" in job.inv("status").stdout


def test_packages_that_cannot_be_copied_fail_what_is_built_from_them(job: Job) -> None:
    needs(job.project, "slurm-build", job.tiny)
    needs(job.project, "apphub", job.tiny, *SERVE)
    needs(job.project, "slurm-master", job.tiny, "RUN busybox wget -q -O /got http://apphub/")
    job.environment["BUILD_WITH"] = "slurm-master=apphub"
    error = job.failed("build", "-s", "slurm-master")
    assert f"error: slurm-master is not built: {job.prefix}slurm-build:v1 has no .deb or .rpm in /out" in error
