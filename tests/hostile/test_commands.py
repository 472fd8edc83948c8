"""Whole commands, as users run them, against registries that mean harm."""

from pathlib import Path

import pytest

from tests.hostile.attacks import BOMB, GOOD, HTML, KB, MANIFEST, TYPE
from tests.hostile.attempts import NOWHERE
from tests.hostile.limits import MEMORY_LIMIT, run
from tests.hostile.lying_registry import Lie, endlessly, gives, head, lying, slowly
from tests.support.projects import needs

COMMANDS: dict[str, tuple[str, ...]] = {
    "deps-save": ("deps-save", "-f", "deps.tar"),
    "deps-save --dry": ("--dry", "deps-save", "-f", "deps.tar"),
    "deps-push": ("deps-push",),
    "mirrors": ("mirrors",),
}
ENDLESS = endlessly(head("200 OK", TYPE), then=b" " * KB)
WHOLE: dict[str, tuple[str, str, Lie]] = {  # the command, the request, the answer
    "a manifest without end": ("deps-save", "manifest", ENDLESS),
    "a manifest without end, dry": ("deps-save --dry", "manifest", ENDLESS),
    "a manifest without end for a push": ("deps-push", "manifest", ENDLESS),
    "a bomb": ("deps-save", "manifest", gives(BOMB, coding="deflate")),
    "an error without end": ("deps-push", "head", endlessly(head("500 No"), then=b"x" * KB)),
    "a layer without end": ("deps-push", "layer", endlessly(head("200 OK"), then=b" " * 64 * KB)),
    "a head byte by byte": ("deps-save", "manifest", slowly(head("200 OK", TYPE) + MANIFEST)),
    "a page of HTML from a mirror": ("mirrors", "manifest", gives(HTML)),
}


@pytest.mark.parametrize("attack", WHOLE)
def test_a_command_says_it_in_a_line_and_ends(attack: str, project: Path) -> None:
    command, at, lie = WHOLE[attack]
    with lying(GOOD, at=at, lie=lie) as registry, lying() as private:
        needs(project, "web", f"{registry.host}/a:1")
        environment = {
            "PRIVATE_REGISTRY": f"{private.host}/p" if command == "deps-push" else "",
            "REGISTRY_MIRRORS": registry.host if command == "mirrors" else "",
            "DOCKER_HOST": NOWHERE,
            "HOME": str(project),
            "STALL_SECONDS": "1",
            "TRIES": "2",
        }
        ran = run(project, *COMMANDS[command], **environment)
    assert ran.code == 1, ran.said
    assert "Traceback" not in ran.said
    assert registry.host in ran.said
    assert "error: " in ran.said
    assert ran.memory < MEMORY_LIMIT
    assert ran.seconds < 30
    assert not list(project.glob("*deps.tar*"))
    assert private.names == {}
