"""TAB: the time of a completion with these tasks, compared with an empty tasks.py; start-up included."""

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.support.commands import ROOT, inv_command

_ROUNDS = 40


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure the ways in turn, many times, so that other load on the machine affects all alike."""
    complete = ["--complete", "--", "inv", "build"]
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "tasks.py").touch()
        ours = inv_command(*complete)
        empty = [directory if part == str(ROOT) else part for part in ours]
        ways = {"empty tasks.py": empty, "these tasks": ours, "these tasks by ./inv": [str(ROOT / "inv"), *complete]}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS):
            for name, command in ways.items():
                seconds[name].append(_seconds(command))
    base = median(seconds["empty tasks.py"])
    for name, took in seconds.items():
        print(f"  {name:22} {median(took) * 1000:5.0f} ms, {median(took) / base:.2f} times the first")


if __name__ == "__main__":
    main()
