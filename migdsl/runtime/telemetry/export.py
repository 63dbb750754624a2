"""Turns what a job measures into files, scrapes and pushes, from a thread that never holds the job up or stops it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.error import HTTPError, URLError

from migdsl.runtime.errors import UsageError
from migdsl.runtime.telemetry.metrics import METRICS, MetricSpec, Sample, render
from migdsl.runtime.telemetry.options import Telemetry
from migdsl.runtime.telemetry.sinks import MetricsServer, push, replace_file

_EVERY_S: Final = 5.0
_TELL_EVERY_S: Final = 60.0


@dataclass(slots=True)
class Exporter:
    """A context in which a job's metrics are to be had where `telemetry` says.

    `samples` is asked from other threads; `grouping` are the Pushgateway's labels after `job`; `log` hears of what
    fails. `refresh` runs before each time, and hears whether it is the last. `live`: file and gateway are written all
    the time, and not at the end alone, which is for jobs whose numbers mean something only then. `families` are the
    metrics that there may be. Entering raises
    UsageError where the port can't be had or the file can't be written: whoever mistyped them is told at once. From
    then on failures are logged.
    """

    telemetry: Telemetry
    samples: Callable[[], list[Sample]]
    grouping: Mapping[str, str]
    log: Callable[..., None]
    refresh: Callable[[bool], None] = lambda _last: None
    stopped: Callable[[], bool] = lambda: False
    live: bool = True
    every_s: float = _EVERY_S
    families: tuple[MetricSpec, ...] = METRICS
    _server: MetricsServer | None = None
    _thread: threading.Thread | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _told: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Exporter:
        if not self.telemetry.exports:
            return self
        self._require_file()
        self._serve()
        self._thread = threading.Thread(target=self._loop, name="migdsl-export", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last numbers go out; a job that isn't `live` has none when it failed."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self.refresh(True)
            if self.live or kind is None:
                self._publish()
        if self._server is not None:
            if kind is None and self.telemetry.linger_s and not self.stopped():
                self.log("awaiting_scrape", seconds=self.telemetry.linger_s)
                self._server.await_scrape(self.telemetry.linger_s, self.stopped)
            self._server.close()

    def _require_file(self) -> None:
        path = self.telemetry.textfile
        if path is None:
            return
        try:
            if self.live:
                replace_file(path, self._text())
            else:
                tempfile.TemporaryFile(dir=Path(path).parent).close()
        except OSError as error:
            raise UsageError(f"can't write metrics to {path}: {_spoken(error)}") from None

    def _serve(self) -> None:
        address = self.telemetry.listen
        if address is None:
            return
        try:
            self._server = MetricsServer(self._text, address)
        except OSError as error:
            raise UsageError(f"can't serve metrics at {address[0]}:{address[1]}: {_spoken(error)}") from None
        host, port = self._server.address
        self.log("metrics_served", address=f"{host}:{port}")

    def _loop(self) -> None:
        while True:
            self.refresh(False)
            if self.live:
                self._publish()
            if self._ended.wait(self.every_s):
                return

    def _text(self) -> str:
        return render(self.samples(), self.families)

    def _publish(self) -> None:
        text = self._text()
        # An empty push would take away what the last run said.
        if not text:
            return
        path, gateway = self.telemetry.textfile, self.telemetry.pushgateway
        if path is not None:
            self._tried("textfile", lambda: replace_file(path, text))
        if gateway is not None:
            groups = {"job": "migdsl", **self.grouping, "instance": self.telemetry.instance}
            self._tried("pushgateway", lambda: push(gateway, text, groups))

    def _tried(self, what: str, send: Callable[[], None]) -> None:
        """Metrics are never worth a job: what fails is said, and again each minute."""
        try:
            send()
        except Exception as error:  # noqa: BLE001 - whatever a gateway or a proxy in between answers
            now = time.monotonic()
            if now - self._told.get(what, -_TELL_EVERY_S) >= _TELL_EVERY_S:
                self._told[what] = now
                self.log("metrics_not_sent", level="warning", to=what, error=_spoken(error))


def _spoken(error: Exception) -> str:
    """The class of an error and its number; not its text, which may hold the address and so a password."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    reason = cause.strerror if isinstance(cause, OSError) else None
    return f"{type(cause).__name__}{f': {reason}' if reason else ''}"
