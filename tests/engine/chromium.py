"""Debian's Chromium without a window, driven by the DevTools protocol over its pipe.

https://chromedevtools.github.io/devtools-protocol/, and `--remote-debugging-pipe` for the transport: JSON messages that
end in a zero byte, on the file descriptors 3 and 4.

`python -m tests.engine.chromium URL DIRECTORY` writes the screenshots of apphub's page that `docs/` shows.
"""

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
_KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r")}


class Page:
    """One tab."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = os.fdopen(read, "rb")
        self._number = 0
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda found: found.get("id") == self._number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        """Open the page anew, and wait until it has loaded."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        self._wait(lambda found: found.get("method") == "Page.loadEventFired")
        assert self.run("location.href.split('#')[0]") == url.partition("#")[0]

    def _wait(self, wanted: Any) -> dict[str, Any]:
        while True:
            found: dict[str, Any] = json.loads(self._message())
            if wanted(found):
                return found

    def _message(self) -> bytes:
        message = b""
        while not message.endswith(b"\0"):
            byte = self._read.read(1)
            assert byte, "Chromium ended"
            message += byte
        return message[:-1]

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        name, code, text = _KEYS[key]
        common = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def look(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Be a screen of this size, bright or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def heard(self) -> list[tuple[str, str]]:
        """What a screen reader is told: the role and the name of everything that has both."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        found = ((node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes)
        return [(role, name) for role, name in found if role and name]


@contextlib.contextmanager
def chromium(program: str) -> Iterator[Page]:
    """A browser with one tab; it and its profile are gone afterwards."""
    with contextlib.ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        # the shell puts the pipes where Chromium looks for them
        command = f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}'
        arguments = [*_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        process = subprocess.Popen(
            ["bash", "-c", command, program, *arguments],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        stack.callback(os.close, to_write)
        os.close(to_read)
        os.close(from_write)
        page = Page(to_write, from_read)
        stack.callback(page._read.close)
        yield page


def _screenshots(url: str, directory: Path) -> None:
    with chromium("chromium") as page:
        for name, width, dark in (("dark", 1100, True), ("narrow", 380, False)):
            page.look(width=width, dark=dark)
            page.open(url)
            page.screenshot(directory / f"apphub-{name}.png")
        page.look(width=1100)
        page.open(f"{url}#q=slurmd")
        page.screenshot(directory / "apphub-search.png")


if __name__ == "__main__":
    _screenshots(sys.argv[1], Path(sys.argv[2]))
