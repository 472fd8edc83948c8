"""From what a file says to images: placeholders are filled, names parsed, and what cannot be read is a remark."""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from build_lib.compose import Problem
from build_lib.errors import BuildError, InvalidReference
from build_lib.image_files.lines import Written
from build_lib.image_files.placeholders import fill, without_placeholders
from build_lib.reference import Reference
from build_lib.settings import masked_value

_POSSIBLE = re.compile(r"[\w./:@-]*")  # what can be made the name of an image by values
_MOST_IMAGES = 10_000  # in one file
_SHOWN = 100  # characters of a text in a message
_MOST_REMARKS = 20  # of one file
_FEW = 10  # so many lines that are no images do not yet make a file something else than a list


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedImage:
    """An image, and the place that names it; line 0 is the whole file."""

    image: Reference
    path: Path
    line: int


class File:
    """Collects the images of one file, and the problems in it.

    Without `lines`, what is read is not the file itself, and all places are the whole file.
    """

    def __init__(self, path: Path, variables: Mapping[str, str], *, lines: bool = True) -> None:
        self.path = path
        self.images: list[NamedImage] = []
        self.problems: list[Problem] = []
        self._variables = variables
        self._lines = lines
        self._taken = 0
        self._remarks = 0
        self._invalid = 0

    def report(self, line: int, reason: str) -> None:
        """Add an error."""
        self.problems.append(Problem(path=self.path, line=line if self._lines else 0, reason=reason))

    def remark(self, line: int, reason: str) -> None:
        """Add a remark, unless there are many."""
        self._remarks += 1
        if self._remarks > _MOST_REMARKS + 1:
            return
        if self._remarks > _MOST_REMARKS:
            line, reason = 0, "further remarks are left out"
        place = line if self._lines else 0
        self.problems.append(Problem(path=self.path, line=place, reason=reason, remark=True))

    def take(self, found: Iterable[Written]) -> None:
        """Add images, up to a number of them."""
        for item in found:
            self._taken += 1
            if self._taken == _MOST_IMAGES + 1:
                self.report(item.line, f"the file names more than {_MOST_IMAGES} images")
            if self._taken > _MOST_IMAGES:
                return
            image = self._image(item)
            if image:
                place = item.line if self._lines else 0
                self.images.append(NamedImage(image=image, path=self.path, line=place))

    def take_list(self, found: Iterable[Written]) -> None:
        """Add the images of a list, unless most of its lines are something else."""
        self.take(found)
        if self._invalid > max(len(self.images), _FEW):
            self.images, self.problems, self._remarks = [], [], 0
            self.remark(0, "this is not a list of images: most of its lines are something else")

    def keep(self, images: Container[Reference]) -> None:
        """Remove all other images, and the remarks, which may be about them."""
        self.images = [item for item in self.images if item.image in images]
        self.problems = [problem for problem in self.problems if not problem.remark]

    def _image(self, item: Written) -> Reference | None:
        """The image; None after a remark, if there is none."""
        if not item.text:
            reason = "the name of the image is not on this line: name the file that is made from the template"
            self.remark(item.line, reason)
            return None
        shown = f"{masked_value(item.text)[:_SHOWN]!r}"
        name = item.text
        try:
            name = fill(item.text, self._variables)
            return Reference.parse(name)
        except InvalidReference:
            written = f", written {shown}," if name != item.text else ""
            reason = f"{masked_value(name)[:_SHOWN]!r}{written} is not an image name"
        except BuildError as error:
            if _POSSIBLE.fullmatch(without_placeholders(item.text)):
                self.remark(item.line, f"{shown} cannot be filled: {error.message}")
                return None
            reason = f"{shown} is not an image name"
        self._invalid += 1
        self.remark(item.line, reason)
        return None
