"""Several compose files, `extends` and `include`, by the sections of the compose specification."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from build_lib.compose.project import BuildEntry, Compose, read
from tests.support.projects import write

Read = Callable[..., Compose]


@pytest.fixture
def read_files(tmp_path: Path) -> Read:
    """Write files, and read as many of them as `first` says, with the others beside them."""

    def call(files: dict[str, str], *, first: int = 1, **variables: str) -> Compose:
        names = [str(path) for path in write(tmp_path, files)[:first]]
        return read(tmp_path, {"COMPOSE_FILE": os.pathsep.join(names), **variables})

    return call


def images(found: Compose) -> dict[str, str]:
    """The images that are run, where nothing is wrong."""
    assert found.problems == ()
    return {entry.name: entry.image for entry in found.images}


def build(found: Compose) -> BuildEntry:
    """The only service to build, where nothing is wrong."""
    assert found.problems == ()
    [entry] = found.builds
    return entry


def reasons(found: Compose) -> list[tuple[str, int, str]]:
    """What is wrong, with the file's name and the line."""
    return [(problem.path.name, problem.line, problem.reason) for problem in found.problems]


# Merge and override


def test_a_later_file_replaces_texts_and_adds_services(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {image: x, platform: p}, b: {image: y}}",
        "b.yaml": "services:\n  a:\n    image: z\n  c: {image: w}\n",
    }
    found = read_files(files, first=2)
    assert images(found) == {"a": "z", "b": "y", "c": "w"}
    first = found.images[0]
    assert (first.name, first.platform, first.path.name, first.line) == ("a", "p", "b.yaml", 3)


@pytest.mark.parametrize("base", ["{A: 1, B: 1, C: 1}", "[A=1, B=1, C=1]"])
@pytest.mark.parametrize("over", ["{B: 2, C: , D: 2}", "[B=2, C, D=2]"])
def test_arguments_merge_by_name_in_either_form(read_files: Read, base: str, over: str) -> None:
    files = {
        "a.yaml": f"services: {{a: {{build: {{args: {base}}}}}}}",
        "b.yaml": f"services: {{a: {{build: {{args: {over}}}}}}}",
    }
    assert build(read_files(files, first=2)).args == (("A", "1"), ("B", "2"), ("D", "2"))
    assert ("C", "c") in build(read_files(files, first=2, C="c")).args


def test_contexts_merge_by_name_and_platforms_are_added(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: {additional_contexts: {x: a://, y: b://}, platforms: [p, q]}}}",
        "b.yaml": "services: {a: {build: {additional_contexts: ['y=c://'], platforms: [r, p]}}}",
    }
    entry = build(read_files(files, first=2))
    assert entry.additional_contexts == (("x", "a://"), ("y", "c://"))
    assert entry.platforms == ("p", "q", "r")


def test_services_that_run_are_added_and_a_health_check_is_replaced(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: {x-build-with: [b, c]}, healthcheck: {test: [CMD, curl, -f, x]}}}",
        "b.yaml": "services: {a: {build: {x-build-with: d}, healthcheck: {test: [CMD, 'true']}}}",
    }
    entry = build(read_files(files, first=2))
    assert [item.name for item in entry.build_with] == ["b", "c", "d"]
    assert entry.health_check == ("CMD", "true")


@pytest.mark.parametrize(
    ("base", "over"),
    [
        ("src", "{target: t, args: {A: 1}}"),
        ("{context: x, target: t, args: [A=1]}", "src"),
        ("{target: t, args: [A=1]}", "src"),
    ],
)
def test_the_short_form_of_build_merges_as_its_context(read_files: Read, tmp_path: Path, base: str, over: str) -> None:
    files = {"a.yaml": f"services: {{a: {{build: {base}}}}}", "b.yaml": f"services: {{a: {{build: {over}}}}}"}
    entry = build(read_files(files, first=2))
    assert (entry.context, entry.target, entry.args) == (tmp_path / "src", "t", (("A", "1"),))


