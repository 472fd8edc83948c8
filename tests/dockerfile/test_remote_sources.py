"""ADDs of URLs and repositories, and Dockerfiles in which they have a mirror in front."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.dockerfile import additions, with_prefix

FILE = """\
FROM debian
ARG VERSION=1.0
ADD https://x.example/a-${VERSION}.tgz /a/
ADD --chmod=0644 --checksum=sha256:00 \\
    https://x.example/b.tgz local.txt \\
    /b/
ADD ["https://x.example/c d.tgz", "/c/"]
ADD https://x.example/repo.git#v1:sub /d/
ADD git@github.com:a/b.git /e/
ADD ssh://git@x.example/a.git /e/
ADD ${URL} /f/
ADD ${PATHS} /g/
ADD local /h/
ADD <<EOF /i/
https://x.example/no
EOF
COPY https://x.example/no /j/
ONBUILD ADD https://x.example/later /k/
RUN curl https://x.example/no
"""
ARGUMENTS = {"VERSION": "1.0", "URL": "http://x.example/u", "PATHS": "some/path"}


def test_what_an_add_takes_from_elsewhere() -> None:
    found = [(each.line, each.url, each.is_http) for each in additions(FILE, ARGUMENTS)]
    assert found == [
        (3, "https://x.example/a-1.0.tgz", True),
        (4, "https://x.example/b.tgz", True),
        (7, "https://x.example/c d.tgz", True),
        (8, "https://x.example/repo.git#v1:sub", True),
        (9, "git@github.com:a/b.git", False),
        (10, "ssh://git@x.example/a.git", False),
        (11, "http://x.example/u", True),
    ]


def test_a_mirror_stands_in_front_of_these_alone() -> None:
    found = [each for each in additions(FILE, ARGUMENTS) if each.is_http]
    changed = with_prefix(FILE, found, "http://m/").splitlines()
    assert [(at + 1, line) for at, line in enumerate(changed) if line != FILE.splitlines()[at]] == [
        (3, "ADD http://m/https://x.example/a-${VERSION}.tgz /a/"),
        (5, "    http://m/https://x.example/b.tgz local.txt \\"),
        (7, 'ADD ["http://m/https://x.example/c d.tgz", "/c/"]'),
        (8, "ADD http://m/https://x.example/repo.git#v1:sub /d/"),
        (11, "ADD http://m/${URL} /f/"),
    ]


@pytest.mark.parametrize("name", ["UNKNOWN", "BROKEN"])
def test_an_argument_without_a_value_is_no_url(name: str) -> None:
    assert list(additions(f"FROM x\nADD ${{{name}}} /a/\n", {})) == []


def test_an_env_counts_as_an_argument_does() -> None:
    text = 'FROM x\nARG A=a\nENV SITE="https://$A.example" B=1\nENV OLD https://old.example\n'
    text += "ADD ${SITE}/x $OLD/y /z/\n"
    found = list(additions(text, {"A": "a", "OLD": "no"}))
    assert [(each.line, each.url) for each in found] == [(5, "https://a.example/x"), (5, "https://old.example/y")]
    assert "ADD http://m/${SITE}/x http://m/$OLD/y /z/" in with_prefix(text, found, "http://m/")


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    found = list(additions(f"FROM x\nADD {text} /a\n", {}))
    assert with_prefix(f"FROM x\nADD {text} /a\n", found, "http://m/").count("\n") == f"FROM x\nADD {text} /a\n".count(
        "\n"
    )
