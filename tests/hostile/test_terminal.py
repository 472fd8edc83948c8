"""No control character from elsewhere reaches a terminal, and no line from elsewhere looks like one of this program."""

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from build_lib.console import Console, doctor, failure, json_document
from build_lib.errors import BuildError, BuildFailed, Incomplete, Refusal, Unavailable
from build_lib.graph import Outcome
from build_lib.job import Finding
from build_lib.process import tail
from build_lib.settings import Settings
from tests.bundle.test_archive import info as header
from tests.bundle.test_archive import with_listing, with_one_more
from tests.hostile.attacks import GOOD, TYPE
from tests.hostile.attempts import NOWHERE
from tests.hostile.limits import MEMORY_LIMIT, run
from tests.hostile.lying_registry import Handler, Lie, gives, head, lying, says, sends
from tests.support.projects import needs, write
from tests.support.terminal import said_at_a_terminal

TEXTS: dict[str, str] = {
    "a cleared screen": "\x1b[2J\x1b[H",
    "a colour": "\x1b[31mfailed",
    "a colour by one character": "\x9b31mfailed",
    "a title": "\x1b]0;pwned\x07",
    "a title that does not end": "\x1b]0;pwned",
    "the clipboard": "\x1b]52;c;cHduZWQ=\x1b\\",
    "a link": "\x1b]8;;https://pwned.example\x1b\\here\x1b]8;;\x1b\\",
    "a title by one character": "\x9d0;pwned\x9c",
    "a device control string": "\x1bP$q\x1b\\",
    "an application's string": "\x1b_pwned\x1b\\",
    "a report of the cursor": "\x1b[6n",
    "another character set": "\x1b(0\x0e",
    "a sequence within a sequence": "\x1b\x1b[0m[2J",
    "a bell": "\x07",
    "backspaces": "no\b\bok",
    "a line that is overwritten": "bad\rgood",
    "an erased line": "\x1b[1A\x1b[2K\rerror: pwned",
    "a form feed and a vertical tab": "\f\v",
    "a next line": "\x85error: pwned",
    "a line separator": "\u2028error: pwned\u2029",
    "NUL and DEL": "\0\x7f",
    "letters from right to left": "\u202egpj.sh",
    "isolated letters": "\u2066a\u2069\u200f\u061c",
    "invisible letters": "do\u200bcker\u2060\ufeff",
    "letters of tags": "a\U000e0041\U000e007f",
    "bytes that are no text": "\udc9b2J\udcff",
    "an error": "no\nerror: pwned",
    "a next step": "no\n  next: pwned",
    "a next step after two line ends": "no\r\n\r\n  next: pwned",
    "a line of the doctor": "no\n         next: pwned",
}
EVERYTHING = "".join(TEXTS.values())
IN_UTF_8 = EVERYTHING.encode(errors="ignore").decode()
ON_ONE_LINE = IN_UTF_8.translate({ord(letter): None for letter in "\n\r\v\f\x85\u2028\u2029\0"})
NAME = "\x1b[2J\x9b31m\u202egpj\b\rx"  # of a file
OURS = ("\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m")


