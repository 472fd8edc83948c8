"""Progress bars for transfers, at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:  # as in output
    from build_lib.registry import Progress


class Bars:
    """A bar for all bytes, and below it one for each image that is being transferred."""

    made: ClassVar[list[Bars]] = []

    def __init__(self, stream: IO[str]) -> None:
        self.made.append(self)
        self._stream = stream
        self._bars: dict[str, Any] = {}

    def show(self, progress: Progress) -> None:
        """Add, update and remove bars according to the progress."""
        wanted = {"all": (progress.done, progress.total), **progress.images}
        for name in [name for name in self._bars if name not in wanted]:
            self._bars.pop(name).close()
        for name, (done, total) in wanted.items():
            bar = self._of(name, done, total)
            bar.update(done - bar.n)
        for bar in self._bars.values():
            bar.refresh()

    def _of(self, name: str, done: int, total: int) -> Any:
        from tqdm import tqdm  # noqa: PLC0415  # its import takes as long as a short task

        if name not in self._bars:
            options: dict[str, Any] = {
                "unit": "B",
                "unit_scale": True,
                "leave": False,
                "dynamic_ncols": True,
                "mininterval": 0,
            }
            self._bars[name] = tqdm(total=total, initial=done, desc=f"  {name}", file=self._stream, **options)
        return self._bars[name]

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the bars, so that lines can be printed; the bars are redrawn below them."""
        for bar in self._bars.values():
            bar.clear()
        yield
        for bar in self._bars.values():
            bar.refresh()

    def close(self) -> None:
        """Remove all bars."""
        while self._bars:
            self._bars.popitem()[1].close()
