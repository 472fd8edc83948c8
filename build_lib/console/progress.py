"""What is drawn again and again at the bottom of a terminal while work goes on: downloads, and running builds."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, ClassVar

from build_lib.foreign import on_one_line
from build_lib.units import seconds, shortened

if TYPE_CHECKING:  # as in output
    from build_lib.build import Running
    from build_lib.registry import Progress

_HEARTBEAT_SECONDS = 60
_STEP_LENGTH = 80  # letters of a step's instruction, which may be a script
_ROOM = 3  # columns


class Region:
    """The last lines of a terminal. Everything else is printed above them, while they are hidden."""

    _made: ClassVar[list[Region]] = []

    def __init__(self, stream: IO[str], *, colored: bool) -> None:
        self._made.append(self)
        self._stream = stream
        self._colored = colored
        self._live: Any = None
        self._content: Any = None

    def show(self, content: Any) -> None:
        """Draw something that rich can draw, in place of what was there."""
        if self._live is None:
            self._live = self._new()
        self._content = content
        self._live.update(_Narrow(content), refresh=True)

    def close(self) -> None:
        """Remove what was drawn."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _new(self) -> Any:
        from rich.console import Console  # noqa: PLC0415  # its import takes as long as a short task
        from rich.live import Live  # noqa: PLC0415  # as above

        console = Console(file=self._stream, force_terminal=True, no_color=not self._colored, highlight=False)
        atexit.register(self.close)  # the cursor is hidden until then
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
        live.start()
        return live

    @contextmanager
    def _hidden(self) -> Iterator[None]:
        drawn = self._live is not None
        self.close()
        yield
        if drawn:
            self.show(self._content)

    @classmethod
    @contextmanager
    def hidden(cls) -> Iterator[None]:
        """Hide what is drawn, so that lines can be printed, and draw it below them."""
        with ExitStack() as stack:
            for region in cls._made:
                stack.enter_context(region._hidden())
            yield

    @classmethod
    def close_all(cls) -> None:
        """Remove everything that is drawn."""
        for region in cls._made:
            region.close()


class _Narrow:
    """Content with room beside it for the `^C` that a terminal shows: in a line of its own, it would not be removed."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        """See rich.console.ConsoleRenderable."""
        yield from console.render(self._content, options.update(width=max(options.max_width - _ROOM, 1)))


class Downloads:
    """A bar for all bytes, and below it one for each image that is being transferred."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def show(self, progress: Progress) -> None:
        """Add, update and remove bars according to the progress."""
        if self._bars is None:
            self._bars = _bars()
        wanted = {"all": (progress.done, progress.total), **progress.images}
        for name in [name for name in self._tasks if name not in wanted]:
            self._bars.remove_task(self._tasks.pop(name))
        for name, (done, total) in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(f"  {on_one_line(name)}", total=total, completed=done)
            self._bars.update(self._tasks[name], completed=done, total=total)
        self._region.show(self._bars.get_renderable())

    def close(self) -> None:
        """Remove the bars."""
        self._bars, self._tasks = None, {}
        self._region.close()


def _bars() -> Any:
    from rich import progress  # noqa: PLC0415  # as above

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        auto_refresh=False,
    )


class Builds:
    """A line for each running build: elapsed and expected time, the step, the last line that it printed."""

    def __init__(self, region: Region) -> None:
        self._region = region

    def show(self, running: Mapping[str, Running]) -> None:
        """Draw the lines."""
        from rich.table import Table  # noqa: PLC0415  # as above
        from rich.text import Text  # noqa: PLC0415  # as above

        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        for ratio in (None, None, 2, 3):
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
        for name, build in running.items():
            step = build.output.current
            cells = (
                f"  {name}{_place(build)}",
                _time(build),
                step.name if step else "",
                step.last_line if step else "",
            )
            table.add_row(*(Text(on_one_line(cell)) for cell in cells))
        self._region.show(table)

    def close(self) -> None:
        """Remove the lines."""
        self._region.close()


class Heartbeat:
    """Tells once a minute what is being built, where nothing can be drawn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told = clock()

    def lines(self, running: Mapping[str, Running]) -> list[str]:
        """A line for each running build, or nothing if the last ones are not a minute old."""
        now = self._clock()
        if now - self._told < _HEARTBEAT_SECONDS:
            return []
        self._told = now
        return [
            f"  {name}: still building{_place(build)}, {_time(build)}{_step(build)}" for name, build in running.items()
        ]


def _time(build: Running) -> str:
    took = seconds(time.monotonic() - build.began)
    return took if build.expected is None else f"{took} of about {seconds(build.expected)}"


def _place(build: Running) -> str:
    return f" on {build.place}" if build.place else ""


def _step(build: Running) -> str:
    step = build.output.current
    return f", {on_one_line(shortened(step.name, _STEP_LENGTH))}" if step else ""
