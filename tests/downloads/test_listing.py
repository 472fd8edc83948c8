"""`downloads`: what was recorded, what of it is missing, and until when indexes of apt are valid."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from build_lib.downloads import Passed, Store, valid_until
from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.recordings import download, recording

URL = "https://files.example/a.tar.gz"


@pytest.fixture
def store(project: Path) -> Store:
    return Store(Settings.load(project, environ={}))


@pytest.fixture
def recorded(store: Store) -> Store:
    """Two services of v1: one has two downloads of the same content, and reached something else."""
    passed = (Passed(what="github.com:443", why="it is encrypted", lines=(4, 6)),)
    same = [download(store, url, "abc") for url in (URL, f"{URL}?again")]
    store.write(recording(*same, passed=passed))
    store.write(recording(download(store, "http://files.example/b", "b" * 2000), service="api"))
    return store


def test_what_was_recorded_is_listed(recorded: Store, inv: Inv) -> None:
    done = inv("downloads", "-t", "v1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SERVICE", "KIND", "SIZE", "SHA256", "RECORDED", "URL"]
    assert [line.split()[0] for line in lines[1:4]] == ["api", "web", "web"]
    assert re.fullmatch(r"web +http +3 B +ba7816bf8f01 +2026-11-29 \d\d:\d\d +https://files.example/a.tar.gz", lines[2])
    assert [line.partition(", recorded")[0] for line in lines[4:]] == [
        "api: 1 download, 2.0 kB",
        "web: 2 downloads, 3 B",
        "  not recorded: web: src/web/Dockerfile:4,6: github.com:443: it is encrypted",
    ]


def test_programs_get_all_of_it(recorded: Store, inv: Inv) -> None:
    document = json.loads(inv("downloads", "-t", "v1", "--json", "-s", "web").stdout)
    [web] = document["services"]
    assert (document["release"], web["service"], web["bytes"], web["file"]) == ("v1", "web", 3, "src/web/Dockerfile")
    assert [(item["url"], len(item["sha256"])) for item in web["downloads"]] == [(URL, 64), (f"{URL}?again", 64)]
    assert web["not_recorded"] == [{"what": "github.com:443", "reason": "it is encrypted", "lines": [4, 6]}]
    assert (document["wrong"], document["exported"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("-t", "v2"), "no downloads of v2 are recorded; those of v1 are", "./inv build-all --record -t v2"),
        (("-t", "v1", "-s", "wbe"), "no downloads of 'wbe' are recorded for v1", "did you mean web?"),
        (("-t", "v1", "-s", "db"), "no downloads of 'db' are recorded for v1", "those of api, web are; "),
        (("-t", "v1", "--url", "http://x.example"), "--url is given without --export", "--export DIR --url URL"),
    ],
)
def test_what_is_not_there_is_told(
    arguments: tuple[str, ...], message: str, hint: str, recorded: Store, inv: Inv
) -> None:
    done = inv("downloads", *arguments)
    assert done.returncode == 1
    assert f"error: {message}\n  next: {hint}" in done.stderr


def test_without_any_recording_the_next_step_is_told(inv: Inv) -> None:
    done = inv("downloads", "-t", "v1")
    assert "error: no downloads of v1 are recorded\n  next: ./inv build-all --record -t v1\n" in done.stderr


def test_missing_and_damaged_content_is_told(recorded: Store, inv: Inv) -> None:
    good = inv("downloads", "-t", "v1", "--verify")
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "2 of 2 files verified: the content has its SHA-256")
    found = {item.url: item.sha256 for each in recorded.recordings("v1").values() for item in each.downloads}
    recorded.path(found[URL]).write_bytes(b"abd")
    recorded.path(found["http://files.example/b"]).unlink()
    done = inv("downloads", "-t", "v1", "--verify", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert {tuple(item["urls"]) for item in document["wrong"]} == {("http://files.example/b",), (URL, f"{URL}?again")}
    assert document["error"]["message"].startswith("2 of 2 files in the store missing or damaged: ")
    of_web = inv("downloads", "-t", "v1", "--verify", "-s", "web")
    assert f"  {URL}: content does not match its digest" in of_web.stdout


def index(until: datetime) -> str:
    text = format_datetime(until).replace("+0000", "UTC")
    return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x\nValid-Until: {text}\nSHA256:\n"


def test_an_index_of_apt_that_expires_soon_is_told(store: Store, inv: Inv) -> None:
    now = datetime.now(UTC)
    dates = {"past": now - timedelta(days=1), "soon": now + timedelta(days=6), "later": now + timedelta(days=8)}
    urls = {f"http://deb.example/{name}/InRelease": until for name, until in dates.items()}
    none = [download(store, f"http://deb.example/{name}", "Origin: x\n") for name in ("x/Release", "x/InRelease")]
    made = recording(*(download(store, url, index(until)) for url, until in urls.items()), *none)
    assert [each.url.split("/")[3] for each in valid_until(made, store)] == ["past", "soon"]
    assert len(valid_until(made, store, within=None)) == 3
    assert valid_until(made, store)[0].until == dates["past"].replace(microsecond=0)
    store.write(made)
    said = inv("downloads", "-t", "v1").stdout
    assert f"web: http://deb.example/past/InRelease was valid until {dates['past']:%Y-%m-%d %H:%M} UTC: " in said
    assert f"web: http://deb.example/soon/InRelease is valid until {dates['soon']:%Y-%m-%d %H:%M} UTC: " in said
    assert "later/InRelease is valid" not in said


@pytest.mark.parametrize("text", ["Valid-Until: tomorrow\n", "Valid-Until:\n", "\xff\xfe", "", "X-Valid-Until: x\n"])
def test_an_index_without_a_date_never_expires(text: str, store: Store) -> None:
    made = recording(download(store, "http://deb.example/InRelease", text))
    assert valid_until(made, store) == ()
    store.path(made.downloads[0].sha256).unlink()
    assert valid_until(made, store) == ()


def test_what_is_exported_is_told(recorded: Store, project: Path, inv: Inv) -> None:
    arguments = ("downloads", "-t", "v1", "--export", str(project / "mirror"))
    dry = inv("--dry", *arguments)
    assert dry.stdout.splitlines()[-1] == f"{project}/mirror: would have 2 files, 2.0 kB"
    done = inv(*arguments)
    assert done.returncode == 0, done.stderr
    assert (project / "mirror/https/files.example/a.tar.gz").read_text() == "abc"
    recorded.path(recorded.recordings("v1")["web"].downloads[0].sha256).unlink()
    again = inv(*arguments, "--json")
    document = json.loads(again.stdout)
    assert [item["url"] for item in document["exported"]["left_out"]] == [f"{URL}?again"]  # the newer of the same
    assert (document["exported"]["files"], document["exported"]["bytes"]) == (1, 2000)
    assert document["error"]["message"] == f"1 download not in {project}/mirror, see above"
    assert again.returncode == 1


def test_no_text_of_a_recording_reaches_the_terminal_as_it_is(store: Store, inv: Inv) -> None:
    """The store checks it when it reads; what is not printable is no recording."""
    store.write(recording(download(store, "https://files.example/\x1b[2J", "x")))
    done = inv("downloads", "-t", "v1")
    assert "\x1b" not in done.stdout + done.stderr
    assert done.returncode == 1
