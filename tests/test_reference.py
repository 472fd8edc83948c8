import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from build_lib.errors import InvalidReference
from build_lib.reference import PrivateRegistry, Reference

DIGEST = "sha256:" + "0123456789abcdef" * 4

hosts = st.sampled_from(
    ["docker.io", "quay.io", "host:5000", "localhost", "localhost:5000", "MyName", "[::1]:5000", "h.example", "h_1"]
)
components = st.from_regex(r"[a-z0-9]{1,6}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
paths = st.lists(components, min_size=1, max_size=3).map("/".join)
tags = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True)
digests = st.none() | st.just(DIGEST)


@st.composite
def references(draw: st.DrawFn) -> str:
    host = draw(st.none() | hosts.filter(lambda host: "_" not in host))
    text = draw(paths) if host is None else f"{host}/{draw(paths)}"
    tag, digest = draw(tags), draw(digests)
    text += (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    assume(_is_reference(text))  # a first component with a dot and an underscore is an impossible host
    return text


def _is_reference(text: str) -> bool:
    try:
        Reference.parse(text)
    except InvalidReference:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "canonical", "short"),
    [
        ("redis", "docker.io/library/redis:latest", "redis:latest"),
        ("redis:7-alpine", "docker.io/library/redis:7-alpine", "redis:7-alpine"),
        ("docker.io/library/redis", "docker.io/library/redis:latest", "redis:latest"),
        ("index.docker.io/redis", "docker.io/library/redis:latest", "redis:latest"),
        ("minio/minio:latest", "docker.io/minio/minio:latest", "minio/minio:latest"),
        ("host:5000/x", "host:5000/x:latest", "host:5000/x:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest"),
        ("myName/x:1", "myName/x:1", "myName/x:1"),
        (f"a:b@{DIGEST}", f"docker.io/library/a:b@{DIGEST}", f"a:b@{DIGEST}"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}"),
    ],
)
def test_names_are_read_as_the_engine_reads_them(text: str, canonical: str, short: str) -> None:
    assert Reference.parse(text).canonical == canonical
    assert str(Reference.parse(text)) == short


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Redis",
        "{{IMAGE}}",
        "a b",
        "a:",
        ":a",
        "a//b",
        "a/",
        "/a",
        "a@sha256:12",
        "a" * 256,
        "a:" + "t" * 129,
        "0" * 64,
        "a_-b",
        "-a",
        "host_x.y/a",
        "[zz]/a",
        "[:::::::::]:1/a",
        "a@md5:" + "0" * 32,
        "a\n",
        "http://a/b",
    ],
)
def test_what_is_no_reference_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert repr(text)[1:30] in caught.value.message


@given(references())
def test_parse_and_print_are_inverse(text: str) -> None:
    once = Reference.parse(text)
    assert Reference.parse(str(once)) == once
    assert Reference.parse(once.canonical) == once


@given(st.text(max_size=40))
def test_nothing_invalid_gets_through(text: str) -> None:
    try:
        found = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(found.canonical) == found


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("redis:7-alpine", "harbor.example/aihpc/redis:7-alpine"),
        ("docker.io/library/redis:7-alpine", "harbor.example/aihpc/redis:7-alpine"),
        ("minio/minio:latest", "harbor.example/aihpc/minio/minio:latest"),
        ("quay.io/a/b:1", "harbor.example/aihpc/quay.io/a/b:1"),
        ("host:5000/a:1", "harbor.example/aihpc/host_5000/a:1"),
        ("harbor.example/aihpc/own:1", "harbor.example/aihpc/own:1"),
        ("harbor.example/other/own:1", "harbor.example/aihpc/harbor.example/other/own:1"),
    ],
)
def test_an_image_has_its_own_path_in_the_private_registry(image: str, place: str) -> None:
    assert str(PrivateRegistry.parse("harbor.example/aihpc/").place(Reference.parse(image))) == place


@given(references(), references())
def test_two_images_never_meet_in_the_private_registry(one: str, other: str) -> None:
    registry = PrivateRegistry.parse("harbor.example/aihpc")
    first, second = Reference.parse(one), Reference.parse(other)
    placed = registry.place(first)
    assert Reference.parse(str(placed)) == placed
    if placed == registry.place(second):
        assert _place_and_port(first) == _place_and_port(second)


def _place_and_port(image: Reference) -> tuple[str, ...]:
    """Hosts that differ in case alone, or in a port that https has anyway, are the same place."""
    host = image.host.lower()
    is_bare = "." not in host and ":" not in host and host != "localhost"
    return (f"{host}:443" if is_bare else host, image.path, image.tag or "", image.digest or "")


@pytest.mark.parametrize("text", ["", "http://harbor.example", "harbor.example/Upper", "a b", "h/../x", "h//x"])
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        PrivateRegistry.parse(text)


@given(text=references(), registry=st.sampled_from(["h.example", "h.example/p", "h.example/p/q"]))
@example(text="build_lib/downloads:v1", registry="h.example/p")
@example(text="docker.io/build_lib/downloads:v1", registry="h.example")
@example(text="build-lib/downloads:v1", registry="h.example")
@example(text="build:5000/downloads:v1", registry="h.example/p")
@example(text="Lib/downloads:v1", registry="h.example/p")
def test_no_image_gets_the_name_of_the_downloads(text: str, registry: str) -> None:
    private = PrivateRegistry.parse(registry)
    downloads = private.downloads("v1")
    assert private.place(Reference.parse(text)).repository != downloads.repository
    assert Reference.parse(str(downloads)) == downloads
