"""Which build arguments lead a service's build to the recorder: `MIRROR_ARGS`, and the usual names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from build_lib.dockerfile import Reach
from build_lib.downloads.ways import Way
from build_lib.repository import Service
from build_lib.settings import MirrorUse

USUAL: Mapping[str, MirrorUse] = {
    "PIP_INDEX_URL": "pypi",
    "PYPI_INDEX_URL": "pypi",
    "PIP_TRUSTED_HOST": "host",
    "NPM_CONFIG_REGISTRY": "npm",
    "NPM_REGISTRY": "npm",
    "GOPROXY": "go",
    "GO_PROXY": "go",
    "APT_MIRROR": "apt",
    "GITHUB_MIRROR": "url",
}
_PATHS = {"pypi": "pypi/simple/", "npm": "npm/", "go": "go", "url": ""}
_KINDS = {"pypi": "pypi", "npm": "npm", "go": "go", "apt": "apt", "url": ""}  # see routes.target
_OPTIONS = "-o Acquire::Check-Valid-Until=false"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A build argument that leads to the recorder, and the value that it would have without."""

    name: str
    use: MirrorUse
    value: str


def given(service: Service, more: Mapping[str, MirrorUse]) -> list[Given]:
    """The arguments that a service's Dockerfile declares and that have a use; `more` are those of MIRROR_ARGS."""
    uses = {**USUAL, **more}
    names = sorted(service.reading.arguments & uses.keys())
    values = {**service.reading.defaults, **service.args}
    found = [Given(name=name, use=uses[name], value=values.get(name, "")) for name in names]
    return [each for each in found if each.use != "none"]


def can_record(reach: Reach, more: Mapping[str, MirrorUse]) -> bool:
    """Whether what a Dockerfile downloads gets to the recorder; `more` are the arguments of MIRROR_ARGS."""
    uses = {**USUAL, **more}
    if any(uses.get(name) in _PATHS or uses.get(name) == "apt" for name in reach.mirror.split(", ")):
        return True
    return reach.url.startswith("http://" if reach.kind != "add" else ("http://", "https://"))


def upstreams(arguments: list[Given]) -> dict[str, str]:
    """The mirrors that the service would use without the recorder, as `routes.target` takes them."""
    found: dict[str, str] = {}
    for each in arguments:
        first = each.value.partition(",")[0].partition("|")[0].strip()
        if each.use in _KINDS and first.startswith(("http://", "https://")):
            found.setdefault(_KINDS[each.use], first if each.use in ("apt", "url") else f"{first.rstrip('/')}/")
    return found


def values(arguments: list[Given], way: Way, authority: str, *, replay: bool) -> Iterator[tuple[str, str]]:
    """The values that lead to the recorder, by name."""
    for each in arguments:
        value = _value(each, way, authority, replay=replay)
        if value is not None:
            yield each.name, value


def _value(each: Given, way: Way, authority: str, *, replay: bool) -> str | None:
    mirror = way.mirror(authority)
    match each.use:
        case "host":
            return urlsplit(mirror).hostname
        case "apt-options":
            return _OPTIONS if replay else None
        case "apt":
            return _archive(each.value, mirror)
        case "go":
            return ",".join([f"{mirror}go", *(part for part in each.value.split(",") if part in ("direct", "off"))])
        case _:
            return mirror + _PATHS[each.use]


def _archive(value: str, mirror: str) -> str | None:
    """An archive's address by way of the recorder, in the form that its own value has; None if it has none."""
    scheme, separator, rest = value.rpartition("://")
    if not rest:
        return None
    path = f"{mirror}apt/{rest}"
    return path if separator and scheme else path.removeprefix("http://")
