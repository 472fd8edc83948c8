"""Recordings as plain files: where they are, what is left out, and that nothing else is touched."""

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from build_lib import state
from build_lib.downloads import Download, Exported, Recording, Store, export
from build_lib.downloads.places import TOPS, apt_hosts, link, place
from build_lib.errors import BuildError, SettingsError
from build_lib.settings import Settings
from tests.support.recordings import AT, SIMPLE, download, put, recording, served

BASE = "http://hub.example/mirror"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings.load(tmp_path, environ={}))


def exported(store: Store, top: Path, *recordings: Recording, base: str = BASE, dry: bool = False) -> Exported:
    done = export(recordings, store, top, dict(os.environ), base=base, dry=dry)
    assert done is not None
    return done


def files(top: Path) -> dict[str, bytes]:
    """The files of an exported directory but those that each one has."""
    own = {"index.html", "mirror.css", ".build-lib-mirror"}
    found = {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if name not in own}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://pypi.org/simple/six/", "pypi/simple/six/index.html"),
        ("https://registry.npmjs.org/@types%2fms", "npm/@types/ms"),
        ("https://registry.npmjs.org/a/-/a-1.tgz", "npm/a/-/a-1.tgz"),
        ("https://proxy.golang.org/github.com/!burnt!sushi/toml/@v/list", "go/github.com/!burnt!sushi/toml/@v/list"),
        ("http://deb.debian.org/debian/pool/libstdc%2b%2b.deb", "apt/deb.debian.org/debian/pool/libstdc++.deb"),
        ("http://files.example/a", "http/files.example/a"),
        ("https://user:secret@Files.Example:8443/a%20b//c?x=1#y", "https/files.example:8443/a b/c"),
        ("https://[::1]:8443/a", "https/[::1]:8443/a"),
        ("https://files.example", "https/files.example/index.html"),
        ("https://files.example/dir/", "https/files.example/dir/index.html"),
    ],
)
def test_a_url_has_a_place(url: str, path: str) -> None:
    assert "/".join(place(url, {"deb.debian.org"})) == path


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/../../etc/passwd",
        "https://files.example/a/%2e%2e/b",
        "https://registry.npmjs.org/..%2f..%2fetc",
        "https://files.example/a%00b",
        "https://../a",
        "https://./a",
        "https:///a",
        "https://a'b.example/x",
        "https://a b/x",
        "https://[",
        f"https://files.example/{'x' * 256}",
        "ftp://files.example/a",
        "",
    ],
)
def test_a_url_that_can_be_no_file_is_left_out_by_name(url: str, store: Store, tmp_path: Path) -> None:
    good = download(store, "https://files.example/good", "good")
    done = exported(store, tmp_path / "out", recording(download(store, url, "x"), good))
    assert [item.url for item in done.left_out] == [url]
    assert files(tmp_path / "out") == {"https/files.example/good": b"good"}


@given(url=st.from_regex(r"(https?://[a-z.]{0,5}(/|%2[fe]|\.|%00|[a-z?#:@])*)", fullmatch=True))
def test_no_place_leads_elsewhere(url: str) -> None:
    try:
        parts = place(url, ())
    except ValueError:
        return
    assert parts[0] in TOPS
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part or "\0" in part for part in parts)


def test_archives_of_apt_are_told_by_their_indexes(store: Store) -> None:
    urls = ("http://deb.example/debian/dists/x/InRelease", "http://files.example/a.deb", "https://s.example/Release")
    asked = download(store, "http://other.example/pool/a.deb", "a", kind="apt")
    assert apt_hosts([*(download(store, url, url) for url in urls), asked]) == {"deb.example", "other.example"}


def test_a_link_is_relative_and_quoted() -> None:
    page = ("pypi", "simple", "x", "index.html")
    assert link(("https", "f.example", "a b", "x%2B.whl"), page) == "../../../https/f.example/a%20b/x%252B.whl"
    assert link(("pypi", "simple", "y", "index.html"), page) == "../../../pypi/simple/y/"


PAGE: dict[str, Any] = {
    "meta": {"api-version": "1.1"},
    "name": "x",
    "files": [
        {
            "filename": "x-1.whl",
            "url": "../../files/x-1.whl",
            "hashes": {"md5": "00", "sha256": "ab"},
            "requires-python": ">=3.9",
            "core-metadata": {"sha256": "cd"},
            "yanked": "it <fails>",
        },
        {"filename": "x-2.whl", "url": "https://f.example/x-2.whl", "hashes": {}, "core-metadata": {"sha256": "ef"}},
        {"filename": "x-3.whl", "url": "https://f.example/x-3.whl", "hashes": {}},
    ],
}