def test_paths_of_all_files_are_relative_to_the_first_one(read_files: Read, tmp_path: Path) -> None:
    files = {"a.yaml": "services: {}", "sub/b.yaml": "services: {b: {build: src}}", "sub/.env": "X=1"}
    assert build(read_files(files, first=2)).context == tmp_path / "src"


def test_only_the_env_file_beside_the_first_file_counts(read_files: Read) -> None:
    files = {"a.yaml": "", "sub/b.yaml": "services: {b: {image: '${X}'}}", "sub/.env": "X=wrong", ".env": "X=right"}
    assert images(read_files(files, first=2)) == {"b": "right"}


def test_null_overrides_nothing(read_files: Read) -> None:
    files = {"a.yaml": "services: {a: {build: {args: {A: 1}}}}", "b.yaml": "services: {a: {build: {args: }, image: }}"}
    assert build(read_files(files, first=2)).args == (("A", "1"),)


@pytest.mark.parametrize("nothing", ["null", "[]", "x", "{context: x}"])
def test_reset_takes_away_what_an_earlier_file_says(read_files: Read, nothing: str) -> None:
    files = {"a.yaml": "services: {a: {build: ., image: x}}", "b.yaml": f"services: {{a: {{build: !reset {nothing}}}}}"}
    assert images(read_files(files, first=2)) == {"a": "x"}


def test_reset_takes_away_an_argument_or_a_whole_service(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: {args: {A: 1, B: 1}}}, b: {image: x}}",
        "b.yaml": "services: {a: {build: {args: {A: !reset null}}}, b: !reset {}}",
    }
    assert build(read_files(files, first=2, A="outside")).args == (("B", "1"),)


def test_what_a_third_file_says_after_a_reset_stands_alone(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: {target: t, args: {A: 1}}}}",
        "b.yaml": "services: {a: {build: !reset {}}}",
        "c.yaml": "services: {a: {build: {args: {B: 1}}}}",
    }
    entry = build(read_files(files, first=3))
    assert (entry.target, entry.args) == (None, (("B", "1"),))


def test_override_replaces_instead_of_merging(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: {target: t, args: {A: 1}}}, b: {build: x}}",
        "b.yaml": "services: {a: {build: {args: !override [B=1]}}, b: !override {image: y}}",
    }
    found = read_files(files, first=2)
    assert images(found) == {"b": "y"}
    assert (build(found).target, build(found).args) == ("t", (("B", "1"),))


# extends


@pytest.mark.parametrize("extends", ["base", "{service: base}", "{service: base, file: compose.yaml}"])
def test_a_service_is_merged_over_the_one_that_it_extends(read_files: Read, tmp_path: Path, extends: str) -> None:
    found = read_files(
        {
            "compose.yaml": f"""\
            services:
              base: {{image: base, build: {{context: src, args: {{A: 1, B: 1}}}}}}
              web:
                extends: {extends}
                build: {{target: web, args: [B=2]}}
            """
        }
    )
    assert found.problems == ()
    web = found.builds[1]
    assert (web.name, web.image, web.context, web.target, web.line) == ("web", "base", tmp_path / "src", "web", 3)
    assert web.args == (("A", "1"), ("B", "2"))


def test_extends_goes_on_through_services_and_files(read_files: Read, tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services: {a: {extends: b}, b: {extends: {file: lib/one.yaml, service: c}}}",
        "lib/one.yaml": "services: {c: {extends: {file: more/two.yaml, service: d}, build: {target: c}}}",
        "lib/more/two.yaml": "services: {d: {build: {context: ., dockerfile: D$X}}, other: {image: x}}",
        "lib/.env": "X=wrong",
        ".env": "X=1",
    }
    found = read_files(files)
    assert found.problems == ()
    context = tmp_path / "lib" / "more"
    assert {(entry.context, entry.dockerfile, entry.target) for entry in found.builds} == {
        (context, context / "D1", "c")
    }
    assert [(entry.name, entry.path.name) for entry in found.builds] == [("a", "compose.yaml"), ("b", "compose.yaml")]


