import pytest

from build_lib.units import seconds, size


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (28.2, "28 s"), (59.6, "1 min 0 s"), (843, "14 min 3 s")],
)
def test_times_as_people_read_them(count: float, words: str) -> None:
    assert seconds(count) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes_as_people_read_them(count: int | None, words: str) -> None:
    assert size(count) == words
