"""Where metrics go: a scrape, a Pushgateway, a file; none of them ever holds a job up or stops it."""

from __future__ import annotations

import base64
import http.client
import io
import json
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from migdsl.runtime.errors import UsageError
from migdsl.runtime.telemetry.export import Exporter
from migdsl.runtime.telemetry.metrics import BACKFILL_LANES, BACKFILL_PROGRESS, Sample
from migdsl.runtime.telemetry.options import Telemetry
from migdsl.runtime.telemetry.sinks import CONTENT_TYPE, MetricsServer, push, replace_file
from migdsl.runtime.telemetry.watched import Comparing
from tests.runtime.gateway import Gateway

LABELS = {"migration": "m", "backfill": "b"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as found:
        yield found


def get(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.headers.get("Content-Type") or "", answer.read().decode()


# ---------------------------------------------------------------- scrape


def test_a_scrape_gets_what_is_so_just_then() -> None:
    count = iter(range(9))
    server = MetricsServer(lambda: f"x {next(count)}\n", ("127.0.0.1", 0))
    try:
        host, port = server.address
        assert host == "127.0.0.1"
        assert get(port, "/metrics") == (200, CONTENT_TYPE, "x 0\n")
        assert get(port, "/metrics?name[]=x")[2] == "x 1\n"
        assert get(port, "/metrics", "HEAD")[::2] == (200, "")
        assert get(port, "/")[0] == 404
        assert get(port, "/metrics/../etc/passwd")[0] == 404
        assert get(port, "/metrics", "POST")[0] == 501
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"):
        get(port, "/metrics")


def test_a_client_that_says_nothing_is_in_nobodys_way() -> None:
    server = MetricsServer(lambda: "x 1\n", ("127.0.0.1", 0))
    with socket.create_connection(server.address) as silent:
        silent.sendall(b"GET /metr")
        assert get(server.address[1], "/metrics")[0] == 200
        server.close()


def test_the_port_stays_open_until_it_was_read_once_more() -> None:
    server = MetricsServer(lambda: "x 1\n", ("127.0.0.1", 0))
    try:
        assert get(server.address[1], "/metrics")[0] == 200
        done = threading.Event()

        def wait() -> None:
            server.await_scrape(60)
            done.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        # What was read before the end doesn't count.
        assert not done.wait(0.3)
        assert get(server.address[1], "/metrics")[0] == 200
        assert done.wait(5)
        server.await_scrape(60, stopped=lambda: True)
        server.await_scrape(0)
    finally:
        server.close()


def test_a_scrape_that_began_before_the_end_is_not_the_last() -> None:
    collecting, go_on = threading.Event(), threading.Event()

    def collect() -> str:
        collecting.set()
        assert go_on.wait(30)
        return "x 1\n"

    server = MetricsServer(collect, ("127.0.0.1", 0))
    early = threading.Thread(target=get, args=(server.address[1], "/metrics"))
    waiting = threading.Thread(target=server.await_scrape, args=(60,))
    try:
        early.start()
        assert collecting.wait(30)
        waiting.start()
        while not server.ending:
            waiting.join(0.01)
        go_on.set()
        early.join(30)
        assert waiting.is_alive()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert get(server.address[1], "/metrics")[0] == 200
        waiting.join(30)
        assert not waiting.is_alive()
    finally:
        go_on.set()
        server.close()


# ---------------------------------------------------------------- pushes


def test_a_push_replaces_its_group(gateway: Gateway) -> None:
    push(f"{gateway.url}/base/", "x 1\n", {"job": "migdsl", "migration": 'a b"/ü', "instance": "h", "backfill": ""})
    (only,) = gateway.pushed
    encoded = base64.urlsafe_b64encode('a b"/ü'.encode()).decode().rstrip("=")
    assert only.method == "PUT"
    assert only.path == f"/base/metrics/job/migdsl/migration@base64/{encoded}/instance/h/backfill@base64/="
    assert only.body == "x 1\n"
    assert only.headers["content-type"] == CONTENT_TYPE
    assert "authorization" not in only.headers


def test_a_password_is_sent_and_never_in_the_path(gateway: Gateway) -> None:
    push(f"http://me:p%40ss@{gateway.host}", "x 1\n", {"job": "migdsl"})
    assert base64.b64decode(gateway.pushed[0].headers["authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert gateway.pushed[0].headers["host"] == gateway.host
    assert "p@ss" not in gateway.pushed[0].path


def test_a_push_follows_no_redirect(gateway: Gateway) -> None:
    with Gateway() as other:
        gateway.code, gateway.location = 302, other.url
        with pytest.raises(HTTPError):
            push(f"http://me:secret@{gateway.host}", "x 1\n", {"job": "migdsl"})
        assert other.pushed == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "pushgateway:9091"])
def test_only_http_is_pushed_to(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        push(url, "x 1\n", {"job": "migdsl"})


# ---------------------------------------------------------------- the exporter


class Job:
    """Samples that count up, and the log lines."""

    def __init__(self) -> None:
        self.lanes = 0
        self.lines: list[dict[str, object]] = []

    def samples(self) -> list[Sample]:
        self.lanes += 1
        return [Sample(BACKFILL_LANES, LABELS, self.lanes)]

    def log(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})

    def exporter(self, telemetry: Telemetry, **more: object) -> Exporter:
        return Exporter(telemetry, self.samples, LABELS, self.log, every_s=0.02, **more)  # type: ignore[arg-type]


def test_all_ways_at_once(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "m.prom"
    telemetry = Telemetry(
        textfile=str(path), listen=("127.0.0.1", 0), pushgateway=gateway.url, instance="here", run="r"
    )
    looked: list[object] = []
    job = Job()
    with job.exporter(telemetry, refresh=looked.append):
        assert job.lines[0]["event"] == "metrics_served"
        address = str(job.lines[0]["address"])
        with urlopen(f"http://{address}/metrics") as answer:
            assert b"migdsl_backfill_lanes{" in answer.read()
        while len(gateway.pushed) < 3:
            time.sleep(0.005)
    assert {each.path for each in gateway.pushed} == {"/metrics/job/migdsl/migration/m/backfill/b/instance/here"}
    assert path.read_text() == gateway.pushed[-1].body
    assert looked[-1] is True
    assert set(looked[:-1]) == {False}


def test_without_a_place_to_go_nothing_is_started() -> None:
    job = Job()
    before = threading.active_count()
    with job.exporter(Telemetry()):
        assert threading.active_count() == before
    assert job.lanes == 0


@pytest.mark.parametrize("wrong", ["answer", "nobody", "garbage"])
def test_a_gateway_that_fails_never_stops_a_job(gateway: Gateway, wrong: str) -> None:
    gateway.code = 500
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def garbage() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.recv(1 << 16)
            client.sendall(b"\x00\xff\r\n\r\n")
            client.close()

    if wrong == "garbage":
        threading.Thread(target=garbage, daemon=True).start()
    else:
        listener.close()
    url = gateway.host if wrong == "answer" else f"127.0.0.1:{port}"
    job = Job()
    with job.exporter(Telemetry(pushgateway=f"http://me:secret@{url}")):
        while job.lanes < 4:
            time.sleep(0.005)
    listener.close()
    (line,) = job.lines
    assert (line["event"], line["to"]) == ("metrics_not_sent", "pushgateway")
    assert line["error"] == {"answer": "HTTP 500", "nobody": "ConnectionRefusedError: Connection refused"}.get(
        wrong, line["error"]
    )
    assert "secret" not in json.dumps(line)


def test_what_is_mistyped_is_told_at_once(tmp_path: Path) -> None:
    for live in (True, False):
        with pytest.raises(UsageError, match=r"can't write metrics to .*No such file"):
            Job().exporter(Telemetry(textfile=str(tmp_path / "no" / "m.prom")), live=live).__enter__()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"can't serve metrics at 127.0.0.1:{port}: .*in use"):
            Job().exporter(Telemetry(listen=("127.0.0.1", port))).__enter__()


def test_a_file_that_can_no_longer_be_written_is_said_once(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    job = Job()
    with job.exporter(Telemetry(textfile=str(folder / "m.prom"))):
        (folder / "m.prom").unlink()
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:
                (folder / "m.prom").unlink(missing_ok=True)
        seen = job.lanes
        while job.lanes < seen + 3:
            time.sleep(0.005)
    assert [(line["event"], line["to"]) for line in job.lines] == [("metrics_not_sent", "textfile")]


def comparing(telemetry: Telemetry, err: io.StringIO) -> Comparing:
    return Comparing({"migration": "m", "entity": "E"}, telemetry, err, _Never())


class _Never:
    requested = False

    def sleep(self, seconds: float) -> None: ...


def test_a_reconciliation_leaves_the_last_numbers_until_it_has_ended(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "m.prom"
    replace_file(str(path), "of before\n")
    err = io.StringIO()
    telemetry = Telemetry(textfile=str(path), listen=("127.0.0.1", 0), pushgateway=gateway.url, run="r")
    measured = comparing(telemetry, err)
    with measured.exporter():
        measured.progress(1, 4)
        fields = dict(pair.split("=", 1) for pair in shlex.split(err.getvalue()))
        assert (fields["event"], fields["entity"], fields["run"]) == ("metrics_served", "E", "r")
        with urlopen(f"http://{fields['address']}/metrics") as answer:
            assert b"migdsl_reconcile_progress_ratio{" in answer.read()
        assert (path.read_text(), gateway.pushed) == ("of before\n", [])
        measured.report([Sample(BACKFILL_PROGRESS, LABELS, 1.0)])
    assert "migdsl_backfill_progress_ratio" in path.read_text()
    assert [each.path for each in gateway.pushed] == [
        f"/metrics/job/migdsl/migration/m/entity/E/instance/{telemetry.instance}"
    ]


def test_a_reconciliation_that_fails_or_is_of_single_tenants_says_nothing(gateway: Gateway, tmp_path: Path) -> None:
    telemetry = Telemetry(textfile=str(tmp_path / "m.prom"), pushgateway=gateway.url)
    for fails in (True, False):
        measured = comparing(telemetry, io.StringIO())
        try:
            with measured.exporter():
                measured.progress(1, 1)
                if fails:
                    raise KeyError
                measured.report([])
        except KeyError:
            assert fails
    assert (list(tmp_path.iterdir()), gateway.pushed) == ([], [])
