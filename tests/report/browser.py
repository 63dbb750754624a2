"""A headless Chromium of our own, driven through two pipes: pages open at a width and a theme, and say what went wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Chromium reads commands from descriptor 3 and answers on 4; wherever the pipes are here, there they have to be those.
_SHIM = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
for fd, place in zip(ends, (3, 4)):
    os.dup2(fd, place)
    os.close(fd)
os.execv(sys.argv[3], sys.argv[3:])
"""
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--in-process-gpu",
    "--disable-software-rasterizer",
    "--renderer-process-limit=1",
    "--disable-features=IsolateOrigins,site-per-process,Translate,MediaRouter,OptimizationHints",
    "--remote-debugging-pipe",
)


class Browser:
    """One process for many pages."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self._process, self._commands, self._answers = process, commands, answers
        self._rest, self._number = b"", 0
        self._tab: str | None = None
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """A command's result; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, method: str, session: str) -> None:
        """Until such an event has come."""
        while not any(e.get("method") == method and e.get("sessionId") == session for e in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._answers, 1 << 16)
            assert piece, f"Chromium is gone, exit code {self._process.wait()}"
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(first)
        return answer

    @contextmanager
    def page(self, path: Path, *, width: int = 1280, theme: str = "light", scripts: bool = True) -> Iterator[Page]:
        """A file, loaded, in the one tab that there is: a new one would cost a process."""
        if self._tab is None:
            self._tab = self._opened()
        page = Page(self, self._tab)
        page.call("Page.navigate", url="about:blank")
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.media(theme)
        page.wide(width)
        self.events = []
        frame = page.call("Page.navigate", url=path.as_uri())
        assert "errorText" not in frame, frame
        self.wait_for("Page.loadEventFired", self._tab)
        yield page

    def _opened(self) -> str:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session: str = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        return session


class Page:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command to this page."""
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript, or of the promise that it gives."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wide(self, width: int) -> None:
        """Another width."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def media(self, theme: str, medium: str = "") -> None:
        """Another theme, or another medium (`print`)."""
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)

    def press(self, key: str) -> None:
        """A key, down and up."""
        text = {"Enter": "\r"}.get(key, "")
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], text=text
            )

    def complaints(self) -> list[str]:
        """What the page has said of errors so far, and what it has asked of any network."""
        mine = [e for e in self._browser.events if e.get("sessionId") == self._session]
        found = []
        for event in mine:
            given = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(given["exceptionDetails"].get("exception", given["exceptionDetails"])))
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(f"console.{given['type']}: {[a.get('value') for a in given['args']]}")
            elif event["method"] == "Log.entryAdded":
                found.append(f"{given['entry']['level']}: {given['entry']['text']}")
        return found + [f"asked for {url}" for url in self.requests()[1:]]

    def requests(self) -> list[str]:
        """The addresses that were asked for, the page's own first."""
        sent = (e for e in self._browser.events if e.get("method") == "Network.requestWillBeSent")
        return [e["params"]["request"]["url"] for e in sent if e.get("sessionId") == self._session]

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16_000), "scale": 1}
        options = {"captureBeyondViewport": True, "clip": clip} if whole else {}
        path.write_bytes(b64decode(self.call("Page.captureScreenshot", format="png", **options)["data"]))

    def pdf(self, path: Path) -> None:
        """What a printer would get."""
        answer = self.call(
            "Page.printToPDF", preferCSSPageSize=True, printBackground=True, paperWidth=8.27, paperHeight=11.69
        )
        path.write_bytes(b64decode(answer["data"]))


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """A Chromium with an empty profile in that folder, for as long as the block lasts."""
    ours, theirs = os.pipe(), os.pipe()
    argv = [sys.executable, "-c", _SHIM, str(ours[0]), str(theirs[1]), program, *_OPTIONS, f"--user-data-dir={profile}"]
    environment = {**os.environ, "HOME": str(profile), "XDG_CONFIG_HOME": str(profile), "XDG_CACHE_HOME": str(profile)}
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(argv, pass_fds=(ours[0], theirs[1]), stderr=log, stdout=log, env=environment)
    os.close(ours[0])
    os.close(theirs[1])
    running = Browser(process, ours[1], theirs[0])
    try:
        yield running
        running.call("Browser.close")
    finally:
        os.close(ours[1])
        os.close(theirs[0])
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
