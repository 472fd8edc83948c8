"""The dependency graph as a picture: the services, what they depend on, and the external images."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Literal

from build_lib.errors import BuildError, nearest
from build_lib.repository.service import Service
from build_lib.settings import Settings

Form = Literal["text", "mermaid", "dot", "svg"]
FORMS: tuple[Form, ...] = ("text", "mermaid", "dot", "svg")


def draw(services: Mapping[str, Service], form: str, settings: Settings) -> str:
    """Return the graph of these services in one of FORMS; svg is made by graphviz's `dot`.

    In mermaid and dot, arrows lead from a dependency to its dependents, in the order of the build. Dotted ones are from
    a service that runs while the other one is built.

    Raises:
        BuildError: there is no such format, or graphviz is not installed.
    """
    if form == "text":
        return "\n".join(_text(services))
    if form == "mermaid":
        return "\n".join(_mermaid(services))
    if form == "dot":
        return "\n".join(_dot(services))
    if form == "svg":
        return _svg("\n".join(_dot(services)), settings)
    hint = nearest(form, FORMS) or f"use one of {', '.join(FORMS)}"
    raise BuildError(f"there is no graph format {form!r}", hint=hint)


def _text(services: Mapping[str, Service]) -> Iterator[str]:
    """A tree below each service without dependents; a branch that was shown before is not repeated."""
    below = {need for service in services.values() for need in service.needs}
    shown: set[str] = set()

    def branch(name: str, indent: str, last: str, *, running: bool = False) -> Iterator[str]:
        again = name in shown and (services[name].needs or services[name].base_images)
        yield f"{indent}{last}{name}{' (running)' if running else ''}{' (see above)' if again else ''}"
        if again:
            return
        shown.add(name)
        inner = indent if not last else indent + ("    " if last.startswith("└") else "│   ")
        items: list[tuple[str, bool]] = [(need, True) for need in services[name].needs]
        items += [(str(image), False) for image in services[name].base_images]
        for place, (item, is_service) in enumerate(items):
            mark = "└── " if place == len(items) - 1 else "├── "
            if is_service:
                yield from branch(item, inner, mark, running=item in services[name].build_with)
            else:
                yield f"{inner}{mark}{item} (image)"

    for name in services:
        if name not in below:
            yield from branch(name, "", "")


def _edges(services: Mapping[str, Service]) -> Iterator[tuple[str, str, bool]]:
    """Edges from dependency to dependent, and whether the former runs while the latter is built.

    Services are `s` and their index, images `i` and theirs.
    """
    numbers = {name: f"s{place}" for place, name in enumerate(services)}
    images = _images(services)
    for name, service in services.items():
        yield from ((numbers[need], numbers[name], need in service.build_with) for need in service.needs)
        yield from ((images[str(image)], numbers[name], False) for image in service.base_images)


def _images(services: Mapping[str, Service]) -> dict[str, str]:
    found = sorted({str(image) for service in services.values() for image in service.base_images})
    return {image: f"i{place}" for place, image in enumerate(found)}


def _mermaid(services: Mapping[str, Service]) -> Iterator[str]:
    yield "flowchart LR"
    for place, name in enumerate(services):
        yield f'  s{place}["{name}"]'
    for image, id in _images(services).items():
        yield f'  {id}(["{image}"])'
    for start, end, runs in _edges(services):
        yield f"  {start} {'-. running .->' if runs else '-->'} {end}"


def _dot(services: Mapping[str, Service]) -> Iterator[str]:
    yield "digraph services {"
    yield '  rankdir=LR; node [fontname="sans-serif"];'
    for place, name in enumerate(services):
        yield f'  s{place} [shape=box, label="{name}"];'
    for image, id in _images(services).items():
        yield f'  {id} [shape=ellipse, style=dashed, label="{image}"];'
    for start, end, runs in _edges(services):
        yield f"  {start} -> {end}{' [style=dotted, label=running]' if runs else ''};"
    yield "}"


def _svg(dot: str, settings: Settings) -> str:
    program = shutil.which("dot", path=settings.environment.get("PATH"))
    if program is None:
        raise BuildError("svg needs graphviz, which is not installed", hint="apt install graphviz; or --format mermaid")
    done = subprocess.run([program, "-Tsvg"], input=dot, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"dot cannot draw the graph: {done.stderr.strip()}")
    return done.stdout
