"""Alert rules and dashboards have the shapes that Grafana reads, and survive what Grafana does to their strings."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migdsl.emit import telemetry
from migdsl.emit.artifact import canonical_json
from migdsl.emit.grafana import alert_rules, dashboard, short_text, short_uid
from migdsl.emit.prometheus import rules
from migdsl.emit.standard_alerts import standard_alerts
from migdsl.emit.telemetry import OwnMetric, TelemetryView

VIEW = TelemetryView(
    "users_email",
    "docs/migrations/users_email.md",
    ("user.contact_email",),
    ("User",),
    has_old_writes=True,
    stage="live",
    stages=("live for all", "rampdown for canary"),
    routed=True,
    own=(
        OwnMetric("checkout_errors", "sum(rate(errors_total[5m]))", "ratio", 0.03),
        OwnMetric("queue", "max(queue_length)", "count"),
    ),
)
HOSTILE = (
    '"; drop" \\ back\\x41slash',
    "{{ .Labels.migration }} {{{ }} {",
    "$HOME ${HOME} $$ $$$",
    "[[datasource]] ${datasource}",
    "Zürich · 東京 · 😀",
    "<script>alert(1)</script> **bold** _a_ `b`",
    "n" * 63,
    "💣" * 63,
    "n" * 400,
)
UID = re.compile(r"[a-zA-Z0-9_-]{8,40}")
PANELS_OF_VIEW = 21


def group(view: TelemetryView = VIEW) -> dict:
    document = json.loads(alert_rules(view, standard_alerts(view), "grafana/alerting/M.json").text)
    assert document["apiVersion"] == 1
    (only,) = document["groups"]
    return only


def board(view: TelemetryView = VIEW) -> dict:
    return json.loads(dashboard(view, "grafana/dashboards/M.json").text)


def panels(document: dict) -> list[dict]:
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def expanded(text: str) -> str:
    """What Grafana's provisioning makes of a string when no variable is set: `$NAME`, `${NAME}` vanish, `$$` is `$`."""
    return "$".join(re.sub(r"\$(\{[^}]*\}|\w+)", "", part) for part in text.split("$$"))


def printed(template: str, labels: dict[str, str]) -> str:
    """What Go's templates print, as far as ours go: a string constant or a label."""

    def action(found: re.Match[str]) -> str:
        if constant := re.fullmatch(r'"\\x([0-9a-f]{2})"', found[1]):
            return chr(int(constant[1], 16))
        label = re.fullmatch(r" \.Labels\.(\w+) ", found[1])
        assert label, f"not a template of ours: {found[0]}"
        return labels[label[1]]

    return re.sub(r"\{\{(.*?)\}\}", action, template)


@pytest.mark.parametrize("name", ["users_email", *HOSTILE])
def test_rules_have_the_shape_that_grafana_reads(name: str):
    found = group(replace(VIEW, migration=name))
    assert 1 <= len(found["name"]) <= 190
    assert found["folder"]
    assert found["orgId"] == 1
    for rule in found["rules"]:
        assert UID.fullmatch(rule["uid"])
        assert UID.fullmatch(rule["dashboardUid"])
        assert 1 <= len(rule["title"]) <= 190
        assert rule["condition"] in {query["refId"] for query in rule["data"]}
        assert rule["noDataState"] == "OK"
        assert rule["for"] == f"{int(rule['for'][:-1])}s"
        for query in rule["data"]:
            assert query["model"]["refId"] == query["refId"]
            assert set(query["relativeTimeRange"]) == {"from", "to"}
    uids = [rule["uid"] for rule in found["rules"]]
    titles = [rule["title"] for rule in found["rules"]]
    assert len(set(uids)) == len(set(titles)) == len(uids) == 7


@pytest.mark.parametrize("name", ["users_email", *HOSTILE])
def test_grafanas_own_expansion_leaves_the_text_as_it_was(name: str):
    view = replace(VIEW, migration=name, runbook_path=f"docs/{name}.md")
    found = group(view)
    assert expanded(found["name"]) == short_text(name, 180)
    for rule, alert in zip(found["rules"], standard_alerts(view), strict=True):
        assert expanded(rule["title"]) == f"{short_text(name, 90)}: {alert.title}"
        labels = {"backfill": "user.contact_email", "entity": "User"}
        about = f" ({alert.subject} {labels[alert.subject]})"
        texts = {key: printed(expanded(text), labels) for key, text in rule["annotations"].items()}
        assert texts == {
            "summary": f"{alert.summary} in migration {name}{about}",
            "description": f"{alert.what_to_do} See {alert.runbook}.",
            "runbook": alert.runbook,
        }
        assert not any("$" in text for text in (*rule["annotations"].values(), *rule["labels"].values()))


