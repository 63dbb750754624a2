"""Two versions of a file: what counts as a change, of which step, and what may not change any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from migdsl.planning.build import build
from migdsl.planning.compare import Compared, compare
from migdsl.planning.model import Planned
from migdsl.planning.verdict import problems
from migdsl.workspace import check

USERS = (Path(__file__).resolve().parents[2] / "examples/users.mig").read_text(encoding="utf-8")
ACCOUNT = """
entity Account in app.accounts {
  id uuid key
  tenant_id uuid tenant
  label text?
  index (tenant_id, id)
  rows 10k
}
"""
BOTH = (
    USERS
    + ACCOUNT
    + "change Account { add kind text default \"plain\"; require label { from `coalesce(label, 'none')` } }\n"
)


def planned(text: str) -> Planned:
    found = check({"users.mig": text}, "users.mig")
    assert found.ok, found.diagnostics
    assert found.module is not None
    return build(found.module, "digest")


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def between(old: str, new: str, on_disk: tuple[str, ...] = ()) -> tuple[Compared, list[str]]:
    before, after = planned(old), planned(new)
    found = compare(before, after, on_disk)
    return found, [each.code for each in problems(before, after, found)]


def steps(found: Compared) -> list[tuple[str, str, str, str]]:
    return [(s.change, s.phase, s.operation, s.subject) for s in found.steps]


def test_the_same_text_is_no_change():
    found, codes = between(BOTH, BOTH)
    assert (found.steps, found.moves, found.changes, codes) == ((), (), (), [])


def test_layout_comments_and_order_are_no_change():
    blocks = BOTH.split("\n\n")
    turned = "# another remark\n\n" + "\n\n".join(reversed(blocks)).replace("  ", "\t")
    sql = edited(turned, ("`coalesce(email, username", "`coalesce( /* the old one */ email,\n  username"))
    found, codes = between(BOTH, sql)
    assert (steps(found), found.moves, found.changes, codes) == ([], (), (), [])


def test_more_rows_are_no_change_of_a_step():
    found, codes = between(USERS, edited(USERS, ("500k", "600k")))
    assert steps(found) == []
    assert [(c.section, c.subject, c.before, c.after) for c in found.changes] == [
        ("entities", "User rows", "500000", "600000")
    ]
    assert codes == []


def test_a_new_column_is_a_new_step_of_a_phase_that_has_run():
    found, codes = between(USERS, edited(USERS, ("  drop email", "  add badge text?\n  drop email")))
    assert steps(found) == [("added", "expand", "add_column", "Add User.badge")]
    assert (found.steps[0].binding, found.steps[0].ran, found.steps[0].before) == (True, True, ())
    assert "ADD COLUMN IF NOT EXISTS badge text" in found.steps[0].after[0]
    assert codes == ["MIG707"]


def test_another_type_changes_the_step_and_what_rests_on_it():
    new = edited(USERS, ("contact_email text pii", "contact_email varchar(320) pii"))
    found, codes = between(USERS, new)
    changed = {s.subject: s for s in found.steps if s.phase == "expand"}
    assert changed["Add User.contact_email"].change == "changed"
    assert changed["Add User.contact_email"].aspects == ("statements",)
    # It may be too long for some values, of which the reconciliation asks from now on.
    assert {(s.change, s.operation) for s in found.steps if s.change != "changed"} <= {("added", "count_violations")}
    # The trigger of expand and the fill of the backfill both compute it in another way.
    assert codes == ["MIG707", "MIG707"]
    diagnostic, _ = problems(planned(USERS), planned(new), found)
    assert diagnostic.primary is not None
    assert new[diagnostic.primary.span.start :].startswith("add contact_email varchar(320)")


def test_another_column_is_one_less_and_one_more():
    found, _ = between(USERS, edited(USERS, ("contact_email", "address")))
    added = {(s.change, s.subject) for s in found.steps if s.operation == "add_column"}
    assert added == {("removed", "Add User.contact_email"), ("added", "Add User.address")}


def test_what_has_not_run_may_change():
    found, codes = between(USERS, edited(USERS, ("    unique per tenant\n", "")))
    assert {s.phase for s in found.steps} & {"prepare", "expand", "backfill"} == set()
    assert ("removed", "enforce", "add_unique") in [step[:3] for step in steps(found)]
    assert codes == []


@pytest.mark.parametrize("how", ["stage", "disk", "through"])
def test_enforce_may_change_until_it_has_run(how: str):
    old = {
        "stage": edited(USERS, ("stage off for all", "stage live for all")),
        "disk": USERS,
        "through": edited(USERS, ("downtime none", "downtime none\n  through enforce")),
    }[how]
    _, codes = between(old, edited(old, ("    unique per tenant\n", "")), ("enforce",) if how == "disk" else ())
    assert codes == ["MIG707"]


def test_a_longer_soak_changes_what_contract_asks_and_nothing_that_has_run():
    old = edited(USERS, ("stage off for all", "stage complete for all"))
    found, codes = between(old, edited(old, ("after 30d", "after 60d")))
    assert [(s.phase, s.operation, s.aspects, s.binding) for s in found.steps] == [
        ("contract", "gate", ("questions",), False)
    ]
    assert found.steps[0].ran
    assert codes == []


def test_another_way_back_is_a_change_too():
    change = USERS[USERS.index("change User {") : USERS.index("cutover {")]
    plain = (change, "change User { drop username after 30d { back `'user-' || id` } }\n\n")
    old = edited(USERS, plain, ("unique (tenant_id, username)", ""), ("stage off for all", "stage complete for all"))
    found, codes = between(old, edited(old, ("user-", "u")))
    assert {(s.phase, s.aspects) for s in found.steps if s.operation == "refill"} == {
        ("contract", ("way back", "questions"))
    }
    assert codes == ["MIG707", "MIG707"]  # expand keeps the column filled, contract brings it back


def test_a_change_of_the_fill_alone_is_seen():
    old = BOTH
    new = edited(BOTH, ("coalesce(label, 'none')", "coalesce(label, 'nothing')"))
    found, codes = between(old, new)
    assert ("changed", "backfill", "fill", "label") in steps(found)
    assert "MIG707" in codes


def test_a_revision_that_has_run_stays_where_it_is():
    moved = edited(USERS, ("env DATABASE_URL", 'env DATABASE_URL\n  migrations "db/versions" after "abc"'))
    found, codes = between(USERS, moved)
    assert codes == ["MIG707"]
    assert {c.section for c in found.changes} == {"database", "revisions"}


def test_rollout_tenants_and_header_are_told_and_free():
    new = edited(
        USERS,
        ("every 24h", "every 12h"),
        ('ticket   "MIG-77"', 'ticket   "MIG-78"'),
        ("bigint   key", "bigint   key\n  nick text?"),
    )
    found, codes = between(USERS, new)
    assert {(c.section, c.subject) for c in found.changes} == {
        ("rollout", "ramp"),
        ("migration", "ticket"),
        ("entities", "User.nick"),
    }
    assert (steps(found), codes) == ([], [])


def test_another_list_of_tenants_is_told():
    found, _ = between(USERS, edited(USERS, ("SELECT id FROM tenants", "SELECT id FROM customers")))
    assert ("tenants", "list") in {(c.section, c.subject) for c in found.changes}
