"""Files below `.build` that this program did not write: they are as if they were not there, and it is said once."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from build_lib import state
from build_lib.build import Records
from build_lib.errors import BuildError
from build_lib.machine import daemon, local_registry
from build_lib.reference import Reference
from build_lib.repository import discover
from build_lib.settings import Settings
from build_lib.transfer import prefetch
from tests.support.commands import run_inv
from tests.support.projects import needs

Forger = Callable[[Path], object]


def holds(text: str | bytes) -> Forger:
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


def a_directory(path: Path) -> None:
    path.mkdir()
    (path / "kept").write_text("kept")


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def a_device(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # like /dev/zero, which has no end


KEYS = (
    *("image", "begun", "unsure", "failed", "failed_at", "context", "files", "process", "began", "seconds", "images"),
    *("by", "pid", "born", "host", "Dockerfile"),
)


def with_values(value: object) -> Forger:
    return holds(json.dumps(dict.fromkeys(KEYS, value)))


FORGED: dict[str, Forger] = {
    "a list": holds("[]"),
    "a number": holds("1"),
    "a text": holds('"x"'),
    "lists within lists": holds("[" * 100_000 + "]" * 100_000),
    "objects within objects": holds('{"a":' * 50_000 + "1" + "}" * 50_000),
    "lists as values": with_values([[]]),
    "numbers as values": with_values(7.5),
    "objects as values": with_values({"a": 1}),
    "nulls within lists": with_values([None]),
    "half a character": with_values("\ud800"),
    "not UTF-8": holds(b'{"failed": "\xff"}'),
    "zeros": holds(bytes(100)),
    "half of it": holds('{"failed": "x'),
    "a number without end": holds("9" * 10_000),
    "a directory": a_directory,
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a device": a_device,
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
RECORDS: dict[str, tuple[str, Callable[[Settings], object]]] = {  # the file, and what reads it
    "the last build": ("services/web/last.json", lambda settings: dict(records(settings).last())),
    "the files of a build": ("services/web/files.json", lambda settings: records(settings).files({"context": "x"})),
    "the stamps": ("services/web/stamps.json", lambda settings: dict(records(settings).look(None).files)),
    "the last prefetch": ("prefetch.json", lambda settings: dict(prefetch.last(settings))),
    "why an image is missing": ("prefetch.json", lambda settings: prefetch.reasons(Reference.parse("a:1"), settings)),
    "the engine that was started": ("engine.json", lambda settings: daemon.down(settings, dry=True)),
    "the registry that was started": ("registry/process.json", local_registry.down),
}
COMMANDS = (("status",), ("build",), ("status", "--json"), ("build-all",), ("doctor",), ("clean", "--yes"))


def records(settings: Settings) -> Records:
    return Records(discover(settings).services["web"], settings)


@pytest.mark.parametrize("form", FORGED)
@pytest.mark.parametrize("record", RECORDS)
def test_a_record_of_another_form_is_as_if_it_were_not_there(
    record: str, form: str, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    needs(project, "web", "a:1")
    settings = Settings.load(project, environ={})
    name, read = RECORDS[record]
    expected = read(settings)
    (settings.state_dir / name).unlink(missing_ok=True)
    (settings.state_dir / name).parent.mkdir(parents=True, exist_ok=True)
    FORGED[form](settings.state_dir / name)
    assert read(settings) == expected
    [message, *_] = caplog.messages
    assert message.startswith(f"{settings.state_dir / name} is "), message


@pytest.mark.parametrize("form", FORGED)
def test_a_record_can_be_written_where_something_else_is(form: str, tmp_path: Path) -> None:
    own = tmp_path / ".build"
    own.mkdir()
    FORGED[form](own / "record.json")
    state.write(own / "record.json", {"a": 1})
    assert state.read(own / "record.json", {"a": int}) == {"a": 1}
    for path in own.glob(".record.json-*/kept"):
        assert path.read_text() == "kept"


def test_what_is_not_in_the_own_directory_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "report.xml").mkdir()
    with pytest.raises(BuildError, match=r"report\.xml cannot be written: Is a directory"):
        state.write_text(tmp_path / "report.xml", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.xml"]


@pytest.mark.parametrize("form", FORGED)
def test_a_lock_can_be_held_where_something_else_is(form: str, tmp_path: Path) -> None:
    own = tmp_path / ".build"
    own.mkdir()
    FORGED[form](own / "lock")
    with state.lock(own / "lock", "test"):
        pass
    with state.lock(own / "lock", "test"):
        pass


def test_a_file_where_records_need_a_directory_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / ".build").mkdir()
    (tmp_path / ".build/services").write_text("x")
    state.write(tmp_path / ".build/services/web/last.json", 1)
    assert state.read(tmp_path / ".build/services/web/last.json") == 1


FORGED_FILES = (
    *("services/web/last.json", "services/web/files.json", "services/web/stamps.json", "prefetch.json"),
    *("last-run.json", "report.html", "images", "engine.json", "registry/process.json", "build.lock"),
    *("copy-slurm.lock", "logs/web.log"),
)


@pytest.mark.parametrize("form", ["a list", "lists within lists", "not UTF-8", "a directory", "a pipe", "a device"])
def test_commands_work_with_forged_files(form: str, machine: Settings, tiny: str, prefix: str, project: Path) -> None:
    needs(project, "web", tiny, 'CMD ["/web"]')
    environment = {**machine.environment, "IMAGE_PREFIX": prefix}
    for command in COMMANDS:
        for name in FORGED_FILES:
            path = project / ".build" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            FORGED[form](path)
        done = run_inv(project, command, environment)
        assert "Traceback" not in done.stderr, done.stderr
        warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
        assert len(warnings) == len(set(warnings))
        assert done.returncode == 0 or command == ("doctor",), (command, done.stdout + done.stderr)
        if command == ("status",):
            assert any("services/web/last.json is " in line for line in warnings)
