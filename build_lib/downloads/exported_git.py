"""A repository of git as plain files, from which git clones over http (gitprotocol-http, "dumb" servers)."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from build_lib.errors import BuildError
from build_lib.registry import cannot_write

_BRANCHES = ("refs/heads/main", "refs/heads/master")


def unpack(bundle: Path, directory: Path, environ: Mapping[str, str]) -> None:
    """Make a bare repository of a bundle of git. What there is in the directory already stays.

    Raises:
        BuildError: there is no git, it does not read the bundle, or a file of the same name is in the way.
    """
    listed = (line.partition(" ") for line in _git(environ, "bundle", "list-heads", str(bundle)))
    heads = {name: commit for commit, _, name in listed}
    _git(environ, "init", "--quiet", "--bare", "--template=", str(directory))
    inside = ("-C", str(directory))
    try:
        _git(environ, *inside, "fetch", "--quiet", "--no-auto-gc", str(bundle), "+refs/*:refs/*")
        _git(environ, *inside, *_head(heads))
        _git(environ, *inside, "update-server-info")
        (directory / "FETCH_HEAD").unlink(missing_ok=True)  # it has the path of the store
    except OSError as error:
        raise cannot_write(directory, error) from error


def _head(heads: Mapping[str, str]) -> list[str]:
    """The command that makes HEAD what it was: a branch, if one is at that commit."""
    commit = heads.get("HEAD", "")
    branches = sorted(
        (name for name in heads if name.startswith("refs/heads/")), key=lambda name: name not in _BRANCHES
    )
    same = [name for name in branches if not commit or heads[name] == commit]
    if same:
        return ["symbolic-ref", "HEAD", same[0]]
    return ["update-ref", "--no-deref", "HEAD", commit] if commit else ["rev-parse", "--is-bare-repository"]


def _git(environ: Mapping[str, str], *arguments: str) -> list[str]:
    environment = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", *arguments],
            env={**environment, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise BuildError(f"git cannot be run: {error.strerror}", hint="apt-get install git") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2].removeprefix("fatal: ")
        raise BuildError(f"git does not read the recorded repository: {last}")
    return done.stdout.decode(errors="replace").splitlines()