def test_reset_and_override_apply_to_what_is_extended(read_files: Read) -> None:
    text = """\
        services:
          base: {image: x, build: {target: t, args: {A: 1}}}
          run: {extends: base, build: !reset null}
          two: {extends: base, build: !override {args: {B: 1}}}
          three: {extends: run, build: {target: s}}
        """
    found = read_files({"compose.yaml": text})
    assert images(found) == {"run": "x"}
    assert [(entry.name, entry.target, entry.args) for entry in found.builds] == [
        ("base", "t", (("A", "1"),)),
        ("three", "s", ()),
        ("two", None, (("B", "1"),)),
    ]


def test_a_reset_on_top_of_extends_also_reaches_earlier_files(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: .}}",
        "b.yaml": "services: {b: {image: x}, a: {extends: b, build: !reset null}}",
    }
    assert images(read_files(files, first=2)) == {"a": "x", "b": "x"}


def test_a_reset_in_what_is_extended_does_not_reach_earlier_files(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: {target: t}}}",
        "b.yaml": "services: {b: {image: x, build: !reset null}, a: {extends: b, build: {args: {A: 1}}}}",
    }
    entry = build(read_files(files, first=2))
    assert (entry.target, entry.args) == ("t", (("A", "1"),))


def test_an_override_of_a_whole_service_may_extend_another_one(read_files: Read) -> None:
    files = {
        "a.yaml": "services: {a: {build: .}, c: {build: {target: t}}}",
        "b.yaml": "services: {b: {image: x}, a: !override {extends: b}, c: {extends: b, build: {args: {A: 1}}}}",
    }
    found = read_files(files, first=2)
    assert images(found) == {"a": "x", "b": "x"}
    assert (build(found).image, build(found).target) == ("x", "t")


def test_a_reset_extends_extends_nothing(read_files: Read) -> None:
    assert images(read_files({"compose.yaml": "services: {a: {image: x, extends: !reset gone}}"})) == {"a": "x"}


@pytest.mark.parametrize(
    ("extends", "reason"),
    [
        ("nobody", "it extends nobody, which is not in compose.yaml"),
        ("{service: x, file: other.yaml}", "it extends x, which is not in other.yaml"),
        ("{file: other.yaml}", "extends needs the name of a service"),
        ("{service: '${S:?name it}'}", "the variable S is required and not set: name it"),
        ("[x]", "this has to be a string"),
    ],
)
def test_what_cannot_be_extended_is_a_problem_of_the_service(read_files: Read, extends: str, reason: str) -> None:
    text = f"services:\n  a:\n    image: x\n    extends: {extends}\n  b: {{image: y}}\n"
    found = read_files({"compose.yaml": text, "other.yaml": "services: {c: {image: z}}"})
    assert reasons(found) == [("compose.yaml", 4, f"service a: {reason}")]
    assert [entry.name for entry in found.images] == ["b"]


def test_a_missing_file_to_extend_is_a_problem_where_it_is_named(read_files: Read, tmp_path: Path) -> None:
    found = read_files({"compose.yaml": "services:\n  a:\n    extends: {file: gone.yaml, service: x}\n"})
    reason = f"service a: it extends a service in {tmp_path / 'gone.yaml'}, which cannot be read"
    assert reasons(found) == [("compose.yaml", 3, reason)]


def test_services_that_extend_each_other_in_a_circle_are_a_problem_with_the_circle(read_files: Read) -> None:
    files = {
        "compose.yaml": "services:\n  a: {extends: {file: other.yaml, service: b}}\n  ok: {image: x}\n",
        "other.yaml": "services: {b: {extends: c}, c: {extends: {file: compose.yaml, service: a}}}",
    }
    found = read_files(files)
    assert reasons(found) == [("other.yaml", 1, "service a: services extend each other in a circle: a -> b -> c -> a")]
    assert [entry.name for entry in found.images] == ["ok"]


