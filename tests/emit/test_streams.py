"""The files of a stream: what its sync job describes, and that each of its statements reaches only what it was given."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

import pytest

from migdsl.emit import proof
from migdsl.emit.artifact import Artifact
from migdsl.runtime.stream.jobs import Stream
from migdsl.workspace import Compilation, compile_files

ROOT = Path(__file__).resolve().parents[2]
OUTBOX = ROOT / "examples/16_extraction_outbox/orders_extraction.mig"
CDC = ROOT / "examples/17_extraction_cdc/orders_cdc.mig"


@cache
def compiled(path: Path, was: str = "", becomes: str = "") -> Compilation:
    text = path.read_text(encoding="utf-8")
    assert was in text
    found = compile_files({path.name: text.replace(was, becomes) if was else text}, path.name, through="contract")
    assert found.ok, found.diagnostics
    return found


def of_kind(found: Compilation, kind: str) -> list[Artifact]:
    return [artifact for artifact in found.artifacts if artifact.kind == kind]


def described(found: Compilation) -> Stream:
    (artifact,) = of_kind(found, "sync")
    space: dict[str, object] = {"__name__": "generated"}
    exec(compile(artifact.text, artifact.path, "exec"), space)
    stream = space["STREAM"]
    assert isinstance(stream, Stream)
    return stream


def test_tables_that_go_the_same_way_are_one_stream() -> None:
    stream = described(compiled(OUTBOX))
    assert (stream.stream, stream.old_env, stream.new_env) == ("Order", "MONOLITH_URL", "ORDERS_URL")
    assert [(m.entity, m.old_table, m.new_table, m.key, m.backfill) for m in stream.moves] == [
        ("Order", "public.orders", "public.orders", ("id",), "Order"),
        ("OrderLine", "public.order_lines", "public.lines", ("order_id", "line"), "OrderLine"),
    ]
    assert [(s.old, s.new, s.columns) for m in stream.moves for s in m.sequences] == [
        ("public.orders", "public.orders", ("id", "id"))
    ]
    assert (stream.tenants_in, stream.lag_s, stream.slot) == ("old", 30.0, None)


def test_a_slot_is_read_where_the_file_says_so() -> None:
    found = compiled(CDC)
    stream = described(found)
    # Who is told by a backfill to drop a slot may not drop this one.
    (backfill,) = of_kind(found, "backfill")
    assert f"slot_name NOT IN ('{stream.slot.name if stream.slot else ''}')" in backfill.text
    assert any("migdsl_sync_wal_kept_bytes" in artifact.text for artifact in of_kind(found, "alerts"))
    assert not any("migdsl_sync_wal_kept_bytes" in artifact.text for artifact in of_kind(compiled(OUTBOX), "alerts"))
    assert stream.slot is not None
    assert (stream.slot.name, stream.lag_s) == ("migdsl_orders_cdc_order", 10.0)
    assert stream.moves[0].capture is not None


def test_debezium_reads_the_outbox_beside_the_job() -> None:
    found = compiled(CDC, "cdc logical", "cdc debezium")
    assert described(found).slot is None
    (artifact,) = of_kind(found, "cdc")
    assert artifact.path == "cdc/orders_cdc.order.debezium.json"
    config = json.loads(artifact.text)["config"]
    (expand,) = (a for a in of_kind(found, "revision") if a.path.endswith("orders_cdc_monolith_expand.py"))
    # The connector gives the name to pgoutput without quotes, which then knows no capitals.
    assert f"CREATE PUBLICATION {config['publication.name']} " in expand.text
    assert config["table.include.list"].replace("\\", "") in expand.text
    # A POST is answered before the connector's task has begun, and what is enqueued before its slot is there is told to nobody.
    (backfill,) = of_kind(found, "backfill")
    assert f"WHERE slot_name = '{config['slot.name']}'" in backfill.text
    (without,) = of_kind(compiled(CDC), "backfill")
    assert config["slot.name"] not in without.text


def test_what_no_tenant_confines_is_listed_in_the_plan() -> None:
    (plan,) = of_kind(compiled(OUTBOX), "plan")
    listed = {e["subject"] for e in json.loads(plan.text)["guardrails"]["tenancy_exemptions"]}
    assert listed == {
        "list: SELECT id FROM tenants ORDER BY id",
        "sync/orders_extraction/order.py: read, gone and upsert",
        "monolith.orders: one anti-join",
        "monolith.order_lines: one anti-join",
        "orders.orders: the way back",
        "orders.lines: the way back",
    }


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("t.order_id = o.key_1 AND t.line = o.key_2", "t.order_id = o.key_1"),
        ("JOIN public.orders AS t ON t.id = o.key_1", "JOIN public.orders AS t ON TRUE"),
        ("FROM pg_temp.migdsl_orders_extraction_lines", "FROM public.migdsl_orders_extraction_lines"),
        ("DELETE FROM public.lines AS t", "DELETE FROM public.orders AS t"),
        (
            "JOIN public.orders AS t ON t.id = o.key_1",
            "JOIN public.orders AS t ON t.id = o.key_1 JOIN public.users AS u ON TRUE",
        ),
    ],
)
def test_an_applier_reaches_the_keys_that_it_was_given_and_no_more(was: str, becomes: str) -> None:
    found = compiled(OUTBOX)
    (artifact,) = of_kind(found, "sync")
    assert was in artifact.text
    mutant = Artifact(artifact.path, artifact.text.replace(was, becomes), artifact.kind)
    with pytest.raises(proof.UnprovenError, match="reaches more than the keys that it was given"):
        prove(found, mutant)
    prove(found, artifact)


def prove(found: Compilation, artifact: Artifact) -> None:
    assert found.module is not None
    known = [proof.boundary(found.module, name) for name in ("monolith", "orders")]
    proof.prove(artifact, ast.parse(artifact.text), *known)


def test_each_side_of_a_comparison_is_confined_in_its_own_database() -> None:
    found = compiled(OUTBOX)
    (artifact,) = (a for a in of_kind(found, "reconcile") if a.path.endswith("order_line.py"))
    prove(found, artifact)
    for table in ("order_lines", "lines"):
        mutant = artifact.text.replace(
            f"FROM public.{table} AS t\n WHERE t.tenant_id = :tenant_id", f"FROM public.{table} AS t\n WHERE TRUE"
        )
        assert mutant != artifact.text
        with pytest.raises(proof.UnprovenError, match=table):
            prove(found, Artifact(artifact.path, mutant, artifact.kind))
