"""The page of an exported directory: how to point apt, pip, npm, Go and git there, in lines to copy."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from build_lib.downloads.expiry import Expiry
from build_lib.downloads.export_plan import Plan
from build_lib.downloads.places import INDEX
from build_lib.foreign import on_one_line

STYLE = "mirror.css"
_UNKNOWN = "http://MIRROR"
_CSS = """:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid #8888; border-radius: 4px; }
"""
_NGINX = """location {path}/ {{
    alias {directory}/;
    index index.html;
    absolute_redirect off;
    rewrite ^{path}/(https?):/+(.*)$ {path}/$1/$2;  # for clients that ask for /https://HOST/PATH
}}"""

Section = tuple[str, Sequence[str]]


def write(directory: Path, plan: Plan, expiries: Sequence[Expiry], base: str) -> None:
    """Write the page and its style. `base` is the URL at which the directory is served, "" if it is not known."""
    found = [section for section in _sections(plan, expiries, base or _UNKNOWN) if section[1]]
    for name, text in ((INDEX, _page(found, base)), (STYLE, _CSS)):
        (directory / name).write_text(text, encoding="utf-8")
        (directory / name).chmod(0o644)


def _sections(plan: Plan, expiries: Sequence[Expiry], base: str) -> Iterator[Section]:
    places = {item.parts[:2] for item in plan.items}
    tops = {parts[0] for parts in places}
    yield "apt", list(_apt(sorted(name for top, name in places if top == "apt"), expiries, base))
    if "pypi" in tops:
        yield "pip", list(_pip(base))
    if "npm" in tops:
        yield "npm", [f"npm config set registry {base}/npm/"]
    if "go" in tops:
        yield "Go", [f"go env -w GOPROXY={base}/go GOSUMDB=off"]
    repositories = {item.parts[:2] for item in plan.items if item.form == "git"}
    yield "git", [_git(scheme, host, base) for scheme, host in sorted(repositories)]
    others = sorted(parts for parts in places if parts[0] in ("http", "https"))
    yield "Other files", [f"{scheme}://{host}/  ->  {base}/{scheme}/{host}/" for scheme, host in others]
    path = urlsplit(base).path
    yield "nginx, if it serves this directory", [_NGINX.format(path=path, directory="/path/to/this/directory")]


def _apt(hosts: Sequence[str], expiries: Sequence[Expiry], base: str) -> Iterator[str]:
    for host in hosts:
        files = "$(find /etc/apt/sources.list /etc/apt/sources.list.d -type f)"
        yield f"sed -i 's|http://{host}/|{base}/apt/{host}/|' {files}"
    first = min((each.until for each in expiries), default=None)
    if hosts and first:
        yield f"# from {first:%Y-%m-%d} on, when the first of the recorded indexes is no longer valid:"
        yield "echo 'Acquire::Check-Valid-Until \"false\";' >/etc/apt/apt.conf.d/90mirror"


def _pip(base: str) -> Iterator[str]:
    yield f"pip config set global.index-url {base}/pypi/simple"
    if base.startswith("http://"):
        yield f"pip config set global.trusted-host {urlsplit(base).hostname}"


def _git(scheme: str, host: str, base: str) -> str:
    return f"git config --global url.{base}/{scheme}/{host}/.insteadOf {scheme}://{host}/"


def _page(sections: Iterable[Section], base: str) -> str:
    shown = f" at {base}" if base else ""
    unknown = "" if base else f"<p>{_UNKNOWN} stands for the address of this page.</p>\n"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>Mirror</title>\n<link rel="icon" href="data:,">\n<link rel="stylesheet" href="{STYLE}">\n</head>\n'
        f"<body>\n<h1>Mirror{escape(shown)}</h1>\n"
        "<p>What builds downloaded, recorded and exported by build-lib. There is nothing else here.</p>\n"
        f"{unknown}{''.join(map(_section, sections))}</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    title, lines = section
    shown = "\n".join("\n".join(map(on_one_line, line.split("\n"))) for line in lines)
    return f"<h2>{escape(title)}</h2>\n<pre>{escape(shown)}</pre>\n"
