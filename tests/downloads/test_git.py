"""Repositories of git, recorded and replayed: cloned by the real git, from a server of plain files."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.downloads.recorders import Client, Site, items, told
from tests.support.page_servers import Page, own_address, serving


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


def git(directory: Path, *arguments: str, fails: bool = False) -> str:
    """Run git as a build would, without anybody's configuration; what it prints."""
    identity = ("-c", "user.name=x", "-c", "user.email=x@x.example", "-c", "init.defaultBranch=main")
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", *identity, "-C", str(directory), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) is fails, done.stderr
    return (done.stderr if fails else done.stdout).strip()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """The URL of a repository with a tag and two commits, which are returned too."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet")
    (work / "file").write_text("one\n")
    git(work, "add", "file")
    git(work, "commit", "--quiet", "-m", "one")
    git(work, "tag", "v1")
    (work / "file").write_text("two\n")
    git(work, "commit", "--quiet", "-am", "two")
    git(tmp_path, "clone", "--quiet", "--mirror", "work", "served/own.git")
    git(tmp_path / "served/own.git", "update-server-info")
    handler = partial(_Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer((own_address(), 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = "http://{}:{}/own.git".format(*server.server_address)
            yield url, git(work, "rev-parse", "v1"), git(work, "rev-parse", "HEAD")
        finally:
            server.shutdown()
            thread.join()


def through(client: Client, url: str) -> str:
    """A repository's URL, as a build that uses GITHUB_MIRROR has it."""
    return f"{client.arguments['GITHUB_MIRROR']}{url}"


def test_a_repository_is_recorded_whole_and_replayed(tmp_path: Path, repository: tuple[str, str, str]) -> None:
    url, first, last = repository
    site = Site(tmp_path / "site")
    with site.client() as client:
        git(tmp_path, "clone", "--quiet", "--depth=1", through(client, url), "shallow")
        assert (tmp_path / "shallow/file").read_text() == "two\n"
        seen = client.seen()
    [item] = items(seen)
    assert (item.kind, item.url, item.source) == ("git", url, url)
    assert git(tmp_path, "bundle", "list-heads", str(site.store.path(item.sha256))).splitlines()[0].startswith(last)
    assert told(seen) == []
    with site.replayed(seen) as again:
        git(
            tmp_path,
            "clone",
            "--quiet",
            "--branch",
            "v1",
            "-c",
            "advice.detachedHead=false",
            through(again, url),
            "old",
        )
        assert (tmp_path / "old/file").read_text() == "one\n"
        (tmp_path / "one").mkdir()
        git(tmp_path / "one", "init", "--quiet")
        git(tmp_path / "one", "fetch", "--quiet", "--depth=1", through(again, url), first)  # as BuildKit does
        assert git(tmp_path / "one", "rev-parse", "FETCH_HEAD") == first
        assert told(again.seen()) == []


def test_a_repository_whose_bundle_is_damaged_is_refused(tmp_path: Path, repository: tuple[str, str, str]) -> None:
    url, _, _ = repository
    site = Site(tmp_path / "site")
    with site.client() as client:
        git(tmp_path, "clone", "--quiet", through(client, url), "new")
        seen = client.seen()
    [item] = items(seen)
    kept = site.store.path(item.sha256)
    kept.write_bytes(kept.read_bytes().replace(b"refs/tags/v1", b"refs/tags/v2"))  # git reads that as well
    with site.replayed(seen) as again:
        git(tmp_path, "clone", "--quiet", through(again, url), "none", fails=True)
        assert told(again.seen()) == [("refused", url, f"its content, sha256:{item.sha256}, is damaged")]


def test_a_repository_that_is_not_there_and_one_that_is_not_recorded(
    tmp_path: Path, repository: tuple[str, str, str]
) -> None:
    url, _, _ = repository
    site = Site(tmp_path / "site")
    with site.client() as client:
        git(tmp_path, "clone", "--quiet", through(client, f"{url}.no"), "none", fails=True)
        seen = client.seen()
    [(kind, what, why)] = told(seen)
    assert (kind, what) == ("failed", f"{url}.no")
    assert "not found" in why
    with site.replayed(seen) as again:
        git(tmp_path, "clone", "--quiet", through(again, url), "none", fails=True)
        assert told(again.seen()) == [("refused", url, "not recorded")]


def test_a_repository_of_this_machine_alone_is_refused(tmp_path: Path) -> None:
    with Site(tmp_path / "site").client() as client:
        for url in ("http://127.0.0.1:9/x.git", "http://localhost:9/x.git"):
            assert "403" in git(tmp_path, "clone", "--quiet", through(client, url), "none", fails=True)
        assert {kind for kind, _, _ in told(client.seen())} == {"refused"}


def test_the_users_logins_are_not_used(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    home = tmp_path / "home"
    home.mkdir()
    helper = f"!echo yes >{asked}; echo username=me; echo password=x"
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = {json.dumps(helper)}\n")
    refs = "/own.git/info/refs?service=git-upload-pack"
    with serving() as server:
        server.pages[refs] = Page(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0"}
        url = f"{server.url}/own.git"
        subprocess.run(["git", "ls-remote", url], env=environment, capture_output=True, check=False)
        assert asked.exists()  # git itself uses them
        asked.unlink()
        with Site(tmp_path / "site", **environment).client() as client:
            git(tmp_path, "clone", "--quiet", through(client, url), "mine", fails=True)
            [(kind, what, _)] = told(client.seen())
        assert (kind, what) == ("failed", url)
        assert not asked.exists()
        assert all("Authorization" not in each.headers for each in server.of(refs)[-1:])


def test_without_git_it_is_said(tmp_path: Path) -> None:
    with serving() as server, Site(tmp_path / "site", PATH=str(tmp_path)).client() as client:
        git(tmp_path, "clone", "--quiet", through(client, f"{server.url}/own.git"), "mine", fails=True)
        [(kind, what, why)] = told(client.seen())
    assert (kind, what, why) == ("failed", f"{server.url}/own.git", "git cannot be run: No such file or directory")
