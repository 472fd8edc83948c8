"""Compose files, by the sections of the compose specification that the tests are grouped by."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build_lib.compose.project import BuildEntry, BuildWith, Compose, ImageEntry, Problem, read
from build_lib.errors import InvalidReference
from build_lib.reference import Reference
from tests.support.projects import write


class Repository:
    """A directory with compose files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, text: str, variables: Mapping[str, str] | None = None, **others: str) -> Compose:
        """Read `compose.yaml` with this text; other files are written beside it, `__` being a slash, `_` a dot."""
        names = {name.replace("__", "/").replace("_", "."): other for name, other in others.items()}
        write(self.root, {"compose.yaml": text, **names})
        return read(self.root, variables or {})

    def images(self, text: str, variables: Mapping[str, str] | None = None, **others: str) -> dict[str, str]:
        """The images that are run; nothing else may be in the files, and nothing wrong."""
        found = self.read(text, variables, **others)
        assert (found.builds, found.problems) == ((), ())
        return {entry.name: entry.image for entry in found.images}

    def build(self, text: str, variables: Mapping[str, str] | None = None, **others: str) -> BuildEntry:
        """The only service to build, with nothing wrong."""
        found = self.read(text, variables, **others)
        assert found.problems == ()
        [entry] = found.builds
        return entry

    def wrong(self, text: str, variables: Mapping[str, str] | None = None, **others: str) -> list[tuple[int, str]]:
        """What is wrong in compose.yaml, by line."""
        found = self.read(text, variables, **others)
        assert {problem.path for problem in found.problems} <= {self.root / "compose.yaml"}
        return [(problem.line, problem.reason) for problem in found.problems]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


# Services


def test_a_service_with_an_image_and_no_build_is_run(repository: Repository) -> None:
    found = repository.read(
        """\
        services:
          cache:
            platform: linux/arm64
            image: redis:7-alpine
          proxy:
            image:
              tecnativa/tcp-proxy
        """
    )
    path = repository.root / "compose.yaml"
    assert (found.files, found.builds, found.problems) == ((path,), (), ())
    assert found.images == (
        ImageEntry(name="cache", image="redis:7-alpine", platform="linux/arm64", path=path, line=4),
        ImageEntry(name="proxy", image="tecnativa/tcp-proxy", platform=None, path=path, line=7),
    )


def test_a_service_with_a_build_is_built_also_if_it_has_an_image(repository: Repository) -> None:
    found = repository.read("services:\n  web:\n    image: my/web:$TAG\n    build: web\n", {"TAG": "1"})
    assert found.images == ()
    [entry] = found.builds
    assert (entry.name, entry.image, entry.line) == ("web", "my/web:1", 2)


def test_entries_are_in_the_order_of_their_names(repository: Repository) -> None:
    found = repository.read("services: {b: {image: x}, a: {image: y}, d: {build: .}, c: {build: .}}")
    assert [entry.name for entry in found.images] == ["a", "b"]
    assert [entry.name for entry in found.builds] == ["c", "d"]


@pytest.mark.parametrize("service", ["", "{}", "{command: x}", "{image: null}", "{build: , image: ~}"])
def test_a_service_with_neither_image_nor_build_is_a_problem(repository: Repository, service: str) -> None:
    text = f"services:\n  good: {{image: redis}}\n  bad: {service}\n"
    assert repository.wrong(text) == [(3, "service bad: it has neither an image nor a build section")]
    assert [entry.name for entry in repository.read(text).images] == ["good"]


def test_a_service_of_a_provider_needs_neither(repository: Repository) -> None:
    assert repository.images("services: {db: {provider: {type: awesomecloud}}, a: {image: x}}") == {"a": "x"}


