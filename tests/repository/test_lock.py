"""`images.lock`: read fully, written the same each time, and compared with the files that name images."""

from datetime import date
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from build_lib.reference import Reference
from build_lib.repository import Locked, dependencies, discover, lock, lock_fit, with_images
from build_lib.settings import Settings
from tests.support.projects import needs

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def locked(name: str, digest: str = ONE) -> Locked:
    return Locked(
        image=Reference.parse(name),
        digest=digest,
        platforms=(("linux/amd64", OTHER), ("linux/arm64/v8", ONE)),
        source=f"mirror.example/{name}",
        date=date(2026, 11, 29),
    )


def write(root: Path, *images: Locked) -> None:
    (root / "images.lock").write_text(lock.text(images))


def settings_of(root: Path, **environ: str) -> Settings:
    return Settings.load(root, environ={"IMAGE_PREFIX": "own-", **environ})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    images = [locked("redis:7"), locked("debian:12"), locked("quay.io/a/b:1", OTHER)]
    write(tmp_path, *images)
    found = lock.read(tmp_path)
    assert found.exists
    assert set(found.images.values()) == set(images)
    assert found.images[Reference.parse("debian:12")].line == 5


def test_the_order_of_images_does_not_change_the_text() -> None:
    images = [locked("redis:7"), locked("debian:12")]
    assert lock.text(images) == lock.text(reversed(images))


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert not lock.read(tmp_path).exists


GOOD = lock.text([locked("debian:12"), locked("redis:7")])


@pytest.mark.parametrize(
    ("before", "after", "line", "reason"),
    [
        ("version = 1", "version = 2", 3, "its version is 2"),
        ("version = 1", "version = 1\nmore = 1", 4, "'more' is not a key of it"),
        (f'digest = "{ONE}"', 'digest = "sha256:12"', 6, "debian:12 has an invalid digest"),
        ("date = 2026-11-29", "date = 2026-11-29T10:00:00", 8, "debian:12 has an invalid date"),
        ("date = 2026-11-29\n", "", 5, "debian:12 does not have exactly"),
        ("date =", "extra = 1\ndate =", 5, "debian:12 does not have exactly"),
        ('"mirror.example/debian:12"', '"a\\u001bb"', 7, "debian:12 has an invalid source"),
        (f'"linux/arm64/v8" = "{ONE}"', '"linux/arm64/v8" = 1', 10, "debian:12 has an invalid digest"),
        ('"linux/amd64"', '"linux amd64"', 9, "invalid platform"),
        ('"redis:7"', '"debian:12"', 12, "it is not TOML"),
        ('"redis:7"', '"docker.io/library/redis:7"', 12, "is not written as redis:7"),
        ('"redis:7"', '"REDIS:7"', 12, "not a valid image reference"),
        ("[images", "<<<<<<< ours\n[images", 5, "it has a conflict of a merge"),
        (f'digest = "{ONE}"', "digest = ", 6, "it is not TOML"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, before: str, after: str, line: int, reason: str) -> None:
    assert before in GOOD
    (tmp_path / "images.lock").write_text(GOOD.replace(before, after, 1))
    with pytest.raises(BuildError) as raised:
        lock.read(tmp_path)
    assert raised.value.message.startswith(f"images.lock:{line}: ")
    assert reason in raised.value.message
    assert raised.value.place is not None
    assert raised.value.place.line == line


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "images.lock").mkdir()
    with pytest.raises(BuildError, match=r"images\.lock is a directory"):
        lock.read(tmp_path)


def test_a_locked_image_has_its_digest(tmp_path: Path) -> None:
    needs(tmp_path, "web", "debian:12", "COPY --chown=redis --from=redis /a /b")
    write(tmp_path, locked("debian:12"), locked("redis:latest", OTHER), locked("busybox:1"))
    settings = settings_of(tmp_path, EXTRA_IMAGES="busybox:1")
    repository = discover(settings)
    found = dependencies.find(repository, settings)
    assert [str(item.image) for item in found] == [f"busybox:1@{ONE}", f"debian:12@{ONE}", f"redis:latest@{OTHER}"]
    assert [str(item.named) for item in found] == ["busybox:1", "debian:12", "redis:latest"]
    assert not repository.problems
    service = repository.services["web"]
    renamed = with_images(service, [(use, f"local:{use.kind}") for use in service.external])
    assert renamed.text == "FROM local:from\nCOPY --chown=redis --from=local:copy /a /b\n"


def test_a_digest_in_a_file_takes_precedence(tmp_path: Path) -> None:
    needs(tmp_path, "web", f"debian:12@{OTHER}")
    needs(tmp_path, "api", "debian:12")
    write(tmp_path, locked("debian:12"))
    settings = settings_of(tmp_path)
    found = dependencies.find(discover(settings), settings)
    assert [str(item.image) for item in found] == [f"debian:12@{ONE}", f"debian:12@{OTHER}"]


def test_a_lock_that_does_not_fit_is_an_error_with_both_places(tmp_path: Path) -> None:
    needs(tmp_path, "web", "debian:13")
    write(tmp_path, locked("debian:12"))
    settings = settings_of(tmp_path)
    repository = discover(settings)
    with pytest.raises(BuildError) as raised:
        lock_fit.check(repository, dependencies.find(repository, settings), settings)
    assert "images.lock:5" in raised.value.message
    assert "src/web/Dockerfile:1 names debian:13" in raised.value.message
    assert raised.value.hint == "./inv deps-lock locks what is named"
    assert [problem.line for problem in repository.problems] == [5]


def test_an_image_of_a_profile_that_is_not_active_is_named(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {db: {image: 'redis:7', profiles: [debug]}}\n")
    write(tmp_path, locked("redis:7"))
    assert not discover(settings_of(tmp_path)).not_fitting


def test_what_is_not_locked_is_told_and_refused_if_frozen(tmp_path: Path) -> None:
    needs(tmp_path, "web", "debian:12")
    needs(tmp_path, "api", "redis:7")
    write(tmp_path, locked("debian:12"))
    settings = settings_of(tmp_path)
    repository = discover(settings)
    found = lock_fit.check(repository, dependencies.find(repository, settings), settings)
    assert [(str(each.image), each.where) for each in found] == [("redis:7", "src/api/Dockerfile:1")]
    frozen = settings_of(tmp_path, FROZEN="yes")
    with pytest.raises(BuildError, match=r"src/api/Dockerfile:1 names redis:7"):
        lock_fit.check(repository, dependencies.find(repository, frozen), frozen)
    web = dependencies.find(repository, frozen, ["web"])
    assert lock_fit.check(repository, web, frozen) == ()


def test_frozen_needs_a_lock(tmp_path: Path) -> None:
    needs(tmp_path, "web", "debian:12")
    settings = settings_of(tmp_path, FROZEN="yes")
    repository = discover(settings)
    with pytest.raises(BuildError, match=r"there is no images\.lock"):
        lock_fit.check(repository, dependencies.find(repository, settings), settings)
