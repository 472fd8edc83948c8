"""What is known of an engine from its connection."""

import docker
import pytest

from build_lib.engine import Engine


def test_the_engine_of_this_machine_is_here_and_one_behind_ssh_is_not(engine: Engine) -> None:
    assert engine.is_here()
    elsewhere = docker.APIClient(base_url="tcp://builds.invalid:2376", version="1.41")  # never asked
    assert not Engine(elsewhere, "tcp://builds.invalid:2376").is_here()
    elsewhere.base_url = "http+docker://ssh"  # what the SDK calls every ssh:// address
    assert not Engine(elsewhere, "tcp://builds.invalid:2376").is_here()
    elsewhere.close()


@pytest.mark.parametrize(("platform", "expected"), [("linux/amd64", True), ("linux/s390x", False)])
def test_an_image_is_for_the_engine_s_platform(engine: Engine, tiny: str, platform: str, expected: bool) -> None:
    from build_lib.reference import Reference

    own = engine.platform()
    wanted = platform if own == "linux/amd64" else {"linux/amd64": own}.get(platform, platform)
    assert engine.images.is_for(Reference.parse(tiny), wanted) is expected
