"""No bytes of an ignore file make its reader fail in another way than it says, or keep it."""

from datetime import timedelta
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from build_lib.errors import BuildError
from build_lib.repository import ignore_file
from tests.support.outcomes import outcome

IN_TIME = settings(deadline=timedelta(seconds=5))
PATTERNS = st.lists(
    st.sampled_from(["**", "*", "?", "[a-", "[^", "]", "\\", "/", "!", "..", ".", "a", "\n", "#", "\ufeff", "{", "("]),
    max_size=40,
).map("".join)
PATHS = st.lists(st.sampled_from(["a", "aa", ".", "..", "b*", "[", "é", "\udc80"]), min_size=1, max_size=12).map(
    "/".join
)


@IN_TIME
@given(text=PATTERNS | st.text(max_size=60), path=PATHS)
@example(text="/".join(["**"] * 40), path="/".join(["a"] * 40))
@example(text="*a" * 40, path="a" * 200)
@example(text="**/*a" * 30, path="a/" * 60 + "b")
def test_an_ignore_file_answers_in_time(text: str, path: str) -> None:
    rules, said = outcome(lambda: ignore_file.parse(text, Path(".dockerignore")), BuildError)
    assert rules is None or rules.ignores(path) in (True, False)
    assert rules is not None or " is not a pattern" in said
