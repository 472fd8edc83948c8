"""A build as it is seen at a terminal."""

import re

from tests.build.test_build_faults import Pause, Site, pause, site  # noqa: F401  # fixtures
from tests.support.terminal import at_a_terminal


def test_a_failure_is_shown_at_once_above_what_goes_on(site: Site, pause: Pause) -> None:  # noqa: F811
    site.service("bad", "RUN echo about-to-break && false")
    site.service("slow", "RUN echo first", pause.line)
    with at_a_terminal(site.project, "build-all", environment=site.own()) as terminal:
        terminal.until(lambda text: "bad: failed" in text and re.search(r"^  slow .*  has-begun$", text, re.MULTILINE))
        pause.wait()
        terminal.press_ctrl_c()
        code = terminal.ended()
    running = re.compile(r"^  slow .*  has-begun$", re.MULTILINE)
    shown = [frame for frame in terminal.frames if "bad: failed" in frame and running.search(frame)][-1].splitlines()
    failed = shown.index("  bad: failed")
    assert (
        shown[failed + 1]
        == "error: bad cannot be built: src/bad/Dockerfile:2: RUN echo about-to-break && false: exit code 1"
    )
    assert shown[failed + 2] == "  | about-to-break"
    assert re.fullmatch(r"  slow  \d+(\.\d)? s  \[3/3\] RUN echo has-begun.*  has-begun", shown[-1])
    assert "bad ..." not in "\n".join(terminal.frames)
    assert code == 130
    assert "slow  " not in terminal.text
    assert terminal.text.count("about-to-break && false: exit code 1") == 1
    assert terminal.text.endswith("error: interrupted while building slow\n  next: ./inv build-all does the rest")
    assert not terminal.cursor_is_hidden


def test_what_is_expected_is_known_from_the_last_build(site: Site, pause: Pause) -> None:  # noqa: F811
    site.service("one", "RUN true")
    site.builds("one")
    site.service("one", "RUN true", pause.line)
    with at_a_terminal(site.project, "build-all", environment=site.own(), size=(60, 20)) as terminal:
        terminal.until(lambda text: re.search(r"^  one  \d+\.\d s of about \d+\.\d s  \[3/3\]", text, re.MULTILINE))
        pause.wait()
        pause.end()
        assert terminal.ended() == 0
    assert max(len(line) for line in terminal.frames[-1].splitlines()) <= 60
    assert "  one: built, " in terminal.text
    assert "of about" not in terminal.text
    assert not terminal.cursor_is_hidden


def test_with_no_color_it_is_drawn_too_and_with_a_dumb_terminal_not(site: Site, pause: Pause) -> None:  # noqa: F811
    drawn = re.compile(r"^  one  \d+\.\d s ", re.MULTILINE)
    site.service("one", pause.line)
    with at_a_terminal(site.project, "build-all", environment={**site.own(), "NO_COLOR": "1"}) as terminal:
        terminal.until(lambda text: drawn.search(text) and pause.begun())
        pause.end()
        assert terminal.ended() == 0
    site.service("one", "RUN echo before", pause.line)
    with at_a_terminal(site.project, "build-all", environment={**site.own(), "TERM": "dumb"}) as terminal:
        terminal.until(lambda text: "  one ..." in text and pause.begun())
        pause.end()
        assert terminal.ended() == 0
    assert not any(drawn.search(frame) for frame in terminal.frames)
