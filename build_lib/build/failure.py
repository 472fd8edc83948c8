"""Why a build failed: the line of the Dockerfile, the instruction, and what the instruction itself printed last."""

import re
from collections.abc import Sequence
from pathlib import Path

from build_lib.build.output import CANCELED, Output, Step
from build_lib.dockerfile import line_of_step
from build_lib.errors import BuildFailed, Place
from build_lib.repository import Service
from build_lib.units import shortened

_BEFORE = re.compile(r"^(?:\[[^\]]*\d+/\d+\] |Step \d+/\d+ : )")  # what builders write before an instruction
_EXIT_CODE = re.compile(r"exit code: (\d+)$|returned a non-zero code: (\d+)$")
_LAST_WORD = re.compile(
    r"(?:ERROR: )?(?:failed to solve(?: with frontend [\w.]+)?: )?(?:failed to create LLB definition: )?"
    r"(?:the build failed: )?"
)
_PARSE_LINE = re.compile(r"parse error (?:on )?line (\d+)")
_INSTRUCTION_LENGTH = 100


def build_failed(service: Service, output: Output, root: Path, refused: Sequence[str] = ()) -> BuildFailed:
    """The error for a service whose builder ended with this output; paths are relative to `root` where they can be.

    `refused` are lines about what it asked for and did not get.
    """
    step = output.failed
    line, reason = _of_step(service, step, output.error) if step else _of_builder(output)
    place = _place(service, output.line or line)  # BuildKit counts steps otherwise, if FROM is a named context
    where = f"{place.below(root)}:{place.line}" if place.line else place.below(root)
    hint = f"./inv logs {service.name} prints the whole log: {output.path}"
    why = "\n".join([f"{where}: {reason}", *refused, *(step.lines if step else ())])
    return BuildFailed(f"{service.name} cannot be built: {why}", hint=hint, place=place)


def _of_step(service: Service, step: Step, last_word: str) -> tuple[int, str]:
    instruction = shortened(_BEFORE.sub("", step.name, count=1), _INSTRUCTION_LENGTH)
    canceled = CANCELED in step.error and last_word  # then only the builder says why, such as for an ADD's checksum
    error = last_word if canceled else step.error
    code = _EXIT_CODE.search(error)
    reason = f"exit code {code[1] or code[2]}" if code else shortened(_LAST_WORD.sub("", error, count=1))
    return line_of_step(service.text, step.name), f"{instruction}: {reason}"


def _of_builder(output: Output) -> tuple[int, str]:
    """The line that the builder names, and its last word."""
    word = shortened(_LAST_WORD.sub("", output.error, count=1)) or "the builder printed nothing"
    found = _PARSE_LINE.search(word)
    return int(found[1]) if found else output.line, word


def _place(service: Service, line: int) -> Place:
    """Where it is; for an inline Dockerfile, where the compose file declares the service."""
    if service.inline:
        return Place(path=service.origin, line=service.line)
    return Place(path=service.dockerfile, line=line)
