"""Building with a real engine: order, reasons, failures, builders."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from build_lib.build import builders
from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import Inv, inv_command
from tests.support.engines import BACKENDS, content, tiny_image
from tests.support.projects import needs
from tests.support.registries import Registry, push


@pytest.fixture
def two(project: Path, prefix: str, tiny: str) -> dict[str, str]:
    """A project of `base`, on the tiny image, and `app` on base; the environment to build it in."""
    needs(project, "base", tiny, "COPY data /data")
    (project / "src/base/data").write_text("1")
    needs(project, "app", f"{prefix}base:v1", "RUN cat /data")
    return {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}


def test_services_are_built_in_the_order_in_which_they_stand_on_each_other(two: dict[str, str], inv: Inv) -> None:
    done = inv("build-all", **two)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("  base: built") < done.stdout.index("  app ...")


def test_only_what_changed_and_what_stands_on_it_is_built_again(
    two: dict[str, str], project: Path, inv: Inv, tiny: str, engine: Engine, machine: Settings
) -> None:
    needs(project, "alone", tiny)
    assert inv("build-all", **two).returncode == 0
    (project / "src/base/data").write_text("2")
    done = inv("build-all", **two)
    assert "base: out of date: context changed: data\n" in done.stdout
    assert "app: out of date: depends on base, which is rebuilt and may change\n" in done.stdout
    assert "alone: up to date\n" in done.stdout
    tiny_image(engine, tiny, machine, newer="yes")
    done = inv("build-all", **two)
    assert f"base: out of date: base image {tiny} changed\n" in done.stdout
    assert "alone: out of date" in done.stdout
    assert inv("build-all", **two).stdout.count("up to date") == 6


def test_without_a_name_force_builds_all_again(two: dict[str, str], inv: Inv) -> None:
    assert inv("build", **two).returncode == 0
    done = inv("build", "--force", **two)
    assert "app: out of date: --force" in done.stdout
    assert "base: out of date: --force" in done.stdout


def test_no_cache_repeats_every_step(
    two: dict[str, str], backend: dict[str, str], project: Path, inv: Inv, tiny: str, engine: Engine, prefix: str
) -> None:
    needs(project, "base", tiny, "RUN cat /proc/sys/kernel/random/uuid >/once")
    environment = {**two, **backend}

    def once(*flags: str) -> str:
        assert inv("build", "-s", "base", *flags, **environment).returncode == 0
        return content(engine, f"{prefix}base:v1", "/once")

    first = once()
    assert once("--force") == first, "from the cache"
    assert once("--no-cache") != first
    done = inv("--dry", "build", "-s", "base", "--no-cache", **environment)
    assert "base: out of date: --no-cache" in done.stdout


def test_force_builds_the_named_service_again(two: dict[str, str], inv: Inv) -> None:
    assert inv("build-all", **two).returncode == 0
    done = inv("build", "-s", "app", "--force", **two)
    assert done.returncode == 0, done.stderr
    assert "app: out of date: --force" in done.stdout
    assert "base: up to date" in done.stdout


def test_an_image_that_this_tool_did_not_build_is_built(two: dict[str, str], inv: Inv, tiny: str, prefix: str) -> None:
    subprocess.run(["docker", "tag", tiny, f"{prefix}base:v1"], check=True)
    assert "base: out of date: the existing image was not built by this tool" in inv("build-all", **two).stdout


def test_a_failure_shows_the_end_of_the_log_and_blocks_what_stands_on_it(
    two: dict[str, str], engine: Engine, project: Path, inv: Inv, tiny: str
) -> None:
    needs(project, "base", tiny, "RUN echo about-to-break && false")
    needs(project, "alone", tiny)
    done = inv("build-all", **two)
    assert done.returncode == 1
    said = "error: base cannot be built: src/base/Dockerfile:2: RUN echo about-to-break && false: exit code 1\n"
    assert done.stderr.count(said) == 1
    assert re.search(r"^  \| about-to-break$", done.stderr, re.MULTILINE)
    log = project / ".build/logs/base.log"
    assert f"the whole log: {log}" in done.stderr
    assert "about-to-break" in log.read_text()
    assert "app: not built: depends on base" in done.stdout
    assert "alone: built" in done.stdout


def test_fail_fast_begins_nothing_more(two: dict[str, str], project: Path, inv: Inv, tiny: str) -> None:
    needs(project, "aaa", tiny, "RUN false")
    done = inv("build-all", "--fail-fast", "-j", "1", **two)
    assert done.returncode == 1
    assert "base: not started" in done.stdout


def test_interrupting_a_build_ends_it_with_130_and_the_next_run_picks_up(
    two: dict[str, str], project: Path, inv: Inv, tiny: str
) -> None:
    log = project / ".build/logs/base.log"
    needs(project, "base", tiny, "RUN echo has-begun && sleep 600")
    with subprocess.Popen(
        inv_command("build-all"),
        env={**os.environ, **two, "PROJECT_ROOT": str(project), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("base ..." in line for line in process.stdout)
        _wait_until_in(log, "sleep 600")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    doing = "error: interrupted while building base\n  next: ./inv build-all does the rest\n"
    assert (process.returncode, said) == (130, doing)
    needs(project, "base", tiny)
    needs(project, "app", tiny)
    assert inv("build-all", **two).returncode == 0


def _wait_until_in(log: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not log.exists() or text not in log.read_text():
        assert time.monotonic() < deadline, f"{text!r} never came into {log}"
        time.sleep(0.05)


def test_settings_reach_the_dockerfiles_that_declare_them(project: Path, prefix: str, tiny: str, inv: Inv) -> None:
    needs(project, "one", tiny, "ARG IMAGE_TAG", "ARG SLURM_FROM=unset", "RUN echo tag=$IMAGE_TAG from=$SLURM_FROM")
    done = inv("build-all", "-t", "v7", IMAGE_PREFIX=prefix, SLURM_FROM="distro")
    assert done.returncode == 0, done.stderr
    assert "tag=v7 from=distro" in (project / ".build/logs/one.log").read_text()


def test_every_backend_builds_the_graph(
    backend: dict[str, str], two: dict[str, str], engine: Engine, prefix: str, inv: Inv
) -> None:
    environment = {**two, **backend}
    done = inv("build-all", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert BACKENDS[backend["BUILDER_BACKEND"]] in done.stdout
    assert Reference.parse(f"{prefix}app:v1").canonical in engine.images.by_name()
    assert "nothing to build" in inv("build-all", **environment).stdout


def test_buildx_knows_additional_contexts(
    buildx: dict[str, str], two: dict[str, str], project: Path, tiny: str, prefix: str, engine: Engine, inv: Inv
) -> None:
    needs(project, "app", tiny, "COPY --from=other /data /from-other", "COPY --from=here /extra /")
    (project / "extra").mkdir()
    (project / "extra/extra").write_text("from a directory")
    contexts = "{other: 'service:base', here: ./extra}"
    (project / "compose.yaml").write_text(
        "services:\n  base: {build: src/base}\n"
        f"  app: {{build: {{context: src/app, additional_contexts: {contexts}}}}}\n"
    )
    done = inv("build-all", BUILDER_BACKEND="buildx", **two, **buildx)
    if int(engine.version().partition(".")[0]) < 23:  # whose BuildKit does not know them
        assert f"error: {project}/compose.yaml:3: service app: the additional context here needs buildx" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(engine, f"{prefix}app:v1", "/from-other") == "1"
    assert content(engine, f"{prefix}app:v1", "/extra") == "from a directory"


def test_a_backend_that_is_not_here_is_refused_with_how_to_get_it(two: dict[str, str], inv: Inv) -> None:
    done = inv("build-all", PATH="/nowhere", BUILDER_BACKEND="buildx", **two)
    assert done.returncode == 1
    said = "error: BUILDER_BACKEND is 'buildx', but no docker CLI on the PATH supports it\n  next: install"
    assert said in done.stderr


def test_no_deps_builds_the_named_service_alone(two: dict[str, str], project: Path, inv: Inv) -> None:
    done = inv("build", "-s", "app", "--no-deps", **two)
    assert done.returncode == 1
    assert "error: app depends on base, which is not built\n  next: ./inv build -s base" in done.stderr
    assert inv("build", "-s", "base", **two).returncode == 0
    (project / "src/base/data").write_text("newer")
    done = inv("build", "-s", "app", "--no-deps", **two)
    assert done.returncode == 0, done.stderr
    assert "app: built" in done.stdout
    assert "  base" not in done.stdout


def test_pull_has_the_builder_look_for_newer_base_images(
    registry: Registry, engine: Engine, machine: Settings, project: Path, prefix: str, inv: Inv
) -> None:
    name, newer = f"{registry.host}/base:1", f"{registry.host}/newer:1"
    push(engine, machine, name, mark="old")
    needs(project, "one", name, "RUN cat /mark >/copy")
    environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}
    try:
        assert inv("build-all", **environment).returncode == 0
        old = engine.images.by_name()[Reference.parse(name).canonical].id
        tiny_image(engine, newer, machine, mark="new")
        engine.images.tag(newer, Reference.parse(name))
        subprocess.run(["docker", "push", name], check=True, capture_output=True)
        engine.images.tag(old, Reference.parse(name))
        assert "nothing to build" in inv("build", "-s", "one", **environment).stdout
        done = inv("build", "-s", "one", "--pull", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert content(engine, f"{prefix}one:v1", "/copy") == "new"
    finally:
        for image in (name, newer):
            engine.images.remove(Reference.parse(image))


def test_build_arguments_and_secrets_come_from_settings_and_secrets_stay_secret(
    project: Path, prefix: str, tiny: str, inv: Inv
) -> None:
    mounts = "--mount=type=secret,id=from_file --mount=type=secret,id=from_env"
    command = "cat /run/secrets/from_file /run/secrets/from_env | grep -q hidden && echo color=$COLOR"
    needs(project, "one", tiny, "ARG COLOR=none", f"RUN {mounts} {command}")
    (project / "secret.txt").write_text("hidden-in-a-file\n")
    (project / ".env").write_text(
        "BUILD_ARG_COLOR=red\nSECRET_from_file=secret.txt\nSECRET_from_env=TOKEN_OF_THE_TEST\n"
    )
    done = inv("build-all", IMAGE_PREFIX=prefix, IMAGE_TAG="v1", TOKEN_OF_THE_TEST="hidden-in-a-variable")
    assert done.returncode == 0, done.stdout + done.stderr
    log = (project / ".build/logs/one.log").read_text()
    assert "color=red" in log
    inspect = ["docker", "image", "inspect", f"{prefix}one:v1"]
    inspected = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout
    assert "hidden-in" not in log + done.stdout + done.stderr + inspected
    wrong = inv("build-all", "-t", "v2", IMAGE_PREFIX=prefix, TOKEN_OF_THE_TEST="x", SECRET_x="hidden-here")
    assert wrong.returncode == 1
    assert "error: SECRET_x names neither a file nor an environment variable" in wrong.stderr
    assert "hidden" not in wrong.stdout + wrong.stderr


def test_without_a_docker_cli_the_classic_builder_builds(
    two: dict[str, str], engine: Engine, prefix: str, inv: Inv
) -> None:
    done = inv("build-all", PATH="/nowhere", **two)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with classic builder" in done.stdout
    assert Reference.parse(f"{prefix}app:v1").canonical in engine.images.by_name()


def test_the_classic_builder_refuses_what_needs_buildkit_by_line(
    project: Path, prefix: str, tiny: str, inv: Inv
) -> None:
    needs(project, "one", tiny, "", "RUN --mount=type=cache,target=/c true")
    done = inv("build-all", PATH="/nowhere", IMAGE_PREFIX=prefix)
    assert done.returncode == 1
    assert f"error: {project}/src/one/Dockerfile:3: RUN --mount needs BuildKit" in done.stderr
    assert "next: install docker-buildx" in done.stderr


def test_an_additional_context_without_buildx_is_refused_by_service(
    project: Path, prefix: str, tiny: str, inv: Inv
) -> None:
    needs(project, "one", tiny)
    (project / "compose.yaml").write_text(
        "services:\n  one:\n    build: {context: src/one, additional_contexts: {extra: ./src}}\n"
    )
    done = inv("build-all", PATH="/nowhere", IMAGE_PREFIX=prefix)
    assert done.returncode == 1
    said = f"error: {project}/compose.yaml:2: service one: the additional context extra needs buildx"
    assert said in done.stderr


def test_an_image_has_its_name_in_the_compose_file_too(
    two: dict[str, str], project: Path, prefix: str, inv: Inv, engine: Engine
) -> None:
    needs(project, "app", f"{prefix}of-compose:1.0", "RUN cat /data")
    (project / "compose.yaml").write_text(f"services: {{base: {{build: src/base, image: {prefix}of-compose:1.0}}}}\n")
    done = inv("build-all", **two)
    assert done.returncode == 0, done.stdout + done.stderr
    images = {name: image.id for name, image in engine.images.by_name().items()}
    written, main = (Reference.parse(f"{prefix}of-compose:{tag}") for tag in ("1.0", "v1"))
    assert images[written.canonical] == images[main.canonical]
    engine.images.remove(written)
    done = inv("build-all", **two)
    assert done.stdout.count("up to date") == 4
    assert engine.images.by_name()[written.canonical].id == images[main.canonical]


def test_a_cli_that_can_build_is_found_behind_one_that_cannot(
    machine: Settings, engine: Engine, tmp_path: Path
) -> None:
    """A docker CLI of version 23 or later without buildx falls back to the classic builder."""
    newer = tmp_path / "docker"
    newer.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Docker version 28.2.2, build e6534b4'\n")
    newer.chmod(0o755)
    path = f"{tmp_path}:/usr/bin"
    settings = Settings.load(tmp_path, environ={**os.environ, "PATH": path})
    found = builders.choose(settings, engine)
    assert isinstance(found, builders.CommandLine)
    assert found.command[0] == "/usr/bin/docker"


def test_the_engine_s_absence_is_one_line(project: Path, inv: Inv) -> None:
    needs(project, "one", "scratch")
    done = inv("build-all", DOCKER_HOST=f"unix://{project}/nothing.sock")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: no Docker Engine answers at unix://{project}/nothing.sock: No such file or directory\n"
        "  next: ./inv engine-up installs or starts one; DOCKER_HOST names another\n"
    )


def test_a_docker_context_that_does_not_exist_is_refused_by_name(project: Path, inv: Inv) -> None:
    needs(project, "one", "scratch")
    done = inv("status", DOCKER_CONTEXT="nowhere", DOCKER_HOST="")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no docker context nowhere\n")
