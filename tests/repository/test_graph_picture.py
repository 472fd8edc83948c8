"""The dependency graph as a picture."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from build_lib.settings import Settings
from tests.support.commands import Inv
from tests.support.engines import install

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def chain(project: Path) -> Path:
    """`base` on an image, `lib` on base, `app` on lib and base; `alone` on nothing."""
    dockerfiles = {
        "base": "FROM debian:12",
        "lib": "FROM ai-infra-base:v1",
        "app": "FROM ai-infra-lib:v1\nCOPY --from=ai-infra-base:v1 / /",
        "alone": "FROM scratch\nCOPY . /",
    }
    for name, text in dockerfiles.items():
        (project / f"src/{name}").mkdir()
        (project / f"src/{name}/Dockerfile").write_text(text)
    return project


def test_as_text_each_service_is_shown_once_with_what_it_stands_on(chain: Path, inv: Inv) -> None:
    done = inv("graph", IMAGE_TAG="v1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "alone",
        "app",
        "├── base",
        "│   └── debian:12 (image)",
        "└── lib",
        "    └── base (see above)",
    ]


def test_a_service_alone_is_shown_with_what_it_stands_on(chain: Path, inv: Inv) -> None:
    assert inv("graph", "-s", "base", IMAGE_TAG="v1").stdout == "base\n└── debian:12 (image)\n"


def test_mermaid_and_dot_have_an_arrow_for_each_edge(chain: Path, inv: Inv) -> None:
    mermaid = inv("graph", "--format", "mermaid", IMAGE_TAG="v1").stdout
    assert mermaid.startswith("flowchart LR\n")
    assert [line.strip() for line in mermaid.splitlines() if "-->" in line] == [
        "s2 --> s1",
        "s3 --> s1",
        "i0 --> s2",
        "s2 --> s3",
    ]
    dot = inv("graph", "--format", "dot", IMAGE_TAG="v1").stdout
    assert dot.count("->") == 4
    assert 's1 [shape=box, label="app"];' in dot


def test_svg_comes_from_graphviz_and_its_absence_is_said(chain: Path, inv: Inv) -> None:
    done = inv("graph", "--format", "svg", IMAGE_TAG="v1", PATH="")
    assert done.returncode == 1
    assert done.stderr.startswith("error: svg needs graphviz, which is not installed\n  next: apt install graphviz")
    install("dot", "graphviz", Settings.load(chain, environ=dict(os.environ)))
    drawn = inv("graph", "--format", "svg", IMAGE_TAG="v1").stdout
    texts = {item.text for item in ElementTree.fromstring(drawn).iter(f"{_SVG}text")}
    assert texts == {"alone", "app", "base", "lib", "debian:12"}


def test_an_unknown_form_is_refused(chain: Path, inv: Inv) -> None:
    done = inv("graph", "--format", "png")
    assert (done.returncode, done.stdout) == (1, "")
    assert "use one of text, mermaid, dot, svg" in done.stderr
