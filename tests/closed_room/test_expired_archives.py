"""An archive of apt that has expired since it was recorded: a replay says so, and gives apt the option to take it."""

from pathlib import Path

from build_lib.engine import Engine
from build_lib.units import local_time
from tests.support.commands import run_inv, said
from tests.support.engines import content
from tests.support.page_servers import Page, serving
from tests.support.projects import needs

OLD, NEW = "/dists/old/InRelease", "/dists/new/InRelease"
OPTION = "-o Acquire::Check-Valid-Until=false"


def test_a_replay_tells_of_it_and_gives_the_option(engine: Engine, tiny: str, prefix: str, tmp_path: Path) -> None:
    environment = {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1", "MIRROR_ARGS": "APT_OPTIONS=apt-options"}
    image = f"{prefix}web:v1"
    with serving() as upstream:
        for path, until in ((OLD, "Sat, 01 Jan 2022 00:00:00 UTC"), (NEW, "Fri, 01 Jan 2100 00:00:00 UTC")):
            upstream.pages[path] = Page(body=f"Suite: stable\nValid-Until: {until}\nSHA256:\n".encode())
        fetches = [f"RUN busybox wget -q -O /index {upstream.url}{path}" for path in (OLD, NEW)]
        needs(tmp_path, "web", tiny, "ARG APT_OPTIONS", *fetches, "RUN echo options: $APT_OPTIONS >/options")
        recorded = run_inv(tmp_path, ("build-all", "--record"), environment)
    assert recorded.returncode == 0, said(recorded)
    assert content(engine, image, "/options") == "options:\n"
    assert "was valid until" not in said(recorded)
    replayed = run_inv(tmp_path, ("build-all", "--replay", "--force"), environment)
    assert replayed.returncode == 0, said(replayed)
    assert content(engine, image, "/options") == f"options: {OPTION}\n"
    date = local_time("2022-01-01T00:00:00+00:00")
    [told] = [line for line in replayed.stdout.splitlines() if "was valid until" in line]
    assert told.startswith(f"  web: {upstream.url}{OLD} was valid until {date}: ")
    assert f"apt-get needs {OPTION}, which" in told
    assert told.endswith("MIRROR_ARGS names: NAME=apt-options")
