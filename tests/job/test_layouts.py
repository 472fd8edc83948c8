"""The whole job in repositories of six layouts, from init to a second copy-slurm."""

import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from build_lib.engine import Engine
from build_lib.settings import Settings
from tests.support.commands import run_inv
from tests.support.engines import remove_images, tiny_image
from tests.support.hubs import deb

SERVED = "/usr/share/nginx/html/pkgs/slurm-deb"
PACKAGE = "tool_1.0_all.deb"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A repository: its files, in which BASE stands for an image from outside; and what the job must find in it."""

    files: Mapping[str, str]
    services: tuple[str, ...]
    change: str  # the file that is changed
    rebuilt: tuple[str, ...]  # the services that the change rebuilds
    packages: str = ""  # the directory that gets a real package; "" if nothing is copied


LAYOUTS = {
    "services": Layout(
        files={
            "services/base/Dockerfile": "FROM BASE\nCOPY a /a\n",
            "services/base/a": "1\n",
            "services/web/Dockerfile": "ARG IMAGE_PREFIX\nARG IMAGE_TAG\n"
            "FROM ${IMAGE_PREFIX}base:${IMAGE_TAG}\nCOPY b /b\n",
            "services/web/b": "1\n",
            "services/tool/Dockerfile": "FROM BASE\nRUN echo tool\n",
        },
        services=("base", "tool", "web"),
        change="services/base/a",
        rebuilt=("base", "web"),
    ),
    "compose only": Layout(
        files={
            "compose.yaml": "services:\n"
            "  web: {build: {context: web, args: {WHO: web}}}\n"
            "  worker: {build: {context: web, dockerfile: worker.Dockerfile}, depends_on: [web]}\n"
            "  cache: {image: BASE}\n",
            "web/Dockerfile": "FROM BASE\nARG WHO\nRUN echo $WHO >/who\n",
            "web/worker.Dockerfile": "FROM BASE\nCOPY main.sh /\n",
            "web/main.sh": "true\n",
        },
        services=("web", "worker"),
        change="web/worker.Dockerfile",
        rebuilt=("worker",),
    ),
    "one at the top": Layout(
        files={
            "Dockerfile": "FROM BASE AS build\nCOPY main.c /\nFROM BASE\nCOPY --from=build /main.c /\n",
            "main.c": "1\n",
        },
        services=("REPOSITORY",),
        change="main.c",
        rebuilt=("REPOSITORY",),
    ),
    "monorepo": Layout(
        files={
            "compose.yaml": "services:\n"
            "  api: {build: {context: ., dockerfile: apps/api/Dockerfile}}\n"
            "  web: {build: {context: ., dockerfile: apps/web/Dockerfile}}\n",
            ".dockerignore": ".*\n",
            "apps/api/Dockerfile": "FROM BASE\nCOPY lib /lib\nCOPY apps/api /api\n",
            "apps/api/main": "1\n",
            "apps/web/Dockerfile": "FROM BASE\nCOPY apps/web /web\n",
            "apps/web/main": "1\n",
            "lib/shared": "1\n",
        },
        services=("api", "web"),
        change="lib/shared",
        rebuilt=("api",),
    ),
    "the plan's pair": Layout(
        files={
            "src/slurm-build/Dockerfile": "FROM BASE\nCOPY *.deb /out/\n",
            "src/apphub/Dockerfile": f"FROM BASE\nCOPY index.html {SERVED}/\n",
            "src/apphub/index.html": "the hub's own\n",
        },
        services=("apphub", "slurm-build"),
        change="src/apphub/index.html",
        rebuilt=("apphub",),
        packages="src/slurm-build",
    ),
    "Slurm as a stage": Layout(
        files={
            "src/apphub/Dockerfile": "FROM BASE AS slurm\nCOPY *.deb /out/\n"
            f"FROM BASE\nCOPY --from=slurm /out/ {SERVED}/\nCOPY index.html {SERVED}/\n",
            "src/apphub/index.html": "the hub's own\n",
        },
        services=("apphub",),
        change="src/apphub/index.html",
        rebuilt=("apphub",),
        packages="src/apphub",
    ),
}


@dataclass(frozen=True)
class Job:
    """A repository of a layout, with images of its own."""

    project: Path
    prefix: str
    layout: Layout

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(self._named(name) for name in self.layout.services)

    @property
    def rebuilt(self) -> list[str]:
        return [self._named(name) for name in self.layout.rebuilt]

    def inv(self, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = run_inv(self.project, arguments, {})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def states(self) -> dict[str, str]:
        return {item["service"]: item["state"] for item in json.loads(self.inv("status", "--json"))}

    def _named(self, name: str) -> str:
        return self.project.name if name == "REPOSITORY" else name


@pytest.fixture(params=LAYOUTS)
def job(request: pytest.FixtureRequest, engine: Engine, machine: Settings, tmp_path: Path) -> Iterator[Job]:
    layout = LAYOUTS[request.param]
    made = Job(tmp_path / f"blt-{secrets.token_hex(4)}", f"blt-{secrets.token_hex(4)}-", layout)
    base = f"{made.prefix}outside/base:1"
    tiny_image(engine, base, machine)
    for path, text in layout.files.items():
        file = made.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("BASE", base))
    if layout.packages:
        deb(tmp_path / "debs", "tool", "1.0").rename(made.project / layout.packages / PACKAGE)
    subprocess.run(["git", "init", "--quiet", str(made.project)], check=True)
    (made.project / ".env").write_text(f"IMAGE_PREFIX={made.prefix}\nIMAGE_TAG=v1\n")
    yield made
    remove_images(engine, made.prefix)


def test_the_whole_job_in_a_repository_of_any_layout(job: Job, engine: Engine) -> None:
    job.inv("init", "--path", str(job.project))
    assert tuple(item["name"] for item in json.loads(job.inv("services", "--json"))) == job.services
    assert {item["image"] for item in json.loads(job.inv("deps", "--json"))} == {f"{job.prefix}outside/base:1"}
    built = job.inv("build-all")
    assert job.states() == dict.fromkeys(job.services, "built")
    if job.layout.packages:
        assert "  1 package " in built
        _require_hub(job, engine)
    file = job.project / job.layout.change
    file.write_text(f"{file.read_text()}# changed\n")
    states = job.states()
    assert sorted(name for name, state in states.items() if state != "built") == job.rebuilt, states
    job.inv("build")
    if job.layout.packages:
        assert " and read back\n" in job.inv("copy-slurm")
        _require_hub(job, engine)
    assert job.inv("copy-slurm").startswith("nothing to do: ")
    assert job.states() == dict.fromkeys(job.services, "built")
    assert "  nothing to build\n" in job.inv("build-all")


def _require_hub(job: Job, engine: Engine) -> None:
    """The hub has the package, its index, and what it had itself."""
    with engine.containers.temporary(f"{job.prefix}apphub:v1", owner="test") as container:
        held = {member.name.partition("/")[2]: content.read() for member, content in container.files(SERVED) if content}
    assert f"Filename: ./{PACKAGE}\n".encode() in held["Packages"]
    assert held[PACKAGE] == (job.project / job.layout.packages / PACKAGE).read_bytes()
    assert held["index.html"] == (job.project / "src/apphub/index.html").read_bytes()
