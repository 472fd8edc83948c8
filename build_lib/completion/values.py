"""The values that an argument may have, by its name: those that the repository and this machine know."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from build_lib import git, machine, registry, repository
from build_lib.completion.scripts import SHELLS
from build_lib.settings import Settings

_PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/riscv64", "linux/s390x")
_BUNDLE, _INVENTORY = re.compile(r".+\.(tar|001)"), re.compile(r".+\.json")  # 001 is the first part of several
_TAG = re.compile(r"[\w][\w.-]{,127}", re.ASCII)
Load = Callable[[], Settings]
Find = Callable[[str, Load], Iterable[str]]


def of(argument: str, task: str) -> Find | None:
    """Return what finds the values of an argument of a task, from what is written of it; None if any file may be meant.

    Arguments of the same name have the same meaning in all tasks, as far as `_OF_TASKS` does not say otherwise.
    """
    return _OF_TASKS.get((task, argument)) or _OF.get(argument)


def _services(_word: str, load: Load) -> Iterable[str]:
    return repository.service_names(load())


def _images(_word: str, load: Load) -> Iterator[str]:
    """The dependency images that Dockerfiles and compose files name. Charts are left out: helm may be slow."""
    settings = load()
    settings = replace(settings, values={**settings.values, "IMAGE_FILES": ()})
    found = repository.dependencies.find(repository.discover(settings), settings)
    return (str(dependency.image) for dependency in found)


def _releases(_word: str, load: Load) -> Iterator[str]:
    """The tag of the settings, those of git, and those of bundles and recordings in `.build`."""
    settings = load()
    yield settings.image_tag
    yield from filter(_TAG.fullmatch, git.tags(settings.project_root, settings.environment))
    for path in sorted(settings.state_dir.glob("deps-*.tar")):
        yield path.stem.removeprefix("deps-")
    yield from (path.name for path in sorted((settings.state_dir / "downloads/recordings").glob("*")))


def _registries(_word: str, load: Load) -> Iterator[str]:
    """The private registry, that of registry-up, and those with a login, which lack the project."""
    settings = load()
    if settings.private_registry:
        yield str(settings.private_registry)
    running = machine.local_registry.running(settings)
    yield from (f"{host}/" for host in (*((running,) if running else ()), *registry.logins(settings)))


def _platforms(_word: str, load: Load) -> Iterator[str]:
    platform = load().platform
    yield from (platform,) if platform else ()
    yield from _PLATFORMS


def _bundles(word: str, load: Load) -> Iterator[str]:
    return _files(word, load, _BUNDLE)


def _inventories(word: str, load: Load) -> Iterator[str]:
    return _files(word, load, _INVENTORY)


def _bases(word: str, load: Load) -> Iterator[str]:
    return _files(word, load, re.compile(f"{_BUNDLE.pattern}|{_INVENTORY.pattern}"))


def _directories(word: str, _load: Load) -> Iterator[str]:
    return _below(word, None)


def _files(word: str, load: Load, named: re.Pattern[str]) -> Iterator[str]:
    """The files with such a name in the directory that is written, and its directories; at first, those in `.build`."""
    if not word:
        own = load().state_dir
        yield from (os.path.relpath(path) for path in sorted(own.glob("*")) if named.fullmatch(path.name))
    yield from _below(word, named)


def _below(word: str, named: re.Pattern[str] | None) -> Iterator[str]:
    """What is in the directory that is written: directories, with a slash, and files with such a name."""
    written, slash, begun = word.rpartition("/")
    with os.scandir(Path(f"{written}{slash}" or ".").expanduser()) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(".") and not begun.startswith("."):
                continue
            if entry.is_dir():
                yield f"{written}{slash}{entry.name}/"
            elif named and named.fullmatch(entry.name):
                yield f"{written}{slash}{entry.name}"


def _forms(_word: str, _load: Load) -> Sequence[str]:
    return repository.graph_picture.FORMS


def _kinds(_word: str, _load: Load) -> Sequence[str]:
    return repository.dependencies.KINDS


def _always(*values: str) -> Find:
    return lambda _word, _load: values


_OF: Mapping[str, Find] = {
    "service": _services,
    "tag": _releases,
    "registry": _registries,
    "platform": _platforms,
    "image": _images,
    "file": _bundles,
    "since": _bases,
    "path": _directories,
    "export": _directories,
    "format": _forms,
    "kind": _kinds,
    "split": _always("650M", "4G"),  # a CD, and the largest file of a FAT disk
    "jobs": _always(),
    "url": _always(),
    # of the program itself
    "print-completion-script": _always(*SHELLS),
    "search-root": _directories,
    "list-format": _always("flat", "nested", "json"),
    "hide": _always("out", "stderr", "both"),
}
_OF_TASKS: Mapping[tuple[str, str], Find] = {("deps-inventory", "file"): _inventories}
