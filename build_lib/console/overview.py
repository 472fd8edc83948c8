"""Output of `services`, `deps`, `status` and `graph`: the services, what they depend on, and what is out of date.

Each function prints the errors in the repository's files last, and raises `Incomplete` if there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from build_lib.build import INTERRUPTED
from build_lib.console.problems import left_out, problems
from build_lib.repository import dockerfiles_setting
from build_lib.units import local_time

if TYPE_CHECKING:  # as in output
    from collections.abc import Iterator, Mapping, Sequence

    from build_lib.build import Check
    from build_lib.console.output import Console
    from build_lib.repository import Dependency, Found, Repository, Service
    from build_lib.settings import Settings

_STATUS = ("service", "image", "state", "reason", "error", "error_at")


def services(console: Console, repository: Repository, settings: Settings, *, variants: bool = False) -> None:
    """Print the services, and what each depends on; with `variants`, also those, and the line that adds them."""
    others = repository.variants if variants else ()
    if console.json:
        console.document([*map(_service_json, repository.services.values()), *map(_variant_json, others)])
    else:
        service_table(console, repository, settings, others)
    problems(console, repository)


def service_table(console: Console, repository: Repository, settings: Settings, variants: Sequence[Found]) -> None:
    """Print the services and these variants as a table, and the line that adds the variants."""
    rows = [_service_row(console, service) for service in repository.services.values()]
    rows += [(variant.name, "- (variant)", console.below(variant.path), "-") for variant in variants]
    console.table(("SERVICE", "IMAGE", "DOCKERFILE", "DEPENDS ON"), rows)
    if variants:
        names = dockerfiles_setting([variant.path.name for variant in variants], settings)
        console.line(f"to build the variants as well, write in .env: DOCKERFILES={names}")


def deps(
    console: Console,
    found: Sequence[Dependency],
    repository: Repository,
    names: Sequence[str] = (),
    *,
    plain: bool = False,
) -> None:
    """Print every dependency image of these services, what needs it, and where; with `plain`, only its name."""
    if plain:
        for item in found:
            console.line(str(item.image))
    elif console.json:
        console.document([_dependency_json(item) for item in found])
    else:
        rows = [row for item in found for row in _dependency_rows(item)]
        console.table(("IMAGE", "KIND", "NEEDED BY", "WHERE"), rows)
        left_out(console, repository)
    problems(console, repository, names)


def status(console: Console, checks: Mapping[str, Check], repository: Repository) -> None:
    """Print what is built, what would be rebuilt and why, and what failed in the last build."""
    rows = [_status_row(name, check) for name, check in checks.items()]
    if console.json:
        console.document([_status_json(row, checks[row[0]].service) for row in rows])
    else:
        console.table([title.upper() for title in _STATUS[:-2]], [row[:-2] for row in rows])
        for name, check in checks.items():
            if check.service.build_with:
                console.line(f"{name} is built with {', '.join(check.service.build_with)} running")
        for name, *_, error, at in rows:
            if error:
                when = f"last time ({local_time(at)})" if at else "last time"
                console.line(f"{when}: {error}" if name in error else f"{when}: {name}: {error}")
    problems(console, repository)


def graph(console: Console, picture: str, repository: Repository, names: Sequence[str] = ()) -> None:
    """Print the drawing of the dependency graph of these services."""
    console.text(picture)
    problems(console, repository, names)


def _service_row(console: Console, service: Service) -> tuple[str, ...]:
    dockerfile = console.below(service.dockerfile) + (f" ({service.target})" if service.target else "")
    siblings = (f"{name} (running)" if name in service.build_with else name for name in service.needs)
    needs = ", ".join((*siblings, *(str(image) for image in service.base_images)))
    return (service.name, str(service.image), dockerfile, needs or "-")


def _service_json(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "image": str(service.image),
        "context": str(service.context),
        "dockerfile": str(service.dockerfile),
        "target": service.target,
        "args": dict(service.args),
        "needs": list(service.needs),
        "build_with": list(service.build_with),
        "base_images": [str(image) for image in service.base_images],
    }


def _variant_json(variant: Found) -> dict[str, Any]:
    return {"name": variant.name, "variant": True, "dockerfile": str(variant.path)}


def _dependency_rows(item: Dependency) -> Iterator[tuple[str, ...]]:
    """A row for each place that needs the image. Only the first row has its name."""
    name = str(item.image)
    for need in item.needs:
        where = f"{need.path}:{need.line}" if need.line else need.path or "settings"
        yield (name, need.kind, need.needed_by, where)
        name = ""


def _dependency_json(item: Dependency) -> dict[str, Any]:
    needs = [
        {"needed_by": need.needed_by, "kind": need.kind, "path": need.path, "line": need.line} for need in item.needs
    ]
    return {"image": str(item.image), "build": item.for_build, "needs": needs}


def _status_row(name: str, check: Check) -> tuple[str, ...]:
    """The columns of `_STATUS`, without the last failure if the service is up to date by now."""
    failure = (check.failed, check.failed_at) if check.reason else ("", "")
    return (name, str(check.service.image), _state(check), check.reason, *failure)


def _status_json(row: Sequence[str], service: Service) -> dict[str, Any]:
    return {**dict(zip(_STATUS, row, strict=True)), "build_with": list(service.build_with)}


def _state(check: Check) -> str:
    if check.failed and check.reason:
        return "interrupted last time" if check.failed == INTERRUPTED else "failed last time"
    if not check.built:
        return "missing"
    return "out of date" if check.reason else "built"
