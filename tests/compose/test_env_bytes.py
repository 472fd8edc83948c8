"""No bytes of an env file of compose make its reader fail in another way than it says, or keep it."""

from datetime import timedelta

from hypothesis import example, given, settings

from build_lib.compose.env_file import read_env_file
from tests.support.odd_texts import ENV

IN_TIME = settings(deadline=timedelta(seconds=5))


@IN_TIME
@given(text=ENV)
@example(text="A=aaaaaaaaaaaaaaaaaaaa\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 40)))
def test_an_env_file_of_compose_is_read_and_what_is_wrong_is_reported(text: str) -> None:
    reported: list[int] = []
    found = read_env_file(text, {"A": "a"}, {}, lambda line, _reason: reported.append(line))
    assert all(isinstance(value, str) for value in found.values())
    assert all(1 <= line <= text.count("\n") + 1 for line in reported)
