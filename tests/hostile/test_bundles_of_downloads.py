"""Bundles whose downloads mean harm: what the listing says the recordings say, and nothing is written otherwise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.downloads import Recording
from build_lib.downloads import recording as recordings
from build_lib.errors import BadBundle, BuildError
from build_lib.registry import digest_of
from tests.bundle.bundles import with_downloads
from tests.bundle.downloads import FILES, record, recording, store_of
from tests.bundle.forger import IMAGES, MB, carrying, checked, without
from tests.hostile.attempts import NOWHERE
from tests.hostile.limits import MEMORY_LIMIT, run
from tests.registry.test_foreign_bytes import VALUES
from tests.support.outcomes import outcome

URL, BODY = next(iter(FILES.items()))
ZEROS = "0" * 64
DIFFER = "and build-lib.json in it differ"
ONE = f"{URL} in the recording of web {DIFFER}"
WEB = f"the recording of web {DIFFER}"


def first(**changes: Any) -> Callable[[Any], None]:
    """Changes the first download of a recording."""
    return lambda found: found["downloads"][0].update(changes)


def the(key: str, **changes: Any) -> Callable[[Any], None]:
    """Changes the downloads of a listing: its first recording, or what is at another key."""

    def change(found: Any) -> None:
        place = found["downloads"][key]
        (place[0] if isinstance(place, list) else place).update(changes)

    return change


def sets(**changes: Any) -> Callable[[Any], None]:
    return lambda found: found.update(changes)


def more_recordings(**changes: Any) -> Callable[[Any], None]:
    """Adds one to a listing: its first, with changes."""

    def change(found: Any) -> None:
        place = found["downloads"]["recordings"]
        place.append(place[0] | changes)

    return change


def less(found: Any) -> None:
    found["downloads"].pop()


ATTACKS: dict[str, tuple[bytes, str]] = {
    "a service that is a path": (carrying(recording=sets(service="../../web")), "'../../web' is no name of"),
    "a release that is a path": (carrying(recording=sets(release="../v1")), "'../v1' is no name of"),
    "a service that is hidden": (carrying(recording=sets(service=".web")), "'.web' is no name of"),
    "a service with a line break": (carrying(recording=sets(service="web\n")), "a printable text is expected"),
    "a path in the listing": (carrying(listing=the("recordings", service="../web")), DIFFER),
    "a control character in the listing": (
        carrying(listing=the("recordings", service="\x1b[2J")),
        "is not a printable",
    ),
    "another service": (carrying(recording=sets(service="api")), WEB),
    "another release": (carrying(recording=sets(release="v2")), WEB),
    "another number": (carrying(listing=the("recordings", downloads=7)), WEB),
    "another size of all": (carrying(listing=the("recordings", content=7)), WEB),
    "a service twice": (carrying(listing=more_recordings()), "the downloads of a service are listed twice"),
    "a wrong size": (carrying(recording=first(size=len(BODY) - 1), listing=the("recordings", content=5018)), ONE),
    "a wrong size that the listing has as well": (
        carrying(listing=the("content", **{digest_of(BODY): 1})),
        f"{digest_of(BODY)} of the downloads has {len(BODY)} bytes instead of 1",
    ),
    "a size beyond any disk": (carrying(recording=first(size=1 << 60)), "a number from 0 to"),
    "a size below nothing": (carrying(recording=first(size=-1)), "a number from 0 to"),
    "a digest that nothing has": (carrying(recording=first(sha256=ZEROS)), ONE),
    "a digest that is a path": (carrying(recording=first(sha256="../../../etc/passwd")), "is no SHA-256"),
    "a digest in capitals": (carrying(recording=first(sha256="A" * 64)), "is no SHA-256"),
    "content that is not there": (without(BODY, carrying()), f"{digest_of(BODY)} of the downloads is missing"),
    "content that the listing alone has": (
        carrying(BODY + b"x", listing=the("content", **{digest_of(BODY + b"x"): len(BODY) + 1})),
        f"the recordings {DIFFER}",
    ),
    "a recording that is not there": (
        carrying(listing=more_recordings(service="api", digest=f"sha256:{ZEROS}")),
        f"sha256:{ZEROS} of the downloads is missing",
    ),
    "a recording for two services": (carrying(listing=more_recordings(service="api")), "the recording of api and"),
    "an image's config for a recording": (carrying(recording=IMAGES["redis:7"].blobs[0]), "its format is None"),
    "content that nobody needs": (carrying(b"x"), "no image needs blobs/sha256/"),
    "content left out that there is not": (
        carrying(listing=lambda found: found["downloads"].update(left_out=[f"sha256:{ZEROS}"])),
        "content is left out that no download has",
    ),
    "a recording that is left out": (
        carrying(recording=less, listing=lambda found: found["downloads"].update(left_out=[digest_of(b"deb")])),
        DIFFER,
    ),
    "downloads in a listing of the first format": (carrying(listing=sets(format=1)), "no image needs blobs/sha256/"),
    "a list for the downloads": (carrying(listing=sets(downloads=[])), "is damaged"),
    "a list for the content": (
        carrying(listing=lambda found: found["downloads"].update(content=[])),
        "is damaged",
    ),
    "no JSON": (carrying(recording=b"]"), "is not a JSON object"),
    "deep JSON": (carrying(recording=b"[" * 100_000), "is not a JSON object"),
    "a list for a recording": (carrying(recording=b"[]"), "is not a JSON object"),
    "a later format": (carrying(recording=sets(format=9)), "its format is 9"),
    "a format of many digits": (carrying(recording=b'{"format": %b}' % (b"9" * 4000)), "its format is 999"),
    "a deep format": (carrying(recording=b'{"format": %b0%b}' % (b"[" * 900, b"]" * 900)), "is damaged"),
    "a deep kind": (carrying(recording=first(kind=[[[[]]]])), "the kind [[[[]]]] is not known"),
    "a kind that is not known": (carrying(recording=first(kind="file")), "the kind 'file' is not known"),
    "a header that is not recorded": (
        carrying(recording=first(headers=[["Set-Cookie", "a"]])),
        "the header Set-Cookie",
    ),
    "a control character": (carrying(recording=first(url="http://x/\x1b[2J")), "a printable text is expected"),
    "a URL that is none": (carrying(recording=first(url=7)), "a printable text is expected"),
    "nothing for a download": (carrying(recording=sets(downloads=[None])), "an object is expected"),
    "a text for the downloads": (carrying(recording=sets(downloads="abc")), "a list is expected"),
    "no downloads": (carrying(recording=lambda found: found.pop("downloads") and None), "'downloads'"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused(attack: str, tmp_path: Path) -> None:
    content, reason = ATTACKS[attack]
    path = tmp_path / "f.tar"
    path.write_bytes(content)
    with pytest.raises(BadBundle) as caught:
        checked(path)
    assert reason in caught.value.message
    assert str(path) in caught.value.message
    assert len(caught.value.message) < 1000


def test_an_honest_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "f.tar").write_bytes(carrying())
    assert set(checked(tmp_path / "f.tar")) == set(IMAGES)


@pytest.mark.parametrize("attack", ["a service that is a path", "a wrong size", "content that is not there"])
def test_nothing_is_written(attack: str, project: Path) -> None:
    (project / "f.tar").write_bytes(ATTACKS[attack][0])
    for command in ("deps-verify", "deps-load"):
        ran = run(project, command, "-f", "f.tar", DOCKER_HOST=NOWHERE)
        assert ran.code == 1
        assert ATTACKS[attack][1] in ran.said
        assert "Traceback" not in ran.said
    assert not (project / ".build/downloads").exists()
    assert not list(project.glob("**/web.json"))


def body_of(**changes: Any) -> bytes:
    """A recording that is written without white space, such as a large one is."""
    made = recordings.as_json(recording("web", FILES)) | changes
    return json.dumps(made, separators=(",", ":"), ensure_ascii=False).encode()


PASSED = {"what": "x", "why": "", "lines": []}
LARGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a recording of 64 MB": (lambda: body_of(path="a" * (64 * MB)), "the recording of web in f.tar is too large: "),
    "a recording of lists": (lambda: b'{"a":' + b"[]," * (6 * MB) + b"0}", "values, and at most 500000"),
    "a recording of small lists": (lambda: body_of(downloads=[[]] * 240_000), "an object is expected, not list"),
    "a recording of what could not be recorded": (lambda: body_of(passed=[PASSED] * 90_000), WEB),
    "a recording of numbers": (lambda: body_of(passed=[{**PASSED, "lines": [7] * 490_000}]), WEB),
    "a recording of 20 MB": (lambda: body_of(path="a" * (19 * MB) + "\N{SPOUTING WHALE}", service="api"), WEB),
}


@pytest.mark.parametrize("attack", LARGE)
def test_what_is_large_costs_little(attack: str, project: Path) -> None:
    body, reason = LARGE[attack]
    (project / "f.tar").write_bytes(carrying(recording=body(), listing=the("recordings", downloads=7)))
    run(project, "deps-verify", "-f", "f.tar", DOCKER_HOST=NOWHERE).check_refused(reason)


def large(count: int) -> Recording:
    """A recording of so many downloads, as of a package with many dependencies, without content."""
    url = "https://registry.npmjs.org/@babel/plugin-transform-modules/-/plugin-transform-modules-7.24.{}.tgz"
    return recording("web", {url.format(number): b"" for number in range(count)})


def test_ten_thousand_downloads_are_not_too_many(project: Path) -> None:
    store_of(project).write(large(10_000))
    (project / "f.tar").write_bytes(with_downloads(project, IMAGES))
    ran = run(project, "deps-verify", "-f", "f.tar", DOCKER_HOST=NOWHERE)
    assert ran.code == 0, ran.said
    assert "web           10000   0 B" in ran.said
    assert ran.memory < MEMORY_LIMIT


def test_what_could_not_be_read_is_not_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(project, "web", FILES)
    record(project, "api", FILES)
    (project / "f.tar").write_bytes(with_downloads(project, IMAGES))
    limits = {
        "values.LARGEST_RECORDINGS": (1500, "the recordings of the bundle are too large: "),
        "values.LARGEST_DOCUMENT": (900, "the recording of api would be too large: "),
        "plan.MOST_MEMBERS": (16, "the bundle would be too large: 17 files, and at most 16 are possible"),
    }
    for limit, (value, said) in limits.items():
        with monkeypatch.context() as changed:
            changed.setattr(f"build_lib.bundle.{limit}", value)
            with pytest.raises(BuildError, match=said):
                with_downloads(project, IMAGES)
    monkeypatch.setattr("build_lib.bundle.values.LARGEST_RECORDINGS", 1500)
    with pytest.raises(BuildError, match=r"the recordings of .*f\.tar are too large: "):
        checked(project / "f.tar")


# any bytes

HONEST = recordings.as_json(recording("web", FILES))


@settings(deadline=2000, max_examples=150)
@given(key=st.sampled_from(sorted(HONEST)), value=VALUES, at=st.sampled_from(["recording", "download", "listing"]))
def test_any_value_is_read_or_refused(key: str, value: Any, at: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "f.tar"
    if at == "listing":
        name = {"downloads": "content", "proved": "left_out"}.get(key, "recordings")
        path.write_bytes(carrying(listing=lambda found: found["downloads"].update({name: value})))
    else:
        field = {"service": "url", "path": "sha256", "release": "kind", "proved": "lines", "passed": "headers"}
        change = sets(**{key: value}) if at == "recording" else first(**{field.get(key, "size"): value})
        path.write_bytes(carrying(recording=change))
    found, said = outcome(lambda: checked(path), BadBundle)
    assert found is not None or str(path) in said
    assert len(said) < 1000