@pytest.mark.parametrize(
    ("profiles", "active"),
    [
        ("", "b"),
        ("gpu", "ab"),
        ("gpu, debug", "abc"),
        ("tools", "bc"),
        ("*", "abc"),
        ("nobody", "b"),
        ("gpu debug", "b"),
    ],
)
def test_a_service_is_active_if_one_of_its_profiles_is(repository: Repository, profiles: str, active: str) -> None:
    text = "services: {a: {build: ., profiles: [gpu]}, b: {image: y}, c: {image: z, profiles: [debug, tools]}}"
    found = repository.read(text, {"COMPOSE_PROFILES": profiles})
    entries: list[BuildEntry | ImageEntry] = [*found.builds, *found.images]
    assert [entry.name for entry in entries if entry.active] == list(active)
    assert found.images[1].profiles == ("debug", "tools")
    assert found.problems == ()


def test_what_an_inactive_service_would_run_need_not_be_valid(repository: Repository) -> None:
    text = "services: {a: {image: 'x:$UNSET', profiles: [p]}, b: {profiles: [p]}, c: {image: y}}"
    assert repository.read(text).problems == ()
    assert len(repository.wrong(text, {"COMPOSE_PROFILES": "p"})) == 2
    assert repository.wrong("services: {a: {image: '${A:?}', profiles: [p]}}")  # compose refuses that, too


def test_keys_that_say_nothing_of_images_are_ignored_whatever_they_hold(repository: Repository) -> None:
    text = "version: 3\nx-y: ${\nservices: {a: {image: x, ports: $, environment: {P: '${P:?m}'}, new: [!z 1]}}\nnets: 1"
    assert repository.images(text) == {"a": "x"}


def test_services_at_the_top_level_are_a_problem_since_they_are_not_read(repository: Repository) -> None:
    [(line, reason)] = repository.wrong("web:\n  image: redis\n")
    assert line == 1
    assert "services:" in reason


@pytest.mark.parametrize(
    "text", ["services: []", "- services", "services: {a: [image, x]}", "services: {a: {image: [x]}}"]
)
def test_a_value_of_another_kind_is_a_problem(repository: Repository, text: str) -> None:
    assert repository.wrong(text)


# Build


def test_the_short_form_is_the_context_relative_to_the_project(repository: Repository) -> None:
    root = repository.root
    assert repository.build("services:\n\n  web:\n    build: ./src/web\n") == BuildEntry(
        name="web",
        image=None,
        default_image=f"{root.name}-web",
        context=root / "src" / "web",
        dockerfile=root / "src" / "web" / "Dockerfile",
        dockerfile_inline=None,
        target=None,
        args=(),
        additional_contexts=(),
        platforms=(),
        path=root / "compose.yaml",
        line=3,
    )


def test_the_long_form_gives_each_attribute(repository: Repository) -> None:
    entry = repository.build(
        """\
        services:
          web:
            build:
              context: ..
              dockerfile: docker/web.Dockerfile
              target: prod
              args: {B: 2, A: "yes", C: True, V: 3.10, E: ""}
              additional_contexts: {base: docker-image://alpine:3, src: ./src, app: service:app, u: https://x/y.git}
              platforms: [linux/amd64, linux/arm64, linux/amd64]
        """
    )
    parent = repository.root.parent
    assert (entry.context, entry.dockerfile, entry.target) == (parent, parent / "docker" / "web.Dockerfile", "prod")
    assert entry.args == (("A", "yes"), ("B", "2"), ("C", "true"), ("E", ""), ("V", "3.1"))
    assert entry.additional_contexts == (
        ("app", "service:app"),
        ("base", "docker-image://alpine:3"),
        ("src", str(repository.root / "src")),
        ("u", "https://x/y.git"),
    )
    assert entry.platforms == ("linux/amd64", "linux/arm64")


@pytest.mark.parametrize("names", ["apphub", "[apphub]", "[apphub, apphub]"])
def test_the_services_that_run_during_the_build_are_an_extension(repository: Repository, names: str) -> None:
    entry = repository.build(f"services:\n  a:\n    build:\n      context: .\n      x-build-with: {names}\n")
    assert entry.build_with == (BuildWith(name="apphub", path=repository.root / "compose.yaml", line=5),)


