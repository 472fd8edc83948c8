"""The documents say what the program does: held against the code, and against each other."""

import re
from pathlib import Path

import pytest

import build_lib.tasks
from build_lib.executor import Task
from tests.support.commands import ROOT
from tests.support.messages import of_the_document, of_the_program

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_IN_FRONT = "says where, in front of another message, which is told"
NOT_TOLD = {
    **dict.fromkeys(("--mount: …", "ARG …: …", "FROM: …", "from=…: …", "syntax=…: …"), _IN_FRONT),
    **dict.fromkeys(("name: …", "service …: …"), _IN_FRONT),
    "… of …": "the name in front of `… is not available from any source (…)`",
    "… has no copy": "no user comes upon it: every image of a bundle has its copies",
}


def test_every_message_in_troubleshooting_is_one_of_the_program() -> None:
    known = of_the_program()
    assert [told for told in of_the_document(ROOT / "docs/troubleshooting.md") if told not in known] == []


def test_every_message_of_the_program_is_in_troubleshooting() -> None:
    told = {*of_the_document(ROOT / "docs/troubleshooting.md"), *NOT_TOLD}
    assert {message: places for message, places in of_the_program().items() if message not in told} == {}


def test_what_troubleshooting_leaves_out_is_still_in_the_program() -> None:
    assert NOT_TOLD.keys() - of_the_program() == set()


def headings(text: str) -> list[str]:
    """With their marks; what stands in blocks of code is none."""
    return re.findall(r"^#+ .+$", without_blocks(text), re.MULTILINE)


def without_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """As a forge makes them of headings: lower case, no punctuation, a hyphen for each space."""
    plain = (re.sub(r"^#+ ", "", heading).replace("`", "").lower() for heading in headings(path.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", without_blocks(path.read_text()))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("https://", "http://")):
            place, _, anchor = link.partition("#")
            target = (path.parent / place).resolve() if place else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def blocks(text: str) -> list[str]:
    return re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)


def code(text: str) -> set[str]:
    """What stands in the line as code: tasks, settings, files."""
    return set(re.findall(r"`([^`\n]+)`", without_blocks(text)))


def test_the_readme_is_the_same_in_chinese() -> None:
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    assert [len(heading.split()[0]) for heading in headings(english)] == [
        len(heading.split()[0]) for heading in headings(chinese)
    ]
    assert blocks(english) == blocks(chinese)
    assert code(english) == code(chinese)
    links = r"\]\(((?!README)[^)]+)\)"
    assert re.findall(links, english) == re.findall(links, chinese)


def test_the_readme_has_every_task() -> None:
    tasks = {item.name.replace("_", "-") for item in vars(build_lib.tasks).values() if isinstance(item, Task)}
    assert tasks - code((ROOT / "README.md").read_text()) == set()


def test_how_it_works_has_every_module() -> None:
    table = (ROOT / "docs/implementation.md").read_text().partition("\n## The modules\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`([\w/]+)`", row.split(" | ")[0])]
    modules = [path.relative_to(ROOT / "build_lib") for path in ROOT.glob("build_lib/**/*.py")]
    assert sorted(told) == sorted(str(path.with_suffix("")) for path in modules if path.stem != "__init__")


def test_how_it_works_names_modules_that_are_there() -> None:
    named = set(re.findall(r"`([a-z]+/[a-z_]+)`", (ROOT / "docs/implementation.md").read_text()))
    assert {name for name in named if not (ROOT / f"build_lib/{name}.py").exists()} == set()
