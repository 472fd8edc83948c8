"""TAB: the time of a completion with these tasks, compared with an empty tasks.py; start-up included.

Names of tasks first, then the values of a flag.
"""

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.support.commands import ROOT, inv_command

_ROUNDS = 40
_VALUES = ("build -s ", "build web ", "status -t ", "push -r ", "mirrors --image ", "deps-load -f ")


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True)
    took = time.perf_counter() - began
    assert not done.stderr, done.stderr  # it fails if nothing fits, as with an empty tasks.py
    return took


def main() -> None:
    """Measure the ways in turn, many times, so that other load on the machine affects all alike."""
    complete = ["--complete", "--", "inv", "build"]
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "tasks.py").touch()
        ours = inv_command(*complete)
        empty = [directory if part == str(ROOT) else part for part in ours]
        by_inv = [str(ROOT / "inv"), "--complete", "--"]
        ways = {
            "empty tasks.py": empty,
            "these tasks": ours,
            "these tasks by ./inv": [*by_inv, "inv build"],
            **{f"inv {words}…": [*by_inv, f"inv {words}"] for words in _VALUES},
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS):
            for name, command in ways.items():
                seconds[name].append(_seconds(command))
    base = median(seconds["empty tasks.py"])
    for name, took in seconds.items():
        print(f"  {name:24} {median(took) * 1000:5.0f} ms, {median(took) / base:.2f} times the first")


if __name__ == "__main__":
    main()