@pytest.mark.parametrize(
    ("check", "read"),
    [
        ("{test: curl -f localhost, interval: 30s, retries: 5}", ("CMD-SHELL", "curl -f localhost")),
        ("{test: [CMD, curl, -f, localhost]}", ("CMD", "curl", "-f", "localhost")),
        ("{test: [CMD-SHELL, 'exit $$?']}", ("CMD-SHELL", "exit $?")),
        ("{test: [NONE]}", ()),
        ("{disable: true}", ()),
        ("{disable: true, test: curl}", ()),
        ("{interval: 30s}", None),
        ("{test: }", None),
    ],
)
def test_the_health_check_is_the_one_of_the_engine_s_api(
    repository: Repository, check: str, read: tuple[str, ...] | None
) -> None:
    assert repository.build(f"services: {{a: {{build: ., healthcheck: {check}}}}}").health_check == read


def test_context_defaults_to_the_project_directory(repository: Repository) -> None:
    assert repository.build("services: {web: {build: {dockerfile: D}}}").dockerfile == repository.root / "D"


def test_a_dockerfile_may_be_absolute_and_outside_the_context(repository: Repository) -> None:
    build = repository.build("services: {web: {build: {context: web, dockerfile: ../web.Dockerfile}}}")
    assert build.dockerfile == repository.root / "web.Dockerfile"
    assert repository.build("services: {web: {build: {dockerfile: /D}}}").dockerfile == Path("/D")


def test_a_home_directory_in_a_context_is_that_of_the_variables(repository: Repository) -> None:
    assert repository.build("services: {web: {build: ~/web}}", {"HOME": "/home/a"}).context == Path("/home/a/web")


def test_an_inline_dockerfile_has_its_variables_put_in(repository: Repository) -> None:
    text = "services:\n  a:\n    build:\n      dockerfile_inline: |\n        FROM $BASE\n        RUN echo $$HOME\n"
    entry = repository.build(text, {"BASE": "alpine:3"})
    assert (entry.dockerfile_inline, entry.dockerfile) == ("FROM alpine:3\nRUN echo $HOME\n", None)


def test_both_kinds_of_dockerfile_are_a_problem(repository: Repository) -> None:
    text = "services:\n  a:\n    build:\n      dockerfile: D\n      dockerfile_inline: FROM x\n"
    assert repository.wrong(text) == [(4, "service a: it has both a dockerfile and a dockerfile_inline")]


@pytest.mark.parametrize(
    "context",
    ["https://github.com/a/b.git#main:dir", "git@github.com:a/b.git", "github.com/a/b", "ssh://git@h/a", "git://h/a"],
)
def test_a_remote_context_stays_as_it_is(repository: Repository, context: str) -> None:
    entry = repository.build(f"services: {{web: {{build: {{context: '{context}', dockerfile: d/D}}}}}}")
    assert (entry.context, entry.dockerfile) == (context, Path("d/D"))


@pytest.mark.parametrize("args", ["[A=1, B, C, 'D=', E=$A=b]", "{A: 1, B: , C: null, D: '', E: $A=b}"])
def test_an_argument_without_a_value_takes_it_from_the_variables(repository: Repository, args: str) -> None:
    entry = repository.build(f"services: {{a: {{build: {{args: {args}}}}}}}", {"B": "from outside", "A": "a"})
    assert entry.args == (("A", "1"), ("B", "from outside"), ("D", ""), ("E", "a=b"))


def test_a_service_that_names_a_platform_is_built_for_it(repository: Repository) -> None:
    assert repository.build("services: {a: {build: ., platform: linux/arm64}}").platforms == ("linux/arm64",)


@pytest.mark.parametrize(
    "build", ["{args: x}", "{args: {A: [1]}}", "[x]", "{additional_contexts: [x]}", "{target: {}}"]
)
def test_a_build_attribute_of_another_kind_is_a_problem_of_its_service_alone(
    repository: Repository, build: str
) -> None:
    found = repository.read(f"services:\n  good: {{build: .}}\n  bad: {{build: {build}}}\n")
    assert [entry.name for entry in found.builds] == ["good"]
    assert [(problem.line, problem.reason[:11]) for problem in found.problems] == [(3, "service bad")]


