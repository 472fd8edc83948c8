"""Helm charts: the manifests that `helm template` makes of them, and their values."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from build_lib import process
from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.image_files.sources import CHART, VALUES

_PATIENCE_SECONDS = 60
_LARGEST = 1 << 24  # bytes of all manifests of a chart
_SHOWN = 300  # characters of its message
_SOURCE = re.compile(r"^---\n# Source: (.*)\n", re.MULTILINE)  # with which helm begins each manifest


def manifests(chart: Path, values: Path | None, environment: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Return the manifests of a chart with its default values, or with a file of other values.

    Each comes with the path of its template, or of Chart.yaml if the template is in a packed chart.

    Raises:
        BuildError: there is no helm, or it cannot render the chart.
    """
    helm = shutil.which("helm", path=environment.get("PATH", ""))
    if helm is None:
        raise BuildError("there is no helm on the PATH")
    command = [helm, "template", str(chart), *(("--values", str(values)) if values else ())]
    parts = _SOURCE.split(_output(command, environment))
    return [(_template(chart, name), text) for name, text in zip(parts[1::2], parts[2::2], strict=True)]


def value_files(chart: Path, values: Path | None) -> list[tuple[Path, Path]]:
    """Return the files with the values of a chart and of the charts in it, except packed ones, each with Chart.yaml."""
    descriptions = [chart / CHART, *sorted(chart.glob(f"charts/*/{CHART}"))]
    found = [(path.with_name(VALUES), path) for path in descriptions]
    if values:
        found.append((values, chart / CHART))
    return [(path, description) for path, description in found if path.is_file()]


def _template(chart: Path, source: str) -> Path:
    """The file of a source, which begins with the name of the chart."""
    path = Path(os.path.normpath(chart / source.partition("/")[2]))
    return path if path.is_relative_to(chart) and path.is_file() else chart / CHART


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    """What a command prints.

    Raises:
        BuildError: it fails, or does not end, or prints too much.
    """
    cancel = Cancel()
    with (
        tempfile.TemporaryFile() as log,
        process.started(command, cancel, stdout=subprocess.PIPE, stderr=log, env=dict(environment)) as helm,
        _requested_after(_PATIENCE_SECONDS, cancel),
    ):
        assert helm.stdout is not None
        with helm.stdout as stdout:
            output = stdout.read(_LARGEST + 1)
        if len(output) > _LARGEST:
            raise BuildError(f"helm template printed more than {_LARGEST} bytes")
        failed = helm.wait()
        if cancel.requested():
            raise BuildError(f"helm template took more than {_PATIENCE_SECONDS} s")
        if failed:
            log.seek(0)
            raise BuildError(f"helm template failed: {_reason(log.read(_LARGEST).decode(errors='replace'))}")
    return output.decode(errors="replace")


@contextlib.contextmanager
def _requested_after(seconds: float, cancel: Cancel) -> Iterator[None]:
    """Within, the end of the work is requested after this time."""
    timer = threading.Timer(seconds, cancel.request)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _reason(log: str) -> str:
    """The line of helm's error output that gives the reason."""
    lines = [line.removeprefix("Error: ") for line in log.splitlines() if line.startswith("Error: ")]
    return (lines or log.splitlines() or ["without a message"])[-1][:_SHOWN]
