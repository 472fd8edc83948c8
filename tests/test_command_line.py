"""Words of a command line, before invoke reads them; docs/mistakes.md has what is said about wrong ones."""

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tasks
from build_lib.command_line import check_own_flags, read
from build_lib.errors import UsageError

_OWN = Program(version="").initial_context
_TASKS = {context.name or "": context for context in Collection.from_module(tasks).to_contexts()}


@pytest.mark.parametrize(
    ("line", "read_as"),
    [
        ("build web api", "build --service web --service api"),
        ("build -s web api", "build -s web --service api"),
        ("build web -t v1 api", "build --service web -t v1 --service api"),
        ("build web push web", "build --service web push --service web"),
        ("build build-all", "build build-all"),
        ("build -s build-all", "build -s build-all"),
        ("build web --dry", "build --service web --dry"),
        ("build web --help", "build --service web --help"),
        ("deps web --json", "deps --service web --json"),
        ("build -tv1 web", "build -tv1 --service web"),
        ("build --tag=v1 -j=2 web", "build --tag=v1 -j=2 --service web"),
        ("clean --keep -0", "clean --keep -0"),
        ("deps-load -f -x.tar", "deps-load -f -x.tar"),
        ("engine-up build-all", "engine-up build-all"),
        ("--dry build", "--dry build"),
        ("", ""),
    ],
)
def test_a_word_that_is_no_task_is_a_service_of_the_task_before_it(line: str, read_as: str) -> None:
    assert " ".join(read(line.split(), _TASKS, _OWN)) == read_as


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("web", "there is no task 'web'"),
        ("build-all web", "there is no task 'web'"),
        ("build --servce web", "build has no flag --servce"),
        ("build web -x", "build has no flag -x"),
        ("build -s -t v1", "-s has no value"),
        ("build -t v1 -s", "-s has no value"),
        ("clean --keep= --yes", "--keep is ''"),
        ("build --search-root /x", "build has no flag --search-root"),
        ("build --write-pyc", "build has no flag --write-pyc"),
    ],
)
def test_what_cannot_be_understood_is_refused(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(line.split(), _TASKS, _OWN)
    assert caught.value.message == said
    assert caught.value.hint


def test_a_task_of_another_repository_may_take_words_of_its_own() -> None:
    from invoke.tasks import task

    @task
    def greet(ctx: object, name: str, loud: bool = True) -> None:
        """Greet."""

    own = {**_TASKS, "greet": Collection(greet).to_contexts()[0]}
    for line in ("greet build --no-loud build", "greet --name bob build", "greet --name=bob build web"):
        words = read(line.split(), own, _OWN)
        assert words == line.replace(" web", " --service web").split()


@pytest.mark.parametrize("line", ["-T x build", "--list-depth=x --list", "-f"])
def test_the_program_s_own_flags_are_checked_first(line: str) -> None:
    with pytest.raises(UsageError):
        check_own_flags(line.split(), _OWN)


def test_flags_of_tasks_are_none_of_the_program_s_own() -> None:
    check_own_flags(["--dry", "build", "-T", "x"], _OWN)
