"""The command surface: what its help says is there, and what is there is said."""

import inspect
import shlex
from collections.abc import Iterator

import pytest
from invoke.collection import Collection
from invoke.parser import Parser

import tasks
from tests.support.commands import Inv

_COLLECTION = Collection.from_module(tasks)
_CONTEXTS = {context.name: context for context in _COLLECTION.to_contexts()}
_NAMES = sorted(_COLLECTION.task_names)
_WIDTH = 60  # columns that `inv --list` has for a line in a terminal of 80


def _examples(name: str) -> Iterator[list[str]]:
    lines = (inspect.getdoc(_COLLECTION[name]) or "").splitlines()
    begin = next(place for place, line in enumerate(lines) if line in ("Example:", "Examples:"))
    for line in lines[begin + 1 :]:
        program, *rest = shlex.split(line)
        assert program == "inv"
        yield [part for part in rest if part != "--dry"]


@pytest.mark.parametrize("name", _NAMES)
def test_a_task_has_one_short_sentence_and_a_help_for_each_flag(name: str) -> None:
    task = _COLLECTION[name]
    [first, blank, *_] = (inspect.getdoc(task) or "").splitlines()
    assert first.endswith(".")
    assert len(first) <= _WIDTH
    assert blank == ""
    assert [flag for flag, said in _CONTEXTS[name].help_tuples() if not said] == []


@pytest.mark.parametrize("name", _NAMES)
def test_its_flags_can_be_asked_for_again(name: str) -> None:
    [again] = [context for context in _COLLECTION.to_contexts() if context.name == name]
    assert again.help_tuples() == _CONTEXTS[name].help_tuples()


@pytest.mark.parametrize("name", _NAMES)
def test_its_examples_are_commands_that_are_understood(name: str) -> None:
    examples = list(_examples(name))
    assert examples
    assert any(name in example for example in examples)
    for example in examples:
        parsed = Parser(contexts=list(_CONTEXTS.values())).parse_argv(example)
        assert name in {context.name for context in parsed} | set(example)


def test_the_list_is_one_line_for_each_task(inv: Inv) -> None:
    listed = inv("--list", COLUMNS="80").stdout.splitlines()
    lines = [line for line in listed if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == _NAMES
    assert max(map(len, lines)) <= 80


def test_what_is_quoted_behind_dashes_stays_a_word(inv: Inv) -> None:
    done = inv("--dry", "test", "--", "-k", "one or two")
    assert (done.returncode, done.stdout) == (0, "pytest -k 'one or two'\n")