# Interpolation


def test_given_variables_come_before_those_of_the_env_file(repository: Repository) -> None:
    text = "services: {a: {image: 'x:$A'}, b: {image: 'x:$B'}}"
    assert repository.images(text, {"A": "given"}, _env="A=file\nB=file\n") == {"a": "x:given", "b": "x:file"}


def test_values_are_interpolated_and_keys_are_not(repository: Repository) -> None:
    entry = repository.build("services: {$N: {build: {args: {$N: $N}}}}", {"N": "n"})
    assert (entry.name, entry.args) == ("$N", (("$N", "n"),))


def test_list_items_are_interpolated_as_a_whole(repository: Repository) -> None:
    assert repository.build("services: {a: {build: {args: [$N=$N]}}}", {"N": "n"}).args == (("n", "n"),)


def test_a_missing_required_variable_is_a_problem_and_drops_its_entry_alone(repository: Repository) -> None:
    text = "services:\n  a:\n    image: x\n  b:\n    image: y:${TAG:?name a tag}\n"
    found = repository.read(text)
    assert [entry.name for entry in found.images] == ["a"]
    path = repository.root / "compose.yaml"
    reason = "service b.image: the variable TAG is required and not set: name a tag"
    assert found.problems == (Problem(path=path, line=5, reason=reason, service="b"),)


def test_a_required_variable_in_what_is_overridden_is_not_needed(repository: Repository) -> None:
    override = "services: {a: {image: y}}"
    assert repository.images("services: {a: {image: '${X:?}'}}", compose_override_yaml=override) == {"a": "y"}


@pytest.mark.parametrize(
    "image", ["$UNSET", "''", "${REGISTRY}/app", "app:$UNSET", "Upper", "a b", "a:b:c", "x@sha256:1"]
)
def test_what_is_no_image_name_is_a_problem(repository: Repository, image: str) -> None:
    [(line, reason)] = repository.wrong(f"services:\n  a: {{image: {image!r}}}\n")
    assert line == 2
    assert "is not an image name" in reason


def test_an_unset_variable_is_no_problem_if_the_name_is_valid_without_it(repository: Repository) -> None:
    assert repository.images("services: {a: {image: '${PREFIX}redis:7'}}") == {"a": "redis:7"}


def test_a_name_that_no_project_can_have_is_a_problem(repository: Repository) -> None:
    [(line, reason)] = repository.wrong("services: {a: {image: x}}", {"COMPOSE_PROJECT_NAME": "My App"})
    assert (line, reason.partition(": ")[0]) == (0, "COMPOSE_PROJECT_NAME is 'My App'")


def test_the_projects_name_is_a_variable(repository: Repository) -> None:
    services = "services: {a: {image: $COMPOSE_PROJECT_NAME}}"
    assert repository.images(f"name: my-$N\n{services}", {"N": "app"}) == {"a": "my-app"}
    assert repository.images(f"name: other\n{services}", {"COMPOSE_PROJECT_NAME": "given"}) == {"a": "given"}
    (repository.root / "_My App.1").mkdir()
    assert Repository(repository.root / "_My App.1").images(services) == {"a": "myapp1"}


def test_a_broken_project_name_is_a_problem_and_the_directorys_stands_in(repository: Repository) -> None:
    text = "services: {a: {image: $COMPOSE_PROJECT_NAME}}\nname: ${X:?m}\n"
    assert repository.wrong(text) == [(2, "name: the variable X is required and not set: m")]
    assert len(repository.read(text).images) == 1


def test_a_broken_env_file_is_a_problem_of_that_file(repository: Repository) -> None:
    found = repository.read("services: {a: {image: x}}", _env="A=1\nB='\n")
    assert [(problem.path.name, problem.line) for problem in found.problems] == [(".env", 2)]
    (repository.root / ".env").write_bytes(b"A=1\nB=\xff\n")
    found = read(repository.root, {})
    assert [(problem.path.name, problem.line) for problem in found.problems] == [(".env", 2)]
    assert len(found.images) == 1


