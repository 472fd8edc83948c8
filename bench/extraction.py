"""How fast dependency images are found, on one core, in 1,000 and in 10,000 Dockerfiles of 100 lines.

Prints the seconds and megabytes for each number of files, and then the ratio of the two rates: 1.0 means that the time
grows linearly with the bytes.
"""

import tempfile
import time
from pathlib import Path

from build_lib.repository import dependencies, discover
from build_lib.settings import Settings

_LINES = 100
_SIZES = (1_000, 10_000)
_HEAD = """\
ARG GO_VERSION=1.22
FROM golang:${{GO_VERSION}}-alpine AS build
COPY --from=quay.io/tools/migrate:v{number} /migrate /
RUN --mount=type=bind,from=busybox:1.36,target=/b true
"""
_STEP = 'RUN echo "step {step}" && \\\n    touch /tmp/{step}\nENV KEY{step}="a value with ${{GO_VERSION}}"\n'
_TAIL = "FROM debian:bookworm-slim\nCOPY --from=build /migrate /\n"


def _dockerfile(number: int) -> str:
    lines = _LINES - _HEAD.count("\n") - _TAIL.count("\n")
    steps = "".join(_STEP.format(step=step) for step in range(lines // _STEP.count("\n")))
    return _HEAD.format(number=number) + steps + _TAIL


def _repository(root: Path, files: int) -> int:
    """Write a repository of so many services, and return the size of its Dockerfiles in bytes."""
    size = 0
    for number in range(files):
        directory = root / f"src/service-{number}"
        directory.mkdir(parents=True)
        size += (directory / "Dockerfile").write_text(_dockerfile(number))
    return size


def main() -> None:
    """Measure both sizes in one run."""
    rates = []
    for files in _SIZES:
        with tempfile.TemporaryDirectory() as directory:
            size = _repository(Path(directory), files)
            settings = Settings.load(Path(directory), environ={})
            began = time.perf_counter()
            found = dependencies.find(discover(settings), settings)
            seconds = time.perf_counter() - began
        rates.append(size / seconds)
        print(f"{files:6} Dockerfiles, {size / 1e6:5.1f} MB: {seconds:.2f} s, {len(found)} images")
    print(f"rate at {_SIZES[1]} files / rate at {_SIZES[0]} files: {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
