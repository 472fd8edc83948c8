"""What Harbor needs in addition to the distribution API: an existing project (Harbor API v2.0)."""

from urllib.parse import urlencode

from build_lib.errors import RegistryError
from build_lib.reference import PrivateRegistry, Reference
from build_lib.registry.client import Registries
from build_lib.registry.session import Session

_API = "/api/v2.0"


def check_access(registries: Registries, place: Reference, registry: PrivateRegistry, *, create: bool) -> None:
    """Ask the private registry for one of its images before any other work, so that a failure is reported once.

    Raises:
        RegistryError: the registry is unreachable, refuses access, or is a Harbor without the project.
    """
    try:
        registries.resolve(place)
    except RegistryError as error:
        if not error.status or not check_project(registries.session, registry, create=create):
            raise


def check_project(session: Session, registry: PrivateRegistry, *, create: bool) -> bool:
    """Ensure that the project exists, if the registry is a Harbor. Return whether the project was created now.

    Raises:
        RegistryError: there is no such project, and `create` is false or the project could not be created.
    """
    host, project = registry.host, registry.project.partition("/")[0]
    if not project or not _is_harbor(session, host):
        return False
    status = session.api("HEAD", host, f"{_API}/projects?{urlencode({'project_name': project})}").status
    if status != 404:
        return False  # it exists; or this user may not ask, and the push will show
    if not create:
        raise RegistryError(
            f"the Harbor at {host} has no project {project!r}; nothing was sent",
            hint=f"create it with --create-project, or at https://{host} (Projects, New Project)",
        )
    answer = session.api("POST", host, f"{_API}/projects", {"project_name": project, "metadata": {"public": "false"}})
    if answer.status != 201:
        raise RegistryError(
            f"the Harbor at {host} did not create the project {project!r}: {answer.status} {answer.reason}",
            hint="ask its administrator to create the project",
            status=answer.status,
        )
    return True


def _is_harbor(session: Session, host: str) -> bool:
    answer = session.api("GET", host, f"{_API}/ping")
    return answer.status == 200 and answer.text.strip().strip('"') == "Pong"