# include


def test_included_services_are_relative_to_their_own_file_and_its_env_file(read_files: Read, tmp_path: Path) -> None:
    files = {
        "compose.yaml": "include: [sub/compose.yaml]\nservices: {a: {image: 'x:$X'}}",
        ".env": "X=outer\nZ=outer",
        "sub/compose.yaml": "services: {b: {build: src}, c: {image: 'y:$X-$Y-$Z'}, d: {build: {target: t}}}",
        "sub/.env": "X=inner\nY=inner\nZ=$Y",
    }
    found = read_files(files)
    assert images(found) == {"a": "x:outer", "c": "y:outer-inner-outer"}
    assert [entry.context for entry in found.builds] == [tmp_path / "sub" / "src", tmp_path / "sub"]
    assert [entry.path for entry in found.builds] == [tmp_path / "sub" / "compose.yaml"] * 2


def test_the_long_syntax_names_files_that_merge_their_directory_and_env_files(read_files: Read, tmp_path: Path) -> None:
    files = {
        "compose.yaml": """\
            include:
              - path: [$DIR/a.yaml, sub/b.yaml]
                project_directory: other
                env_file: [one.env, two.env]
            """,
        "sub/a.yaml": "services: {a: {build: {context: src, target: '$A'}}}",
        "sub/b.yaml": "services: {a: {build: {args: {B: $B}}}}",
        "one.env": "A=1\nB=1\n",
        "two.env": "B=$A-$OUTER\n",
        "other/.env": "A=wrong\n",
    }
    entry = build(read_files(files, DIR="sub", OUTER="2"))
    assert (entry.context, entry.target, entry.args) == (tmp_path / "other" / "src", "1", (("B", "1-2"),))


def test_the_env_file_dev_null_is_none(read_files: Read) -> None:
    files = {
        "compose.yaml": "include: [{path: sub/c.yaml, env_file: /dev/null}]",
        "sub/c.yaml": "services: {a: {image: 'x${X:-}'}}",
        "sub/.env": "X=wrong",
    }
    assert images(read_files(files)) == {"a": "x"}


def test_include_goes_on_through_files(read_files: Read) -> None:
    files = {
        "compose.yaml": "include: [a/c.yaml]",
        "a/c.yaml": "include: [b/c.yaml]\nservices: {a: {image: x}}",
        "a/b/c.yaml": "include: [../../d.yaml]\nservices: {b: {image: y}}",
        "d.yaml": "services: {d: {image: z}}",
    }
    assert images(read_files(files)) == {"a": "x", "b": "y", "d": "z"}


def test_the_including_files_are_over_the_included_ones(read_files: Read) -> None:
    files = {
        "compose.yaml": "include: [sub.yaml]\nservices: {a: {image: own}}",
        "over.yaml": "services: {b: {image: over}, c: {build: !reset null, image: z}}",
        "sub.yaml": "services: {a: {image: x}, b: {image: y}, c: {build: .}}",
    }
    assert images(read_files(files, first=2)) == {"a": "own", "b": "over", "c": "z"}


def test_a_file_may_be_included_on_two_ways(read_files: Read) -> None:
    files = {
        f"{i}.yaml": f"include: [{i + 1}.yaml, ./{i + 1}.yaml]\nservices: {{s{i}: {{image: x}}}}" for i in range(40)
    }
    assert len(images(read_files(files | {"40.yaml": "services: {}"}))) == 40


def test_of_two_included_services_of_one_name_the_first_is_merged_over_the_second(read_files: Read) -> None:
    """Compose before version 5 refuses them."""
    files = {
        "compose.yaml": "include: [a.yaml, b.yaml]",
        "a.yaml": "services: {s: {image: x, build: {target: t}}}",
        "b.yaml": "services:\n  s: {image: y, build: {args: {A: 1}}}\n",
    }
    entry = build(read_files(files))
    assert (entry.image, entry.target, entry.args) == ("x", "t", (("A", "1"),))