def test_a_page_of_pypi_lists_what_is_there(store: Store, tmp_path: Path) -> None:
    """As HTML, which is the one form that a server of files can give, with links to what is there."""
    page = download(store, "https://pypi.org/simple/x/", json.dumps(PAGE), kind="pypi", content_type=SIMPLE)
    urls = ("https://pypi.org/files/x-1.whl", "https://pypi.org/files/x-1.whl.metadata", "https://f.example/x-2.whl")
    exported(store, tmp_path / "out", recording(page, *(download(store, url, url) for url in urls)))
    text = files(tmp_path / "out")["pypi/simple/x/index.html"].decode()
    assert text.splitlines()[4:-1] == [
        '<a href="../../../https/pypi.org/files/x-1.whl#sha256=ab" data-requires-python="&gt;=3.9" '
        'data-core-metadata="sha256=cd" data-dist-info-metadata="sha256=cd" data-yanked="it &lt;fails&gt;">'
        "x-1.whl</a><br>",
        '<a href="../../../https/f.example/x-2.whl">x-2.whl</a><br>',
    ]


def test_pages_of_several_builds_are_one(store: Store, tmp_path: Path) -> None:
    """A mirror in front of PyPI has links of its own, which count from where the page was."""

    def page(name: str, source: str) -> Download:
        text = f'<base href="."><a href="f/{name}#sha256=ab" data-requires-python="">{name}</a>'
        return download(store, "https://pypi.org/simple/x/", text, kind="pypi", content_type="text/html", source=source)

    one = recording(page("x-1.whl", "https://m.example/x/"), download(store, "https://m.example/x/f/x-1.whl", "1"))
    two = recording(
        page("x-2.tar.gz", "https://pypi.org/simple/x/"),
        download(store, "https://pypi.org/simple/x/f/x-2.tar.gz", "2"),
        service="api",
    )
    exported(store, tmp_path / "out", one, two)
    text = files(tmp_path / "out")["pypi/simple/x/index.html"].decode()
    assert 'href="../../../https/m.example/x/f/x-1.whl#sha256=ab"' in text
    assert 'href="../../../pypi/simple/x/f/x-2.tar.gz#sha256=ab"' in text


def packument(*versions: str) -> str:
    of = {name: {"dist": {"tarball": f"https://registry.npmjs.org/a/-/a-{name}.tgz"}} for name in versions}
    return json.dumps({"name": "a", "dist-tags": {"latest": versions[-1], "old": versions[0]}, "versions": of})


def test_documents_of_npm_have_whole_addresses_of_what_is_there(store: Store, tmp_path: Path) -> None:
    def of(text: str) -> Download:
        return download(store, "https://registry.npmjs.org/a", text, kind="npm", content_type="application/json")

    tarballs = [download(store, f"https://registry.npmjs.org/a/-/a-{name}.tgz", name, kind="npm") for name in "12"]
    older = recording(of(packument("1", "2")), *tarballs)
    newer = recording(of(packument("2", "3")), service="api", at="2026-11-30T10:00:00+00:00")
    exported(store, tmp_path / "out", older, newer)
    found = files(tmp_path / "out")
    document = json.loads(found["npm/a/index.html"])
    assert {name: each["dist"]["tarball"] for name, each in document["versions"].items()} == {
        "1": f"{BASE}/npm/a/-/a-1.tgz",
        "2": f"{BASE}/npm/a/-/a-2.tgz",
    }
    assert document["dist-tags"] == {"old": "2"}
    assert found["npm/a/-/a-2.tgz"] == b"2"
    with pytest.raises(SettingsError, match="the one at which the directory will be served is needed"):
        exported(store, tmp_path / "other", older, base="")
    assert not (tmp_path / "other").exists()


def test_a_path_that_is_a_file_and_a_directory_is_both(store: Store, tmp_path: Path) -> None:
    urls = ("https://f.example/a", "https://f.example/a/b", "https://f.example/c", "https://f.example/c/")
    downloads = [download(store, url, url) for url in (*urls, "https://f.example/c/d")]
    done = exported(store, tmp_path / "out", recording(*downloads))
    with served(tmp_path / "out") as url:
        said = [requests.get(f"{url}/https/f.example/{path}", timeout=60).text for path in ("a", "a/b")]
    assert said == list(urls[:2])
    assert [text.partition(" is ")[0] for text in done.remarks] == ["https://f.example/a"]
    assert [(item.url, item.why) for item in done.left_out] == [
        ("https://f.example/c", "its path is a directory, too, which has an index")
    ]


def test_what_differs_in_the_query_alone_is_told(store: Store, tmp_path: Path) -> None:
    one, same, other = ("https://f.example/a?x=1", "https://f.example/a?x=2", "https://f.example/a?x=3")
    made = recording(download(store, other, "other"), download(store, same, "a"), download(store, one, "a"))
    done = exported(store, tmp_path / "out", made)
    assert [(item.url, item.why) for item in done.left_out] == [(other, f"a server of files takes it for {one}")]
    assert files(tmp_path / "out") == {"https/f.example/a": b"a"}