def test_grafana_and_prometheus_have_the_same_thresholds():
    alerts = standard_alerts(VIEW)
    theirs = json.loads(rules(VIEW, alerts, "M.rules.json").text)["groups"][0]["rules"]
    for rule, prometheus in zip(group()["rules"], theirs, strict=True):
        query, threshold = rule["data"]
        assert query["model"]["expr"] == f"({prometheus['expr']}\n) ^ 0"
        assert query["model"]["instant"] is True
        assert query["datasourceUid"] == "prometheus"
        assert threshold["datasourceUid"] == "__expr__"
        assert threshold["model"]["expression"] == "A"
        assert threshold["model"]["conditions"][0]["evaluator"] == {"type": "gt", "params": [0]}
        assert rule["for"] == prometheus["for"]
        assert rule["labels"] == prometheus["labels"]
        assert rule["annotations"] == prometheus["annotations"]


def test_alerts_link_to_the_panel_that_shows_their_metric():
    document = board()
    by_id = {panel["id"]: panel for panel in panels(document)}
    for rule, alert in zip(group()["rules"], standard_alerts(VIEW), strict=True):
        assert rule["dashboardUid"] == document["uid"]
        shown = " ".join(target["expr"] for target in by_id[rule["panelId"]]["targets"])
        assert set(re.findall(r"migdsl_\w+", shown)) & set(re.findall(r"migdsl_\w+", alert.expr))


def test_an_alert_of_the_users_has_no_panel():
    mine = replace(standard_alerts(VIEW)[0], id="user_slow_reads", title="Slow reads")
    document = json.loads(alert_rules(VIEW, (mine,), "M.json").text)
    (rule,) = document["groups"][0]["rules"]
    assert not {"dashboardUid", "panelId"} & set(rule)


def test_no_alerts_give_no_group():
    assert json.loads(alert_rules(VIEW, (), "M.json").text) == {"apiVersion": 1, "groups": []}


