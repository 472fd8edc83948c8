"""The command line of `./inv` and of `python -m build_lib`: that of invoke, with an answer to every mistake.

`command_line` finds the mistakes. Without a task, the tasks are shown in groups.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from invoke.exceptions import Exit, ParseError, UnknownFileType
from invoke.parser import Parser, ParseResult
from invoke.program import Program as InvokeProgram

from build_lib import invocation, pipes
from build_lib.errors import BuildError, UsageError, nearest
from build_lib.executor import REPOSITORY_KEY, Executor, tell, tell_programs

if TYPE_CHECKING:
    from build_lib.settings import Settings


class Program(InvokeProgram):
    """Invoke's program, with mistakes reported as all other failures are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(executor_class=Executor, binary_names=["invoke", "inv"], **options)

    @property
    def binary(self) -> str:
        """How usage texts name the program."""
        return invocation.program()

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """See invoke. A mistake gives exit code 1; if the reader of the output leaves, the program ends silently."""
        try:
            with pipes.checked():
                self._run(argv, exit)
        except BuildError as error:
            tell(error)
            sys.exit(1)

    def _run(self, argv: list[str] | None, exit: bool) -> None:
        """Run invoke. A mistake is also reported to a program that has asked for JSON."""
        try:
            super().run(argv, exit)
        except BuildError as error:
            if "--json" in takewhile(lambda word: word != "--", self.argv):
                from build_lib.console import Documents  # noqa: PLC0415  # as below

                tell_programs(Documents(json=True, junit={}), error)
            raise

    def parse_core(self, argv: list[str] | None) -> None:
        """See invoke. The values of the program's own flags are checked."""
        with _as_usage_error():
            super().parse_core(argv)

    def parse_core_args(self) -> None:
        """See parse_core."""
        if "--complete" not in self.argv:
            from build_lib import command_line  # noqa: PLC0415  # not imported for completion, which has to be fast

            command_line.check_own_flags(self.argv[1:], self.initial_context)
        super().parse_core_args()
        shell = self.args["print-completion-script"].value
        if shell:
            from build_lib import completion  # noqa: PLC0415  # as above

            root = self.args["search-root"].value if "search-root" in self.args else None
            sys.stdout.write(completion.script(shell, Path(root or ".").resolve() / "inv"))
            raise Exit

    def _make_parser(self) -> Parser:
        """The parser, which checks the words unless they are to be completed."""
        if self.args.complete.value:
            return super()._make_parser()
        ignore = self.config.tasks.ignore_unknown_help
        contexts = self.collection.to_contexts(ignore_unknown_help=ignore)
        return _CheckingParser(contexts, initial=self.initial_context)

    def parse_cleanup(self) -> None:
        """See invoke. `--help` and `--list` take names, which have to exist."""
        if self.args.complete.value:
            self._complete()
        task, group = self.args.help.value, self.args.list.value
        if isinstance(task, str) and task not in self.parser.contexts:
            hint = nearest(task, self.parser.contexts) or "./inv --list shows the tasks"
            raise UsageError(f"there is no task {task!r}", hint=hint)
        if isinstance(group, str) and not _has_group(self.collection, group):
            raise UsageError(f"there is no group of tasks {group!r}", hint="./inv --list shows all tasks")
        super().parse_cleanup()

    def _complete(self) -> NoReturn:
        """Print what may stand at the cursor: nothing for any file. The exit code is 1 if nothing fits there."""
        from build_lib import completion  # noqa: PLC0415  # only for completion

        found = completion.candidates(self.core.remainder, self.parser.contexts, self.initial_context, self._settings)
        sys.stdout.writelines(f"{word}\n" for word in found.words)
        raise Exit(code=0 if found.any_fits else 1)

    def _settings(self, task: str) -> "Settings":
        """The settings of the repository that a task works on."""
        from build_lib.settings import Settings, worked_on  # noqa: PLC0415  # as above

        of_tasks = self.collection.configuration(task or None).get(REPOSITORY_KEY)
        return Settings.load(worked_on(Path(of_tasks or self.collection.loaded_from or ".").resolve()))

    def update_config(self, merge: bool = True) -> None:
        """See invoke. A config file that is named has to exist."""
        name = self.args.config.value
        if name and not Path(name).is_file():
            hint = "allowed: a file that exists; flags of a task, such as -f, come after it"
            raise UsageError(f"--config is {name!r}", hint=hint)
        try:
            super().update_config(merge)
        except UnknownFileType as error:
            raise UsageError(str(error)) from None

    def no_tasks_given(self) -> None:
        """Show the tasks in groups."""
        from build_lib.console import start  # noqa: PLC0415  # as above

        start.tasks({name: self.collection[name].__doc__ or "" for name in self.collection.task_names})
        raise Exit

    def print_version(self) -> None:
        """Print this program's version, and invoke's."""
        from build_lib.console import start  # noqa: PLC0415  # as above

        start.versions("build-lib", "invoke")


def take_over() -> None:
    """If it is invoke's own program that loads these tasks, run this one with its arguments, and end the process.

    That is the `inv` of an activated environment, which pip installs with invoke.
    """
    theirs = getattr(sys.modules.get("invoke.main"), "program", None)
    if theirs is not None and vars(theirs).get("argv") == sys.argv:  # else, a script runs it with words of its own
        del theirs.argv  # the tasks are loaded again
        Program().run(sys.argv)
        sys.exit()


class _CheckingParser(Parser):
    """A parser whose words are checked first."""

    def parse_argv(self, argv: list[str]) -> ParseResult:
        from build_lib import command_line  # noqa: PLC0415  # as above

        assert self.initial is not None
        words = command_line.read(argv, self.contexts, self.initial)
        with _as_usage_error():
            return super().parse_argv(words)


@contextmanager
def _as_usage_error() -> Iterator[None]:
    """Within, what invoke refuses is reported as all other mistakes are."""
    try:
        yield
    except ParseError as error:
        raise UsageError(str(error), hint="./inv --help shows the flags") from None


def _has_group(collection: Any, name: str) -> bool:
    try:
        collection.subcollection_from_path(name)
    except KeyError:
        return False
    return True
