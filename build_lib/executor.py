"""How invoke runs the tasks: pre-tasks get their caller's arguments, and expected failures are reported in one line.

`invoke.yaml` names the Executor as `tasks.executor_class`, for invoke's own `inv`. `program` has it anyway.
"""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from invoke.exceptions import Exit, UnexpectedExit
from invoke.executor import Executor as InvokeExecutor
from invoke.tasks import Call
from invoke.tasks import Task as InvokeTask
from invoke.tasks import task as invoke_task

from build_lib import pipes
from build_lib.errors import BuildError, Incomplete, UsageError
from build_lib.settings import masked

INTERRUPTED = 130  # exit code after ^C: 128 + SIGINT
TERMINATED = 143
REPOSITORY_KEY = "build_lib_root"  # invoke's configuration key for the repository whose tasks these are
_SHORT_FLAGS = {"tag": "t", "registry": "r", "service": "s", "jobs": "j", "file": "f", "follow": "f"}


class Task(InvokeTask[Callable[..., None]]):
    """A task with the same short flags as all others. Those of invoke depend on the order of the parameters.

    `takes_rest` says whether it has a use for what comes after `--`.
    """

    def __init__(self, *args: Any, takes_rest: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.takes_rest = takes_rest

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """The options of a flag, with the short flag from `_SHORT_FLAGS` or none."""
        self.auto_shortflags = False
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in _SHORT_FLAGS:
            options["names"] = (*options["names"], _SHORT_FLAGS[name])
        return options

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Any]:
        """The flags. Invoke takes one of a list that comes last for given, also if it has no value.

        And it takes the help of the flags out of the task, so that a second call would have none.
        """
        help_ = dict(self.help)
        found: list[Any] = super().get_arguments(ignore_unknown_help)
        self.help = help_
        for argument in found:
            if argument.kind is list:
                argument.raw_value = None
        return found


def task(*args: Any, **options: Any) -> Callable[[Callable[..., None]], Task]:
    """Invoke's decorator, for tasks of this class."""
    made: Callable[[Callable[..., None]], Task] = invoke_task(*args, klass=Task, **options)
    return made


class Terminated(SystemExit):
    """SIGTERM ends this process."""


class Executor(InvokeExecutor):
    """Runs tasks as the module describes."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        """Run the tasks. An expected failure gives one line on stderr and exit code 1; ^C gives exit code 130."""
        signal.signal(signal.SIGTERM, _terminate)
        try:
            with pipes.checked(), self._documented(self.normalize(tasks)):
                self._check(self.normalize(tasks))
                return self._run(tasks)
        except BuildError as error:
            tell(error)
            raise Exit(code=1) from None
        except (KeyboardInterrupt, Terminated) as end:
            tell(_ended_early(end))
            raise Exit(code=TERMINATED if isinstance(end, Terminated) else INTERRUPTED) from None

    @contextmanager
    def _documented(self, calls: Sequence[Call]) -> Iterator[None]:
        """Within, a failure is also reported to programs, as `--json` and `--junit` of these calls ask for."""
        from build_lib.console import Documents  # noqa: PLC0415  # not imported for completion, which has to be fast

        files = {path: _name(call) for call in calls for path in self._junit(call)}
        self.documents = Documents(json=any(call.kwargs.get("json") for call in calls), junit=files)
        try:
            yield
        except (BuildError, KeyboardInterrupt, Terminated) as end:
            tell_programs(self.documents, end if isinstance(end, BuildError) else _ended_early(end))
            raise

    def _junit(self, call: Call) -> list[Path]:
        """The file that a call was asked for, which a dry run does not write."""
        name = call.kwargs.get("junit")
        return [Path(name).expanduser()] if name and not self.config.run.dry else []

    def _check(self, calls: Sequence[Call]) -> None:
        """Check the flags, before any task runs.

        Raises:
            BuildError: a flag is empty or not valid, or there are words after `--` that no task would read.
        """
        from build_lib.settings import check_flags  # noqa: PLC0415  # not imported for completion, which has to be fast

        self.documents.check()
        for call in calls:
            check_flags(call.kwargs)
        rest = self.core.remainder if self.core else ""
        if rest and calls and all(isinstance(call.task, Task) and not call.task.takes_rest for call in calls):
            raise UsageError(f"{_name(calls[-1])} takes nothing after --, but got {rest!r}", hint="leave out the --")

    def _run(self, tasks: Any) -> dict[Any, Any]:
        """Run the calls as invoke does, but after a pre-task that is Incomplete, continue up to its caller."""
        calls = self.dedupe(self.expand_calls(self.normalize(tasks)))
        named = [call.task for call in self.normalize(tasks)]
        results: dict[Any, Any] = {}
        lacking: list[Incomplete] = []
        last: Call | None = None
        for place, call in enumerate(calls):
            callers = [later for later in calls[place + 1 :] if _is_pre_task(call.task, later.task)]
            ahead = [later for later in calls[place:] if later.task in named]  # first, what this call is for
            try:
                results[call.task] = call.task(self._context(call, callers), *call.args, **call.kwargs)
            except Incomplete as error:
                lacking.insert(0, error)
                last = last or next(iter(callers), call)
                if callers:
                    tell(error)
            except UnexpectedExit as failure:
                tell_not_run(ahead[1:])
                raise _failed(call, failure) from None
            except BuildError:
                tell_not_run(ahead[1:])
                raise
            if call is last:
                tell_not_run(ahead[1:])
                raise _together(lacking, told=bool(lacking[1:]) or call.task in results)
            self.documents.ended(self._junit(call))
        return results

    def _context(self, call: Call, callers: Sequence[Call]) -> Any:
        """The context of a call, with its caller's name, and the directory of the tasks.py that invoke loaded."""
        self.config.load_collection(self.collection.configuration(call.called_as))
        self.config.load_shell_env()
        context = call.make_context(self.config, core_parse_result=self.core)
        context["caller"] = _name(callers[0]) if callers else ""
        context["tasks_directory"] = self.collection.loaded_from or ""
        return context

    def expand_calls(self, calls: list[Any]) -> list[Call]:
        """The calls with their pre-tasks and post-tasks, which get the caller's arguments."""
        expanded: list[Call] = []
        for item in calls:
            call = Call(item) if isinstance(item, InvokeTask) else item
            expanded += self.expand_calls([_handed_over(pre, call) for pre in call.pre])
            expanded.append(call)
            expanded += self.expand_calls([_handed_over(post, call) for post in call.post])
        return expanded