def check(said: str) -> None:
    """That nothing of it does anything to a terminal, or looks like a message of this program."""
    odd = {letter for letter in said if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n", "\t"}
    assert not odd, said
    assert not re.search(r"^\s*(error|next): pwned", said, re.MULTILINE), said
    said.encode()


def outcome(text: str) -> Outcome[object]:
    return Outcome(name=text, error=BuildError(text, hint=text))


def examined(console: Console, text: str) -> None:
    with pytest.raises(Incomplete):
        doctor.examined(console, [Finding(level="bad", what=text, detail=text, fix=text)])


OUTPUTS: dict[str, Callable[[Console, str], None]] = {
    "a line": lambda console, text: console.line(f"  {text}"),
    "a step": lambda console, text: console.step(1, text),
    "a beginning": lambda console, text: console.on_start(text),
    "a colour": lambda console, text: console.line("  ", console.good(text), console.bad(text)),
    "a table": lambda console, text: console.table((text, "B"), ((text, text),)),
    "a document": lambda _console, text: json_document({text: [text]}),
    "refusals": lambda console, text: console.refusals([Refusal(source=text, reason=text)]),
    "a reason": lambda console, text: console.reason(Unavailable(text, [Refusal(source=text, reason=text)])),
    "another reason": lambda console, text: console.reason(BuildError(text)),
    "hints": lambda console, text: console.hints([outcome(text)]),
    "a failure": lambda _console, text: failure(BuildFailed(f"web: {text}", hint=text)),
    "findings": examined,
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("attack", TEXTS)
def test_every_output_shows_it_harmlessly(
    attack: str, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    OUTPUTS[output](Console(Settings.load(tmp_path, environ={})), TEXTS[attack])
    printed = capsys.readouterr()
    assert printed.out + printed.err
    check(printed.out + printed.err)


@pytest.mark.parametrize("attack", TEXTS)
def test_json_is_harmless_and_has_the_text(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    json_document({"name": TEXTS[attack]})
    printed = capsys.readouterr().out
    check(printed)
    assert json.loads(printed) == {"name": TEXTS[attack]}


@pytest.mark.parametrize("attack", TEXTS)
def test_so_is_the_end_of_a_log(attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(f"#1 building\n{TEXTS[attack]}\n#1 ERROR\n".encode(errors="surrogateescape"))
    failure(BuildFailed(f"web cannot be built:\n{tail(log)}", hint=f"its log: {log}"))
    printed = capsys.readouterr().err
    check(printed)
    assert printed.startswith("error: web cannot be built:\n  | #1 building\n  | ")
    assert printed.endswith(f"\n  | #1 ERROR\n  next: its log: {log}\n")


def test_a_picture_has_lines_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Console(Settings.load(tmp_path, environ={})).text("web\n  depends on base")
    assert capsys.readouterr().out == "web\n  depends on base\n"


def test_output_that_takes_ascii_alone_takes_it(project: Path) -> None:
    write(project, {"compose.yaml": json.dumps({"services": {"web": {"build": "src/web", "profiles": [NAME]}}})})
    ran = run(project, "services", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert "Traceback" not in ran.said
    assert ran.said.isascii()


# whole commands


ERRORS = json.dumps({"errors": [{"code": "X", "message": IN_UTF_8, "detail": IN_UTF_8}]})
FROM_REGISTRIES: dict[str, tuple[str, Lie]] = {
    "an error": ("manifest", says("500 No", ERRORS, "Content-Type: application/json")),
    "a reason phrase": ("manifest", says(f"500 {ON_ONE_LINE}")),
    "a body that is no JSON": ("manifest", says("403 Forbidden", IN_UTF_8)),
    "a media type": ("manifest", says("200 OK", "{}", f"Content-Type: {ON_ONE_LINE}")),
    "a media type of a manifest": ("manifest", gives(json.dumps({"mediaType": IN_UTF_8, "layers": []}))),
    "a platform": (
        "manifest",
        gives(
            json.dumps(
                {
                    "mediaType": "application/vnd.oci.image.index.v1+json",
                    "manifests": [
                        {**GOOD.manifest.descriptor.to_json(), "platform": {"os": IN_UTF_8, "architecture": "\x1b[2J"}}
                    ],
                }
            )
        ),
    ),
    "a redirect": ("config", says("307 Go", b"", f"Location: https://{ON_ONE_LINE}/")),
    "a coding": ("manifest", says("200 OK", b"{}", TYPE, f"Content-Encoding: {ON_ONE_LINE}")),
    "a challenge": ("manifest", says("401 No", b"", f'WWW-Authenticate: Bearer realm="{ON_ONE_LINE}"')),
    "no HTTP": ("manifest", sends(IN_UTF_8.encode())),
    "a header that is none": ("manifest", sends(head("200 OK", ON_ONE_LINE))),
    "a token server's error": ("token", says("403 No", ERRORS)),
}


@pytest.mark.parametrize("attack", FROM_REGISTRIES)
def test_what_a_registry_says_is_shown_harmlessly(attack: str, project: Path) -> None:
    at, lie = FROM_REGISTRIES[attack]
    with lying(GOOD, at=at, lie=lie) as registry:
        needs(project, "web", f"{registry.host}/a:1")
        quick = {"DOCKER_HOST": NOWHERE, "HOME": str(project), "STALL_SECONDS": "1", "TRIES": "1"}
        ran = run(project, "deps-save", **quick)
    assert ran.code == 1, ran.said
    assert registry.host in ran.said
    assert "Traceback" not in ran.said
    check(ran.said)


def services(**entries: object) -> dict[str, str]:
    return {"compose.yaml": json.dumps({"services": entries}, ensure_ascii=True)}


REPOSITORIES: dict[str, dict[str, str]] = {
    "the name of a service": services(**{IN_UTF_8: {"build": "."}}),
    "an image": services(web={"image": IN_UTF_8}),
    "a profile": services(web={"image": "redis:7", "profiles": [IN_UTF_8]}),
    "an unknown key": services(web={"build": {IN_UTF_8: 1}}),
    "a variable": services(web={"image": "${A:?" + IN_UTF_8.replace("}", "") + "}"}),
    "a dependency": services(web={"build": {"context": "src/web", "x-build-with": [IN_UTF_8]}}),
    "the name of a file that is included": {"compose.yaml": json.dumps({"include": [IN_UTF_8.replace("\0", "")]})},
    "an instruction": {"src/web/Dockerfile": f"FROM scratch\n{ON_ONE_LINE} x\n"},
    "an image in a Dockerfile": {"src/web/Dockerfile": f"FROM {ON_ONE_LINE.replace(' ', '')}\n"},
    "a name of a directory": {f"src/{NAME}/Dockerfile": "FROM redis:7\n"},
    "a name of a Dockerfile": {"compose.yaml": json.dumps({"services": {"web": {"build": {"dockerfile": NAME}}}})},
    "a setting": {".env": f"IMAGE_TAGG{NAME}=1\n{NAME}=1\n"},
}


@pytest.mark.parametrize("attack", REPOSITORIES)
@pytest.mark.parametrize("command", ["doctor", "services --json", "graph"])
def test_what_a_repository_says_is_shown_harmlessly(attack: str, command: str, project: Path) -> None:
    write(project, {"src/other/Dockerfile": "FROM redis:7\n", **REPOSITORIES[attack]})
    ran = run(project, *command.split(), DOCKER_HOST=NOWHERE, HOME=str(project), STALL_SECONDS="1")
    assert "Traceback" not in ran.said
    check(ran.said)


def engine_error(handler: Handler) -> None:
    """An engine that answers, and then fails in its own words."""
    if handler.path.endswith(("/version", "/_ping")):
        handler.say("200 OK", b'{"ApiVersion": "1.41", "Version": "20.10.24", "Os": "linux", "Arch": "amd64"}')
    else:
        handler.say("500 No", json.dumps({"message": IN_UTF_8}).encode(), "Content-Type: application/json")


@pytest.mark.parametrize("command", ["status", "prefetch", "build-all", "deps-inventory"])
def test_what_an_engine_says_is_shown_harmlessly(command: str, project: Path) -> None:
    needs(project, "web", "redis:7")
    with lying(at="elsewhere", lie=engine_error) as engine:
        address = f"tcp://{engine.host}"
        ran = run(project, *command.split(), DOCKER_HOST=address, HOME=str(project), STALL_SECONDS="1", TRIES="1")
    assert ran.code == 1, ran.said
    assert r"\x1b[2J" in ran.said
    assert "Traceback" not in ran.said
    check(ran.said)


BUNDLES: dict[str, bytes] = {
    "an image": with_listing(lambda found: found["images"][0].update(image=IN_UTF_8)),  # type: ignore[index]
    "a source": with_listing(lambda found: found["images"][0].update(source=IN_UTF_8)),  # type: ignore[index]
    "a base": with_listing(lambda found: found.update(since=IN_UTF_8)),
    "a release": with_listing(lambda found: found.update(release=IN_UTF_8)),
    "a version": with_listing(lambda found: found.update(format=2, version=IN_UTF_8)),
    "a reason": with_listing(lambda found: found.update(missing={"a:1": IN_UTF_8})),
    "an image that is missing": with_listing(lambda found: found.update(missing={IN_UTF_8: "gone"})),
    "a file": with_one_more(header(NAME)),
}


@pytest.mark.parametrize("attack", BUNDLES)
@pytest.mark.parametrize("command", ["deps-verify", "deps-load --json"])
def test_what_a_bundle_says_is_shown_harmlessly(attack: str, command: str, project: Path) -> None:
    path = project / f"{NAME}.tar"
    path.write_bytes(BUNDLES[attack])
    ran = run(project, *command.split(), "-f", str(path), DOCKER_HOST=NOWHERE)
    assert ran.code == 1, ran.said
    assert "Traceback" not in ran.said
    assert ran.memory < MEMORY_LIMIT
    check(ran.said)


def test_what_a_builder_says_is_shown_harmlessly(
    backend: dict[str, str], project: Path, prefix: str, tiny: str
) -> None:
    needs(project, "web", tiny, "COPY said /", "RUN cat /said; false")
    (project / "src/web/said").write_bytes(f"{EVERYTHING}\n\x1b[2J\n".encode(errors="surrogateescape"))
    ran = run(project, "build-all", IMAGE_PREFIX=prefix, **backend)
    assert ran.code == 1, ran.said
    assert r"\x1b[2J" in ran.said
    assert "Traceback" not in ran.said
    check(ran.said)
    assert "\x1b[2J" in (project / ".build/logs/web.log").read_text(errors="replace")
    page = (project / ".build/report.html").read_text()
    assert r"\x1b[2J" in page
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


# at a terminal


def test_at_a_terminal_there_are_our_colours_and_no_others(project: Path) -> None:
    write(project, {"src/other/Dockerfile": "FROM redis:7\n", **REPOSITORIES["the name of a service"]})
    environment = {"PROJECT_ROOT": str(project), "HOME": str(project), "DOCKER_HOST": NOWHERE}
    code, said = said_at_a_terminal("doctor", **environment)
    assert code == 1
    assert f"\n{OURS[1]}bad    {OURS[3]}" in said
    assert f"{OURS[1]}failed" not in said
    for ours in OURS:
        said = said.replace(ours, "")
    check(said)


def test_at_a_terminal_a_registry_says_it_harmlessly(project: Path) -> None:
    at, lie = FROM_REGISTRIES["an error"]
    with lying(GOOD, at=at, lie=lie) as registry:
        needs(project, "web", f"{registry.host}/a:1")
        environment = {"PROJECT_ROOT": str(project), "HOME": str(project), "DOCKER_HOST": NOWHERE, "TRIES": "1"}
        code, said = said_at_a_terminal("deps-save", **environment)
    assert code == 1
    assert registry.host in said
    for ours in OURS:
        said = said.replace(ours, "")
    check(said)
