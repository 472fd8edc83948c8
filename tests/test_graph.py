import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.errors import BuildError
from build_lib.graph import Again, Cancel, interruptible, run, that_need

DIAMOND = {"base": (), "left": ("base",), "right": ("base",), "top": ("left", "right")}


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_work_begins_after_what_it_needs_and_results_keep_the_order(jobs: int) -> None:
    done: list[str] = []

    def work(name: str, _cancel: Cancel) -> str:
        assert set(DIAMOND[name]) <= set(done)
        done.append(name)
        return name.upper()

    outcomes = run(DIAMOND, work, jobs=jobs)
    assert [(outcome.name, outcome.value) for outcome in outcomes] == [(name, name.upper()) for name in DIAMOND]


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_failure_blocks_only_what_needs_it(jobs: int) -> None:
    def work(name: str, _cancel: Cancel) -> str:
        if name == "left":
            raise BuildError("left broke")
        return name

    base, left, right, top = run(DIAMOND, work, jobs=jobs)
    assert base.done
    assert right.done
    assert left.error is not None
    assert left.error.message == "left broke"
    assert top.blocked_by == ("left",)


def test_fail_fast_begins_nothing_more() -> None:
    begun: list[str] = []

    def work(name: str, _cancel: Cancel) -> str:
        begun.append(name)
        raise BuildError(name)

    outcomes = run({"a": (), "b": (), "c": ()}, work, jobs=1, fail_fast=True)
    assert begun == ["a"]
    assert [outcome.skipped for outcome in outcomes] == [False, True, True]


def test_as_many_run_at_once_as_allowed_and_no_more() -> None:
    both = threading.Barrier(2, timeout=30)  # breaks, and fails the test, if two never run together
    running, most = 0, 0
    lock = threading.Lock()

    def work(_name: str, _cancel: Cancel) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1

    assert all(outcome.done for outcome in run({str(number): () for number in range(6)}, work, jobs=2))
    assert most == 2


def test_an_unexpected_error_cancels_what_runs_and_is_raised() -> None:
    unwound: list[str] = []
    waiting = threading.Event()

    def work(name: str, cancel: Cancel) -> None:
        if name == "bug":
            waiting.wait(30)
            raise ZeroDivisionError
        waiting.set()
        try:
            cancel.sleep(30)
        finally:
            unwound.append(name)

    with pytest.raises(ZeroDivisionError):
        run({"slow": (), "bug": ()}, work, jobs=2)
    assert unwound == ["slow"]


def test_callbacks_run_in_the_calling_thread() -> None:
    threads: set[str] = set()

    def note(_: object) -> None:
        threads.add(threading.current_thread().name)

    run(DIAMOND, lambda name, _cancel: name, jobs=4, on_start=note, on_end=note)
    assert threads == {threading.current_thread().name}


def test_a_late_callback_of_a_cancelled_run_is_called_at_once() -> None:
    cancel = Cancel()
    cancel.request()
    called: list[int] = []
    with cancel.calling(lambda: called.append(1)):
        assert called == [1]
    assert cancel.requested()
    with pytest.raises(BuildError):
        cancel.sleep(0)


@pytest.mark.parametrize("jobs", [1, 4])
def test_an_exception_that_ends_the_program_says_what_it_interrupts(jobs: int) -> None:
    def work(name: str, _cancel: Cancel) -> None:
        if name == "left":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run({**DIAMOND, "right": ("left",)}, work, jobs=jobs, doing=lambda names: f"boiling {', '.join(names)}")
    assert caught.value.__notes__ == ["boiling left"]


def test_other_exceptions_get_no_note() -> None:
    def work(_name: str, _cancel: Cancel) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run({"a": ()}, work, jobs=1, doing=lambda _names: "boiling")
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(SystemExit) as ended, interruptible("cooling"):
        raise SystemExit(143)
    assert ended.value.__notes__ == ["cooling"]


def test_what_needs_a_key_is_found() -> None:
    assert that_need(["left", "base"], DIAMOND, ["right", "left", "top"]) == ["right", "left", "top"]
    assert that_need(["right"], DIAMOND, ["left", "top"]) == ["top"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    size = draw(st.integers(1, 12))
    return {str(node): [str(need) for need in range(node) if draw(st.booleans())] for node in range(size)}


@given(graphs(), st.sets(st.integers(0, 11).map(str)), st.integers(1, 4))
def test_what_is_not_above_a_failure_is_always_done(needs: dict[str, list[str]], broken: set[str], jobs: int) -> None:
    def work(name: str, _cancel: Cancel) -> None:
        if name in broken:
            raise BuildError(name)

    outcomes = {outcome.name: outcome for outcome in run(needs, work, jobs=jobs)}
    for name, outcome in outcomes.items():
        spoiled = [need for need in needs[name] if not outcomes[need].done]
        assert list(outcome.blocked_by) == spoiled
        assert (outcome.error is not None) == (name in broken and not spoiled)


def test_another_may_choose_what_begins_next_however_many_run() -> None:
    chosen: list[str] = []

    def choose(ready: Sequence[str]) -> str | None:
        if len(chosen) == 1:
            chosen.append("")
            return None
        chosen.append(max(ready))
        return chosen[-1]

    run({"a": (), "b": (), "c": ()}, lambda name, _cancel: name, jobs=1, choose=choose)
    assert chosen == ["c", "", "b", "a"]


@pytest.mark.parametrize("jobs", [1, 3])
def test_work_that_has_to_be_done_again_is_ready_again(jobs: int) -> None:
    tries: list[str] = []
    ended: list[str] = []

    def work(name: str, _cancel: Cancel) -> int:
        tries.append(name)
        if name == "left" and tries.count(name) < 3:
            raise Again
        return tries.count(name)

    outcomes = run(DIAMOND, work, jobs=jobs, on_end=lambda outcome: ended.append(outcome.name))
    assert [outcome.value for outcome in outcomes] == [1, 3, 1, 1]
    assert sorted(ended) == sorted(DIAMOND)
    assert ended[-1] == "top"
