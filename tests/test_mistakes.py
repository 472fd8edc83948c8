"""Every mistake of docs/mistakes.md gets the answer given there; `python -m tests.test_mistakes` writes it anew."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.mistakes import Answer, Mistake, answer

DOCUMENT = ROOT / "docs/mistakes.md"
_HEAD = """\
# Mistakes and their answers

Written by `python -m tests.test_mistakes` from real runs; `tests/test_mistakes.py` makes each mistake and compares the
answer. Each is made in a repository with two services, `web` and `api`, on a machine on which no Docker Engine answers,
unless the row says something else. HARBOR is a host that answers as the row says. The answer is the first line on
stderr.
"""
_COLUMNS = ("command", "given", "answer", "next", "exit code")


def _web(*lines: str) -> dict[str, str]:
    return {"src/web/Dockerfile": "\n".join([*lines, ""])}


def _compose(text: str) -> dict[str, str]:
    return {"compose.yaml": text}


MISTAKES: Mapping[str, Sequence[Mistake]] = {
    "Tasks and flags": (
        Mistake(command="inv biuld"),
        Mistake(command="inv build-all psuh"),
        Mistake(command="inv --help biuld"),
        Mistake(command="inv --list build"),
        Mistake(command="inv doctor web"),
        Mistake(command="inv deps-load deps.tar"),
        Mistake(command="inv build --taag v1"),
        Mistake(command="inv --versoin"),
        Mistake(command="inv build --version"),
        Mistake(command="inv build-all -s web"),
        Mistake(command="inv status -r harbor.example/x"),
        Mistake(command="inv -t v1 build"),
        Mistake(command="inv -f deps.tar deps-load"),
        Mistake(command="inv build --force=yes"),
        Mistake(command="inv deps -- web"),
        Mistake(command="inv --print-completion-script tcsh"),
        Mistake(command="inv bench -- complation"),
    ),
    "Values of flags": (
        Mistake(command="inv build wbe"),
        Mistake(command="inv build -s wbe"),
        Mistake(command="inv build -s"),
        Mistake(command="inv build -s ''"),
        Mistake(command="inv build -t"),
        Mistake(command="inv build -t ''"),
        Mistake(command="inv build -t 'a b'"),
        Mistake(command="inv build -j many"),
        Mistake(command="inv build -j 0"),
        Mistake(command="inv build --junit"),
        Mistake(command="inv build --junit src"),
        Mistake(command="inv clean --keep many"),
        Mistake(command="inv clean --keep -1"),
        Mistake(command="inv --list-depth many"),
        Mistake(command="inv deps --kind bild"),
        Mistake(command="inv graph --format mermiad"),
        Mistake(command="inv graph --format pdf"),
        Mistake(command="inv build -r https://harbor.example/x"),
        Mistake(command="inv deps-save --split 5X"),
        Mistake(command="inv init --path /nowhere"),
    ),
    "Settings": (
        Mistake(command="inv deps", given="`.env`: `IMAGE_TAG: v1`", files={".env": "IMAGE_TAG: v1\n"}),
        Mistake(command="inv doctor", given="`.env`: `IMAGE_TAG` alone", files={".env": "# release\n\nIMAGE_TAG\n"}),
        Mistake(command="inv build", given='`.env`: `IMAGE_TAG="v1`', files={".env": 'JOBS=2\nIMAGE_TAG="v1\nA=1\n'}),
        Mistake(command="inv build", given="`.env` is a directory", files={".env": None}),
        Mistake(command="inv build", given="`.env` is not UTF-8", files={".env": b"IMAGE_TAG=\xff\n"}),
        Mistake(command="inv services", given="`.env`: `IMAGE_TAGG=v1`", files={".env": "IMAGE_TAGG=v1\n"}),
        Mistake(command="inv services", given="`.env`: `IMAGE_TAG=a b`", files={".env": "IMAGE_TAG=a b\n"}),
        Mistake(command="JOBS=many inv deps-save"),
        Mistake(command="PLATFORM=amd64 inv services"),
        Mistake(command="IMAGE_PREFIX=Mine- inv services"),
        Mistake(command="EXTRA_IMAGES='redis, Bad' inv deps"),
        Mistake(command="REGISTRY_MIRRORS=127.0.0.1:1 inv mirrors"),
        Mistake(command="inv mirrors"),
        Mistake(command="PROJECT_ROOT=/nowhere inv build"),
        Mistake(command="SERVICES_DIR=apps inv services", services=False, files={"other/web/Dockerfile": "FROM a\n"}),
        Mistake(command="PRIVATE_REGISTRY_USERNAME=me inv deps-push -r harbor.example/x"),
    ),
    "Dockerfiles and compose files": (
        Mistake(command="inv services", given="`RUNN true`", files=_web("FROM debian:12", "RUNN true")),
        Mistake(command="inv deps", given="`FROM Not An Image`", files=_web("FROM Not An Image")),
        Mistake(command="inv deps", given="`FROM ${BASE}`, and `BASE` is not set", files=_web("FROM ${BASE}")),
        Mistake(command="inv deps", given="`COPY --from=5`", files=_web("FROM debian:12", "COPY --from=5 /a /")),
        Mistake(command="inv deps", given="`FROM ai-infra-api`", files=_web("FROM ai-infra-api")),
        Mistake(command="inv deps", given="the Dockerfile is empty", files=_web()),
        Mistake(
            command="inv services",
            given="each is built `FROM` the other",
            files=_web("FROM ai-infra-api:v0.3.6-dev") | {"src/api/Dockerfile": "FROM ai-infra-web:v0.3.6-dev\n"},
        ),
        Mistake(
            command="SERVICES_DIR='src apps' inv deps",
            given="both have a directory `web`",
            files={"apps/web/Dockerfile": "FROM a"},
        ),
        Mistake(command="inv services", given="there is no Dockerfile", services=False),
        Mistake(command="inv deps", given="`compose.yaml` is not YAML", files=_compose("services: [\n")),
        Mistake(command="inv deps", given="an empty service `db`", files=_compose("services:\n  db: {}\n")),
        Mistake(command="inv deps", given="`build: nowhere`", files=_compose("services:\n  db:\n    build: nowhere\n")),
        Mistake(
            command="inv build db", given="`build: nowhere`", files=_compose("services:\n  db:\n    build: nowhere\n")
        ),
        Mistake(
            command="inv deps",
            given="`image: redis:${TAG:?}`",
            files=_compose("services:\n  db:\n    image: redis:${TAG:?}\n"),
        ),
        Mistake(command="COMPOSE_FILE=site.yaml inv deps"),
    ),
    "The Docker Engine": (
        Mistake(command="inv build"),
        Mistake(command="DOCKER_HOST=tcp://127.0.0.1:1 inv status"),
        Mistake(command="DOCKER_HOST=tcp://127.0.0.1:1 inv engine-up"),
        Mistake(command="unset DOCKER_HOST; DOCKER_CONTEXT=nowhere inv engine-up"),
        Mistake(command="DOCKER_HOST=tcp://engine:port inv status"),
        Mistake(command="inv build", given="the user is not in the socket's group", of_another=True),
        Mistake(command="inv engine-up", given="the user is not in the socket's group", of_another=True),
        Mistake(command="inv clean", given="`.build` has files to remove", files={".build/last-run.json": "{}"}),
    ),
    "Registries": (
        Mistake(command="inv deps-push"),
        Mistake(command="inv deps-push -r 127.0.0.1:1/x"),
        Mistake(command="inv deps-inventory -r 127.0.0.1:1/x"),
        Mistake(command="inv deps-push -r HARBOR/x", given="HARBOR requires a login", status=401),
        Mistake(
            command="PRIVATE_REGISTRY_USERNAME=me PRIVATE_REGISTRY_PASSWORD=wrong inv deps-push -r HARBOR/x",
            given="HARBOR refuses the password",
            status=401,
        ),
        Mistake(command="inv deps-push -r HARBOR/x", given="HARBOR answers 403", status=403),
        Mistake(command="TRIES=1 inv deps-push -r HARBOR/x", given="HARBOR answers 500", status=500),
        Mistake(
            command="inv deps-save", given="`FROM 127.0.0.1:1/a:1`", files=_web("FROM 127.0.0.1:1/a:1"), services=False
        ),
    ),
    "Bundles": (
        Mistake(command="inv deps-save -f media/disk/deps.tar", given="the disk is not mounted"),
        Mistake(command="inv deps-save -f src"),
        Mistake(command="inv deps-save -f ''"),
        Mistake(command="inv deps-save --since site.json"),
        Mistake(command="inv deps-save", given="no service needs an image", files=_web("FROM scratch"), services=False),
        Mistake(command="inv deps-load -f deps.tar"),
        Mistake(command="inv deps-load -f src"),
        Mistake(command="inv deps-verify -f deps.tar", given="it is a text", files={"deps.tar": "hello\n"}),
        Mistake(command="inv deps-verify -f deps.tar", given="it is empty", files={"deps.tar": ""}),
        Mistake(
            command="inv deps-verify -f deps.tar.001", given="the first part is missing", files={"deps.tar.002": "x"}
        ),
        Mistake(command="inv downloads -t v1"),
    ),
    "This machine": (
        Mistake(command="inv deps-save", given="`.build` is a file", files={".build": ""}),
        Mistake(command="inv registry-up", given="`.build` is a file", files={".build": ""}),
        Mistake(command="inv deps-save -f deps.tar", given="the repository is another user's", of_another=True),
        Mistake(
            command="inv registry-up",
            given="the repository is another user's",
            files={".build/logs": None},
            of_another=True,
        ),
        Mistake(command="inv services >/dev/full"),
        Mistake(command="inv --list >/dev/full"),
    ),
}


ROWS = [(title, item) for title, group in MISTAKES.items() for item in group]


def document(answers: Sequence[Answer]) -> str:
    """The whole document; the answers are those of `ROWS`."""
    told = iter(answers)
    parts = [_HEAD]
    for title, group in MISTAKES.items():
        parts.append(f"\n## {title}\n\n| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}\n")
        parts += [_row(item, next(told)) for item in group]
    return "".join(parts)


def answers(mistakes: Sequence[Mistake]) -> list[Answer]:
    """Each in a repository of its own."""
    with tempfile.TemporaryDirectory() as directory:
        return [answer(item, Path(directory) / str(number)) for number, item in enumerate(mistakes)]


def _row(mistake: Mistake, said: Answer) -> str:
    cells = (_code(mistake.command), mistake.given, _code(said.said), _code(said.next), str(said.code))
    return f"| {' | '.join(cells)} |\n"


def _code(text: str) -> str:
    if "`" in text:
        return f"`` {text} ``"
    return f"`{text}`" if text else ""


@pytest.mark.parametrize(("title", "mistake"), ROWS, ids=lambda item: getattr(item, "command", ""))
def test_a_mistake_gets_the_answer_of_the_document(title: str, mistake: Mistake) -> None:
    try:
        [said] = answers([mistake])
    except PermissionError as error:
        pytest.skip(str(error))
    assert said.said
    assert said.next or re.match(r"problem: \S+:|warning: ", said.said), "it says neither what to do nor where"
    section = DOCUMENT.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert _row(mistake, said) in section.splitlines(keepends=True)


def test_the_document_has_these_mistakes_and_no_others() -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert [line.split(" | ")[:2] for line in lines] == [
        _row(item, Answer(said="", next="", code=0)).split(" | ")[:2] for _, item in ROWS
    ]
    assert len(lines) >= 60


if __name__ == "__main__":
    DOCUMENT.write_text(document(answers([item for _, item in ROWS])))