def test_of_one_url_the_content_of_the_newest_recording_is_used(store: Store, tmp_path: Path) -> None:
    url = "http://deb.example/dists/x/InRelease"
    newer = recording(download(store, url, "new"), service="api", at="2026-11-30T10:00:00+00:00")
    done = exported(store, tmp_path / "out", newer, recording(download(store, url, "old")))
    assert files(tmp_path / "out") == {"apt/deb.example/dists/x/InRelease": b"new"}
    assert done.remarks == (f"{url} was recorded with different content: the newest is used",)
    assert done.left_out == ()


def test_names_that_differ_by_case_alone_are_two_files(store: Store, tmp_path: Path) -> None:
    downloads = [download(store, f"https://f.example/{name}", name) for name in ("Readme", "README")]
    exported(store, tmp_path / "out", recording(*downloads))
    assert files(tmp_path / "out") == {"https/f.example/Readme": b"Readme", "https/f.example/README": b"README"}


def test_a_path_that_is_too_long_for_the_file_system_is_told(store: Store, tmp_path: Path) -> None:
    url = "https://f.example/" + "/".join(["x" * 200] * 30)
    done = exported(store, tmp_path / "out", recording(download(store, url, "x")))
    assert [item.why for item in done.left_out] == ["the file system does not take its name: File name too long"]


def test_damaged_and_missing_content_is_left_out(store: Store, tmp_path: Path) -> None:
    damaged, missing = (download(store, f"https://f.example/{name}", name) for name in ("damaged", "missing"))
    store.path(damaged.sha256).write_bytes(b"changed")
    store.path(missing.sha256).unlink()
    done = exported(store, tmp_path / "out", recording(damaged, missing))
    assert {item.url: item.why.split(":")[0] for item in done.left_out} == {
        damaged.url: "content does not match its digest",
        missing.url: "sha256",
    }
    assert files(tmp_path / "out") == {}


def test_what_came_encoded_is_told(store: Store, tmp_path: Path) -> None:
    made = [download(store, f"https://f.example/{name}", name) for name in ("a.html", "a.tar.gz")]
    encoded = [replace(item, headers=(("Content-Encoding", "gzip"),)) for item in made]
    done = exported(store, tmp_path / "out", recording(*encoded))
    assert [text.partition(" came encoded as gzip")[0] for text in done.remarks] == ["https://f.example/a.html"]


def test_json_of_other_programs_is_a_file(store: Store, tmp_path: Path) -> None:
    text = '{"name": "a",  "dist": {"tarball": "https://f.example/x"}}'
    url = "https://api.github.com/repos/a"
    exported(store, tmp_path / "out", recording(download(store, url, text, content_type="application/json")))
    assert files(tmp_path / "out") == {"https/api.github.com/repos/a": text.encode()}


def test_git_clones_from_an_exported_repository(store: Store, tmp_path: Path) -> None:
    work = tmp_path / "work"
    identity = ("-c", "user.name=x", "-c", "user.email=x@y.example")
    git("init", "--quiet", "--initial-branch=trunk", str(work))
    git("-C", str(work), *identity, "commit", "--quiet", "--allow-empty", "--message=one")
    git("-C", str(work), "branch", "main")
    git("-C", str(work), *identity, "commit", "--quiet", "--allow-empty", "--message=two")
    git("-C", str(work), "tag", "v2")
    git("-C", str(work), "bundle", "create", "--quiet", str(tmp_path / "bundle"), "--all", "HEAD")
    bundle = (tmp_path / "bundle").read_bytes()
    made = recording(
        download(store, "https://github.com/a/b.git", bundle, kind="git"),
        download(store, "https://github.com/a/b.git/releases/x", "x"),
        download(store, "https://github.com/a/slash/", bundle, kind="git"),
        download(store, "https://github.com/a/broken.git", b"no bundle", kind="git"),
    )
    done = exported(store, tmp_path / "out", made)
    [broken] = done.left_out
    assert broken.why.startswith("git does not read the recorded repository: ")
    with served(tmp_path / "out") as url:
        git("-c", f"url.{url}/https/github.com/.insteadOf=https://github.com/", "clone", "--quiet",
            "https://github.com/a/b.git", str(tmp_path / "clone"))  # fmt: skip
        git("clone", "--quiet", f"{url}/https/github.com/a/slash/", str(tmp_path / "other"))
    assert git("-C", str(tmp_path / "clone"), "log", "--format=%s %D").splitlines() == [
        "two HEAD -> trunk, tag: v2, origin/trunk, origin/HEAD",
        "one origin/main",
    ]
    text = b"".join(files(tmp_path / "out").values())
    assert str(tmp_path).encode() not in text


