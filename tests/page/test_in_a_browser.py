"""The page about a run as Chromium shows it: opened from a file, clicked through, on a phone, in the dark, on paper."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_lib.page.run_page import run_page
from tests.support.browser import Browser, Tab
from tests.support.looks import NAMES, faults
from tests.support.looks import SHOWN as LOOKS
from tests.support.run_records import built, dependency, large, realistic, run, service

CHOSEN = "document.querySelector('#chosen').textContent"
HASH = "decodeURIComponent(location.hash)"
FITS = "document.documentElement.scrollWidth <= innerWidth"
SHOWN = "document.querySelector({!r}).checkVisibility({{contentVisibilityAuto: true, visibilityProperty: true}})"
ORDER = "[...document.querySelectorAll('#services tbody tr')].map(row => row.cells[0].textContent)"


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """A tab; whatever is done in it asks for nothing but files of the page's directory, and nothing complains."""
    with browser.tab() as opened:
        yield opened
        assert opened.value("1 + 1") == 2  # what came before this answer has been noted
        assert [url for url in opened.requests if not url.startswith("file:///")] == []
        assert opened.complaints == []


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The page of a realistic run, with a log beside it."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/slurm-exporter.log").write_text("all of the log")
    return _written(tmp_path, realistic())


def _written(directory: Path, record: dict[str, Any]) -> Path:
    path = directory / "report.html"
    path.write_text(run_page(record), encoding="utf-8")
    return path


def _hostile() -> dict[str, Any]:
    """Names without a place to break them, and markup wherever text may stand."""
    name = "x" * 200 + '"><img src=http://h/ onerror=alert(1)>'
    failed = service(
        name, "failed", began=0.0, seconds=1.0, error=f"{name}:\n{name}", hint=name, tail=[name, "</script>"]
    )
    stands = service("stands", "blocked", name, blocked_by=[name], base_images=[name])
    image = dependency(name, None, refusals=[{"source": name, "reason": name}])
    return run([failed, stands], result="failed", tag=name, dependencies=[image], builder=name, packages=name)


