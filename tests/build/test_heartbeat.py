"""What is told of running builds where nothing can be drawn."""

import re
import time
from pathlib import Path

from build_lib.build import Running
from build_lib.build.output import Output
from build_lib.console import Heartbeat


def test_once_a_minute_a_line_says_what_is_still_being_built(tmp_path: Path) -> None:
    times = iter([0.0, 59.9, 60.1, 61.0, 119.9, 120.2])
    heartbeat = Heartbeat(clock=lambda: next(times))
    with Output(tmp_path / "log", "plain") as output, Output(tmp_path / "other", "plain") as silent:
        output.write("#1 [build 3/7] RUN make     &&  make check\n")
        began = time.monotonic() - 61
        running = {
            "web": Running(began=began, output=output, expected=240.0),
            "api": Running(began=began, output=silent, expected=None),
        }
        told = [heartbeat.lines(running) for _ in range(5)]
    assert [len(lines) for lines in told] == [0, 2, 0, 0, 2]
    web, api = told[1]
    assert re.fullmatch(
        r"  web: still building, 1 min \d s of about 4 min 0 s, \[build 3/7\] RUN make && make check", web
    )
    assert re.fullmatch(r"  api: still building, 1 min \d s", api)


def test_a_step_that_is_a_script_is_cut(tmp_path: Path) -> None:
    times = iter([0.0, 61.0])
    heartbeat = Heartbeat(clock=lambda: next(times))
    with Output(tmp_path / "log", "plain") as output:
        output.write(f"#1 [build 3/7] RUN {'make && ' * 100}true\n")
        [line] = heartbeat.lines({"web": Running(began=time.monotonic() - 61, output=output, expected=None)})
    assert line.endswith("make && make &&…")
    assert len(line) < 130


def test_nothing_is_told_while_nothing_is_built() -> None:
    times = iter([0.0, 100.0])
    assert Heartbeat(clock=lambda: next(times)).lines({}) == []