@pytest.mark.parametrize("name", ["users_email", *HOSTILE])
def test_the_dashboard_has_the_shape_that_grafana_reads(name: str):
    document = board(replace(VIEW, migration=name))
    assert document["schemaVersion"] == 41
    assert UID.fullmatch(document["uid"])
    assert 1 <= len(document["title"]) <= 190
    (variable,) = document["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    assert document["annotations"] == {"list": []}
    for panel in panels(document):
        assert panel["title"]
        assert panel["description"]
        if panel["type"] != "text":
            assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
            assert panel["fieldConfig"]["defaults"]["unit"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs) > 0
    assert len(panels(document)) == PANELS_OF_VIEW


def test_panels_stand_side_by_side_without_gaps_or_overlaps():
    taken: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {x for x, _ in taken} == set(range(24))
    assert taken == {(x, y) for x in range(24) for y in range(max(y for _, y in taken) + 1)}


def test_what_the_migration_lacks_is_left_out_and_ids_stay():
    def ids(view: TelemetryView) -> dict[int, str]:
        found = board(view)["panels"]
        assert len({panel["id"] for panel in found}) == len(found)
        return {panel["id"]: panel["title"] for panel in found}

    everything = ids(VIEW)
    for view in (
        replace(VIEW, backfills=()),
        replace(VIEW, entities=()),
        replace(VIEW, has_tenants=False),
        replace(VIEW, has_old_writes=False),
        replace(VIEW, routed=False),
        replace(VIEW, own=()),
    ):
        assert ids(view).items() < everything.items()
        linked = {rule["panelId"] for rule in group(view)["rules"]}
        assert linked <= set(ids(view))
    assert list(ids(replace(VIEW, backfills=(), entities=(), routed=False, own=())).values()) == [
        "Where this migration stands"
    ]


@pytest.mark.needs_tool("promtool")
@pytest.mark.parametrize("name", ["users_email", *HOSTILE])
def test_every_query_is_promql(tmp_path: Path, name: str):
    view = replace(VIEW, migration=name)
    shown = [target["expr"] for panel in panels(board(view)) for target in panel.get("targets", ())]
    asked = [query["model"]["expr"] for rule in group(view)["rules"] for query in rule["data"][:1]]
    queries = [query.replace("[$__rate_interval]", "[5m]") for query in (*shown, *asked)]
    assert not any("$" in query or "[[" in query for query in queries)
    recorded = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    text = canonical_json({"groups": [{"name": "q", "rules": recorded}]})
    (tmp_path / "q.json").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["promtool", "check", "rules", "q.json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_alerts_and_panels_know_has_a_panel():
    shown = " ".join(target["expr"] for panel in panels(board()) for target in panel.get("targets", ()))
    used = set(re.findall(r"\bmigdsl_\w+", shown))
    assert {ref.name for ref in (*telemetry.METRICS, *telemetry.ROUTER_METRICS)} == used


def test_the_files_own_metrics_have_a_panel_each():
    mine = {panel["title"]: panel for panel in panels(board()) if panel["id"] >= 200}
    assert list(mine) == ["checkout_errors", "queue"]
    errors, queue = (mine[name]["fieldConfig"]["defaults"] for name in mine)
    assert (errors["unit"], queue["unit"]) == ("percentunit", "short")
    assert errors["thresholds"]["steps"][-1] == {"color": "red", "value": 0.03}
    assert mine["queue"]["targets"][0]["expr"] == "max(queue_length)"
    assert [mine[name]["gridPos"]["w"] for name in mine] == [12, 12]
    alone = panels(board(replace(VIEW, own=VIEW.own[:1])))[-1]
    assert alone["gridPos"]["w"] == 24


@pytest.mark.parametrize("name", HOSTILE)
def test_the_text_panel_shows_names_as_they_are(name: str):
    content = panels(board(replace(VIEW, stages=(name,), runbook_path=f"docs/{name}.md")))[0]["options"]["content"]
    mine = "\n".join(line for line in content.splitlines() if line.startswith("- "))
    assert not set(mine.removeprefix("- ")) & set('<>*_`[]{}$\\"')
    shown = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), mine.removeprefix("- "))
    assert shown == name


def test_without_lines_the_text_panel_shows_the_stage_for_all():
    content = panels(board(replace(VIEW, stages=())))[0]["options"]["content"]
    assert "- live for all\n" in content


def test_uids_are_readable_distinct_and_short():
    assert re.fullmatch(r"users_email-[0-9a-f]{12}", short_uid("users_email", "dashboard"))
    names = ["users_email", "users-email", "USERS_EMAIL", "users_email ", *HOSTILE]
    found = {short_uid(name, kind) for name in names for kind in ("dashboard", "alert drift")}
    assert len(found) == 2 * len(names)
    assert all(UID.fullmatch(uid) for uid in found)


def test_short_texts_are_one_line_and_distinct():
    assert short_text("a\nb", 20) == "a b"
    assert len(short_text("x" * 99, 20)) == 20
    assert short_text("x" * 99, 20) != short_text("x" * 98, 20)


def test_the_same_view_gives_the_same_bytes():
    assert (
        alert_rules(VIEW, standard_alerts(VIEW), "a").text
        == alert_rules(replace(VIEW), standard_alerts(VIEW), "a").text
    )
    assert alert_rules(VIEW, standard_alerts(VIEW), "a").kind == "alerts"
    first, again = dashboard(VIEW, "b"), dashboard(replace(VIEW), "b")
    assert first == again
    assert (first.path, first.kind) == ("b", "dashboard")
    assert first.text == json.dumps(json.loads(first.text), indent=2, sort_keys=True) + "\n"


def test_panels_turn_red_where_the_alerts_fire():
    view = replace(VIEW, reconcile_stale_seconds=7200)
    steps = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for panel in panels(board(view))[1:]
    }
    assert steps["Since last progress"][-1] == {"color": "red", "value": telemetry.STALLED_SECONDS}
    assert steps["Since last reconciliation"][-1] == {"color": "red", "value": 7200}
    assert steps["Rows remaining"] == [{"color": "green", "value": None}]