def test_an_included_service_can_be_extended(read_files: Read, tmp_path: Path) -> None:
    """Since compose 5.1.2."""
    files = {
        "compose.yaml": "include: [sub/c.yaml]\nservices: {a: {extends: b, build: {target: t}}}",
        "sub/c.yaml": "services: {b: {build: {context: x}}}",
    }
    found = read_files(files)
    assert found.problems == ()
    context = tmp_path / "sub/x"
    assert [(entry.name, entry.context, entry.target) for entry in found.builds] == [
        ("a", context, "t"),
        ("b", context, None),
    ]


@pytest.mark.parametrize(
    ("include", "reason"),
    [
        ("[gone.yaml]", "there is no file {root}/gone.yaml"),
        ("[{path: ok.yaml, env_file: gone.env}]", "there is no file {root}/gone.env"),
        ("[{project_directory: .}]", "include needs the path of a file"),
        ("['${F:?name it}']", "the variable F is required and not set: name it"),
        ("[compose.yaml]", "files include each other in a circle: compose.yaml -> compose.yaml"),
        ("[https://github.com/a/b.git]", "there is no file {root}/https:/github.com/a/b.git"),
        ("{path: {a: b}}", "this has to be a string"),
    ],
)
def test_what_cannot_be_included_is_a_problem_and_the_rest_stays(
    read_files: Read, tmp_path: Path, include: str, reason: str
) -> None:
    files = {
        "compose.yaml": f"services: {{a: {{image: x}}}}\ninclude: {include}\n",
        "ok.yaml": "services: {b: {image: y}}",
    }
    found = read_files(files)
    assert reasons(found) == [("compose.yaml", 2, reason.format(root=tmp_path))]
    assert [entry.name for entry in found.images] == ["a"]


@pytest.mark.parametrize("name", ["a" * 5000, "a\\0b", "x/" * 3000, "loop"])
def test_names_that_no_file_can_have_are_problems(read_files: Read, tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    text = f"""\
        include: ["{name}", {{path: ok.yaml, env_file: "{name}"}}, {{path: ok.yaml, project_directory: "{name}"}}]
        services: {{a: {{extends: {{service: b, file: "{name}"}}}}, b: {{image: x}}, c: {{build: "{name}"}}}}
        """
    found = read_files({"compose.yaml": text, "ok.yaml": "services: {}"})
    assert [line for _, line, _ in reasons(found)] == [1, 2]
    assert ([entry.name for entry in found.images], len(found.builds)) == (["b"], 1)


def test_a_circle_of_includes_is_found_behind_symbolic_links(read_files: Read, tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    found = read_files({"compose.yaml": "include: [again/compose.yaml]\nservices: {a: {image: x}}"})
    assert [entry.name for entry in found.images] == ["a"]
    assert "in a circle" in found.problems[0].reason


def test_a_mistake_in_an_included_file_is_a_problem_of_that_file_alone(read_files: Read) -> None:
    files = {
        "compose.yaml": "include: [bad.yaml]\nservices: {a: {image: x}}",
        "bad.yaml": "services:\n  b: {image: y\n",
    }
    found = read_files(files)
    assert [(name, line) for name, line, _ in reasons(found)] == [("bad.yaml", 3)]
    assert [entry.name for entry in found.images] == ["a"]


def test_includes_are_followed_to_a_depth_that_nobody_needs(read_files: Read) -> None:
    files = {f"{i}.yaml": f"include: [{i + 1}.yaml]\nservices: {{s{i}: {{image: x}}}}" for i in range(100)}
    found = read_files(files | {"100.yaml": ""})
    assert len(found.images) > 50
    assert "includes are nested more than 50 deep" in found.problems[0].reason
