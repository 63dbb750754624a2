"""A stream with tables whose tenant is known by way of others: carried behind what they lead to, and proven like all others."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from migdsl.emit import proof
from migdsl.emit.artifact import Artifact
from migdsl.ops import stream_slot
from migdsl.ops.streams import streams
from migdsl.runtime.stream.jobs import Stream
from migdsl.values import replace
from migdsl.workspace import Compilation, compile_files
from tests.integration.children import FILE

SIDE = """side AS side
                    WHERE side.migration = 'shop' AND side.stream = 'Order'
                      AND side.tenant = CAST((SELECT p1.tenant"""
LINES = "public.order_lines"


@cache
def compiled() -> Compilation:
    found = compile_files({"shop.mig": FILE}, "shop.mig", through="contract")
    assert found.ok, found.diagnostics
    return found


def of_kind(kind: str, end: str = "") -> Artifact:
    (artifact,) = (a for a in compiled().artifacts if a.kind == kind and a.path.endswith(end))
    return artifact


def prove(text: str, artifact: Artifact) -> None:
    module = compiled().module
    assert module is not None
    known = [proof.boundary(module, name) for name in ("monolith", "orders")]
    proof.prove(Artifact(artifact.path, text, artifact.kind), ast.parse(text), *known)


def test_a_table_comes_behind_those_that_it_leads_to() -> None:
    space: dict[str, object] = {"__name__": "generated"}
    exec(of_kind("sync").text, space)
    stream = space["STREAM"]
    assert isinstance(stream, Stream)
    assert [move.entity for move in stream.moves] == ["Order", "Line", "Note"]


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        # Whose a row is is asked of a table that has no part in it.
        ("FROM public.purchases AS p1 WHERE p1.number = s.", "FROM public.users AS p1 WHERE p1.number = s."),
        # The owner is reached beside the question which side writes.
        ("FROM pg_temp.migdsl_shop_lines_e6bcd098_stage AS s\n", "FROM pg_temp.x AS s, public.purchases\n"),
        # The row beside a staged one is another.
        ("        WHERE t.id = s.id\n       OFFSET 0", "        WHERE t.id > s.id\n       OFFSET 0"),
        ("        WHERE t.id = s.id\n       OFFSET 0", "        WHERE t.id = s.id OR TRUE\n       OFFSET 0"),
        # It is a question to something else than the ledger.
        (f"TRUE\n   AND NOT EXISTS (SELECT FROM migdsl.{SIDE}", f"TRUE\n   AND NOT EXISTS (SELECT FROM public.{SIDE}"),
        (
            f"JOIN {LINES} AS t ON t.id = o.key_1",
            f"JOIN {LINES} AS t ON t.id = o.key_1 JOIN public.orders AS p ON TRUE",
        ),
    ],
)
def test_an_applier_asks_for_the_owner_and_reaches_no_more(was: str, becomes: str) -> None:
    job = of_kind("sync")
    assert was in job.text
    prove(job.text, job)
    with pytest.raises(proof.UnprovenError, match="reaches more than the keys that it was given"):
        prove(job.text.replace(was, becomes), job)


@pytest.mark.parametrize("owner", ["orders AS p2 ON p2.id = p1.order_id", 'purchases AS p2 ON p2.number = p1."order"'])
def test_each_side_of_a_comparison_is_confined_by_its_own_way(owner: str) -> None:
    job = of_kind("reconcile", "note.py")
    assert f"JOIN public.{owner}" in job.text
    prove(job.text, job)
    with pytest.raises(proof.UnprovenError, match="not confined"):
        prove(job.text.replace(owner, f"{owner.partition(' ON ')[0]} ON TRUE"), job)


def test_of_what_is_read_from_the_wal_the_row_says_whose_it_is() -> None:
    module = compiled().module
    assert module is not None
    ((_, line, _),) = streams("shop", module)
    owner = "(SELECT p1.tenant_id FROM public.orders AS p1 WHERE p1.id = t.order_id)"
    row = f"(SELECT CAST({owner} AS text) FROM public.order_lines AS t WHERE t.id = o.key_1)"
    assert f"coalesce(nullif(o.tenant, ''), {row}), o.at" in stream_slot.capture(replace(line, captured=True)).enqueue


def test_code_is_told_what_a_foreign_key_may_say_on_the_wrong_side() -> None:
    told = of_kind("runbook").text
    assert "or 23503 (a row of Order that was born there isn't here yet)" in told
    assert "or 23503 (a row of Line that was born there isn't here yet)" in told
