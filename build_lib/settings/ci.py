"""The service for continuous integration that runs this program, as its environment says."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class CiService:
    """Whether GitHub Actions or GitLab CI shows the output; `workspace` is the directory of the checkout, if known."""

    github: bool = False
    gitlab: bool = False
    workspace: Path | None = None


def ci_service(environ: Mapping[str, str] | None = None) -> CiService:
    """Return what the variables say that these services set in every job."""
    environ = os.environ if environ is None else environ
    workspace = environ.get("GITHUB_WORKSPACE")
    return CiService(
        github=environ.get("GITHUB_ACTIONS") == "true",
        gitlab=environ.get("GITLAB_CI") == "true",
        workspace=Path(workspace) if workspace else None,
    )
