"""The arguments that a FROM can use: the predefined ones and those declared above the first FROM.

The rules are those of BuildKit's `dockerfile2llb/convert.go` (buildMetaArgs) and `platform.go`, and of containerd's
`platforms`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from platform import machine

from build_lib.dockerfile.shell_pattern import Refused
from build_lib.dockerfile.shell_word import Variable, expand
from build_lib.dockerfile.syntax import Problem

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "arm": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
}
_PLATFORM_PARTS = ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
PREDEFINED = frozenset(f"{of}{part}" for of in ("BUILD", "TARGET") for part in _PLATFORM_PARTS) | {"TARGETSTAGE"}
_IMPLIED = {("amd64", "v1"), ("arm64", "v8")}  # default variants, which platform names leave out
_SYSTEMS = frozenset(["darwin", "freebsd", "linux", "windows"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """A name that an ARG declares, and its default as written."""

    line: int
    name: str
    default: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Platform:
    system: str
    architecture: str
    variant: str

    def __str__(self) -> str:
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))


def variables(
    declared: Iterable[Argument], build_args: Mapping[str, str], *, stage: str, platform: str | None, escape: str
) -> tuple[dict[str, Variable], list[Problem]]:
    """Return the values in the order of their declaration, and a problem for each default that BuildKit refuses.

    `stage` is the target's name. `platform` is the one to build for, such as `linux/arm64`; None is this machine's.
    """
    found = {name: Variable(text=build_args.get(name, text)) for name, text in _predefined(stage, platform)}
    problems: list[Problem] = []
    for argument in declared:
        if argument.name in build_args:
            found[argument.name] = Variable(text=build_args[argument.name])
        elif argument.default is not None:
            try:
                value = expand(argument.default, found, escape)
                found[argument.name] = Variable(text=value.text, missing=next(iter(value.missing), None))
            except Refused as refused:
                reason = f"ARG {argument.name}: {refused.reason}"
                problems.append(Problem(line=argument.line, reason=reason, argument=refused.argument))
                found[argument.name] = Variable(text="", missing=refused.argument)
    return found, problems


def _predefined(stage: str, platform: str | None) -> Iterable[tuple[str, str]]:
    """The arguments that BuildKit predefines; the build platform is taken to be this machine's."""
    here = _platform(f"linux/{machine()}")
    for prefix, one in (("BUILD", here), ("TARGET", _platform(platform) if platform else here)):
        yield f"{prefix}PLATFORM", str(one)
        yield f"{prefix}OS", one.system
        yield f"{prefix}OSVERSION", ""
        yield f"{prefix}ARCH", one.architecture
        yield f"{prefix}VARIANT", one.variant
    yield "TARGETSTAGE", stage or "default"


def _platform(text: str) -> _Platform:
    """Parse `os/architecture/variant`, using Go's names; a single part is either an OS or an architecture."""
    system, _, rest = text.lower().partition("/")
    if not rest:
        system, rest = (system, machine().lower()) if system in _SYSTEMS else ("linux", system)
    architecture, _, written = rest.partition("/")
    architecture, variant = _ARCHITECTURES.get(architecture, (architecture, ""))
    if written:
        variant = f"v{written}" if written.isdecimal() else written
    if (architecture, variant) in _IMPLIED:
        variant = ""
    return _Platform(system=system, architecture=architecture, variant=variant)