def test_without_a_compose_file_nobody_asks_what_is_in_an_env_file(tmp_path: Path) -> None:
    write(tmp_path, {".env": "A B=c\nD='\n"})
    assert read(tmp_path, {}) == Compose()


@given(st.from_regex(r"\A[a-zA-Z0-9.:/@_-]{0,30}\Z") | st.from_regex(r"\A([a-zA-Z.]{1,4}[/:]){0,3}[a-z0-9_.-]{1,5}\Z"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_image_that_is_no_problem_is_a_reference(tmp_path: Path, image: str) -> None:
    (tmp_path / "compose.yaml").write_text(f"services: {{a: {{image: '{image}'}}}}")
    found = read(tmp_path, {})
    try:
        Reference.parse(image)
    except InvalidReference:
        assert len(found.problems) == 1
    else:
        assert [entry.image for entry in found.images] == [image]


# Fragments


def test_anchors_and_merges_share_what_services_have_in_common(repository: Repository) -> None:
    found = repository.read(
        """\
        x-image: &image redis:7
        x-base: &base
          image: base:1
          build: &build {context: a, target: one}
        services:
          cache: {image: *image}
          one: *base
          two: {<<: *base, build: {<<: *build, target: two}}
          three:
            <<: [{platform: linux/arm64}, *base, {platform: no}]
            image: three
        """
    )
    assert found.problems == ()
    assert [(entry.image, entry.line) for entry in found.images] == [("redis:7", 1)]
    assert [(entry.name, entry.image, entry.target, entry.line) for entry in found.builds] == [
        ("one", "base:1", "one", 7),
        ("three", "three", "one", 9),
        ("two", "base:1", "two", 8),
    ]
    assert found.builds[1].platforms == ("linux/arm64",)


def test_an_anchor_may_be_set_anew(repository: Repository) -> None:
    text = "services: {a: &s {image: x}, b: *s, c: &s {image: y}, d: *s}"
    assert repository.images(text) == {"a": "x", "b": "x", "c": "y", "d": "y"}


def test_a_key_that_stands_twice_is_a_problem_and_the_last_one_counts(repository: Repository) -> None:
    found = repository.read("services:\n  a:\n    image: x\n    image: y\n")
    assert [(problem.line, problem.reason) for problem in found.problems] == [(4, "duplicate key 'image'")]
    assert [entry.image for entry in found.images] == ["y"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("services:\n  a: {image: x\n", 3),
        ("services:\n  a: *nobody\n", 2),
        ("a: b\n c: d\n", 2),
        ("a: 1\nb: \x07\n", 2),
        ("a:\n\t- b\n", 2),
        ("a: !<x\n", 1),
    ],
)
def test_malformed_yaml_is_a_problem_with_its_line(repository: Repository, text: str, line: int) -> None:
    [(found, reason)] = repository.wrong(text)
    assert found == line
    assert reason.startswith("this is not valid YAML: ")


def test_what_is_not_utf8_is_a_problem_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_bytes(b"services:\n  a:\n    image: \xff\n")
    [problem] = read(tmp_path, {}).problems
    assert (problem.line, problem.reason) == (3, "the file is not UTF-8")


def test_a_merge_of_something_else_is_a_problem(repository: Repository) -> None:
    assert repository.wrong("services:\n  a: {image: x, <<: 3}\n") == [(2, "<< takes a mapping, or a list of mappings")]


def test_a_file_larger_than_any_compose_file_is_a_problem(repository: Repository) -> None:
    [(line, reason)] = repository.wrong("# " + "x" * (1 << 22))
    assert (line, reason[:23]) == (0, "the file is larger than")


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n", "services:\n"])
def test_a_file_with_nothing_in_it_gives_nothing(repository: Repository, text: str) -> None:
    found = repository.read(text)
    assert (found.builds, found.images, found.problems) == ((), (), ())


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_a_file_that_does_not_exist_is_a_problem_of_the_whole_file(repository: Repository, kind: str) -> None:
    write(repository.root, {"good.yaml": "services: {a: {image: x}}"})
    (repository.root / "directory").mkdir()
    found = read(repository.root, {"COMPOSE_FILE": f"{kind}{os.pathsep}good.yaml"})
    assert found.problems == (Problem(path=repository.root / kind, line=0, reason="there is no such file"),)
    assert len(found.images) == 1


def test_later_documents_of_a_file_are_over_earlier_ones(repository: Repository) -> None:
    assert repository.images("services: {a: {image: x}}\n---\nservices: {a: {image: y}}") == {"a": "y"}


# Nothing hangs: each of these takes forever, or all memory, if it is followed to the letter

LAUGHS = "x0: &x0 [a, a]\n" + "".join(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]\n" for i in range(1, 80))
MERGES = "x0: &x0 {image: a}\n" + "".join(f"x{i}: &x{i} {{<<: [*x{i - 1}, *x{i - 1}]}}\n" for i in range(1, 45))
WIDE = "x: &x {" + ", ".join(f"k{i}: v" for i in range(5000)) + "}\n"


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS + "services: {a: {image: a, command: *x79}, b: {build: {args: *x79, platforms: *x79}}}",
        MERGES + "services: {a: *x44}",
        WIDE + "services: {" + ", ".join(f"s{i}: {{build: {{args: *x}}}}" for i in range(3000)) + ", a: {image: a}}",
        "services: &s {a: *s, b: &b {build: *b, platform: &p [*p]}, c: &c {<<: *c, image: x}}",
        "services: {" + ", ".join(f"s{i}: {{extends: s{i + 1}}}" for i in range(300)) + ", s300: {image: a}}",
        "include: &i [*i]",
        "[" * 100_000,
        "a: &a 1\nb: &a 2\nc: " + "[" * 900 + "]" * 900,
        "services: {a: {image: '" + "${a:-" * 10_000 + "'}}",
    ],
    ids=["aliases", "merges", "wide", "recursive", "extends", "include", "deep", "anchors", "braces"],
)
def test_content_out_of_all_proportion_is_bounded(repository: Repository, text: str) -> None:
    found = repository.read(text)
    assert found.problems or found.images


