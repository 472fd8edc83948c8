"""What the instructions of a Dockerfile download besides images: an estimate, by reading.

Read are ADD and RUN of the stages that the target needs, and what the ARGs, ENVs and RUNs above them say. Unknown
remain the environment and the configuration of base images, scripts, and what programs that are built here download.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from build_lib.dockerfile.arguments import variables
from build_lib.dockerfile.images import Base
from build_lib.dockerfile.outside_packages import Installing
from build_lib.dockerfile.outside_run import Run, matters
from build_lib.dockerfile.package_sources import Sources
from build_lib.dockerfile.reach import Reach, of_url
from build_lib.dockerfile.reading import Reading
from build_lib.dockerfile.script import Script, joined, on_line
from build_lib.dockerfile.shell_pattern import Refused
from build_lib.dockerfile.shell_word import SPACE, split
from build_lib.dockerfile.simple_commands import Assigned, Simple, interpreter, is_shell, program, programs
from build_lib.dockerfile.stages import defined
from build_lib.dockerfile.syntax import Place, arguments, escape_of, is_list, leading_flags, places
from build_lib.dockerfile.url_hosts import text_of
from build_lib.dockerfile.variable_values import Piece, Values

__all__ = ["Reach", "reaches"]

_ONLY_DOCUMENT = re.compile(r"\d*<<-?\s*(?:\w+|'\w+'|\"\w+\")")
_GIT = re.compile(r"git@[\w.-]+:|git://|ssh://|https?://[^#?]+\.git(?:#|\?|$)")
# variables whose values are not shown
_SECRET = re.compile(r"TOKEN|PASSW|SECRET|CREDENTIAL|AUTH|(?:API|PRIVATE|ACCESS)_?KEY", re.IGNORECASE)
_MARKS = frozenset("'\"\\ \t")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(kw_only=True, slots=True)
class _Stage:
    image: str  # that it is based on, through other stages
    values: Values = field(default_factory=Values)
    sources: Sources = field(default_factory=Sources)


def reaches(
    text: str, reading: Reading, build_args: Mapping[str, str] = {}, platform: str | None = None
) -> tuple[Reach, ...]:
    """Return what a Dockerfile downloads besides images, in the order of the lines. No text raises an exception.

    `reading` is what `read` returned for the same text, with the same arguments.
    """
    reader = _Reader(text, reading, build_args, platform)
    found = [reach for place in places(text) for reach in reader.instruction(place)]
    return tuple(sorted(dict.fromkeys(found), key=lambda reach: reach.line))


class _Reader:
    """Goes through the instructions once."""

    def __init__(self, text: str, reading: Reading, build_args: Mapping[str, str], platform: str | None) -> None:
        self.bases = reading.bases
        self.build_args = build_args
        self.escape = escape_of(text)
        self.set_by_builder = variables((), {}, stage="", platform=platform, escape=self.escape)[0]
        self.above = Values()
        self.stages: list[_Stage] = []

    def instruction(self, place: Place) -> Iterator[Reach]:
        """Return what an instruction downloads, after noting what it says to those below it."""
        if place.keyword == "from":
            self.stages.append(self._begun(self.bases[len(self.stages)]))
        elif place.keyword == "arg":
            self._declare(place.rest)
        elif self.stages and self.bases[len(self.stages) - 1].reached:
            match place.keyword:
                case "env":
                    self._set(place.rest)
                case "add":
                    yield from self._add(place)
                    self._copy(place)
                case "copy":
                    self._copy(place)
                case "run":
                    yield from self._run(place)

    def _begun(self, base: Base) -> _Stage:
        if base.stage is None:
            return _Stage(image=base.image)
        below = self.stages[base.stage]
        return _Stage(image=below.image, values=below.values.copy(), sources=below.sources.copy())

    def _declare(self, rest: str) -> None:
        values = self.stages[-1].values if self.stages else self.above
        for name, default in defined(rest, self.escape):
            if _SECRET.search(name):
                values.declare(name, None)
            elif name in self.build_args:
                values.declare(name, (Piece(self.build_args[name]),))
            elif default is not None:
                values.declare(name, values.only(_unquoted(default)))
            elif name in self.above.stage:
                values.declare(name, self.above.stage[name])
            elif name in self.set_by_builder:
                values.set(name, (Piece(self.set_by_builder[name].text),))
            else:
                values.declare(name, None)

    def _set(self, rest: str) -> None:
        """ENV, also in its old form with a space instead of the first `=`."""
        values = self.stages[-1].values
        said = defined(rest, self.escape)
        if said and said[0][1] is None:
            name, _, text = rest.partition(" ")
            said = [(name, text.strip(SPACE))]
        new = [(name, values.only(_unquoted(text))) for name, text in said if text is not None]
        for name, value in new:  # an ENV does not see those of its own line
            if not _SECRET.search(name):
                values.set(name, value)

    def _add(self, place: Place) -> Iterator[Reach]:
        flags, rest = leading_flags(place.rest)
        checked = any(flag.startswith("--checksum=") for flag in flags)
        values = self.stages[-1].values
        for word in arguments(rest)[:-1]:
            text = text_of(values.only(_unquoted(word)))
            git = _GIT.match(text)
            if git or text.startswith(("http://", "https://")):
                pinned = bool(git and _COMMIT.fullmatch(text.partition("#")[2].partition(":")[0]))
                yield from of_url(
                    _unquoted(word), values, kind="add", tool="ADD", line=place.line, checked=checked or pinned
                )

    def _copy(self, place: Place) -> None:
        """Note the files that tell package managers where to download from."""
        self.stages[-1].sources.copied(arguments(leading_flags(place.rest)[1]))

    def _run(self, place: Place) -> Iterator[Reach]:
        flags, rest = leading_flags(place.rest)
        if "--network=none" in flags or not matters("\n".join((rest, *(text for _, text in place.bodies)))):
            return
        stage = self.stages[-1]
        said = list(_programs(place, rest))
        shell: dict[str, list[str]] = {}
        for item in said:
            if isinstance(item, Assigned) and item.kept:
                shell.setdefault(item.name, []).append("$" if item.text is None else item.text)
        values = stage.values.within(shell)
        run = Run(values, stage.sources, Installing(values, stage.sources, stage.image, rest))
        yield from run.reaches(said)


def _programs(place: Place, rest: str) -> Iterator[Simple | Assigned]:
    """What a RUN runs: in its shell form, its exec form, or a here-document that is a script."""
    if is_list(rest):
        yield from program(arguments(rest), place.line, on_line("", place.line))
    elif place.bodies and _ONLY_DOCUMENT.fullmatch(rest):
        script = joined((), place.bodies[:-1])
        if is_shell(interpreter(script.text)):
            yield from programs(script)
    else:
        yield from programs(_script(place, rest))


def _script(place: Place, rest: str) -> Script:
    """The text for the shell: the end of the instruction, and its here-documents."""
    whole = joined(place.pieces, ((line, text.rstrip("\r")) for line, text in place.bodies))
    own = "".join(text for _, text in place.pieces)
    begin = len(own.rstrip(SPACE)) - len(rest)
    return whole.part(whole.text[begin:], [(0, begin)])


def _unquoted(word: str) -> str:
    """The word without its quotes, with variables as written; as it is if BuildKit cannot read it."""
    if _MARKS.isdisjoint(word):
        return word
    try:
        return " ".join(split(word, keep_quotes=False))
    except Refused:
        return word
