"""Chromium without a window, driven over the DevTools protocol: pages are opened, clicked through, and looked at."""

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from websockets.sync.client import ClientConnection, connect

from build_lib.settings import Settings
from tests.support.engines import install

_READY_SECONDS = 60
_ANSWER_SECONDS = 60
_KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), " ": (32, " ")}
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Tab:
    """A page in the browser. `requests` are all addresses that it asked for, `complaints` what the console shows."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self._loaded = self._moved = False
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to one command."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (message := self._receive()).get("id") != self._number:
            pass
        assert "error" not in message, f"{method}: {message['error']}"
        answer: dict[str, Any] = message["result"]
        return answer

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=_ANSWER_SECONDS))
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, what: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Page.navigatedWithinDocument":
            self._moved = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Log.entryAdded":
            self.complaints.append(what["entry"]["text"])
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(argument.get("value")) for argument in what["args"]))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(what["exceptionDetails"]))

    def open(self, url: str) -> None:
        """Open a page anew, and wait until all of it is there."""
        self.call("Page.bringToFront")  # what is not in front has no focus, and so no clipboard
        self._navigate("about:blank")  # from the same page, it would be no more than another place in it
        self._navigate(url)

    def _navigate(self, url: str) -> None:
        self._loaded = False
        answer = self.call("Page.navigate", url=url)
        assert not answer.get("errorText"), f"{url}: {answer['errorText']}"
        while not self._loaded:
            self._receive()

    def follow(self, selector: str) -> None:
        """Click on a link, and wait until the browser is where it leads, in this page or in another."""
        self._loaded = self._moved = False
        self.click(selector)
        while not (self._loaded or self._moved):
            self._receive()

    def address(self) -> str:
        """Where the tab is, as its history says: that works without scripts too."""
        history = self.call("Page.getNavigationHistory")
        url: str = history["entries"][history["currentIndex"]]["url"]
        return url

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False, paper: bool = False) -> None:
        """How the page is shown from now on; a narrow one is a phone's."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}  # what is clicked on must not move
        self.call("Emulation.setEmulatedMedia", media="print" if paper else "screen", features=[scheme, motion])

    def script(self, *, allowed: bool) -> None:
        """Whether pages that are opened from now on may run scripts."""
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to, as JSON."""
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.call("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of the first element that the selector finds; it must be what is seen there."""
        element = f"document.querySelector({json.dumps(selector)})"
        assert self.value(f"{element} !== null"), f"there is no {selector}"
        x, y, seen = self.value(
            f"(() => {{ const e = {element}; e.scrollIntoView({{block: 'center', inline: 'center'}});"
            " const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2;"
            " const top = document.elementFromPoint(x, y);"
            " return [x, y, e.contains(top) || top.contains(e)]; })()"
        )
        assert seen, f"something covers {selector}"
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key: Tab, Enter, Escape, or the space bar."""
        code, text = _KEYS[key]
        parameters = {"key": key, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self.call("Input.insertText", text=text)

    def heard(self) -> list[tuple[str, str]]:
        """What a screen reader is told: the role and the name of everything that has both."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        found = ((node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes)
        return [(role, name) for role, name in found if role and name]

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A picture of what is seen, or of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            answer = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """The page on A4 paper."""
        return base64.b64decode(self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])


class Browser:
    """A running Chromium; its tabs are opened one at a time."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """A new tab, as wide as a desktop's."""
        target = self._ask("PUT", "new?about:blank")
        try:
            with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as connection:
                tab = Tab(connection)
                tab.look()
                yield tab
        finally:
            self._ask("GET", f"close/{target['id']}")

    def _ask(self, method: str, path: str) -> Any:
        request = Request(f"http://{self._address}/json/{path}", method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=_ANSWER_SECONDS) as answer:
            content = answer.read()
        return json.loads(content) if method == "PUT" else None


@contextmanager
def running(program: str) -> Iterator[Browser]:
    """A browser with an empty profile, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="build-lib-browser-", ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "log"
        with log.open("w") as file:
            command = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield Browser(_address(Path(profile) / "DevToolsActivePort", process, log))
        finally:
            process.terminate()
            process.wait(_READY_SECONDS)


def _address(port: Path, process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where it can be driven: it writes its port into its profile."""
    deadline = time.monotonic() + _READY_SECONDS
    while not (port.is_file() and port.read_text().count("\n")):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return f"127.0.0.1:{port.read_text().splitlines()[0]}"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium without a window, for all tests; its package is installed if it is not there."""
    settings = Settings.load(tmp_path_factory.mktemp("browser"), environ=dict(os.environ))
    with running(install("chromium", "chromium", settings)) as started:
        yield started
