"""Whether `images.lock` fits the files that name images, and what is not locked."""

from collections.abc import Sequence
from dataclasses import dataclass

from build_lib.errors import BuildError, Place
from build_lib.reference import Reference
from build_lib.repository.dependencies import Dependency
from build_lib.repository.lock import LOCK_NAME
from build_lib.repository.services import Repository
from build_lib.settings import Settings

_SHOWN = 3  # images in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class NotLocked:
    """An image that has no digest, and the first place that names it, in words; its path is None for a setting."""

    image: Reference
    where: str
    place: Place | None


def check(repository: Repository, wanted: Sequence[Dependency], settings: Settings) -> tuple[NotLocked, ...]:
    """Return which of these images are not locked; none without a lock.

    Raises:
        BuildError: the lock does not fit the files that name images; or an image is not locked, and FROZEN is set.
    """
    if repository.not_fitting:
        problem = repository.not_fitting[0]
        others = f"; {len(repository.not_fitting) - 1} more" if repository.not_fitting[1:] else ""
        raise BuildError(
            f"{LOCK_NAME} does not fit: {LOCK_NAME}:{problem.line}: {problem.reason}{others}",
            hint=problem.hint,
            place=problem.place,
        )
    found = tuple(_not_locked(item, settings) for item in wanted if not item.image.digest)
    if settings.frozen and found:
        named = "; ".join(f"{each.where} names {each.image}" for each in found[:_SHOWN])
        more = f"; {len(found) - _SHOWN} more" if found[_SHOWN:] else ""
        what = f"{LOCK_NAME} does not have" if repository.lock.exists else f"there is no {LOCK_NAME} with"
        raise BuildError(
            f"FROZEN, but {what} all images: {named}{more}",
            hint="./inv deps-lock locks them",
            place=found[0].place,
        )
    return found if repository.lock.exists else ()


def _not_locked(item: Dependency, settings: Settings) -> NotLocked:
    need = item.needs[0]
    where = f"{need.path}:{need.line}" if need.line else need.path or need.needed_by
    place = Place(path=settings.project_root / need.path, line=need.line) if need.path else None
    return NotLocked(image=item.image, where=where, place=place)
