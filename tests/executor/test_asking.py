"""What the ledger doesn't know: people and Prometheus are asked, and what they say is written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from migdsl.executor.prometheus import Unanswered, yields
from tests.executor.conftest import Home, Run
from tests.executor.test_story import apply, roll, status

OWN = """
metric checkout_errors = `sum(rate(checkout_errors_total[5m]))` unit ratio

gate calm when checkout_errors < 1%

phase smoke_test after expand {
  step "click through the checkout"
  step "run the smoke tests" run "make smoke"
}

phase backfill { exit when backfill_errors = 0 }
"""


class Prometheus:
    """A server that answers each query with what `answer` says: a body, or an HTTP code."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: object = {"status": "success", "data": {"result": []}}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(parse_qs(urlsplit(self.path).query)["query"][0])
                code = outer.answer if isinstance(outer.answer, int) else 200
                self.send_response(code)
                self.end_headers()
                body = outer.answer if isinstance(outer.answer, bytes) else json.dumps(outer.answer).encode()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/prometheus"

    def holds(self, *, holds: bool) -> None:
        result = [{"metric": {}, "value": [0, "1"]}] if holds else []
        self.answer = {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    found = Prometheus()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_answers_of_prometheus(prometheus: Prometheus) -> None:
    prometheus.holds(holds=True)
    assert yields(prometheus.url, 'up{a="b&c"} == 1')
    assert prometheus.asked == ['up{a="b&c"} == 1']
    prometheus.holds(holds=False)
    assert not yields(prometheus.url, "up")
    bad: tuple[object, ...] = (503, b"no json", {"status": "error"}, [], {"status": "success", "data": {}})
    for answer in bad:
        prometheus.answer = answer
        with pytest.raises(Unanswered):
            yields(prometheus.url, "up")
    for url in ("file:///etc/passwd", "http://127.0.0.1:1", "http://me:s3cret@[broken"):
        with pytest.raises(Unanswered) as refused:
            yields(url, "up")
        assert "s3cret" not in str(refused.value)


def test_steps_and_conditions_of_the_users_own(home: Home, run: Run, prometheus: Prometheus) -> None:
    home.source.write_text(home.source.read_text(encoding="utf-8") + OWN, encoding="utf-8")
    assert run("compile", "users.mig").code == 0
    apply(run, "expand", "--confirm", "watched")
    said = apply(run, "smoke_test", "--confirm", "old_code_User", code=4)
    assert "step_1: click through the checkout (only a person knows)" in said
    assert "--confirm step_1" in said
    assert "step_2: run the smoke tests: make smoke" in apply(run, "smoke_test", "--confirm", "step_1", code=4)
    apply(run, "validate", "--confirm", "step_2")
    assert home.events("confirm") == [
        ("prepare/watched", "yes"),
        ("expand/old_code_User", "yes"),
        ("smoke_test/step_1", "yes"),
        ("smoke_test/step_2", "yes"),
    ]
    apply(run, "cutover")
    for stage in ("dualwrite", "shadow", "live"):
        roll(run, stage, "all")
    assert run("apply", "users.mig", "--to", "enforce", "--yes").code == 4
    home.pass_time("25 hours")
    # The ledger's gates hold, and nobody has said yet that the checkout is calm.
    said = apply(run, "enforce", code=4)
    assert "calm: checkout_errors < 1% (only your monitoring knows)" in said
    prometheus.holds(holds=False)
    said = apply(run, "enforce", "--prometheus", prometheus.url, code=4)
    assert "calm: checkout_errors < 1% (Prometheus says that it doesn't hold)" in said
    assert prometheus.asked[-1] == "max(sum(rate(checkout_errors_total[5m]))) < 0.01"
    prometheus.holds(holds=True)
    apply(run, "enforce", "--prometheus", prometheus.url)
    assert home.head() == "users_email_enforce"


def test_a_word_about_what_changes_by_itself_lasts_a_day(home: Home, run: Run) -> None:
    text = home.source.read_text(encoding="utf-8") + OWN.replace("gate calm when", "phase validate { exit when") + "}"
    text = text.replace("checkout_errors < 1%\n\nphase smoke", "checkout_errors < 1% }\n\nphase smoke").removesuffix(
        "}"
    )
    home.source.write_text(text, encoding="utf-8")
    assert run("compile", "users.mig").code == 0
    people = ("watched", "old_code_User", "step_1", "step_2")
    apply(run, "validate", *(word for name in people for word in ("--confirm", name)))
    unmet = [c["id"] for c in status(run, 4)["conditions"] if not c["met"] and c["phase"] == "validate"]
    assert unmet == ["exit_validate"]
    apply(run, "cutover", "--confirm", "exit_validate")
    home.pass_time("25 hours")
    met = {c["id"]: c["met"] for c in status(run, 4)["conditions"]}
    assert "exit_validate" not in met
    assert met["stage_live"] is False