def _handed_over(item: Any, caller: Call) -> Call:
    """The call of a pre-task or post-task. Its own arguments override its caller's, and these its defaults."""
    call = Call(item) if isinstance(item, InvokeTask) else item
    defaults = dict(_defaults(call.task))
    given = {name: value for name, value in caller.kwargs.items() if name in defaults}
    return Call(call.task, called_as=call.called_as, args=call.args, kwargs={**defaults, **given, **call.kwargs})


def _defaults(of: Any) -> Iterator[tuple[str, object]]:
    """The defaults of a task's arguments, as the command line gives them: an empty list instead of None."""
    for name, parameter in of.argspec(of.body).parameters.items():
        yield name, [] if name in of.iterable else parameter.default


def _is_pre_task(one: Any, of: Any) -> bool:
    return any(pre.task == one if isinstance(pre, Call) else pre == one for pre in of.pre)


def _name(call: Call) -> str:
    return (call.task.name or "").replace("_", "-")


def _failed(call: Call, failure: UnexpectedExit) -> BuildError:
    """The failure of a command that a task ran by `ctx.run`.

    The command is not named, because it may contain a password. Its output is shown as far as it was hidden until now.
    """
    result = failure.result
    output = "\n".join(filter(None, (getattr(result, stream).strip() for stream in result.hide)))
    told = f":\n{output}" if output else ""
    return BuildError(f"{_name(call)}: a command failed with exit code {result.exited}{told}")


def _together(lacking: Sequence[Incomplete], *, told: bool) -> Incomplete:
    """What the tasks could not do, in one line; the hint of what was told already is not repeated."""
    return Incomplete("; ".join(error.message for error in lacking), hint="" if told else lacking[0].hint)


def _ended_early(end: BaseException) -> BuildError:
    """What the notes of the exception say was going on (`graph.note`), and the command that does the rest."""
    from build_lib.invocation import command  # noqa: PLC0415  # as above

    how = "terminated" if isinstance(end, Terminated) else "interrupted"
    doing = getattr(end, "__notes__", [])
    if not doing:
        return BuildError(how)
    return BuildError(f"{how} while {' and '.join(doing)}", hint=f"{command()} does the rest")


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """End with cleanup, as after ^C, but with the exit code of a terminated program."""
    raise Terminated(TERMINATED)


def tell(error: BuildError) -> None:
    """Print an expected failure on stderr."""
    from build_lib.console import last_failure  # noqa: PLC0415  # as above

    last_failure(error)


def tell_programs(documents: Any, error: BuildError) -> None:
    """Report an expected failure to programs (`console.Documents`)."""
    try:
        documents.failed(error)
    except BuildError as not_written:
        tell(not_written)


def tell_not_run(calls: Sequence[Call]) -> None:
    """Print on stderr which tasks an earlier failure keeps from running."""
    from build_lib.console import not_run  # noqa: PLC0415  # as above

    not_run([_name(call) for call in calls])


def _without_password(record: logging.LogRecord) -> bool:
    record.msg, record.args = masked(record.getMessage()), ()
    return True


def _debug_quietly() -> None:
    """Keep passwords out of invoke's debug output. Those of requests are in it too, such as a build's proxies."""
    logging.getLogger("invoke").addFilter(_without_password)
    for name in ("docker", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


# Invoke's own `inv` lists these tasks without giving the Executor control.
pipes.end_quietly()
_debug_quietly()
