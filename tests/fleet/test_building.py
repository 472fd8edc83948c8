"""A graph built on several daemons: in order, by digest, and the same as on one."""

import json
from datetime import date
from itertools import pairwise
from pathlib import Path

from build_lib.reference import Reference
from build_lib.repository import Locked, lock
from build_lib.settings import Settings
from tests.support.fleet_sites import Site, four_levels, write_tiny
from tests.support.fleets import Daemon, StartDaemon
from tests.support.projects import write

WIDTH = 6


def diamond(site: Site) -> None:
    """`left` and `right` on `base`, and `top`, which has something of both."""
    (site.service("base", "COPY data /data") / "data").write_text("1\n")
    for name in ("left", "right"):
        site.service(name, f"RUN echo $(cat /data) {name} > /{name}", on="site-base:v1")
    site.service("top", "COPY --from=site-left:v1 /left /", on="site-right:v1")


def test_services_are_built_on_both_daemons_and_named_in_the_registry(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    diamond(site)
    said = site.done("build-all")
    assert said.index("  base: built on") < said.index("  left ...") < said.index("  top ...")
    assert f"  4 names written to {site.registry}\n" in said
    assert set(site.builders().values()) == {daemon.host for daemon in pair}
    assert site.text("top", "left") == "1 left\n"
    assert site.text("top", "right") == "1 right\n"


def test_the_image_of_one_platform_is_no_index(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("base")
    site.done("build-all")
    assert site.config("base")["architecture"] == "amd64"


def test_a_second_run_does_nothing_and_needs_no_daemon(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    diamond(site)
    site.done("build-all")
    for daemon in pair:
        daemon.kill()
    said = site.done("build-all")
    assert "nothing to build" in said
    assert "written to" not in said
    assert site.status() == dict.fromkeys(("base", "left", "right", "top"), "built")


def test_another_machine_finds_by_the_registry_what_is_up_to_date(
    site: Site, pair: tuple[Daemon, Daemon], tmp_path: Path
) -> None:
    diamond(site)
    site.done("build-all")
    other = site.same_elsewhere(tmp_path / "elsewhere")
    assert set(other.status().values()) == {"built"}
    assert "nothing to build" in other.done("build-all")
    (other.project / "src/base/data").write_text("2\n")
    other.done("build-all")
    assert set(other.states().values()) == {"built"}
    assert other.text("top", "left") == "2 left\n"


def test_a_change_builds_what_depends_on_it_and_moves_the_names(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    diamond(site)
    site.service("alone")
    site.done("build-all")
    before = {name: site.digest(name) for name in ("base", "left", "right", "top", "alone")}
    (site.project / "src/base/data").write_text("2\n")
    assert f"  4 names written to {site.registry}\n" in site.done("build-all")
    assert site.states()["alone"] == "up to date"
    assert {name for name, digest in before.items() if digest == site.digest(name)} == {"alone"}


def test_all_images_of_a_dockerfile_come_from_the_registry_by_digest(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, busybox: bytes
) -> None:
    digests = {
        f"{name}:1": write_tiny(machine, site.registry, busybox, f"{name}:1", mark=f"{name}\n")
        for name in ("from", "copied", "mounted", "context")
    }
    site.service("base", "RUN echo base > /base")
    web = site.service(
        "web",
        "COPY --from=copied:1 /mark /copied",
        "RUN --mount=from=mounted:1,target=/other cat /other/mark > /mounted",
        "COPY --from=image /mark /context",
        "COPY --from=sibling /base /",
        "COPY --from=here /text /",
        on="from:1",
    )
    (web / "here").mkdir()
    contexts = "{image: 'docker-image://context:1', sibling: 'service:base', here: ./src/web/here}"
    web_in_compose = f"  web: {{build: {{context: src/web, additional_contexts: {contexts}}}}}\n"
    write(
        site.project,
        {"src/web/here/text": "here\n", "compose.yaml": f"services:\n  base: {{build: src/base}}\n{web_in_compose}"},
    )
    site.done("build-all")
    log = site.log("web")
    for name, digest in digests.items():
        assert f"{site.registry}/{name.removesuffix(':1')}@{digest}" in log, name
    assert f"{site.registry}/site-base@{site.digest('base')}" in log
    made = {path: site.text("web", path) for path in ("mark", "copied", "mounted", "context", "base", "text")}
    assert made == {name: f"{name}\n" for name in ("copied", "mounted", "context", "base")} | {
        "mark": "from\n",
        "text": "here\n",
    }


def test_locked_images_are_built_on_though_their_tags_moved(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, busybox: bytes
) -> None:
    def write_all(which: str) -> dict[str, str]:
        return {
            name: write_tiny(machine, site.registry, busybox, f"{name}:1", which=f"{name} {which}\n")
            for name in ("from", "copied", "context")
        }

    site.service("web", "COPY --from=copied:1 /which /copied", "COPY --from=image /which /context", on="from:1")
    contexts = "{image: 'docker-image://context:1'}"
    web = f"services:\n  web: {{build: {{context: src/web, additional_contexts: {contexts}}}}}\n"
    locked = [
        Locked(image=Reference.parse(f"{name}:1"), digest=digest, platforms=(), source=name, date=date(2026, 11, 29))
        for name, digest in write_all("old").items()
    ]
    write(site.project, {"compose.yaml": web, "images.lock": lock.text(locked)})
    write_all("new")
    said = site.done("build-all", "--frozen")
    assert "remark: images.lock:" in said
    assert {path: site.text("web", path) for path in ("which", "copied", "context")} == {
        "which": "from old\n",
        "copied": "copied old\n",
        "context": "context old\n",
    }


def test_a_service_is_found_by_its_name_in_compose_too(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("base", "RUN echo base > /base")
    site.service("web", "RUN cat /base > /copy", on="site-base:latest")
    named = "services:\n  base: {build: src/base, image: 'site-base:latest'}\n  web: {build: src/web}\n"
    write(site.project, {"compose.yaml": named})
    said = site.done("build-all")
    assert said.index("  base: built on") < said.index("  web ...")
    assert site.text("web", "copy") == "base\n"


def test_the_front_end_of_a_syntax_line_comes_from_the_registry_by_digest(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, busybox: bytes
) -> None:
    digest = write_tiny(machine, site.registry, busybox, "docker/dockerfile:1")
    (site.service("web") / "Dockerfile").write_text("# syntax=docker/dockerfile:1\nFROM tiny:1\n")
    done = site.inv("build-all")
    assert done.returncode == 1, "a shell is no front end"
    assert "error: web cannot be built: " in done.stderr
    assert f"docker-image://{site.registry}/docker/dockerfile@{digest}" in site.log("web")


def test_secrets_reach_builders_and_no_log(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("web", "RUN --mount=type=secret,id=TOKEN wc -c < /run/secrets/TOKEN > /size")
    said = site.done("build-all", SECRET_TOKEN="THE_TOKEN", THE_TOKEN="seven-and-more")
    assert site.text("web", "size") == "14\n"
    assert "seven-and-more" not in said + site.logs()


def test_a_base_image_that_nobody_has_fails_its_service_alone(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("good", "RUN true")
    site.service("bad", on=f"{site.registry.partition('/')[0]}/nowhere/nothing:1")
    done = site.inv("build-all")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: bad is not built: it needs " in done.stderr
    assert site.states() == {"bad": "failed", "good": "built"}
    assert site.digest("good") is None


def test_a_name_that_something_else_has_in_the_registry_is_built_and_taken(
    site: Site, pair: tuple[Daemon, Daemon], machine: Settings, busybox: bytes
) -> None:
    before = write_tiny(machine, site.registry, busybox, "site-web:v1")
    site.service("web", "RUN true")
    assert "web: out of date: the existing image was not built by this tool" in site.done("build-all")
    assert site.digest("web") not in (None, before)


def test_a_run_builds_no_more_at_once_than_it_may(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    for name in ("a", "b", "c", "d"):
        site.service(name, "RUN true")
    assert ", 1 at once\n" in site.done("build-all", "-j", "1")
    spans = sorted((each["began"], each["began"] + each["seconds"]) for each in site.record()["services"])
    assert all(ended <= began + 0.002 for (_, ended), (began, _) in pairwise(spans)), "rounded to milliseconds"


def test_programs_read_who_built_what(site: Site, pair: tuple[Daemon, Daemon]) -> None:
    site.service("web", "RUN true")
    done = site.inv("build-all", "--json")
    assert done.returncode == 0, done.stderr
    [service] = json.loads(done.stdout)["services"]
    assert service["builder"] in {daemon.host for daemon in pair}
    assert service["builder"] in (site.project / ".build/report.html").read_text()


def test_the_images_are_the_same_on_one_two_and_three_daemons(site: Site, daemon: StartDaemon) -> None:
    names = four_levels(site, WIDTH)
    found = []
    for count in (1, 2, 3):
        daemons = [daemon(f"{count}-{number}") for number in range(count)]
        site.use(*daemons)
        site.done("build-all", "--force")
        assert set(site.states().values()) == {"built"}
        assert set(site.builders().values()) == {each.host for each in daemons}
        found.append({name: site.files(name) for name in names})
        for each in daemons:
            each.kill()
    assert found[0] == found[1] == found[2]
    assert len(names) == 4 * WIDTH
    assert {f"in-s{level}-0" for level in range(4)} < found[0]["s3-0"].keys()
