import base64
import hashlib
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import build_lib
from build_lib.foreign import printable
from build_lib.page.critical_path import critical_path_of, spans, stopped_by
from build_lib.page.graph_drawing import drawing
from build_lib.page.markup import escape
from build_lib.page.run_page import run_page
from tests.support.html import Element, read
from tests.support.run_records import built, dependency, large, realistic, run, service

STATES = {"built": "✓", "up to date": "=", "failed": "✗", "blocked": "⊘", "interrupted": "■", "not begun": "○"}
STYLE = (Path(build_lib.__file__).parent / "page/page.css").read_text()


def _interrupted() -> dict[str, Any]:
    """One was at work when the run was interrupted."""
    begun = service("begun", "interrupted", began=10.0)
    return run([begun, service("later", "not begun", "begun")], seconds=30.0, result="interrupted")


def _outside() -> dict[str, Any]:
    """A run of `build --no-deps`: what the service depends on has no part in it."""
    return run([built("apphub", 0.0, 3.0, "slurm-build")], command="build", seconds=3.0, tag="dev")


RUNS = {
    "realistic": realistic(),
    "large": large(),
    "empty": run(seconds=0.0),
    "nothing to do": run([service("one", "up to date"), service("two", "up to date", "one")], builder=None),
    "one": run([built("one", 0.0, 0.0)], seconds=0.0),
    "interrupted": _interrupted(),
    "outside": _outside(),
    "every state": run([service(f"s-{number}", state) for number, state in enumerate([*STATES, "new state"])]),
}


def _read(record: dict[str, Any]) -> Element:
    return read(run_page(record))