def test_opening_it_asks_for_the_file_alone(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    assert tab.requests == [report.as_uri()]
    assert tab.value("document.title").startswith("✗ Failed: slurm-exporter")
    assert tab.value("document.compatMode") == "CSS1Compat"
    assert tab.value("[...document.styleSheets].map(sheet => sheet.cssRules.length > 20)") == [
        True
    ]  # allowed by its hash


def test_each_part_is_reached_by_its_link(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    count = tab.value("document.querySelectorAll('nav a').length")
    assert count == 6
    for number in range(1, count + 1):
        tab.value("scrollTo(0, 0)")
        tab.click(f"nav li:nth-child({number}) a")
        assert tab.value(f"{HASH} === document.querySelectorAll('section')[{number - 1}].id.replace(/^/, '#')")
        assert tab.value("document.querySelector(location.hash).getBoundingClientRect().top < innerHeight")


def test_a_failure_leads_to_the_whole_log(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    tab.follow("#failure-4 a")
    assert tab.value("document.body.textContent") == "all of the log"


def test_the_end_of_a_log_is_open_and_can_be_closed(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    shown = SHOWN.format("#failure-4 pre")
    assert tab.value(shown)
    tab.click("#failure-4 summary")
    assert not tab.value(shown)
    tab.click("#failure-4 summary")
    assert tab.value(shown)


def test_places_that_need_an_image_are_folded_away(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    shown = SHOWN.format("#image-0 details li")
    assert not tab.value(shown)
    tab.click("#image-0 summary")
    assert tab.value(shown)


def test_choosing_a_service_shows_what_it_needs_and_what_needs_it(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    assert tab.value(CHOSEN) == ""
    tab.click(".node[data-service='1']")
    said = "python-base depends on base; its dependents are api, worker, notebook, ingest."
    assert tab.value(CHOSEN).startswith(said)
    bright = "[...document.querySelectorAll('.node:not(.dim) .name')].map(name => name.textContent).sort()"
    assert tab.value(bright) == ["api", "base", "ingest", "notebook", "python-base", "worker"]
    assert tab.value("document.querySelectorAll('.graph path.lit').length") == 5
    assert tab.value("document.querySelectorAll('.timeline > .dim').length") == 5
    tab.click("#chosen button")
    assert tab.value(CHOSEN) == ""
    assert tab.value("document.querySelectorAll('.dim, .lit').length") == 0


def test_a_service_is_chosen_with_the_keyboard_alone(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    tab.value("document.querySelector('.node[data-service=\"3\"]').focus()")
    tab.press("Enter")
    assert tab.value(CHOSEN).startswith("apphub depends on slurm-build, base; it has no dependents.")
    assert tab.value(HASH) == ""
    tab.press("Escape")
    assert tab.value(CHOSEN) == ""
    tab.press("Tab")
    assert tab.value("document.activeElement.dataset.service") == "4"
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_table_is_sorted_by_the_column_that_is_clicked(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    tab.click("#services th:nth-child(4) button")
    assert tab.value(ORDER)[-3:] == ["worker", "slurm-build", "notebook"]
    tab.click("#services th:nth-child(4) button")
    assert tab.value(ORDER)[:3] == ["notebook", "slurm-build", "worker"]
    assert tab.value("document.querySelector('#services [aria-sort]').ariaSort") == "descending"
    tab.click("#services th:nth-child(2) button")
    assert tab.value(ORDER)[:3] == ["slurm-exporter", "vault-sync", "dashboard"]
    assert tab.value("document.querySelectorAll('#services [aria-sort]').length") == 1


def test_without_scripts_a_service_in_the_graph_leads_to_its_row(tab: Tab, report: Path) -> None:
    tab.script(allowed=False)
    tab.open(report.as_uri())
    tab.follow(".node[data-service='3']")
    assert tab.address() == f"{report.as_uri()}#service-3"


@pytest.mark.parametrize("width", [360, 600, 1280])
@pytest.mark.parametrize(
    "record", [realistic(), large(), run(), _hostile()], ids=["realistic", "large", "empty", "hostile"]
)
def test_it_is_never_wider_than_the_screen(tab: Tab, tmp_path: Path, record: dict[str, Any], width: int) -> None:
    tab.look(width=width, height=740)
    tab.open(_written(tmp_path, record).as_uri())
    assert tab.value("innerWidth") == width
    assert tab.value(FITS)


def test_on_a_phone_the_graph_scrolls_by_itself_and_rows_stand_one_below_the_other(tab: Tab, report: Path) -> None:
    tab.look(width=360, height=740)
    tab.open(report.as_uri())
    assert tab.value("(box => box.scrollWidth > box.clientWidth)(document.querySelector('.scroll'))")
    cells = "[...document.querySelectorAll('#service-0 > *')].map(cell => cell.getBoundingClientRect())"
    assert tab.value(f"{cells}.every((cell, place, all) => !place || cell.top >= all[place - 1].bottom - 1)")
    assert tab.value("getComputedStyle(document.querySelector('#service-0 td'), '::before').content") == '"State"'
    assert not tab.value(SHOWN.format("#service-5 .empty"))


@pytest.mark.parametrize(("width", "dark"), LOOKS, ids=NAMES)
@pytest.mark.parametrize("record", [realistic(), run(), _hostile()], ids=["realistic", "empty", "hostile"])
def test_everything_can_be_read_and_tapped_on(
    tab: Tab, tmp_path: Path, record: dict[str, Any], width: int, dark: bool
) -> None:
    tab.look(width=width, height=844, dark=dark)
    tab.open(_written(tmp_path, record).as_uri())
    assert faults(tab, width) == []


def test_a_page_that_is_unfit_is_found_so(tab: Tab, tmp_path: Path) -> None:
    """The test above can fail."""
    path = tmp_path / "unfit.html"
    path.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'><p style='color: #888; width: 500px'>pale</p>"
        "<a href='#a'>a</a> <span style='position: absolute; margin-left: -1em'>upon</span>"
    )
    tab.look(width=390, height=844)
    tab.open(path.as_uri())
    sideways, pale, upon, small = faults(tab, 390)
    assert sideways == "the page scrolls sideways"
    assert pale == '"pale" has a contrast of 3.54'
    assert upon == '"a" and "upon" overlap'
    assert small.startswith('"a" is ')


def test_it_is_dark_where_that_is_wanted(tab: Tab, report: Path) -> None:
    colours = "(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))"
    tab.open(report.as_uri())
    assert tab.value(colours) == ["rgb(255, 255, 255)", "rgb(27, 31, 36)"]
    tab.look(dark=True)
    assert tab.value(colours) == ["rgb(13, 17, 23)", "rgb(230, 237, 243)"]


def test_on_paper_everything_is_unfolded_and_light(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    tab.click("#failure-4 summary")
    tab.look(width=718, dark=True, paper=True)
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for selector in ("#failure-4 pre", "#image-0 details li"):
        assert tab.value(SHOWN.format(selector)), selector
        assert tab.value(f"document.querySelector('{selector}').getBoundingClientRect().height > 0")
    assert not tab.value(SHOWN.format("nav"))
    assert tab.value(FITS)
    assert tab.pdf().startswith(b"%PDF")


def test_a_screen_reader_is_told_what_things_are(tab: Tab, report: Path) -> None:
    tab.open(report.as_uri())
    found = {(role, name.strip()) for role, name in tab.heard()}
    assert {
        ("heading", "Failed: slurm-exporter, vault-sync"),
        ("navigation", "Parts of this page"),
        ("region", "What failed"),
        ("table", "15 services, 6.8 GB of images (shared layers counted each time)"),
        ("rowheader", "slurm-build"),
        ("image", "slurm-build built: began at 1 min 3 s, took 6 min 38 s; waited for base"),
        ("group", "Dependency graph"),
        ("link", "apphub: built, 9.4 s; depends on slurm-build"),
        ("link", "log of slurm-exporter"),
    } <= found
    assert not {role for role, name in found if role in ("link", "button", "image", "table", "heading") and not name}


def test_hostile_text_does_nothing(tab: Tab, tmp_path: Path) -> None:
    tab.open(_written(tmp_path, _hostile()).as_uri())
    assert tab.value("document.images.length") == 0
    tab.click(".node[data-service='0']")
    assert "onerror=alert(1)" in tab.value(CHOSEN)
    assert tab.value("document.images.length") == 0


def test_a_script_that_is_not_the_pages_own_may_not_run(browser: Browser, tmp_path: Path) -> None:
    """If something slipped through, the policy would still hold."""
    path = _written(tmp_path, run([built("a", 0.0, 1.0)]))
    path.write_text(path.read_text().replace("</body>", "<script>document.title = 'owned'</script></body>"))
    with browser.tab() as tab:
        tab.open(path.as_uri())
        assert tab.value("document.title").startswith("✓ Built 1 of 1")
        assert any("Content Security Policy" in complaint for complaint in tab.complaints)
