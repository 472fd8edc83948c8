"""Whether builds reach anything but the recorder, as `doctor` says it."""

from pathlib import Path

import pytest

from build_lib.build import builders
from build_lib.downloads import Recording, Store
from build_lib.engine import Engine
from build_lib.errors import BuildError
from build_lib.job import enclosure
from build_lib.settings import Settings
from tests.support.commands import Inv

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
LOCAL = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
ZERO, HERE = "0" * 32, "00000000000000000000000000000001"
DEFAULT6 = f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 00000400 00000000 00000000 00000003 eth0\n"
UNREACHABLE6 = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200 lo\n"
LOCAL6 = f"{HERE} 80 {ZERO} 00 {ZERO} 00000000 00000001 00000000 80200001 lo\n"


@pytest.mark.parametrize(
    ("v4", "v6", "way_out"),
    [
        (HEADER + LOCAL + DEFAULT, LOCAL6, True),
        (HEADER + LOCAL, UNREACHABLE6 + LOCAL6, False),
        (HEADER + LOCAL, DEFAULT6, True),
        (HEADER, "", False),
        (None, None, False),
    ],
)
def test_a_default_route_leads_elsewhere(
    v4: str | None, v6: str | None, way_out: bool, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = (tmp_path / "route", tmp_path / "ipv6_route")
    for table, text in zip(tables, (v4, v6), strict=True):
        if text is not None:
            table.write_text(text)
    monkeypatch.setattr(enclosure, "_ROUTES", tables)
    assert enclosure.by_machine(engine) is not way_out
    assert not enclosure.by_machine(None)  # a fleet's machines are not known


def test_what_doctor_says(engine: Engine, machine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosure, "_ROUTES", (tmp_path / "none",))
    assert "no route to other networks" in enclosure.finding(None, engine, machine).detail
    (tmp_path / "route").write_text(HEADER + DEFAULT)
    monkeypatch.setattr(enclosure, "_ROUTES", (tmp_path / "route",))
    classic = builders.Classic(name="classic builder", engine=engine)
    assert enclosure.finding(classic, engine, machine).level == "good"
    other = enclosure.finding(builders.Idle(), engine, machine)
    assert (other.level, "proves nothing" in other.detail) == ("warning", True)
    assert "RECORDER_ADDRESS" in enclosure.finding(None, None, machine).fix


def test_the_address_is_that_of_the_engines_bridge_or_the_settings(engine: Engine, machine: Settings) -> None:
    network = engine.networks.default()
    assert network is not None
    assert enclosure.address(engine, machine) == network.gateway
    with pytest.raises(BuildError, match="address of this machine"):
        enclosure.address(None, machine)


def test_an_internal_network_goes_with_its_block(engine: Engine) -> None:
    with engine.networks.internal("test-of-networks") as network:
        assert network.name.startswith("build-lib-")
        assert network.gateway
        with engine.networks.internal("test-of-others") as other:
            assert other.gateway != network.gateway
    with engine.networks.internal("test-of-networks") as again:  # nothing was left to be removed first
        assert again.name != network.name


def test_doctor_tells_of_it_where_something_is_recorded(inv: Inv, project: Path, machine: Settings) -> None:
    assert "closed room" not in inv("doctor").stdout
    recording = Recording(service="web", release="v1", fingerprint="", path="", at="", downloads=(), passed=())
    Store(Settings.load(project, environ={})).write(recording)
    assert "closed room: " in inv("doctor").stdout
