"""Who is moved by a rollout, where the file says nothing of it: tenants, requests where there are none, or all at once."""

from __future__ import annotations

import pytest

from migdsl.ops.lower import lower
from migdsl.semantics.rollout import DEFAULT_STEPS
from tests.ops.support import checked

HEAD = """
migration m { ticket "MIG-1" }
database app { engine postgresql 15; url env DATABASE_URL }
database shop { engine postgresql 15; url env SHOP_URL }
"""
TENANTS = "tenants { key tenant_id uuid; list in app `SELECT id FROM tenants ORDER BY id` }\n"
NOBODY = 'tenants none because "one customer"\n'
ORDER = "entity Order in app.orders { id bigint key; tenant_id uuid tenant; n integer; index (tenant_id, id) }\n"
RATE = 'entity Rate in app.rates { code text key; n integer; global because "the same for all" }\n'
AWAY, WITHIN = (
    "move Rate to shop.rates { code = code; n = n }\n",
    "move Rate to app.sales.rates { code = code; n = n }\n",
)
ORDER_AWAY = "move Order to shop.orders { id = id; tenant_id = tenant_id; n = n }\n"
CHANGED = 'change Rate { comment n "a share" }\n'


@pytest.mark.parametrize(
    ("text", "steps", "by_request"),
    [
        (TENANTS + ORDER + ORDER_AWAY, DEFAULT_STEPS, False),
        (TENANTS + RATE + WITHIN, DEFAULT_STEPS, False),
        (TENANTS + RATE + AWAY, (100.0,), False),
        (NOBODY + RATE + AWAY, (100.0,), False),
        (NOBODY + RATE + WITHIN, DEFAULT_STEPS, True),
        (NOBODY + RATE + WITHIN + "cutover { ramp 5%, 100% }", (5.0, 100.0), True),
        (NOBODY + RATE + CHANGED, DEFAULT_STEPS, True),
    ],
)
def test_who_goes_first(text: str, steps: tuple[float, ...], by_request: bool) -> None:
    module, told = checked(HEAD + text)
    assert told == []
    assert (module.rollout.steps, module.rollout.by_request) == (steps, by_request)


def test_beside_what_has_tenants_there_is_no_step_for_all() -> None:
    module, told = checked(HEAD + TENANTS + ORDER + ORDER_AWAY + RATE + AWAY)
    assert module.rollout.steps == DEFAULT_STEPS
    assert [line.split()[0] for line in told] == ["MIG512"]


def test_a_key_to_what_goes_away_goes_before_it_is_written_there() -> None:
    line = "entity Line in app.lines { id bigint key; tenant_id uuid tenant; index (tenant_id, id)\n"
    line += "order_id bigint -> Order.id; rate text -> Rate.code }\n"
    dropped = "change Line { drop constraint lines_order_id_fkey; drop constraint lines_rate_fkey }\n"
    module, told = checked(HEAD + TENANTS + ORDER + RATE + line + ORDER_AWAY + dropped)
    assert told == []
    found = {(s.phase, s.title.split()[3]) for s in lower(module).steps if s.operation == "drop_constraint"}
    assert found == {("validate", "lines_order_id_fkey"), ("contract", "lines_rate_fkey")}
    # Each is brought back by its own phase.
    (rebuilt,) = [s for s in lower(module).steps if s.operation == "rebuild"]
    assert "lines_rate_fkey" in rebuilt.title
    assert "lines_order_id_fkey" not in rebuilt.title
