"""Which lines of a Dockerfile asked for something, by the times of their steps."""

from dataclasses import dataclass

import pytest

from build_lib.downloads.steps import asking_lines

TEXT = """\
FROM debian AS one
RUN first
COPY a b
FROM debian
RUN second
RUN third
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    name: str
    began: float
    ended: float


STEPS = [
    Step(name="[internal] load build definition", began=0, ended=1),
    Step(name="[one 2/3] RUN first", began=10, ended=20),
    Step(name="[one 3/3] COPY a b", began=20, ended=30),
    Step(name="[stage-1 2/3] RUN second", began=11, ended=30),
    Step(name="[stage-1 3/3] RUN third", began=40, ended=float("inf")),
]


@pytest.mark.parametrize(
    ("moments", "lines"),
    [([15.0], (2, 5)), ([25.0], (5,)), ([39.5], (6,)), ([1000.0], (6,)), ([5.0], ()), ([25.0, 50.0], (5, 6)), ([], ())],
)
def test_the_lines_whose_steps_ran(moments: list[float], lines: tuple[int, ...]) -> None:
    assert asking_lines(TEXT, STEPS, moments) == lines
