"""A process with a recorder, for one service: `python -m bench._recorder DIRECTORY ADDRESS [--replay]`.

It prints the address of its proxy, waits for a line, writes what was recorded, and prints a line.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from build_lib.downloads import Recorder, Recording, Store
from build_lib.repository import discover
from build_lib.settings import Settings

_SERVICE, _RELEASE = "one", "bench"


def _main(root: Path, address: str, *, replay: bool) -> None:
    (root / "src" / _SERVICE).mkdir(parents=True, exist_ok=True)
    (root / "src" / _SERVICE / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    settings = Settings.load(root, environ={"IMAGE_TAG": _RELEASE})
    service, store = discover(settings).services[_SERVICE], Store(settings)
    recorded = store.recordings(_RELEASE) if replay else None
    with Recorder(address, store, settings, recorded) as recorder:
        way, _ = recorder.open(service)
        print(way.proxy(recorder.authority), flush=True)
        sys.stdin.readline()
        seen = recorder.close(way)
    assert not seen.events
    assert len(seen.downloads) == 1
    if not replay:
        store.write(
            Recording(
                service=_SERVICE,
                release=_RELEASE,
                fingerprint="",
                path="src/one/Dockerfile",
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                downloads=tuple(item for item, _ in seen.downloads),
                passed=(),
            )
        )
    print("done", flush=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], replay="--replay" in sys.argv)
