"""RPM packages as rpmbuild makes them, read whole, and the index of them, as createrepo_c's own reader has it."""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from build_lib.errors import PackagesError
from build_lib.hub import rpm as rpm_file
from build_lib.hub import rpm_index

_NOW = 1_800_000_000


def test_an_index_lists_the_packages_with_their_hashes(rpm: Path) -> None:
    made = rpm_index.files({rpm.name: rpm}, now=_NOW, key=None, environment=os.environ)
    assert list(made)[-1] == rpm_index.REPOMD  # what names the others comes last
    assert f"<revision>{_NOW}</revision>".encode() in made[rpm_index.REPOMD]
    texts = {name: content for name, content in made.items() if rpm_index.is_index(name)}
    assert len(texts) == 2
    assert rpm_index.indexed(texts) == {rpm.name: hashlib.sha256(rpm.read_bytes()).hexdigest()}
    assert rpm_index.current(made[rpm_index.REPOMD]) == made.keys() - {rpm_index.REPOMD}


def test_the_same_packages_give_the_same_index(rpm: Path) -> None:
    first = rpm_index.files({rpm.name: rpm}, now=_NOW, key=None, environment=os.environ)
    again = rpm_index.files({rpm.name: rpm}, now=_NOW, key=None, environment=os.environ)
    assert again == first


def test_a_damaged_index_lists_nothing(rpm: Path) -> None:
    made = rpm_index.files({rpm.name: rpm}, now=_NOW, key=None, environment=os.environ)
    [primary] = [name for name in made if name.endswith("-primary.xml.gz")]
    for harmed in (
        {},
        {rpm_index.REPOMD: made[rpm_index.REPOMD]},
        {rpm_index.REPOMD: b"<no", primary: made[primary]},
        {rpm_index.REPOMD: made[rpm_index.REPOMD], primary: made[primary][:-30]},
        {rpm_index.REPOMD: made[rpm_index.REPOMD], primary: gzip.compress(b"<no")},
    ):
        assert rpm_index.indexed(harmed) == {}


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "changed inside": lambda content: content[:-40] + bytes(40),
    "truncated": lambda content: content[:-1],
    "longer": lambda content: content + b"x",
    "no payload": lambda content: content[:300],
    "only a lead": lambda content: content[:96],
    "garbage": lambda content: content[:3],
    "empty": lambda content: content[:0],
    "no header": lambda content: content[:96] + bytes(200),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_package_is_refused_by_name(damage: str, rpm: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.rpm"
    bad.write_bytes(DAMAGE[damage](rpm.read_bytes()))
    rpm_file.require_whole(rpm, rpm.name)
    with pytest.raises(PackagesError, match=r"^bad\.rpm is damaged: "):
        rpm_index.files({"bad.rpm": bad}, now=_NOW, key=None, environment=os.environ)


def test_without_the_library_the_command_that_installs_it_is_told_and_nothing_else_is_printed(rpm: Path) -> None:
    program = (
        "import importlib.util, os, sys; from pathlib import Path; from build_lib.hub import rpm_index\n"
        "if sys.argv[2:]: importlib.util.find_spec = lambda name: None\n"
        "try: rpm_index.files({'a.rpm': Path(sys.argv[1])}, now=1, key=None, environment=os.environ)\n"
        "except Exception as error: print(error, error.hint)\n"
    )
    with_it, without = (
        subprocess.run([sys.executable, "-c", program, str(rpm), *more], check=True, capture_output=True, text=True)
        for more in ([], ["hidden"])
    )
    assert (with_it.stdout, with_it.stderr) == ("", "")
    assert "createrepo_c is not installed" in without.stdout
    assert f"{sys.executable} -m pip install createrepo_c" in without.stdout