def test_merges_of_merges_still_have_their_meaning(repository: Repository) -> None:
    assert repository.images(MERGES + "services: {a: *x44}") == {"a": "a"}


_KEYS = [
    "services",
    "include",
    "a",
    "b",
    "image",
    "build",
    "context",
    "args",
    "extends",
    "service",
    "file",
    "path",
    "<<",
]
_SCALARS = [
    "a",
    "x:1",
    "$A",
    "${A:?m}",
    "${",
    "compose.yaml",
    "other.yaml",
    "",
    "~",
    "1",
    "true",
    "*q",
    "!reset null",
    "'",
]
_values = st.recursive(
    st.sampled_from(_SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
        | inner.map(lambda text: f"&q {text}")
        | inner.map(lambda text: f"!override {text}")
    ),
    max_leaves=15,
)
_services = st.dictionaries(st.sampled_from("ab"), _values, max_size=2).map(
    lambda items: "".join(f"  {key}: {value}\n" for key, value in items.items())
)


@given(st.builds("{}services:\n{}".format, _values.map("include: {}\n".format) | st.just(""), _services), _values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_raises_and_what_is_found_is_whole(tmp_path: Path, first: str, second: str) -> None:
    write(tmp_path, {"compose.yaml": first, "compose.override.yaml": f"services: {second}\n"})
    found = read(tmp_path, {})
    assert all(problem.reason and problem.path.is_absolute() for problem in found.problems)
    assert all(isinstance(entry.context, str) or entry.context.is_absolute() for entry in found.builds)
    assert all(entry.image for entry in found.images)
    names = [*(entry.name for entry in found.builds), *(entry.name for entry in found.images)]
    assert len(names) == len(set(names))
