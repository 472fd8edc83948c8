"""The files of an image as its layers have them: by cases, beside a simple model, and beside an engine."""

import gzip
import io
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from build_lib.engine import Engine
from build_lib.errors import RegistryError
from build_lib.fleet.image_files import ImageFiles, unpack
from build_lib.hub import Files
from build_lib.reference import Reference
from build_lib.registry import Registries
from build_lib.settings import Settings
from tests.support import images
from tests.support.outcomes import outcome
from tests.support.registries import Registry

TAR = "application/vnd.oci.image.layer.v1.tar"
FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
Entry = tuple[str, bytes, str]  # name, type, content or target


def directory(name: str) -> Entry:
    return name, tarfile.DIRTYPE, ""


def file(name: str, content: str = "") -> Entry:
    return name, FILE, content


def link(name: str, target: str) -> Entry:
    return name, LINK, target


def hard(name: str, target: str) -> Entry:
    return name, HARD, target


def tar(entries: Iterable[Entry]) -> bytes:
    """An uncompressed layer."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as made:
        for name, kind, text in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
            if kind == FILE:
                info.size = len(text.encode())
            else:
                info.linkname = text
            made.addfile(info, io.BytesIO(text.encode()))
    return archive.getvalue()


def opened(place: Path, *layers: Iterable[Entry]) -> ImageFiles:
    paths = [place / str(number) for number in range(len(layers))]
    for path, entries in zip(paths, layers, strict=True):
        path.write_bytes(tar(entries))
    return ImageFiles(paths)


def below(files: Files, path: str) -> dict[str, str]:
    """What is below a directory: content of files, `-> target` for links, "/" for directories."""
    found = {}
    for info, content in files.files(path):
        name = info.name.partition("/")[2]
        found[name] = content.read().decode() if content else f"-> {info.linkname}" if info.issym() else "/"
    return found


def test_a_later_layer_replaces_and_removes(tmp_path: Path) -> None:
    low = [directory("out"), file("out/a", "1"), file("out/b", "1"), directory("out/old"), file("out/old/c", "1")]
    high = [file("out/a", "2"), file("out/.wh.b"), file("out/old/.wh..wh..opq"), file("out/old/d", "2")]
    with opened(tmp_path, low, high) as files:
        assert below(files, "/out") == {"": "/", "a": "2", "old": "/", "old/d": "2"}
        assert files.entry("/out/b") is None


def test_a_whiteout_hides_nothing_of_its_own_layer(tmp_path: Path) -> None:
    with opened(tmp_path, [file("out/a", "1")], [file("out/a", "2"), file("out/.wh.a")]) as files:
        assert below(files, "/out") == {"": "/", "a": "2"}


def test_a_directory_that_becomes_a_file_loses_what_was_in_it(tmp_path: Path) -> None:
    layers = [[file("out/a/b", "1")], [file("out/a", "2")], [directory("out/a"), file("out/a/c", "3")]]
    with opened(tmp_path, *layers) as files:
        assert below(files, "/out") == {"": "/", "a": "/", "a/c": "3"}


def test_links_are_followed_to_a_directory_and_told_within_it(tmp_path: Path) -> None:
    low = [file("srv/pkgs/a", "1"), link("srv/pkgs/b", "a"), link("absolute", "/srv"), link("srv/relative", "../srv")]
    with opened(tmp_path, low) as files:
        assert below(files, "/absolute/relative/pkgs") == {"": "/", "a": "1", "b": "-> a"}
        assert below(files, "/absolute/../absolute/pkgs")["a"] == "1"
        found = files.entry("/absolute/pkgs/b")
        assert found is not None
        assert found.linkname == "a"


def test_a_link_out_of_the_image_stays_in_it(tmp_path: Path) -> None:
    with opened(tmp_path, [file("srv/a", "1"), link("out", "../../../srv")]) as files:
        assert below(files, "/out") == {"": "/", "a": "1"}


def test_an_entry_below_a_link_is_where_the_link_leads(tmp_path: Path) -> None:
    with opened(tmp_path, [link("lib", "usr/lib")], [file("lib/a", "1")], [file("lib/.wh.b")]) as files:
        assert below(files, "/usr/lib") == {"": "/", "a": "1"}
        found = files.entry("/lib")
        assert found is not None
        assert found.issym()


def test_a_hard_link_has_the_content_of_its_file_which_may_be_gone(tmp_path: Path) -> None:
    low = [file("build/a.deb", "content"), hard("out/a.deb", "build/a.deb"), hard("out/b.deb", "/out/a.deb")]
    with opened(tmp_path, low, [file(".wh.build")]) as files:
        assert below(files, "/out") == {"": "/", "a.deb": "content", "b.deb": "content"}


def test_a_hard_link_to_nothing_is_no_regular_file(tmp_path: Path) -> None:
    with opened(tmp_path, [hard("out/a.deb", "nothing")]) as files:
        [found] = [content for info, content in files.files("/out") if info.name == "out/a.deb"]
        assert found is None


@pytest.mark.parametrize("name", ["../../out/a", "/out/a", "./out/a", "out/x/../a", "//out//a"])
def test_no_name_leads_out_of_the_image(tmp_path: Path, name: str) -> None:
    with opened(tmp_path, [file(name, "1")]) as files:
        assert below(files, "/out") == {"": "/", "a": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize("layer", [[link("a", "a")], [link("a", "b"), link("b", "/a")], [link("a", "a/a")]])
def test_a_circle_of_links_is_an_error(tmp_path: Path, layer: list[Entry]) -> None:
    with (
        opened(tmp_path, layer) as files,
        pytest.raises(RegistryError, match=r"^/a in the image is a circle of links$"),
    ):
        list(files.files("/a"))


def test_an_entry_below_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"^/a in the image is a circle of links$"):
        opened(tmp_path, [link("a", "a")], [file("a/b", "1")]).__enter__()


def test_nothing_is_below_what_is_not_there(tmp_path: Path) -> None:
    with opened(tmp_path, [file("a", "1")]) as files:
        assert [*files.files("/out")] == []
        assert files.entry("/out/of/a") is None


def test_very_deep_directories_are_read(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 3000)
    with opened(tmp_path, [file(f"out/{deep}/a", "1")]) as files:
        assert below(files, "/out")[f"{deep}/a"] == "1"


def test_many_files_are_read_in_time_that_grows_with_their_number(tmp_path: Path) -> None:
    """With time that grows by the square, this would take many minutes."""
    with opened(tmp_path, [file(f"out/{number}") for number in range(50_000)]) as files:
        assert len(below(files, "/out")) == 50_001


PACKED: dict[str, Callable[[bytes], bytes]] = {
    f"{TAR}+gzip": lambda content: gzip.compress(content[:700]) + gzip.compress(content[700:]),
    f"{TAR}+zstd": lambda content: zstandard.compress(content[:700]) + zstandard.compress(content[700:]),
    "application/vnd.docker.image.rootfs.diff.tar.gzip": gzip.compress,
    TAR: lambda content: content,
}


@pytest.mark.parametrize("kind", PACKED)
def test_layers_are_unpacked(tmp_path: Path, kind: str) -> None:
    content = tar([file("out/a", "1"), file("out/b", "2" * 5000)])
    packed = PACKED[kind](content)
    unpack([packed], len(packed), tmp_path / "layer")
    assert (tmp_path / "layer").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


def readable(packed: bytes, place: Path) -> dict[str, str]:
    unpack([packed], len(packed), place / "layer")
    with ImageFiles([place / "layer"]) as files:
        return below(files, "/out")


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("size", [0, 1, 300, 600])
def test_a_truncated_layer_is_an_error(tmp_path: Path, kind: str, size: int) -> None:
    content = secrets.token_hex(2000)
    packed = PACKED[kind](tar([file("out/a", content)]))
    with pytest.raises(RegistryError, match=r"^a layer (of the image cannot be unpacked|is no tar archive): "):
        readable(packed[:size], tmp_path)


@settings(deadline=timedelta(seconds=5))
@given(kind=st.sampled_from(sorted(PACKED)), changes=st.dictionaries(st.integers(0, 3000), st.integers(0, 255)))
def test_a_damaged_layer_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, changes: dict[int, int]
) -> None:
    content = tar([directory("out"), file("out/a", "1"), link("out/b", "a"), hard("out/c", "out/a")])
    packed = bytearray(PACKED[kind](content))
    for at, value in changes.items():
        packed[at % len(packed)] = value
    place = tmp_path_factory.mktemp("damaged")
    found, said = outcome(lambda: readable(bytes(packed), place), RegistryError)
    assert found is not None or said


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
ENTRIES = st.one_of(
    st.builds(directory, NAMES),
    st.builds(file, NAMES, st.sampled_from(["1", "2", ""])),
    NAMES.map(lambda name: file(str(PurePosixPath(name).with_name(f".wh.{PurePosixPath(name).name}")))),
    NAMES.map(lambda name: file(f"{name}/.wh..wh..opq")),
)


def applied(tree: dict[str, str], layer: Sequence[Entry]) -> dict[str, str]:
    """The paths of an image with one more layer, the slow and simple way."""
    for name, _, _ in layer:
        path = PurePosixPath(name)
        hidden = str(path.with_name(path.name.removeprefix(".wh.")))
        if path.name == ".wh..wh..opq":
            tree = {other: text for other, text in tree.items() if not other.startswith(f"{path.parent}/")}
        elif path.name.startswith(".wh."):
            tree = {other: text for other, text in tree.items() if not f"{other}/".startswith(f"{hidden}/")}
    for name, kind, text in layer:
        path = PurePosixPath(name)
        if path.name.startswith(".wh."):
            continue
        tree |= {str(above): "/" for above in path.parents if str(above) != "."}
        if kind == FILE:
            tree = {other: old for other, old in tree.items() if not other.startswith(f"{name}/")}
        tree[name] = text if kind == FILE else "/"
    return tree


@given(layers=st.lists(st.lists(ENTRIES, max_size=6), max_size=4))
def test_layers_make_what_a_simple_model_makes(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[Entry]]
) -> None:
    layers = [[directory("top")], *([(f"top/{name}", kind, text) for name, kind, text in layer] for layer in layers)]
    expected: dict[str, str] = {}
    for layer in layers:
        expected = applied(expected, layer)
    with opened(tmp_path_factory.mktemp("layers"), *layers) as files:
        assert {f"top/{name}".strip("/"): text for name, text in below(files, "/top").items()} == expected
        for name in expected:
            assert files.entry(f"/{name}") is not None


REAL = [
    [
        directory("top"),
        file("top/a", "1"),
        file("top/b/c", "1"),
        link("top/lib", "usr"),
        file("top/usr/x", "1"),
        file("top/lib/y", "1"),
    ],
    [file("top/.wh.a"), file("top/usr/y", "2"), file("top/b/.wh..wh..opq"), file("top/b/d", "2")],
    [file("top/b/e", "3"), file("top/d/e/f", "3"), file("away/g", "3"), hard("top/g", "away/g")],
    [file("top/d", "4"), file(".wh.away"), link("top/h", "/nowhere"), directory("top/usr")],
]


def test_an_engine_makes_the_same_of_the_layers(
    tmp_path: Path, registry: Registry, engine: Engine, machine: Settings
) -> None:
    name = f"{registry.host}/blt/layers:1"
    with Registries(machine) as registries:
        images.write(registries, name, images.make([gzip.compress(tar(layer)) for layer in REAL]))
    subprocess.run(["docker", "pull", "--quiet", name], check=True, capture_output=True)
    try:
        with opened(tmp_path, *REAL) as files, engine.containers.temporary(name, owner="test") as container:
            found = below(files, "/top")
            assert found == below(container, "/top")
    finally:
        engine.images.remove(Reference.parse(name))
    assert (found["lib"], found["usr/y"]) == ("-> usr", "2")
