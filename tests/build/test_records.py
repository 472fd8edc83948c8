"""How the last build of a service ended, as `status` reads it."""

from pathlib import Path

from build_lib.build import INTERRUPTED
from build_lib.build.records import Records
from build_lib.errors import BuildFailed
from build_lib.repository import discover
from build_lib.settings import Settings
from tests.support.projects import needs


def test_an_earlier_failure_is_not_that_of_a_build_which_was_interrupted(project: Path) -> None:
    needs(project, "web", "scratch")
    settings = Settings.load(project, environ={})
    records = Records(discover(settings).services["web"], settings)
    records.write_begun("")
    assert records.last()["failed"] == INTERRUPTED
    records.write_failed(BuildFailed("web broke\nin its middle"))
    failed = records.last()
    assert failed["failed"] == "web broke"
    assert failed["failed_at"]
    records.write_begun("sha256:1")
    assert records.last()["failed"] == INTERRUPTED
    assert records.last()["begun"] == "", "the image before both"
    records.write_built(records.look(None), "", "sha256:2", (), 1.5, "one")
    assert records.last() == {"image": "sha256:2", "unsure": [], "seconds": 1.5, "place": "one"}
    assert records.seconds() == 1.5
    records.write_failed(BuildFailed("web broke"))
    assert records.seconds() == 1.5, "of the last one that succeeded"
