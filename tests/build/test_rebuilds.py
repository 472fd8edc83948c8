"""What is built again, and what is not, with a real engine: beside BuildKit's own cache, and by what images contain."""

import hashlib
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import pytest

from build_lib.build import CommandLine, builders
from build_lib.engine import Engine
from build_lib.reference import Reference
from build_lib.repository import fingerprint
from build_lib.settings import Settings
from tests.support.commands import Inv, said
from tests.support.copied_files import ROWS, Row
from tests.support.engines import content
from tests.support.projects import needs
from tests.support.registries import Registry, push

_AT_ONCE = 4


@pytest.fixture
def environment(prefix: str) -> dict[str, str]:
    return {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "v1"}


def built(inv: Inv, environment: dict[str, str], *names: str) -> str:
    """Run build-all, after which all is up to date; it builds just these services."""
    done = inv("build-all", **environment)
    assert done.returncode == 0, said(done)
    assert {line.split(":")[0].strip() for line in done.stdout.splitlines() if ": built" in line} == set(names)
    assert reasons(inv, environment) == {}
    return done.stdout


def reasons(inv: Inv, environment: dict[str, str]) -> dict[str, str]:
    """The services that are out of date, and why."""
    done = inv("status", "--json", **environment)
    assert done.returncode == 0, said(done)
    return {item["service"]: item["reason"] for item in json.loads(done.stdout) if item["reason"]}


def label(engine: Engine, image: str) -> fingerprint.Parts:
    found = engine.images.by_name()[Reference.parse(image).canonical].labels[fingerprint.LABEL]
    parts = fingerprint.from_label(found)
    assert parts is not None
    return parts


def made(name: str, base: str, *lines: str, labels: fingerprint.Parts | None = None) -> None:
    """An image of this name on another one, made without this program."""
    flags = ["--label", f"{fingerprint.LABEL}={fingerprint.as_label(labels)}"] if labels else []
    text = "\n".join([f"FROM {base}", *lines])
    subprocess.run(
        ["docker", "build", "--tag", name, *flags, "-"], input=text, text=True, check=True, capture_output=True
    )