def git(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_an_export_replaces_an_earlier_one_and_nothing_else(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(store, out, recording(download(store, "https://f.example/a", "a")))
    inode = out.stat().st_ino
    (out / "robots.txt").write_text("theirs")
    (out / ".new-left-by-a-killed-run").mkdir()
    exported(store, out, recording(download(store, "http://g.example/b", "b")))
    assert files(out) == {"http/g.example/b": b"b", "robots.txt": b"theirs"}
    assert out.stat().st_ino == inode  # a container that has it as a volume goes on
    assert sorted(path.name for path in out.iterdir()) == [
        ".build-lib-mirror", "http", "index.html", "mirror.css", "robots.txt",
    ]  # fmt: skip


def test_any_user_may_read_it(store: Store, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        exported(store, tmp_path / "out", recording(download(store, "https://f.example/a/b", "b")))
    finally:
        os.umask(before)
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    done = exported(store, own, recording(download(store, "https://f.example/a/b", "b")))
    assert done.remarks == (f"a server of another user cannot read {own}: chmod a+rx {own}",)
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    for path in (tmp_path / "out", *(tmp_path / "out").rglob("*")):
        if path.name != ".build-lib-mirror":
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize("kind", ["directory", "file", "link", "mark"])
def test_what_is_no_earlier_export_is_refused_and_stays(kind: str, store: Store, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    if kind in ("directory", "mark"):
        out.mkdir()
        (out / "theirs").write_text("x")
    elif kind == "file":
        out.write_text("x")
    else:
        out.symlink_to(tmp_path / "nowhere")
    if kind == "mark":
        (out / ".build-lib-mirror").symlink_to(other)
    with pytest.raises(BuildError, match=r"is not empty, and|is no directory|is a symbolic link"):
        exported(store, out, recording(download(store, "https://f.example/a", "a")))
    assert not other.exists()
    assert not (tmp_path / "nowhere").exists()
    if kind != "link":
        assert (out / "theirs" if out.is_dir() else out).read_text() == "x"


def test_two_exports_at_once_do_not_meet(store: Store, tmp_path: Path) -> None:
    made = recording(download(store, "https://f.example/a", "a"))
    exported(store, tmp_path / "out", made)
    with (
        state.lock(tmp_path / "out/.build-lib-mirror", "downloads"),
        pytest.raises(BuildError, match="another downloads"),
    ):
        exported(store, tmp_path / "out", made)


def test_a_dry_export_writes_nothing(store: Store, tmp_path: Path) -> None:
    done = exported(store, tmp_path / "out", recording(download(store, "https://f.example/a", "abc")), dry=True)
    assert (done.files, done.size) == (1, 3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "base",
    [
        "hub.example",
        "ftp://hub.example",
        "http://",
        "http://u:p@hub.example",
        "http://h/a?b",
        "http://h/'x",
        "http://h|/",
    ],
)
def test_an_address_that_cannot_be_one_is_told(base: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--url is"):
        exported(store, tmp_path / "out", recording(), base=base)


def test_the_front_page_has_the_lines_for_what_is_there(store: Store, tmp_path: Path) -> None:
    release = "Origin: x\nValid-Until: Sat, 05 Dec 2026 10:00:00 UTC\nMD5Sum:\n"
    made = recording(
        download(store, "https://pypi.org/simple/x/", '<a href="x.whl">x</a>', content_type="text/html"),
        download(store, "http://deb.example/debian/dists/x/InRelease", release),
        download(store, "https://proxy.golang.org/a/@v/list", "v1.0.0\n", kind="go"),
    )
    exported(store, tmp_path / "out", made, base=f"{BASE}/")
    text = (tmp_path / "out/index.html").read_text()
    for line in (
        f"pip config set global.index-url {BASE}/pypi/simple\n",
        "pip config set global.trusted-host hub.example",
        f"s|http://deb.example/|{BASE}/apt/deb.example/|",
        "# from 2026-12-05 on",
        f"go env -w GOPROXY={BASE}/go GOSUMDB=off",
        "location /mirror/ {",
    ):
        assert line in text
    assert "npm config" not in text
    exported(store, tmp_path / "out", made, base="")
    assert "http://MIRROR/pypi/simple" in (tmp_path / "out/index.html").read_text()


def test_a_name_is_text_on_the_front_page(store: Store, tmp_path: Path) -> None:
    made = recording(download(store, "http://x.example/<script>/Release", "x"), at=AT)
    exported(store, tmp_path / "out", made)
    assert "<script" not in (tmp_path / "out/index.html").read_text()
    assert put(store, b"x") == made.downloads[0].sha256