@pytest.mark.parametrize("record", RUNS.values(), ids=list(RUNS))
def test_every_page_is_whole(record: dict[str, Any]) -> None:
    """Nested as it should be (read() looks), each id once, each link to a part leads to one, and no outline gap."""
    document = _read(record)
    ids = [element.attributes["id"] for element in document.all() if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    links = [element.attributes["href"] for element in document.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    described = [element.attributes.get("aria-labelledby", "") for element in document.all()]
    assert {name for name in described if name} <= set(ids)
    levels = [int(element.name[1]) for element in document.all() if re.fullmatch("h[1-6]", element.name)]
    assert levels[0] == 1
    assert all(later - before <= 1 for before, later in itertools.pairwise(levels))
    assert all(table.one("caption").text for table in document.all("table"))
    pictures = [svg for svg in document.all("svg") if "role" in svg.attributes]
    assert all(svg.all("title")[0].text for svg in pictures)


@pytest.mark.parametrize("record", RUNS.values(), ids=list(RUNS))
def test_a_page_loads_nothing_and_allows_nothing_but_its_own_parts(record: dict[str, Any]) -> None:
    document = _read(record)
    policy = document.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy.startswith("default-src 'none';")
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(document.one(name).text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    attributes = {name for element in document.all() for name in element.attributes}
    assert not {name for name in attributes if name.startswith("on") or name in ("src", "style")}
    assert "url(" not in document.one("style").text
    assert [link.attributes["href"] for link in document.all("link")] == ["data:,"]
    assert all(link.attributes["href"].startswith(("#", "./")) for link in document.all("a"))


def test_what_failed_and_why_comes_first() -> None:
    document = _read(realistic())
    assert document.one("h1").text == "✗ Failed: slurm-exporter, vault-sync"
    assert document.one("head").one("title").text.startswith("✗ Failed: slurm-exporter")
    assert [article.one("h3").text for article in document.one("section", id="failures").all("article")] == [
        "slurm-exporter cannot be built: src/slurm-exporter/Dockerfile:12: RUN dpkg-buildpackage -b -uc: exit code 2",
        "hashicorp/vault:1.18 is not available from any source",
    ]
    titles = [section.one("h2").text for section in document.all("section")]
    assert titles == ["What failed", "Summary", "Timeline", "Dependency graph", "Services", "Dependency images"]
    facts = dict(zip([x.text for x in document.all("dt")], [x.text for x in document.all("dd")], strict=True))
    assert facts["Time"] == "8 min 27 s"
    assert facts["Services"] == "9 built, 3 up to date, 2 failed, 1 blocked"
    assert facts["Critical path"] == "8 min 5 s: base (44 s) → slurm-build (6 min 38 s) → slurm-exporter (43 s)"
    assert facts["Waited for a free slot"] == "1 service, 39 s in all, with 4 at once"
    assert facts["Dependency images"] == "2 already present, 3 fetched, 1 not available"


def test_a_failure_has_its_next_step_its_log_and_what_it_stopped() -> None:
    document = _read(realistic())
    failure = document.one("article", id="failure-4")
    assert failure.one("h3").text.endswith(": RUN dpkg-buildpackage -b -uc: exit code 2")
    assert "Next" not in failure.text  # it would say where the log is, to which there is a link
    assert "Not built because of it: dashboard" in failure.text
    [log] = failure.all("pre")
    tail = realistic()["services"][4]["tail"]
    assert log.text.splitlines() == tail
    assert [mark.text for mark in failure.all("mark")] == [tail[1]]
    assert failure.one("details").attributes == {"open": ""}
    assert failure.all("a")[-1].attributes["href"] == "./logs/slurm-exporter.log"
    missing = document.one("article", id="missing-5").text
    assert "Next: ./inv prefetch" in missing
    assert "Not built because of it: vault-sync" in missing
    assert "there is no such image" in missing


def test_each_failure_is_told_once() -> None:
    text = _read(realistic()).one("body").text
    for words in ("cannot be built", "unable to locate munge.h", "not available from any source", "exit code 2"):
        assert text.count(words) == 1, words


def test_a_service_that_lacks_an_image_and_has_another_fault_is_told_by_itself() -> None:
    """Here, the image stands in the way of another service alone."""
    other = service("other", "failed", error="other is not built: no such directory", base_images=["gone:1"])
    built_without = service("tried", "failed", error="tried cannot be built: gone:1", base_images=["gone:1"], log="x")
    record = run([other, built_without], result="failed", dependencies=[dependency("gone:1", None)])
    titles = [article.one("h3").text for article in _read(record).all("article")]
    assert titles == [other["error"], built_without["error"], "gone:1 is not available from any source"]


def test_a_message_of_several_lines_that_are_not_in_the_log_is_shown_whole() -> None:
    failed = service("a", "failed", error="a cannot be built:\nno room\non the disk", tail=["something else"])
    record = run([failed], result="failed", failures=[{"message": "verify:\nno such file", "hint": ""}])
    articles = _read(record).all("article")
    assert [pre.text for pre in articles[0].all("pre")] == ["no room\non the disk", "something else"]
    assert (articles[1].one("h3").text, articles[1].one("pre").text) == ("verify", "no such file")
    assert "Next" not in articles[1].text


def test_a_failure_without_words_still_names_the_service() -> None:
    [article] = _read(run([service("a", "failed")], result="failed")).all("article")
    assert article.text == "a: it failed"


@pytest.mark.parametrize(
    ("record", "headline"),
    [
        (RUNS["empty"], "✓ Nothing to build"),
        (RUNS["nothing to do"], "✓ Everything was up to date"),
        (RUNS["one"], "✓ Built 1 of 1 services"),
        (RUNS["interrupted"], "■ Interrupted after 30 s"),
        (run(result="failed", failures=[{"message": "no", "hint": ""}]), "✗ Failed"),
        (run([service(str(n), "failed") for n in range(9)], result="failed"), "✗ Failed: 0, 1, 2 and 6 more"),
    ],
)
def test_the_headline_is_the_result(record: dict[str, Any], headline: str) -> None:
    assert _read(record).one("h1").text == headline


@pytest.mark.parametrize(
    ("commit", "uncommitted", "words"),
    [
        ("3f9c2d7a41e05b86c2f1d09e7ab4c85d6e10f372", False, ", commit 3f9c2d7a41e0"),
        ("3f9c2d7a41e05b86c2f1d09e7ab4c85d6e10f372", True, ", commit 3f9c2d7a41e0 with uncommitted changes"),
        ("3f9c2d7a41e05b86c2f1d09e7ab4c85d6e10f372", None, ", commit 3f9c2d7a41e0"),
        (None, None, ""),
    ],
)
def test_the_heading_has_the_release_and_the_commit(commit: str | None, uncommitted: bool | None, words: str) -> None:
    heading = _read(run(commit=commit, uncommitted=uncommitted)).one("header").one("hgroup")
    assert heading.one("p").text == f"Release v0.3.6-dev{words} · build-all · 2026-11-25 08:12:43 UTC"
    assert heading.one("h1").text == "✓ Nothing to build"


@pytest.mark.parametrize(("packages", "said"), [(None, 0), ("57 packages copied from a to b", 1)])
def test_packages_are_told_of_where_there_are_some(packages: str | None, said: int) -> None:
    assert _read(run(packages=packages)).one("body").text.count("ackages") == 2 * said


def test_states_are_told_by_symbol_and_word() -> None:
    document = _read(RUNS["every state"])
    states = [row.one("span", class_="state").text for row in document.one("section", id="services").all("tr")[1:]]
    assert states == [*(f"{symbol} {state}" for state, symbol in STATES.items()), "? new state"]


@pytest.mark.parametrize("state", STATES)
def test_each_state_has_its_place_in_the_graph(state: str) -> None:
    node = _read(run([service("a", state), service("b", "built", "a")])).all("a", class_="node")[0]
    assert [text.text for text in node.all("text")] == ["a", f"{STATES[state]} {state}"]
    assert node.attributes["aria-label"] == f"a: {state}; depends on no other service"


def test_the_timeline_tells_what_ran_when_and_what_waited_for_what() -> None:
    timeline = _read(realistic()).one("section", id="timeline")
    titles = [svg.one("title").text for svg in timeline.all("svg", role="img")]
    assert titles[0] == "step 0: prefetch, began at 0.0 s, took 18 s"
    assert "slurm-build built: began at 1 min 3 s, took 6 min 38 s; waited for base" in titles
    waits = "waited for python-base; waited 39 s for a free slot (4 in all)"
    assert f"ingest built: began at 2 min 53 s, took 1 min 1 s; {waits}" in titles
    assert waits in [note.text for note in timeline.all("small")]
    assert [len(timeline.all("rect", class_=style)) for style in ("failed", "critical", "slot")] == [3, 4, 2]


def test_the_timeline_tells_what_was_skipped_and_why() -> None:
    text = _read(realistic()).one("section", id="timeline").text
    assert "Blocked: 1dashboard: depends on slurm-exporter" in text
    assert "Up to date: 3gatewaymetricsdocs" in text


def test_what_was_at_work_when_the_run_was_interrupted_is_told_from_what_had_not_begun() -> None:
    document = _read(_interrupted())
    timeline = document.one("section", id="timeline")
    assert "Not begun when the run ended: 1later" in timeline.text
    assert [svg.one("title").text for svg in timeline.all("svg", role="img")] == [
        "begun interrupted: began at 10 s, took 20 s"
    ]
    assert [state.text for state in document.all("span", class_="state")] == ["■ interrupted", "○ not begun"]
    assert "1 interrupted, 1 not begun" in document.one("dl").text


def test_bars_stay_within_the_timeline_and_can_be_seen() -> None:
    for record in RUNS.values():
        for rect in _read(record).one("section", id="timeline").all("rect"):
            if rect.attributes["width"].endswith("%"):
                left, width = float(rect.attributes["x"][:-1]), float(rect.attributes["width"][:-1])
                assert width > 0
                assert 0 <= left <= 100
                assert left + width <= 100.5


@pytest.mark.parametrize(
    ("name", "section", "words"),
    [
        ("empty", "timeline", "There are no services to build."),
        ("empty", "graph", "No service depends on another."),
        ("empty", "services", "There are no services to build."),
        ("empty", "images", "This run looked for no dependency images."),
        ("nothing to do", "timeline", "No build was started."),
    ],
)
def test_what_is_empty_is_said_in_words(name: str, section: str, words: str) -> None:
    assert words in _read(RUNS[name]).one("section", id=section).text


def test_where_nothing_failed_there_is_no_such_section() -> None:
    document = _read(RUNS["nothing to do"])
    assert not document.all("section", id="failures")
    assert not document.all("mark")
    assert "nothing had to be built" in document.one("dl").text


def test_the_table_of_services_has_images_sizes_reasons_and_logs() -> None:
    row = _read(realistic()).one("tr", id="service-0")
    cells = {cell.attributes["data-title"]: cell.text for cell in row.all("td")}
    assert cells == {
        "State": "✓ built",
        "Image": "ai-infra-base:v0.3.6-dev",
        "Size": "214.0 MB",
        "Took": "44 s",
        "Why": "base image debian:bookworm-slim is newer",
        "Depends on": "debian:bookworm-slim",
        "Log": "log",
    }
    depends_on = _read(_outside()).one("td", data_title="Depends on")
    links = [link.attributes["href"] for link in _read(realistic()).one("tr", id="service-6").all("a")]
    assert links == ["#image-1", "#image-2", "./logs/frontend.log"]
    assert depends_on.text == "slurm-build"
    assert not depends_on.all("a")  # it has no row to lead to


def test_the_table_of_dependency_images_has_sources_and_tries() -> None:
    document = _read(realistic())
    rows = [document.one("tr", id=f"image-{number}") for number in range(6)]
    cells = [{cell.attributes["data-title"]: cell.text for cell in row.all("td")} for row in rows]
    assert (cells[3]["Size"], cells[3]["Took"], cells[3]["Tries"]) == ("104.0 MB", "12 s", "4")
    assert cells[3]["Refused by"] == "mirror.example: 503 Service Unavailable, 3 times"
    assert cells[0]["Needed by"].startswith(
        "4 uses: base, notebook, gateway and 1 morebase from, src/base/Dockerfile:3"
    )
    assert [cell["From"] for cell in cells[2:6:3]] == ["already present", "✗ not available"]
    assert cells[4]["Needed by"] == "compose run, docker-compose.yml:31"


def test_a_setting_needs_an_image_without_a_line() -> None:
    need = {"needed_by": "EXTRA_IMAGES", "kind": "extra", "path": "", "line": 0}
    assert "EXTRA_IMAGES extra" in _read(run(dependencies=[dependency("a", needed_by=[need])])).one("tbody").text


def test_the_order_of_beginnings_is_the_timelines() -> None:
    record = run([built("b", 5.0, 1.0), built("a", 1.0, 1.0), built("c", 3.0, 1.0)])
    assert list(spans(record)) == ["a", "c", "b"]


def test_a_service_waits_for_the_last_that_it_stands_on_then_for_a_place() -> None:
    step = {"number": 2, "title": "build", "began": 1.0, "seconds": 30.0}
    record = run([built("a", 1.0, 4.0), built("b", 1.0, 9.0), built("c", 12.0, 3.0, "a", "b"), built("d", 5.0, 1.0)],
                 steps=[step])  # fmt: skip
    found = spans(record)
    assert (found["c"].ready, found["c"].after, found["c"].waited) == (10.0, "b", 2.0)
    assert (found["d"].ready, found["d"].after, found["d"].waited) == (1.0, "", 4.0)
    assert found["a"].waited == 0


def test_the_longest_chain_is_that_of_seconds_not_of_services() -> None:
    record = run(
        [built("a", 0, 1), built("b", 1, 1, "a"), built("c", 2, 1, "b"), built("x", 0, 9), built("y", 9, 1, "x")]
    )
    assert critical_path_of(record) == (["x", "y"], 10)
    assert critical_path_of(run([service("a", "up to date")])) == ([], 0)


def test_a_failure_stops_what_stands_on_it_whatever_the_order() -> None:
    record = run([
        service("top", "blocked", "middle", blocked_by=["middle"]),
        service("middle", "blocked", "a", blocked_by=["a"]),
        service("other", "blocked", "b", blocked_by=["b"]),
        service("a", "failed"),
        service("b", "failed"),
    ])  # fmt: skip
    assert stopped_by(record, "a") == ["top", "middle"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(2, 14))
    wanted = [[f"s{need}" for need in range(name) if draw(st.integers(0, 3)) == 0] for name in range(count)]
    order = draw(st.permutations(range(count)))
    return run([service(f"s{number}", "built", *wanted[number]) for number in order])


@given(graphs())
def test_the_drawing_has_every_need_as_a_line_to_the_right_and_no_box_upon_another(record: dict[str, Any]) -> None:
    numbers = {entry["name"]: number for number, entry in enumerate(record["services"])}
    picture = read(drawing(record, numbers))
    boxes = {
        int(node.attributes["data-service"]): tuple(float(node.one("rect").attributes[key]) for key in ("x", "y"))
        for node in picture.all("a", class_="node")
    }
    lines = [(int(path.attributes["data-from"]), int(path.attributes["data-to"])) for path in picture.all("path")]
    wanted = [(numbers[need], numbers[entry["name"]]) for entry in record["services"] for need in entry["needs"]]
    assert sorted(lines) == sorted(wanted)
    assert set(boxes) == {number for edge in wanted for number in edge}
    assert all(boxes[left][0] < boxes[right][0] for left, right in lines)
    for (x, y), (other_x, other_y) in itertools.combinations(boxes.values(), 2):
        assert x != other_x or abs(y - other_y) >= 44
    if boxes:
        height = float(picture.one("svg").attributes["height"])
        assert all(0 <= y <= height - 44 for _, y in boxes.values())


def test_a_long_name_is_shortened_in_the_picture_alone() -> None:
    name = "a-service-with-a-rather-long-name"
    node = _read(run([service(name), service("b", "built", name)])).all("a", class_="node")[0]
    assert node.all("text")[0].text == "a-service…long-name"
    assert node.one("title").text.startswith(name)


def test_markup_is_not_escaped_twice() -> None:
    assert escape(escape("<&\"'>")) == "&lt;&amp;&quot;&#x27;&gt;"


def test_a_log_line_that_was_written_over_shows_what_came_last() -> None:
    failed = service(
        "a", "failed", tail=["10%\r50%\r100%\r\n", "</pre></script><script>alert(1)</script>", "\x1b[31mno"]
    )
    document = _read(run([failed], result="failed"))
    assert document.one("pre").text == "100%\n</pre></script><script>alert(1)</script>\nno"
    assert len(document.all("script")) == 1


@pytest.mark.parametrize(
    ("log", "link"),
    [
        ("logs/a b#c?.log", "./logs/a%20b%23c%3F.log"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("logs/\udcff", "./logs/%3F"),
    ],
)
def test_the_link_to_a_log_is_a_path_whatever_it_looks_like(log: str, link: str) -> None:
    row = _read(run([service("a", log=log)])).one("tr", id="service-0")
    assert row.one("a").attributes["href"] == link


def _filled(record: Any, text: str, key: str = "") -> Any:
    """The record with the text behind each line of its strings, but for those that choose among words."""
    if isinstance(record, dict):
        return {name: _filled(value, text, name) for name, value in record.items()}
    if isinstance(record, list):
        return [_filled(value, text, key) for value in record]
    if not isinstance(record, str) or key in ("state", "result", "source"):
        return record
    return "\n".join(line + text for line in record.split("\n"))


def _shape(element: Element) -> list[tuple[str, list[str]]]:
    return [(found.name, list(found.attributes)) for found in element.all()]


SHAPE = _shape(_read(_filled(realistic(), "x")))


# "-" alone is how the page itself says that there is nothing
@given(st.text(st.characters(exclude_characters="\r\n"), min_size=1).filter(lambda text: text != "-"))
def test_any_text_in_any_place_is_text(text: str) -> None:
    """The same elements as without it, and a file that can be written; it is seen where it should be."""
    record = _filled(realistic(), text)
    document = run_page(record)
    document.encode()
    root = read(document)
    assert _shape(root) == SHAPE
    assert root.one("tr", id="service-0").one("th").text == printable(f"base{text}")
    assert root.one("tr", id="image-0").one("th").text == printable(f"debian:bookworm-slim{text}")
    assert printable(f"checking for munge installation... no{text}") in root.one("pre").text


def _ratio(colour: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2, contrast ratio)."""
    first, second = sorted((_luminance(colour), _luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_can_be_told_from_its_ground(place: int) -> None:
    palette = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", re.findall(r":root \{([^}]*)\}", STYLE)[place]))
    for ground in ("paper", "panel", "bad-panel", "mark"):
        for ink in ("ink", "soft", "link", "good", "bad", "held"):
            assert _ratio(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    for bar in ("good-bar", "bad-bar", "critical", "step"):
        assert _ratio(palette[bar], palette["paper"]) >= 3, bar