def test_buildkit_s_cache_says_the_same(machine: Settings, engine: Engine, tiny: str, tmp_path: Path) -> None:
    builder = builders.choose(machine, engine)
    if not isinstance(builder, CommandLine):
        pytest.skip("there is no BuildKit here")

    def image(context: Path) -> str:
        flags = ["--iidfile", str(context.with_suffix(".id")), str(context)]
        command = [*builder.command, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(builder.environment))
        assert done.returncode == 0, done.stderr
        return context.with_suffix(".id").read_text()

    def first(rows: list[Row]) -> Path:
        context = tmp_path / str(ROWS.index(rows[0]))
        rows[0].write(context, tiny)
        image(context)
        return context

    def different(context: Path, rows: list[Row]) -> list[Row]:
        """Of rows with the same Dockerfile and ignore file, those of which the cache says something else."""
        before, found = image(context), []
        for row in rows:
            shutil.rmtree(context)
            row.write(context, tiny)
            row.change(context)
            if (image(context) != before) is not (row.rebuilt and row.cache == "same"):
                found.append(row)
        return found

    groups = [list(rows) for _, rows in groupby(ROWS, key=lambda row: (row.text, row.ignored))]
    known = [rows for rows in groups if rows[0].cache != "unknown"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # some groups begin with the same content: of what they build at once, BuildKit keeps one result
        contexts = list(pool.map(first, known))
        assert [row for rows in pool.map(different, contexts, known) for row in rows] == []
    assert len(known) > 50


def test_a_context_at_the_top_is_only_what_is_copied(
    backend: dict[str, str], project: Path, environment: dict[str, str], tiny: str, inv: Inv
) -> None:
    environment |= backend
    (project / "Dockerfile").write_text(f"FROM {tiny}\nCOPY app /app\n")
    (project / ".git").mkdir()
    (project / "app").mkdir()
    (project / "app/file").write_text("1")
    name = next(iter(json.loads(inv("services", "--json", **environment).stdout)))["name"]
    built(inv, environment, name)
    (project / ".git/HEAD").write_text("a commit")
    (project / "notes").write_text("a note")
    built(inv, environment)
    (project / "app/file").write_text("2")
    assert reasons(inv, environment) == {name: "context changed: app/file"}
    built(inv, environment, name)


def test_a_base_image_s_triggers_copy_what_they_name(
    backend: dict[str, str],
    project: Path,
    environment: dict[str, str],
    tiny: str,
    prefix: str,
    inv: Inv,
    engine: Engine,
) -> None:
    environment |= backend
    base = f"{tiny.partition('/')[0]}/triggers:1"
    made(base, tiny, "ONBUILD COPY . /all/")
    try:
        needs(project, "one", base, "COPY data /")
        (project / "src/one/data").write_text("1")
        built(inv, environment, "one")
        (project / "src/one/other").write_text("1")
        assert reasons(inv, environment) == {"one": "context changed: other"}
        built(inv, environment, "one")
        assert content(engine, f"{prefix}one:v1", "/all/other") == "1"
    finally:
        engine.images.remove(Reference.parse(base))


def test_a_base_image_s_variable_may_replace_an_argument(
    backend: dict[str, str], project: Path, environment: dict[str, str], tiny: str, inv: Inv, engine: Engine
) -> None:
    environment |= backend
    base = f"{tiny.partition('/')[0]}/variable:1"
    made(base, tiny, "ENV DIR=two")
    try:
        needs(project, "one", base, "ARG DIR=one", "COPY $DIR /x")
        for name in ("one", "two"):
            (project / "src/one" / name).write_text("1")
        built(inv, environment, "one")
        (project / "src/one/two").write_text("2")
        built(inv, environment, "one")
    finally:
        engine.images.remove(Reference.parse(base))


def test_a_base_image_that_was_removed_since_is_no_reason(
    project: Path, environment: dict[str, str], tiny: str, inv: Inv, engine: Engine
) -> None:
    needs(project, "one", tiny, "COPY data /")
    (project / "src/one/data").write_text("1")
    built(inv, environment, "one")
    engine.images.remove(Reference.parse(tiny))
    (project / "src/one/other").write_text("1")
    assert reasons(inv, environment) == {}
    (project / "src/one/data").write_text("2")
    assert reasons(inv, environment) == {"one": "context changed: data"}


def test_with_pull_the_base_image_may_copy_anything(
    registry: Registry,
    engine: Engine,
    machine: Settings,
    project: Path,
    environment: dict[str, str],
    prefix: str,
    inv: Inv,
) -> None:
    base = f"{registry.host}/base:1"
    push(engine, machine, base)
    try:
        needs(project, "one", base, "COPY data /")
        (project / "src/one/data").write_text("1")
        built(inv, environment, "one")
        assert fingerprint.COPIED in label(engine, f"{prefix}one:v1")
        assert inv("build", "-s", "one", "--pull", **environment).returncode == 0
        assert fingerprint.WHOLE in label(engine, f"{prefix}one:v1")
        assert reasons(inv, environment) == {}
        (project / "src/one/other").write_text("1")
        assert reasons(inv, environment) == {"one": "context changed: other"}
    finally:
        engine.images.remove(Reference.parse(base))


def test_labels_of_the_first_form_are_understood(
    two: Path, environment: dict[str, str], prefix: str, inv: Inv, engine: Engine
) -> None:
    """They are about whole contexts, and have the siblings' fingerprints in place of their contents."""
    built(inv, environment, "base", "app")
    for name in ("base", "app"):
        image = f"{prefix}{name}:v1"
        parts = dict(label(engine, image))
        del parts[fingerprint.COPIED]
        files = {"data": f"file {_short((two / 'src' / name / 'data').read_text())}"}
        parts[fingerprint.WHOLE] = _short(fingerprint.as_label(files))
        if name == "app":
            parts["service base"] = _short(fingerprint.as_label(label(engine, f"{prefix}base:v1")))
        made(image, image, labels=parts)
    assert reasons(inv, environment) == {}
    (two / "src/base/other").write_text("1")
    assert reasons(inv, environment)["base"] == "context changed: other"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.fixture
def two(project: Path, prefix: str, tiny: str) -> Path:
    """A project of `base`, and `app` on it."""
    needs(project, "base", tiny, "COPY data /data", "RUN true")
    needs(project, "app", f"{prefix}base:v1", "COPY data /app", "RUN cat /data >/copy")
    for name in ("base", "app"):
        (project / "src" / name / "data").write_text(name)
    return project


@pytest.fixture
def three(two: Path, prefix: str) -> Path:
    """And `top` on app."""
    needs(two, "top", f"{prefix}app:v1", "RUN cat /copy >/top")
    return two


def add(project: Path, name: str, line: str) -> None:
    with (project / "src" / name / "Dockerfile").open("a") as file:
        file.write(f"{line}\n")


def test_what_comes_out_the_same_does_not_build_what_depends_on_it(
    backend: dict[str, str], three: Path, environment: dict[str, str], inv: Inv
) -> None:
    environment |= backend
    built(inv, environment, "base", "app", "top")
    add(three, "base", "# a comment")
    assert reasons(inv, environment) == {
        "base": "Dockerfile changed",
        "app": "depends on base, which is rebuilt and may change",
        "top": "depends on app, which is rebuilt and may change",
    }
    told = built(inv, environment, "base")
    assert "  app: up to date, because base came out the same\n" in told
    assert "  top: up to date, because app came out the same\n" in told
    record = json.loads((three / ".build/last-run.json").read_text())["services"]
    assert {item["name"]: (item["state"], item["reason"]) for item in record} == {
        "base": ("built", "Dockerfile changed"), "app": ("up to date", ""), "top": ("up to date", "")
    }  # fmt: skip
    assert [item["seconds"] for item in record if item["name"] != "base"] == [None, None]


@pytest.mark.parametrize("line", ["RUN touch /new", "ENV NEW=1", "ONBUILD RUN true"])
def test_what_comes_out_different_builds_it(line: str, two: Path, environment: dict[str, str], inv: Inv) -> None:
    built(inv, environment, "base", "app")
    add(two, "base", line)
    built(inv, environment, "base", "app")
    record = json.loads((two / ".build/last-run.json").read_text())["services"]
    assert {item["name"]: item["reason"] for item in record}["app"] == "service base changed"


def test_a_reason_of_its_own_is_one_whatever_comes_before(two: Path, environment: dict[str, str], inv: Inv) -> None:
    built(inv, environment, "base", "app")
    add(two, "base", "# a comment")
    (two / "src/app/data").write_text("other")
    assert reasons(inv, environment) == {"base": "Dockerfile changed", "app": "context changed: data"}
    built(inv, environment, "base", "app")
    add(two, "base", "RUN touch /new")
    add(two, "app", "RUN true")
    built(inv, environment, "base", "app")


def test_no_deps_compares_with_the_images_that_are_there(
    two: Path, environment: dict[str, str], inv: Inv, engine: Engine, prefix: str
) -> None:
    built(inv, environment, "base", "app")
    (two / "src/base/data").write_text("other")
    done = inv("build", "-s", "app", "--no-deps", **environment)
    assert (done.returncode, "nothing to build" in done.stdout) == (0, True), said(done)
    (two / "src/app/data").write_text("other")
    assert "app: built" in inv("build", "-s", "app", "--no-deps", **environment).stdout
    assert content(engine, f"{prefix}app:v1", "/copy") == "base"
    built(inv, environment, "base", "app")
    assert content(engine, f"{prefix}app:v1", "/copy") == "other"


def test_triggers_that_a_sibling_gets_in_the_same_run_count(two: Path, environment: dict[str, str], inv: Inv) -> None:
    built(inv, environment, "base", "app")
    add(two, "base", "ONBUILD COPY . /all/")
    built(inv, environment, "base", "app")
    (two / "src/app/other").write_text("1")
    assert reasons(inv, environment) == {"app": "context changed: other"}


def test_an_image_has_the_same_content_however_it_was_made(engine: Engine, tiny: str, prefix: str) -> None:
    def digest(name: str) -> str:
        return engine.images.content(f"{prefix}{name}", without_label="own").digest

    for name, lines in {"a:1": (), "b:1": ("LABEL own=2",), "c:1": ("LABEL other=2",), "d:1": ("ENV A=1",)}.items():
        made(f"{prefix}{name}", tiny, "LABEL own=1", *lines)
    assert digest("a:1") == digest("b:1")
    assert len({digest(name) for name in ("a:1", "c:1", "d:1")}) == 3
    assert engine.images.content(f"{prefix}d:1", without_label="own").variables >= {"A"}
