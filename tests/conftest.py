"""What every test may ask for. A test that asks for an engine bears the mark `engine`."""

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.support")
pytest_plugins = [
    f"tests.support.{name}"
    for name in ("commands", "browser", "engines", "fleets", "fleet_sites", "hubs", "registries", "shared")
]

# a busy machine is no failure
hypothesis.settings.register_profile("patient", deadline=None, max_examples=200)
hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those with an engine: they come first, and the many short ones fill what is left of the time."""
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
    with_engine = {item.path for item in items if item.get_closest_marker("engine")}
    items.sort(key=lambda item: item.path not in with_engine)
