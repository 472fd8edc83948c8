"""What builders print, read while they print it. The files in `outputs` were recorded from real builders."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.build.output import Form, Output

RECORDED = sorted((Path(__file__).parent / "outputs").glob("*.txt"))
NAMES = [path.stem for path in RECORDED]
PRINTED = ["hello", "second", "red", "no end of line"]
CLASSIC = (
    "Step 1/2 : FROM debian\n ---> 4eacea30377a\nStep 2/2 : RUN echo out; echo err >&2; exit 3\n"
    " ---> Running in 3f4dc13b1d0e\nout\n\x1b[91merr\n\x1b[0mRemoving intermediate container 3f4dc13b1d0e\n"
)


def form_of(path: Path) -> Form:
    return "rawjson" if path.name.startswith("rawjson") else "plain"


def read(path: Path, form: Form, text: str, size: int = 10**6) -> Output:
    """The output, which comes in pieces of this size."""
    with Output(path, form) as output:
        for at in range(0, len(text), size):
            output.write(text[at : at + size])
    return output


@pytest.mark.parametrize("recorded", RECORDED, ids=NAMES)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_the_step_that_failed_is_known_with_what_it_printed(recorded: Path, size: int, tmp_path: Path) -> None:
    with recorded.open(newline="") as file:
        output = read(tmp_path / "log", form_of(recorded), file.read(), size)
    assert output.failed is not None
    assert output.failed.name.startswith(("[stage-1 2/2] RUN echo hello;", "[stage-1 1/1] RUN echo hello;"))
    assert list(output.failed.lines) == PRINTED
    assert output.failed.error.endswith("exit code: 3")
    assert output.error.endswith("exit code: 3")
    assert output.line == (7 if "0.32" in recorded.name else 0)
    assert output.current is None


@pytest.mark.parametrize("recorded", RECORDED, ids=NAMES)
def test_the_log_can_be_read_and_says_everything_once(recorded: Path, tmp_path: Path) -> None:
    with recorded.open(newline="") as file:
        read(tmp_path / "log", form_of(recorded), file.read())
    log = (tmp_path / "log").read_text()
    assert re.search(r"^\[base [23]/[23]\] RUN echo one &&     echo two\none\ntwo\ndone 0\.\ds$", log, re.MULTILINE)
    assert [log.count(f"\n{line}\n") for line in ("one", "two", *PRINTED)] == [1] * 6
    for odd in ("sha256:", '"vertex', "\x1b", "\r", "#7 ", "transferring"):
        assert odd not in log


def test_while_it_goes_on_the_running_step_and_its_last_line_are_known(tmp_path: Path) -> None:
    with Output(tmp_path / "log", "plain") as output:
        output.write("#1 [internal] load build definition\n#1 DONE 0.0s\n\n#2 [a 1/2] RUN one\n#2 0.1 first\n")
        assert output.current is not None
        assert (output.current.name, output.current.last_line) == ("[a 1/2] RUN one", "first")
        output.write("#2 ...\n\n#3 [b 1/2] RUN two\n#3 0.1 other\n\n#2 [a 1/2] RUN one\n#2 0.2 second\n")
        assert (output.current.name, output.current.last_line) == ("[a 1/2] RUN one", "second")
        output.write("#2 DONE 0.3s\n")
        assert (output.current.name, output.current.last_line) == ("[b 1/2] RUN two", "other")
        output.write("#3 CACHED\n")
        assert output.current is None
    assert output.failed is None


def test_of_two_failed_steps_the_one_that_was_not_canceled_is_to_blame(tmp_path: Path) -> None:
    steps = "#1 [a 1/1] RUN slow\n#2 [b 1/1] RUN bad\n"
    ends = "#1 ERROR: process did not complete successfully: context canceled\n#2 ERROR: exit code: 1\n"
    output = read(tmp_path / "log", "plain", steps + ends)
    assert output.failed is not None
    assert output.failed.name == "[b 1/1] RUN bad"


def test_a_cache_that_is_not_there_is_not_to_blame(tmp_path: Path) -> None:
    steps = "#1 importing cache manifest from harbor.example/cache/web:v1\n#1 ERROR: not found\n"
    output = read(tmp_path / "log", "plain", f"{steps}#2 [1/1] RUN bad\n#2 ERROR: exit code: 1\n")
    assert output.failed is not None
    assert output.failed.name == "[1/1] RUN bad"


def test_the_classic_builders_steps_are_known_too(tmp_path: Path) -> None:
    with Output(tmp_path / "log", "classic") as output:
        output.write(CLASSIC)
        assert output.current is not None
        assert output.current.last_line == "err"
        output.fail("The command returned a non-zero code: 3")
    assert output.failed is not None
    assert (output.failed.name, list(output.failed.lines)) == (
        "Step 2/2 : RUN echo out; echo err >&2; exit 3",
        ["out", "err"],
    )
    assert (tmp_path / "log").read_text().endswith("out\nerr\nERROR: The command returned a non-zero code: 3\n")


def test_an_error_without_a_step_is_the_builders_own(tmp_path: Path) -> None:
    output = Output(tmp_path / "log", "classic")
    with output:
        output.fail("pull access denied")
    assert (output.failed, output.error) == (None, "pull access denied")
    assert (tmp_path / "log").read_text() == "pull access denied\n"


def test_a_line_without_an_end_is_shown_and_does_not_grow(tmp_path: Path) -> None:
    with Output(tmp_path / "log", "classic") as output:
        output.write("Step 1/1 : RUN curl\n")
        output.printed("Step 1/1 : RUN curl", " 10%\r 20%")
        assert output.current is not None
        assert output.current.last_line == " 20%"
        for _ in range(100):
            output.printed("Step 1/1 : RUN curl", "x" * 10_000)
        assert len(output.current.partial) == 1 << 16
    with Output(tmp_path / "log", "plain") as output:
        for _ in range(100):
            output.write("x" * 10_000)
    assert len(output.error) == 1 << 16


def test_what_follows_the_error_is_not_the_reason(tmp_path: Path) -> None:
    text = "ERROR: failed to solve: no space left on device\n\nView build details: docker-desktop://dashboard/1\n"
    assert read(tmp_path / "log", "rawjson", text).error == "ERROR: failed to solve: no space left on device"


def test_only_the_last_lines_of_a_step_are_kept(tmp_path: Path) -> None:
    text = "#1 [1/1] RUN many\n" + "".join(f"#1 0.1 {number}\n" for number in range(99)) + "#1 ERROR: exit code: 1\n"
    output = read(tmp_path / "log", "plain", text)
    assert output.failed is not None
    assert list(output.failed.lines) == [str(number) for number in range(99)][-12:]
    assert "\n3\n" in (tmp_path / "log").read_text()


def test_objects_of_one_line_are_read_as_those_of_several(tmp_path: Path) -> None:
    [recorded] = [path for path in RECORDED if path.stem == "rawjson-buildkit-0.32"]
    text = recorded.read_text()
    decoder, at, compact = json.JSONDecoder(), 0, []
    while text.startswith("{", at):
        found, end = decoder.raw_decode(text, at)
        compact.append(json.dumps(found))
        at = end + 1
    one = read(tmp_path / "one", "rawjson", "\n".join(compact) + "\n" + text[at:])
    several = read(tmp_path / "several", "rawjson", text)
    assert len(compact) > 20
    assert one.failed == several.failed
    assert (tmp_path / "one").read_text() == (tmp_path / "several").read_text()


_PIECES = st.sampled_from(
    [
        "#1 [a 1/2] RUN x\n",
        "#1 0.1 out\n",
        "#1 DONE 0.1s\n",
        "#1 ERROR: no\n",
        "------\n",
        "{",
        "}\n",
        "{\n",
        "Dockerfile:3\n",
        "-" * 20 + "\n",
        "Step 1/2 : RUN x\n",
        " ---> 12\n",
        '{"vertexes": [{}]}\n',
        '{"logs": 7}\n',
        '{"logs": [{"data": "!"}]}\n',
        '{"vertexes": [{"digest": "a", "name": "b", "started": "x", "completed": "y"}]}\n',
        "[" * 9999 + "\n",
        "\0\r\x1b[31m\n",
    ]
)


@given(
    pieces=st.lists(st.one_of(_PIECES, st.text(max_size=20)), max_size=20),
    form=st.sampled_from(["rawjson", "plain", "classic"]),
)
def test_whatever_comes_is_read(pieces: list[str], form: Form, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("output") / "log"
    with Output(log, form) as output:
        for piece in pieces:
            output.write(piece)
        output.begin("own", "a step of ours")
        output.printed("own", "and its line\n")
        assert output.current is not None
        assert (output.current.name, output.current.last_line) == ("a step of ours", "and its line")
    assert output.current is None
    assert "a step of ours\nand its line\n" in log.read_text()
    assert output.failed is None or len(output.failed.lines) <= 12
