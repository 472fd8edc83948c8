import pytest

from build_lib.page.deciding_line import deciding_line

MAKE = """\
gcc -c main.c
main.c:3:10: fatal error: munge.h: No such file or directory
compilation terminated.
make: *** [Makefile:2: main.o] Error 1"""

PYTHON = """\
Traceback (most recent call last):
  File "/setup.py", line 3, in <module>
    import missing
ModuleNotFoundError: No module named 'missing'"""

NO_WORD = """\
configure: WARNING: error: ignored
the disk is of no use"""

NO_FILE = """\
[internal] load build context
done 0.0s

[2/2] COPY missing /
ERROR: failed to calculate checksum of ref abc: "/missing": not found
Dockerfile:2
ERROR: failed to solve: failed to compute cache key: "/missing": not found"""

CLASSIC = """\
Step 2/2 : RUN echo "error: none" && apt-get install nothing
E: Unable to locate package nothing
ERROR: The command '/bin/sh -c apt-get install nothing' returned a non-zero code: 100"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (MAKE, "main.c:3:10: fatal error: munge.h: No such file or directory"),
        (PYTHON, "ModuleNotFoundError: No module named 'missing'"),
        (NO_WORD, "the disk is of no use"),
        (NO_FILE, 'ERROR: failed to solve: failed to compute cache key: "/missing": not found'),
        (CLASSIC, "E: Unable to locate package nothing"),
        ("\x1b[31merror: red\x1b[0m\nthe end", "\x1b[31merror: red\x1b[0m"),
        ("one line", "one line"),
    ],
)
def test_the_line_that_says_why(log: str, line: str) -> None:
    lines = log.splitlines()
    number = deciding_line(lines)
    assert number is not None
    assert lines[number] == line


@pytest.mark.parametrize("log", ["", "\n\n", "[2/2] RUN x\ncached", "------"])
def test_a_log_that_says_nothing_has_none(log: str) -> None:
    assert deciding_line(log.splitlines()) is None
