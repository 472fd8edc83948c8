"""The error of a repository in which no service was found: which Dockerfiles it has, and the settings that use them."""

from build_lib.errors import BuildError
from build_lib.repository.search import search, setting_lines
from build_lib.settings import Settings
from build_lib.units import number

_SHOWN = 20


def no_services(settings: Settings) -> BuildError:
    """Return the error; its hint is the line to write in .env."""
    seen = search(settings).dockerfiles
    entries = ",".join(settings.services_dir)
    if not seen:
        return BuildError(
            f"no services found: {settings.project_root} has no Dockerfile, and no compose file with a build: section",
            hint=f"add {settings.services_dir[0]}/NAME/Dockerfile, or name another repository with PROJECT_ROOT",
        )
    shown = list(map(str, seen[:_SHOWN]))
    more = [f"and {len(seen) - _SHOWN} more"] if len(seen) > _SHOWN else []
    listed = "\n".join([*shown, *more])
    lines = " and ".join(setting_lines(seen, settings))
    return BuildError(
        f"no services found in SERVICES_DIR={entries}, at the top, or in a compose file; the repository has "
        f"{number(len(seen), 'Dockerfile')}:\n{listed}",
        hint=f"write in .env: {lines}" if lines else "name them in a compose file: SERVICES_DIR takes no such paths",
    )
