"""Services that are built while others run: where that is written, and what follows before anything is built."""

import json
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.repository.service import Service
from build_lib.repository.services import Repository, discover
from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.projects import needs, write


def look(root: Path, **environment: str) -> Repository:
    return discover(Settings.load(root, environ=environment))


def edges(service: Service) -> list[tuple[str, str, str]]:
    return [(edge.name, edge.kind, edge.where) for edge in service.edges]


@pytest.fixture
def hub(project: Path) -> Path:
    """A hub with packages, and `master`, which names neither of them in a FROM."""
    for name in ("apphub", "slurm-build", "master"):
        needs(project, name, "debian:12")
    return project


def test_a_setting_makes_an_edge_to_the_hub_and_to_what_is_copied_into_it(hub: Path) -> None:
    assert look(hub).services["master"].needs == ()
    master = look(hub, BUILD_WITH="master=apphub").services["master"]
    assert edges(master) == [
        ("apphub", "running", "BUILD_WITH"),
        ("slurm-build", "packages", "BUILD_WITH"),
    ]
    assert (master.needs, master.build_with) == (("apphub", "slurm-build"), ("apphub",))
    assert not master.uses_siblings


def test_the_compose_file_says_it_beside_the_build(hub: Path) -> None:
    write(
        hub, {"compose.yaml": "services:\n  master:\n    build:\n      context: src/master\n      x-build-with: apphub"}
    )
    [running, packages] = edges(look(hub).services["master"])
    assert (running, packages[:2]) == (("apphub", "running", "compose.yaml:5"), ("slurm-build", "packages"))
    assert look(hub, BUILD_WITH="master=apphub").services["master"].needs == ("apphub", "slurm-build")


def test_what_a_deployment_depends_on_is_no_part_of_a_build(hub: Path) -> None:
    text = "services: {master: {build: src/master, depends_on: {apphub: {condition: service_healthy}}}}"
    write(hub, {"compose.yaml": text})
    assert look(hub).services["master"].needs == ()


def test_another_service_has_no_packages_of_slurm_build(hub: Path) -> None:
    needs(hub, "other", "debian:12")
    assert look(hub, BUILD_WITH="master=other").services["master"].needs == ("other",)


@pytest.mark.parametrize(
    ("setting", "wrong", "hint"),
    [
        ("mastr=apphub", "mastr", "did you mean master?"),
        ("master=aphub", "aphub", "did you mean apphub?"),
        ("master=redis", "redis", "the services are apphub, master, slurm-build"),
    ],
)
def test_an_unknown_service_is_refused_with_a_similar_one(hub: Path, setting: str, wrong: str, hint: str) -> None:
    with pytest.raises(BuildError) as caught:
        look(hub, BUILD_WITH=setting)
    assert (caught.value.message, caught.value.hint) == (f"BUILD_WITH: there is no service {wrong!r}", hint)


def test_an_unknown_service_in_a_compose_file_is_refused_with_its_line(hub: Path, inv: Inv) -> None:
    names = "x-build-with:\n        - apphub\n        - aphub\n"
    write(hub, {"compose.yaml": f"services:\n  master:\n    build:\n      context: src/master\n      {names}"})
    done = inv("services")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: compose.yaml:7: there is no service 'aphub'\n  next: did you mean apphub?")


def test_a_circle_of_images_and_running_services_names_both_places(hub: Path) -> None:
    needs(hub, "apphub", "ai-infra-master:v0.3.6-dev")
    with pytest.raises(BuildError) as caught:
        look(hub, BUILD_WITH="master=apphub")
    assert caught.value.message in (
        f"services depend on each other in a circle: {circle} ({'; '.join(places)})"
        for circle, places in (
            ("apphub -> master -> apphub", (_IMAGE, _RUNNING)),
            ("master -> apphub -> master", (_RUNNING, _IMAGE)),
        )
    )


_IMAGE = "apphub uses the image of master (src/apphub/Dockerfile:1)"
_RUNNING = "master is built with a running apphub (BUILD_WITH)"


@pytest.mark.parametrize("pair", ["apphub=apphub", "slurm-build=apphub"])
def test_a_service_cannot_be_built_with_itself_or_with_its_own_packages(hub: Path, pair: str) -> None:
    with pytest.raises(BuildError, match=r"depend on each other in a circle: .* with .*BUILD_WITH"):
        look(hub, BUILD_WITH=pair)


def test_services_and_graph_show_what_runs_during_a_build(hub: Path, inv: Inv) -> None:
    environment = {"BUILD_WITH": "master=apphub"}
    assert (
        "src/master/Dockerfile       apphub (running), slurm-build, debian:12\n"
        in inv("services", **environment).stdout
    )
    [master] = [
        item for item in json.loads(inv("services", "--json", **environment).stdout) if item["name"] == "master"
    ]
    assert (master["needs"], master["build_with"]) == (["apphub", "slurm-build"], ["apphub"])
    assert inv("graph", "-s", "master", **environment).stdout.splitlines() == [
        "master",
        "├── apphub (running)",
        "│   └── debian:12 (image)",
        "├── slurm-build",
        "│   └── debian:12 (image)",
        "└── debian:12 (image)",
    ]
    assert "s0 -. running .-> s1\n" in inv("graph", "--format", "mermaid", **environment).stdout
    assert "s0 -> s1 [style=dotted, label=running];\n" in inv("graph", "--format", "dot", **environment).stdout


def test_the_images_of_what_runs_are_needed_too(hub: Path, inv: Inv) -> None:
    needs(hub, "apphub", "nginx:stable")
    assert inv("deps", "-s", "master", "--plain").stdout == "debian:12\n"
    assert inv("deps", "-s", "master", "--plain", BUILD_WITH="master=apphub").stdout == "debian:12\nnginx:stable\n"
