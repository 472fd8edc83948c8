"""The recorder, asked as builds ask it, with real servers behind it."""

import base64
import gzip
import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_lib.errors import BuildError
from tests.downloads.recorders import Client, Site, ask, items, told
from tests.support.page_servers import Asked, Page, Upstream, own_address, serving

CONTENT = bytes(range(256)) * 4096  # 1 MiB
ETAG = {"ETag": '"one"', "Content-Type": "application/gzip"}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with site.client() as made:
        yield made


def test_a_download_through_the_proxy_is_recorded(site: Site, client: Client, upstream: Upstream) -> None:
    upstream.pages["/x.tar.gz?v=1"] = Page(body=CONTENT, headers=ETAG)
    url = f"{upstream.url}/x.tar.gz?v=1"
    assert client.proxied(url).body == CONTENT
    [item] = items(client.seen())
    assert (item.url, item.kind, item.status, item.size) == (url, "http", 200, len(CONTENT))
    assert item.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert site.store.path(item.sha256).read_bytes() == CONTENT
    assert dict(item.headers) == ETAG
    assert item.source == f"{upstream.url}/x.tar.gz"


def test_what_is_asked_for_twice_is_fetched_once(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT)
    threads = [threading.Thread(target=client.proxied, args=(f"{upstream.url}/x",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.proxied(f"{upstream.url}/x").body == CONTENT
    assert len(upstream.asked) == 1
    [(_, moments)] = client.seen().downloads
    assert len(moments) == 5


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=1048570-99999999", slice(1048570, None)),
    ],
)
def test_ranges_are_answered_from_what_is_recorded_whole(
    client: Client, upstream: Upstream, asked: str, part: slice
) -> None:
    upstream.pages["/x"] = Page(body=CONTENT, headers=ETAG)
    got = client.proxied(f"{upstream.url}/x", Range=asked)
    assert (got.status, got.body) == (206, CONTENT[part])
    begin = part.indices(len(CONTENT))[0]
    assert got.headers["Content-Range"] == f"bytes {begin}-{begin + len(got.body) - 1}/{len(CONTENT)}"
    assert [item.size for item in items(client.seen())] == [len(CONTENT)]
    assert "Range" not in upstream.asked[0].headers


def test_a_range_that_is_not_there_and_one_of_other_content(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT, headers=ETAG)
    got = client.proxied(f"{upstream.url}/x", Range="bytes=2000000-")
    assert (got.status, got.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    assert client.proxied(f"{upstream.url}/x", Range="bytes=0-9", If_Range='"two"').body == CONTENT
    assert client.proxied(f"{upstream.url}/x", Range="bytes=0-9", If_Range='"one"').body == CONTENT[:10]


def test_a_client_that_has_the_content_gets_it_not_again(client: Client, upstream: Upstream) -> None:
    changed = "Sun, 29 Nov 2026 10:00:00 GMT"
    upstream.pages["/x"] = Page(body=CONTENT, headers=ETAG | {"Last-Modified": changed})
    url = f"{upstream.url}/x"
    assert client.proxied(url, If_None_Match='"zero", "one"').status == 200  # it has to be recorded first
    assert client.proxied(url, If_None_Match='W/"one"').status == 304
    assert client.proxied(url, If_None_Match="*").status == 304
    assert client.proxied(url, If_Modified_Since=changed).status == 304
    assert client.proxied(url, If_None_Match='"two"', If_Modified_Since=changed).body == CONTENT


def test_head_is_answered_as_get_would_be(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT, headers=ETAG)
    got = client.proxied(f"{upstream.url}/x", "HEAD")
    assert (got.status, got.body, got.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert len(items(client.seen())) == 1


def test_what_is_not_there_is_an_answer(site: Site, client: Client, upstream: Upstream) -> None:
    assert client.proxied(f"{upstream.url}/no").status == 404
    seen = client.seen()
    [item] = items(seen)
    assert (item.status, item.sha256, item.size) == (404, "", 0)
    with site.replayed(seen) as again:
        assert again.proxied(f"{upstream.url}/no").status == 404
        assert told(again.seen()) == []


def test_a_redirect_is_followed_and_recorded_as_what_was_asked_for(client: Client, upstream: Upstream) -> None:
    with serving() as other:
        other.pages["/signed?key=secret"] = Page(body=CONTENT)
        location = {"Location": f"{other.url}/signed?key=secret"}
        upstream.pages["/releases/x"] = Page(status=302, headers=location)
        got = client.mirrored(f"{upstream.url}/releases/x", Authorization="Bearer mine")
        assert got.body == CONTENT
        assert upstream.asked[0].headers["Authorization"] == "Bearer mine"
        assert "Authorization" not in other.asked[0].headers
        [item] = items(client.seen())
        assert (item.url, item.source) == (f"{upstream.url}/releases/x", f"{other.url}/signed")


def test_a_broken_download_is_resumed(client: Client, upstream: Upstream) -> None:
    page = Page(body=CONTENT, headers=ETAG)
    upstream.pages["/x"] = [Page(body=CONTENT, headers=ETAG, ends_at=300_000), page]
    assert client.proxied(f"{upstream.url}/x").body == CONTENT
    first, second = upstream.asked
    assert (second.headers["Range"], second.headers["If-Range"]) == ("bytes=300000-", '"one"')
    assert "Range" not in first.headers
    seen = client.seen()
    assert [item.size for item in items(seen)] == [len(CONTENT)]
    assert told(seen) == []


def test_a_broken_download_that_may_have_changed_is_not_put_together(
    site: Site, client: Client, upstream: Upstream
) -> None:
    other = Page(body=CONTENT[::-1], headers={"ETag": '"two"'})
    upstream.pages["/x"] = [Page(body=CONTENT, headers=ETAG, ends_at=300_000), other]
    with pytest.raises(Exception, match=r"IncompleteRead|reset"):
        client.proxied(f"{upstream.url}/x")
    seen = client.seen()
    assert items(seen) == ()
    [(kind, what, _)] = told(seen)
    assert (kind, what) == ("failed", f"{upstream.url}/x")
    assert [path for path in site.store.directory.rglob("*") if path.is_file()] == []


def test_an_error_of_a_server_that_passes_is_asked_again(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = [Page(status=503, headers={"Retry-After": "0"}), Page(body=CONTENT)]
    assert client.proxied(f"{upstream.url}/x").body == CONTENT
    assert len(upstream.asked) == 2


def test_an_error_of_a_server_that_stays_is_passed_on_and_not_recorded(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(status=403, body=b"no")
    got = client.proxied(f"{upstream.url}/x")
    assert (got.status, got.body) == (403, b"no")
    assert told(client.seen()) == [("failed", f"{upstream.url}/x", "403 Forbidden")]


def test_a_fault_of_the_recorder_itself_is_raised_at_the_end(site: Site, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT)
    with pytest.raises(FileNotFoundError):
        ask_without_content(site, f"{upstream.url}/x")


def ask_without_content(site: Site, url: str) -> None:
    """Ask for what somebody has taken out of the store since it was recorded."""
    with site.client() as client:
        client.proxied(url)
        [item] = items(client.seen())
        site.store.path(item.sha256).unlink()
        again = Client(client.recorder, site.service)
        with pytest.raises(http.client.IncompleteRead):
            again.proxied(url)


def test_certificates_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    site = Site(tmp_path / "site", REGISTRY_CA_FILE=str(tmp_path / "ca.pem"))
    with pytest.raises(BuildError, match=r"the certificates in .*ca\.pem cannot be read"), site.client():
        pass


def test_a_server_that_is_not_there_is_named(client: Client) -> None:
    with socket.create_server((own_address(), 0)) as taken:
        port = taken.getsockname()[1]
    got = client.proxied(f"http://{own_address()}:{port}/x")
    assert got.status == 502
    assert "Connect" in got.reason
    [(kind, _, _)] = told(client.seen())
    assert kind == "failed"


def test_what_is_sent_is_passed_on_and_noted(client: Client, upstream: Upstream) -> None:
    upstream.pages["/form?token=1"] = lambda asked: Page(body=asked.body[::-1])
    got = client.proxied(f"{upstream.url}/form?token=1", "POST", b"abc")
    assert got.body == b"cba"
    seen = client.seen()
    assert items(seen) == ()
    assert told(seen) == [("passed", f"{upstream.url}/form", "POST cannot be recorded")]


@pytest.mark.parametrize("form", ["http://{}", "http:/{}", "http%3A//{}", "http/{}"])
def test_any_url_after_the_mirror(client: Client, upstream: Upstream, form: str) -> None:
    upstream.pages["/x"] = Page(body=b"x")
    assert client.mirrored(f"{form.format(upstream.authority)}/x").body == b"x"
    assert [item.url for item in items(client.seen())] == [f"{upstream.url}/x"]


def test_pypi_by_a_mirror_of_the_repositorys_own(tmp_path: Path, upstream: Upstream) -> None:
    page = f'<a href="../../packages/six-1.0.whl#sha256=ab">six</a> <a href="{upstream.url}/other/six-2.0.whl">six</a>'
    upstream.pages["/root/simple/six/"] = Page(body=page.encode(), headers={"Content-Type": "text/html"})
    upstream.pages["/root/packages/six-1.0.whl"] = Page(body=CONTENT)
    site = Site(tmp_path, pypi=f"{upstream.url}/root/simple")
    with site.client() as client:
        assert client.arguments["PIP_INDEX_URL"] == f"{client.way.mirror(client.recorder.authority)}pypi/simple/"
        assert client.arguments["PIP_TRUSTED_HOST"] == own_address()
        got = client.mirrored("pypi/simple/six/").body.decode()
        base = client.way.mirror(client.recorder.authority)
        links = [
            f"{base}http/{upstream.authority}/root/packages/six-1.0.whl#sha256=ab",
            f"{base}http/{upstream.authority}/other/six-2.0.whl",
        ]
        assert all(f'href="{link}"' in got for link in links)
        assert client.mirrored(links[0].removeprefix(base).partition("#")[0]).body == CONTENT
        seen = client.seen()
    urls = ["https://pypi.org/simple/six/", f"{upstream.url}/root/packages/six-1.0.whl"]
    assert [(item.kind, item.url) for item in items(seen)] == [("pypi", urls[0]), ("http", urls[1])]
    with site.replayed(seen) as client:
        again = client.mirrored("pypi/simple/six/").body.decode()
        assert links[0].replace(base, client.way.mirror(client.recorder.authority)) in again


def test_an_index_that_comes_in_two_forms_is_recorded_in_both(tmp_path: Path, upstream: Upstream) -> None:
    def answer(asked: Asked) -> Page:
        short = "install" in asked.headers["Accept"]
        body = b'{"versions": {}}' if short else b'{"versions": {}, "readme": ""}'
        kind = "application/vnd.npm.install-v1+json" if short else "application/json"
        return Page(body=body, headers={"Content-Type": kind, "Vary": "Accept"})

    upstream.pages["/left-pad"] = answer
    site = Site(tmp_path, npm=upstream.url)
    short, long = "application/vnd.npm.install-v1+json; q=1.0, */*", "application/json"
    with site.client() as client:
        whole = client.mirrored("npm/left-pad", Accept=long).body
        part = client.mirrored("npm/left-pad", Accept=short).body
        seen = client.seen()
    assert len(whole) > len(part)
    with site.replayed(seen) as client:
        assert client.mirrored("npm/left-pad", Accept=short).body == part
        assert client.mirrored("npm/left-pad", Accept=long).body == whole


def test_a_page_that_comes_compressed_is_read_and_other_content_is_not_touched(
    tmp_path: Path, upstream: Upstream
) -> None:
    packed = {"Content-Encoding": "gzip"}
    page = gzip.compress(b'<a href="x-1.whl">x</a>')
    upstream.pages["/x/"] = Page(body=page, headers=packed | {"Content-Type": "text/html"})
    upstream.pages["/file"] = Page(body=gzip.compress(CONTENT), headers=packed)
    with Site(tmp_path, pypi=upstream.url).client() as client:
        assert b"/http/" in client.mirrored("pypi/simple/x/").body
        got = client.proxied(f"{upstream.url}/file")
        assert (got.headers["Content-Encoding"], gzip.decompress(got.body)) == ("gzip", CONTENT)


def test_a_page_without_an_end_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    upstream.pages["/x/"] = Page(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "text/html"})
    with Site(tmp_path, pypi=upstream.url).client() as client:
        got = client.mirrored("pypi/simple/x/")
        assert got.status == 502
        assert "more than" in got.reason
        assert items(client.seen()) == ()


def test_nobody_without_a_token_is_answered(client: Client, upstream: Upstream) -> None:
    authority = client.recorder.authority
    for target in (f"/{'x' * 22}/pypi/simple/six/", "/", "/pypi/simple/six/", "//x", "/../../etc/passwd"):
        assert ask(authority, "GET", target).status == 403
    assert ask(authority, "GET", f"{upstream.url}/x").status == 407
    assert ask(authority, "CONNECT", upstream.authority).status == 407
    for login in ("Basic !!", "Basic ", "Bearer x", "Basic Og==", "Basic /w=="):
        assert ask(authority, "GET", f"{upstream.url}/x", headers={"Proxy-Authorization": login}).status == 407
    assert upstream.asked == []


def test_a_way_that_is_closed_leads_nowhere(client: Client, upstream: Upstream) -> None:
    client.seen()
    assert client.mirrored(f"{upstream.url}/x").status == 403
    assert upstream.asked == []


HERE = ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]"]


@pytest.mark.parametrize("host", HERE)
def test_the_recorder_leads_nobody_to_this_machine_alone(client: Client, host: str) -> None:
    with serving("127.0.0.1") as hidden:
        hidden.pages["/x"] = Page(body=b"secret")
        port = hidden.url.rpartition(":")[2]
        for got in (client.proxied(f"http://{host}:{port}/x"), client.mirrored(f"http://{host}:{port}/x")):
            assert (got.status, b"secret" in got.body) in ((403, False), (502, False))
        got = client.proxied(f"{host}:{port}", "CONNECT")
        assert got.status in (403, 502)
        assert hidden.asked == []
    assert {kind for kind, _, _ in told(client.seen())} <= {"refused", "failed"}


def test_nor_does_a_redirect(client: Client, upstream: Upstream) -> None:
    with serving("127.0.0.1") as hidden:
        upstream.pages["/x"] = Page(status=302, headers={"Location": f"{hidden.url}/x"})
        assert client.proxied(f"{upstream.url}/x").status == 403
        assert hidden.asked == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x/", "gopher://x", "//[", ""])
def test_a_redirect_to_something_else_than_http_is_not_followed(
    client: Client, upstream: Upstream, location: str
) -> None:
    upstream.pages["/x"] = Page(status=302, headers={"Location": location})
    assert client.proxied(f"{upstream.url}/x").status in (302, 502)
    assert items(client.seen()) == ()


def test_a_redirect_in_a_circle_ends(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(status=302, headers={"Location": "/x"})
    got = client.proxied(f"{upstream.url}/x")
    assert got.status == 502
    assert "redirects more than 10 times" in got.reason


def test_an_encrypted_connection_is_passed_on_and_noted(client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT)
    with _connected(client, upstream.authority) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert said.endswith(CONTENT)
    assert told(client.seen()) == [("passed", upstream.authority, "it is encrypted")]


def test_an_encrypted_connection_is_refused_in_a_replay(site: Site, client: Client, upstream: Upstream) -> None:
    with site.replayed(client.seen()) as again, _connected(again, upstream.authority, "403") as connection:
        connection.close()
    assert upstream.asked == []


def _connected(client: Client, place: str, status: str = "200") -> socket.socket:
    proxy = client.arguments["https_proxy"]
    login, _, authority = proxy.removeprefix("http://").rpartition("@")

    host, _, port = authority.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    header = base64.b64encode(login.encode()).decode()
    connection.sendall(
        f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: Basic {header}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.split()[1].decode() == status
    return connection


def test_a_replay_gives_what_was_recorded_and_nothing_else(site: Site, client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT, headers=ETAG)
    url = f"{upstream.url}/x"
    client.proxied(url)
    seen = client.seen()
    asked = len(upstream.asked)
    with site.replayed(seen) as again:
        got = again.proxied(url)
        assert (got.body, got.headers["ETag"]) == (CONTENT, '"one"')
        for other in (f"{upstream.url}/y", f"{url}?v=2", "http://169.254.169.254/"):
            refusal = again.proxied(other)
            assert (refusal.status, refusal.reason) == (403, "build-lib: not recorded")
        assert again.proxied(url, "POST", b"x").status == 403
        site.store.path(items(seen)[0].sha256).unlink()
        assert "is missing" in again.proxied(url).reason
        events = told(again.seen())
    assert len(upstream.asked) == asked
    assert [kind for kind, _, _ in events] == ["refused"] * 5
    assert events[0] == ("refused", f"{upstream.url}/y", "not recorded")


def test_a_replay_gives_nothing_of_what_is_damaged(site: Site, client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT, headers=ETAG)
    upstream.pages["/y"] = Page(body=b"y")
    for path in ("/x", "/y"):
        client.proxied(f"{upstream.url}{path}")
    seen = client.seen()
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    site.store.path(sha256).write_bytes(b"X" + CONTENT[1:])  # of the same size
    why = f"its content, sha256:{sha256}, is damaged"
    with site.replayed(seen) as again:
        refusal = again.proxied(f"{upstream.url}/x")
        assert (refusal.status, refusal.reason) == (403, f"build-lib: {why}")
        assert again.proxied(f"{upstream.url}/x", Range="bytes=-10").status == 403
        assert again.proxied(f"{upstream.url}/x", "HEAD").status == 403
        assert again.proxied(f"{upstream.url}/y").body == b"y"
        site.store.path(sha256).write_bytes(CONTENT)  # loaded again, such as by deps-load
        assert again.proxied(f"{upstream.url}/x").body == CONTENT
        assert told(again.seen()) == [("refused", f"{upstream.url}/x", why)] * 3


def test_a_replay_gives_a_service_only_its_own(site: Site, client: Client, upstream: Upstream) -> None:
    upstream.pages["/x"] = Page(body=CONTENT)
    client.proxied(f"{upstream.url}/x")
    recording = client.seen()
    with site.replayed(recording) as _:
        others = {"api": site.store.recordings("v1")["web"]}
    with site.client(others) as again:
        assert again.proxied(f"{upstream.url}/x").status == 403


def test_a_password_of_a_mirror_is_sent_there_and_kept_nowhere(tmp_path: Path, upstream: Upstream) -> None:
    upstream.pages["/x/"] = Page(body=b"x", headers={"Content-Type": "text/html"})
    site = Site(tmp_path, pypi=f"http://me:hidden@{upstream.authority}")
    with site.client() as client:
        assert client.mirrored("pypi/simple/x/").status == 200
        assert upstream.asked[0].headers["Authorization"] == "Basic bWU6aGlkZGVu"
        seen = client.seen()
    assert "hidden" not in repr(seen)
    with site.replayed(seen):
        kept = [path for path in site.store.directory.rglob("*.json") if "hidden" in path.read_text()]
    assert kept == []
