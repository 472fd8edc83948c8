"""What a run does about packages: copying them into the hubs, and telling whether a hub has them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from build_lib.build import Check
from build_lib.errors import BuildError, BuildFailed, PackagesError
from build_lib.graph import interruptible
from build_lib.hub import Copied, Hub, Images, copy_slurm, find_hubs, require_mode, why_none
from build_lib.job.backend import Backend
from build_lib.repository import Repository
from build_lib.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What was done about each hub's packages, in words, and what failed; `hubs` are those that were changed.

    `needed` is False if there is no hub.
    """

    lines: tuple[str, ...]
    needed: bool = True
    hubs: tuple[Hub, ...] = ()
    failures: tuple[BuildError, ...] = ()


def require_modes(names: Collection[str], repository: Repository, settings: Settings) -> None:
    """Check that the hubs among these services can be built as `APPHUB_MODE` says.

    Raises:
        PackagesError: one of them cannot.
    """
    if settings.apphub_mode != "copy":
        for hub in find_hubs(repository, settings):
            if hub.name in names:
                require_mode(hub, settings)


def copy(
    repository: Repository,
    done: Collection[str],
    early: Mapping[str, Copied],
    images: Images,
    settings: Settings,
) -> Step:
    """Copy the packages into each hub that was built, if the services with the packages were built too.

    `early` are those that were copied already, by the hubs' names.
    """
    try:
        found = find_hubs(repository, settings)
    except PackagesError as error:
        return Step(lines=("failed",), failures=(error,))
    if not found:
        return Step(lines=(f"not needed: {why_none(repository, settings)}",), needed=False)
    lines, copied, failures = [], [], []
    for hub in found:
        missing = sorted({*hub.sources, hub.name} - set(done))
        try:
            if missing:
                lines.append(f"not copied into {hub.name}: {' and '.join(missing)} could not be built")
            else:
                with interruptible("copying the Slurm packages"):
                    one = early.get(hub.name) or copy_slurm.copy(hub, repository, images, settings)
                lines.append(one.summary)
                if one.changed:  # otherwise, they were read just now
                    copied.append(hub)
        except BuildError as error:
            lines.append(f"{hub.name}: failed")
            failures.append(error)
    return Step(lines=tuple(lines), hubs=tuple(copied), failures=tuple(failures))


def copy_packages(
    hub: Hub, repository: Repository, backend: Backend, settings: Settings, *, dry: bool = False
) -> Copied:
    """Copy the packages into a hub that is built; a fleet then gives its new image the name of the release.

    Raises:
        BuildError: they could not be copied.
    """
    copied = copy_slurm.copy(hub, repository, backend.hub, settings, dry=dry)
    if copied.changed and not dry:
        for error in backend.publish([hub.service], lambda _line: None):
            raise error
    return copied


def copy_into(name: str, repository: Repository, images: Images, settings: Settings) -> Copied | None:
    """Copy the packages into a service that is to be run, if it is a hub; otherwise the result is None.

    Raises:
        BuildError: they could not be copied.
    """
    for hub in find_hubs(repository, settings):
        if hub.name == name:
            return copy_slurm.copy(hub, repository, images, settings)
    return None


def verify(copied: Collection[Hub], repository: Repository, images: Images, settings: Settings) -> list[BuildError]:
    """Check that the hubs that were changed have their packages, and return what is wrong."""
    wrong = {hub.name: _lacking(hub, repository, images, settings) for hub in copied}
    return [BuildFailed(f"{name} does not have its packages: {text}") for name, text in wrong.items() if text]


def not_copied(
    checks: Mapping[str, Check], names: Collection[str], repository: Repository, images: Images, settings: Settings
) -> dict[str, str]:
    """How the packages of the hubs among `names` are not as they should be, in words, by the hubs' names.

    Only of hubs that are built, and whose sources are.
    """
    found = {}
    for hub in find_hubs(repository, settings):
        if hub.name in names and all(checks[name].built for name in (*hub.sources, hub.name)):
            text = _lacking(hub, repository, images, settings)
            if text:
                found[hub.name] = f"packages not {'copied' if hub.sources else 'indexed'}: {text}"
    return found


def _lacking(hub: Hub, repository: Repository, images: Images, settings: Settings) -> str:
    try:
        return copy_slurm.difference(hub, repository, images, settings)
    except PackagesError as error:
        return error.message
