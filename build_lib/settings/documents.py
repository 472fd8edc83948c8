"""The documents generated from the settings: `python -m build_lib.settings.documents` writes both."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from build_lib import state
from build_lib.settings.keys import OF_COMPOSE, PREFIXED
from build_lib.settings.values import described

_HEAD = """\
# Copy this file to .env and change what you need. Flags override the environment, which overrides .env,
# which overrides the defaults. {defaults}

# the repository to work on; read from the environment only, because .env is in it; empty: that of tasks.py, or that
# which build-lib's own inv is called from
{mark}PROJECT_ROOT=
"""
_TITLE = """\
# Settings

Generated from the code by `python -m build_lib.settings.documents`. Each setting can be given in `.env` at the top of
the repository, in the environment, or as a flag, if it has one. Flags override the environment, which overrides `.env`,
which overrides the default. Items of lists are separated by commas or white space. `PROJECT_ROOT`, read from the
environment only, is the repository to work on. The default is that of `tasks.py`; but build-lib's own `inv`, called
from outside of build-lib, works on the repository that it is called from, and says so.

The settings whose names begin with `COMPOSE_` mean what they mean to `docker compose`. It reads the same `.env`, by its
own rules, and a `.env` beside the first compose file. `COMPOSE_ENV_FILES`, read from the environment only, names files
to read instead of both, separated by commas, and `COMPOSE_DISABLE_ENV_FILE=1` leaves both out.

| setting | flag | default | meaning |
| --- | --- | --- | --- |
"""


def env_example() -> str:
    """The content of `.env.example`."""
    head = _HEAD.format(defaults="Each setting below has its default.", mark="")
    return "\n".join([head, *_examples({key.name: key.default for key in described().values()})])


def env_example_with(values: Mapping[str, str]) -> str:
    """The content of `.env.example` in a repository with these values; all other settings are commented out."""
    head = _HEAD.format(defaults="Settings that are commented out have their defaults.", mark="# ")
    return "\n".join([head, *_examples(values)])


def _examples(values: Mapping[str, str]) -> Iterator[str]:
    for key in described().values():
        line = f"{key.name}={values[key.name]}" if key.name in values else f"# {key.name}={key.default}"
        yield f"# {key.help}\n{line}\n"
    for name, value, help in (*OF_COMPOSE, *PREFIXED):
        line = f"{name}={values[name]}" if name in values else f"# {name}={value}"
        yield f"# {help}\n{line}\n"


def configuration() -> str:
    """The content of `docs/configuration.md`."""
    return _TITLE + "".join(_rows())


def _rows() -> Iterator[str]:
    for key in described().values():
        default = f"`{key.default}`" if key.default else ""
        flag = ", ".join(f"`--{name}`" for name in (*([key.flag] if key.flag else []), *key.switches))
        yield f"| `{key.name}` | {flag} | {default} | {_cell(key.help)}{' (secret)' if key.secret else ''} |\n"
    for name, _, help in (*OF_COMPOSE, *PREFIXED):
        yield f"| `{name}` | | | {_cell(help)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    top = Path(__file__).resolve().parents[2]
    state.write_text(top / ".env.example", env_example())
    state.write_text(top / "docs/configuration.md", configuration())
