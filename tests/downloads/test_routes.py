"""What paths of the mirrors are for, and the arguments that lead there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_lib.downloads import mirror_args, routes
from build_lib.downloads.ways import Way
from build_lib.settings import MirrorUse


@pytest.mark.parametrize(
    ("path", "kind", "url"),
    [
        ("pypi/simple/six/", "pypi", "https://pypi.org/simple/six/"),
        ("npm/@scope%2fname", "npm", "https://registry.npmjs.org/@scope%2fname"),
        ("npm/left-pad/-/left-pad-1.3.0.tgz", "npm", "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz"),
        ("go/github.com/!azure/x/@v/list", "go", "https://proxy.golang.org/github.com/!azure/x/@v/list"),
        ("apt/deb.debian.org/debian/x", "apt", "http://deb.debian.org/debian/x"),
        ("https://github.com/a/b?c=d", "http", "https://github.com/a/b?c=d"),
        ("https:/github.com/a/b", "http", "https://github.com/a/b"),
        ("https%3A//github.com/a/b", "http", "https://github.com/a/b"),
        ("https/github.com/a/b", "http", "https://github.com/a/b"),
        ("http://mirror.example:8080/a", "http", "http://mirror.example:8080/a"),
        ("github.com/a/b", "http", "https://github.com/a/b"),
        ("localhost:80/a", None, ""),
        ("", None, ""),
        ("favicon.ico", None, ""),
        ("robots/x", None, ""),
    ],
)
def test_a_path_is_for_a_url(path: str, kind: str | None, url: str) -> None:
    found = routes.target(path, {})
    assert (found.kind, found.url, found.upstream) == (kind, url, url) if found else kind is None


@pytest.mark.parametrize(
    ("path", "upstreams", "upstream"),
    [
        ("pypi/simple/six/", {"pypi": "https://mirror.example/pypi/"}, "https://mirror.example/pypi/six/"),
        ("npm/x", {"npm": "https://mirror.example/npm/"}, "https://mirror.example/npm/x"),
        ("go/x/@v/list", {"go": "https://goproxy.example/"}, "https://goproxy.example/x/@v/list"),
        ("apt/mirror.example/debian/x", {"apt": "https://mirror.example/debian"}, "https://mirror.example/debian/x"),
        ("apt/other.example/debian/x", {"apt": "https://mirror.example/debian"}, "http://other.example/debian/x"),
        ("https://github.com/a", {"": "https://ghproxy.example/"}, "https://ghproxy.example/https://github.com/a"),
        ("github.com/a", {"": "https://ghproxy.example/"}, "https://ghproxy.example/github.com/a"),
    ],
)
def test_it_is_fetched_from_where_the_build_would_fetch_it(path: str, upstreams: dict[str, str], upstream: str) -> None:
    found = routes.target(path, upstreams)
    assert found is not None
    assert found.upstream == upstream
    plain = routes.target(path, {})
    assert plain is not None
    assert found.url == plain.url  # another site may use another mirror


def test_a_login_is_sent_and_not_recorded() -> None:
    found = routes.target("https://me:hidden@host.example/a@b", {})
    assert found is not None
    assert (found.url, found.upstream) == ("https://host.example/a@b", "https://me:hidden@host.example/a@b")


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "apt/", "npm/", "pypi/simple/", "git/"]))
def test_no_path_raises(rest: str, prefix: str) -> None:
    found = routes.target(prefix + rest, {"": "https://x.example/"})
    assert found is None or found.url.startswith(("http://", "https://"))


@given(st.from_regex(r"https?://[a-z]{1,5}\.[a-z]{2,3}(:\d{2,4})?/[a-z/@.!-]{0,12}(\?[a-z=]{0,5})?", fullmatch=True))
def test_a_url_is_that_of_its_path(url: str) -> None:
    found = routes.target(routes.path_of(url), {})
    assert found is not None
    assert found.url == url


WAY = Way(service="web", upstreams={}, token="t" * 22)
MIRROR = f"http://10.0.0.1:8099/{'t' * 22}/"


@pytest.mark.parametrize(
    ("use", "own", "value"),
    [
        ("pypi", "", f"{MIRROR}pypi/simple/"),
        ("npm", "https://registry.npmjs.org", f"{MIRROR}npm/"),
        ("go", "https://goproxy.example,direct", f"{MIRROR}go,direct"),
        ("go", "", f"{MIRROR}go"),
        ("url", "https://ghproxy.example/", MIRROR),
        ("host", "", "10.0.0.1"),
        ("apt", "https://mirror.example/debian", f"{MIRROR}apt/mirror.example/debian"),
        ("apt", "mirror.example", f"{MIRROR}apt/mirror.example".removeprefix("http://")),
        ("apt", "", None),
        ("apt-options", "", "-o Acquire::Check-Valid-Until=false"),
    ],
)
def test_an_argument_gets_a_value_of_its_own_form(use: MirrorUse, own: str, value: str | None) -> None:
    arguments = [mirror_args.Given(name="X", use=use, value=own)]
    found = dict(mirror_args.values(arguments, WAY, "10.0.0.1:8099", replay=True))
    assert found.get("X") == value


def test_options_of_apt_are_for_a_replay_alone() -> None:
    arguments = [mirror_args.Given(name="X", use="apt-options", value="")]
    assert dict(mirror_args.values(arguments, WAY, "10.0.0.1:8099", replay=False)) == {}


def test_the_first_url_is_where_packages_come_from() -> None:
    arguments = [
        mirror_args.Given(name="GOPROXY", use="go", value="https://a.example|https://b.example,direct"),
        mirror_args.Given(name="PIP_INDEX_URL", use="pypi", value="https://me:pw@c.example/simple"),
        mirror_args.Given(name="NPM_REGISTRY", use="npm", value=""),
        mirror_args.Given(name="APT_MIRROR", use="apt", value="d.example"),
    ]
    assert mirror_args.upstreams(arguments) == {
        "go": "https://a.example/",
        "pypi": "https://me:pw@c.example/simple/",
    }
