"""A gate is asked of a real Prometheus, which scrapes an application: it opens when the metric says so, and not before."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.conftest import needs_tool
from tests.executor.conftest import Home, Run
from tests.executor.test_story import apply, roll

GATE = """
metric checkout_errors = `max(checkout_error_ratio)` unit ratio

gate calm when checkout_errors < 1%
"""
CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs: [{{job_name: shop, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


class Quiet(HTTPServer):
    """One that says nothing of a scrape that was given up."""

    def handle_error(self, request: object, client_address: object) -> None: ...


class Shop:
    """An application with one metric."""

    def __init__(self) -> None:
        self.ratio = 0.5
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(f"# TYPE checkout_error_ratio gauge\ncheckout_error_ratio {outer.ratio}\n".encode())

            def log_message(self, *_: object) -> None: ...

        self.server = Quiet(("127.0.0.1", 0), Handler)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def prometheus(shop: Shop, tmp_path: Path) -> Iterator[str]:
    """Its address."""
    program = needs_tool("prometheus")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    (folder / "config.yml").write_text(CONFIG.format(port=shop.server.server_port))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [program, "--config.file=config.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def until(address: str, value: str) -> None:
    """Waits until Prometheus has scraped the value."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urlopen(f"{address}/api/v1/query?query={quote('checkout_error_ratio')}", timeout=10) as answer:
                if [each["value"][1] for each in json.load(answer)["data"]["result"]] == [value]:
                    return
        except (URLError, ConnectionError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"Prometheus has not scraped {value}")


def test_a_gate_that_a_real_prometheus_opens(home: Home, run: Run, shop: Shop, prometheus: str) -> None:
    home.source.write_text(home.source.read_text(encoding="utf-8") + GATE, encoding="utf-8")
    assert run("compile", "users.mig").code == 0
    apply(run, "cutover", "--confirm", "watched", "--confirm", "old_code_User")
    for stage in ("dualwrite", "shadow", "live"):
        roll(run, stage, "all")
    apply(run, "enforce", code=4)
    home.pass_time("25 hours")
    until(prometheus, "0.5")
    said = apply(run, "enforce", "--prometheus", prometheus, code=4)
    assert "calm: checkout_errors < 1% (Prometheus says that it doesn't hold)" in said
    assert home.head() == "users_email_expand"
    shop.ratio = 0.001
    until(prometheus, "0.001")
    apply(run, "enforce", "--prometheus", prometheus)
    assert home.head() == "users_email_enforce"
