"""Documents made from the settings themselves: `python -m build_lib.settings.documents` writes both anew."""

from collections.abc import Iterator
from pathlib import Path

from build_lib import state
from build_lib.settings.keys import PREFIXED
from build_lib.settings.values import described

_HEAD = """\
# Copy this file to .env and change what you need. A flag wins over the environment, that over .env,
# and .env over the default, which stands here after each name.

# the repository that is worked on; read from the environment alone, for .env lies in it; empty: that of tasks.py
PROJECT_ROOT=
"""
_TITLE = """\
# Settings

Made from the settings themselves (`python -m build_lib.settings.documents`). Each may stand in `.env` at the top of the
repository, in the environment, or, where there is a flag, on the command line: a flag wins over the environment, that
over `.env`, and `.env` over the default. Lists are separated by commas or white space. `PROJECT_ROOT`, in the
environment alone, is the repository that is worked on; without it, that of `tasks.py`.

| setting | flag | default | meaning |
| --- | --- | --- | --- |
"""


def env_example() -> str:
    """The content of `.env.example`."""
    settings = [f"# {key.help}\n{key.name}={key.default}\n" for key in described().values()]
    named = [f"# {help}\n# {name}={value}\n" for name, value, help in PREFIXED]
    return "\n".join([_HEAD, *settings, *named])


def configuration() -> str:
    """The content of `docs/configuration.md`."""
    return _TITLE + "".join(_rows())


def _rows() -> Iterator[str]:
    for key in described().values():
        default = f"`{key.default}`" if key.default else ""
        flag = f"`--{key.flag}`" if key.flag else ""
        yield f"| `{key.name}` | {flag} | {default} | {_cell(key.help)}{' (secret)' if key.secret else ''} |\n"
    for name, _, help in PREFIXED:
        yield f"| `{name}` | | | {_cell(help)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    top = Path(__file__).resolve().parents[2]
    state.write_text(top / ".env.example", env_example())
    state.write_text(top / "docs/configuration.md", configuration())
