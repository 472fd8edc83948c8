"""How invoke runs the tasks: pre-tasks get their caller's arguments, and expected failures are reported in one line.

This is the only module that imports invoke. `invoke.yaml` names the Executor as `tasks.executor_class`.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, UnexpectedExit
from invoke.executor import Executor as InvokeExecutor
from invoke.program import Program
from invoke.tasks import Call
from invoke.tasks import Task as InvokeTask
from invoke.tasks import task as invoke_task

from build_lib.errors import BuildError, Incomplete

INTERRUPTED = 130  # exit code after ^C: 128 + SIGINT
TERMINATED = 143
_SHORT_FLAGS = {"tag": "t", "registry": "r", "service": "s", "jobs": "j", "file": "f"}


class Task(InvokeTask[Callable[..., None]]):
    """A task with the same short flags as all others. Those of invoke depend on the order of the parameters."""

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """The options of a flag, with the short flag from `_SHORT_FLAGS` or none."""
        self.auto_shortflags = False
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in _SHORT_FLAGS:
            options["names"] = (*options["names"], _SHORT_FLAGS[name])
        return options


def task(*args: Any, **options: Any) -> Callable[[Callable[..., None]], Task]:
    """Invoke's decorator, for tasks of this class."""
    made: Callable[[Callable[..., None]], Task] = invoke_task(*args, klass=Task, **options)
    return made


class Executor(InvokeExecutor):
    """Runs tasks as the module describes."""

    def execute(self, *tasks: Any) -> dict[Any, Any]:
        """Run the tasks. An expected failure gives one line on stderr and exit code 1; ^C gives exit code 130."""
        signal.signal(signal.SIGTERM, _terminate)
        try:
            self._check_flags(tasks)
            return self._run(tasks)
        except BuildError as error:
            tell(error)
            raise Exit(code=1) from None
        except KeyboardInterrupt:
            tell(BuildError("interrupted"))
            raise Exit(code=INTERRUPTED) from None

    def _check_flags(self, tasks: Any) -> None:
        from build_lib.settings import check_flags  # noqa: PLC0415  # not imported for completion, which has to be fast

        for call in self.normalize(tasks):
            check_flags(call.kwargs)

    def _run(self, tasks: Any) -> dict[Any, Any]:
        """Run the calls as invoke does, but after a pre-task that is Incomplete, continue up to its caller."""
        calls = self.dedupe(self.expand_calls(self.normalize(tasks)))
        results: dict[Any, Any] = {}
        last: Call | None = None  # the caller of a pre-task that was Incomplete
        for place, call in enumerate(calls):
            callers = [later for later in calls[place + 1 :] if _is_pre_task(call.task, later.task)]
            context = self._context(call, callers)
            try:
                results[call.task] = call.task(context, *call.args, **call.kwargs)
            except Incomplete as error:
                if not callers:
                    raise
                tell(error)
                last = last or callers[0]
            except UnexpectedExit as failure:
                raise _failed(call, failure) from None
            if call is last:
                raise Exit(code=1)
        return results

    def _context(self, call: Call, callers: Sequence[Call]) -> Any:
        """The context of a call: with its caller's name, and the directory of the tasks.py that invoke loaded."""
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


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """End with cleanup, as after ^C, but with the exit code of a terminated program."""
    raise SystemExit(TERMINATED)


def program(namespace: Collection) -> Program:
    """Invoke's command line, for these tasks only."""
    return Program(namespace=namespace, executor_class=Executor, name="build-lib", binary="python -m build_lib")


def tell(error: BuildError) -> None:
    """Print an expected failure on stderr."""
    from build_lib.console import failure  # noqa: PLC0415  # not imported for completion, which has to be fast

    failure(error)
