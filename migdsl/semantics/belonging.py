"""A moved table whose tenant is known by way of another becomes one with such a way on the other side, over what moves along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from migdsl.semantics.problems import Problems, written
from migdsl.semantics.table_model import Hop, Route

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft

_NOBODY = "Over there nobody could tell whose its rows are: fence, jobs and reconciliation go tenant by tenant."
_ANOTHER = "It tells whose a row is, in the new table as in the old one: jobs and reconciliation go tenant by tenant."


def parents_first(drafts: Mapping[str, Draft]) -> dict[str, Draft]:
    """The moves, each behind those that its way to the tenant leads over: so they are made, carried and switched."""
    found: dict[str, Draft] = {}
    for name, draft in drafts.items():
        via = draft.table.via
        on_the_way = [hop.entity for hop in reversed(via.hops)] if via is not None else []
        found |= {entity: drafts[entity] for entity in (*on_the_way, name) if entity in drafts and entity not in found}
    return found


def led(draft: Draft, drafts: Mapping[str, Draft]) -> Route | None:
    """The target's way to the tenant: over the targets of what moves, and over what stays as it is."""
    via = draft.table.via
    if via is None:
        return None
    hops: list[Hop] = []
    here: Draft | None = draft
    for hop in via.hops:
        column = here.copied.get(hop.column, hop.column) if here is not None else hop.column
        here = drafts.get(hop.entity)
        if here is None:
            hops.append(Hop(column, hop.entity, hop.schema, hop.name, hop.key))
        else:
            key = here.copied.get(hop.key, hop.key)
            hops.append(Hop(column, hop.entity, here.target.schema, here.target.name, key))
    tenant = here.copied.get(via.tenant, via.tenant) if here is not None else via.tenant
    return Route(tuple(hops), tenant)


def way(problems: Problems, draft: Draft, drafts: Mapping[str, Draft]) -> bool:
    """Whether whose a row is can be told on the other side too; if not, that is reported."""
    table = draft.table
    if table.via is None:
        return True
    hop, span = table.via.hops[0], draft.node.entity.span
    parent = drafts.get(hop.entity)
    if draft.across and (parent is None or parent.target.database != draft.target.database):
        title = (
            f"`{table.entity}` has its tenant by way of `{hop.entity}`, which doesn't move to `{draft.target.database}`"
        )
        help_ = f"move both: move {written(hop.entity)} to {draft.target.database}.… {{ … }}"
        if parent is not None and parent.across:  # to a third one
            help_ = f"let it go where `{hop.entity}` goes: move {written(table.entity)} to {parent.target.database}.… {{ … }}"
        problems.error("MIG452", span, title, "moves away from it", body=_NOBODY, help=help_)
        return False
    if hop.column not in draft.copied:
        if any(back.column == hop.column for back in draft.backs):  # else it was reported as left out
            title = f"the way of `{table.entity}` to its tenant is computed"
            help_ = f"copy it as it is: {hop.column} = {hop.column}"
            body = _NOBODY if draft.across else _ANOTHER
            problems.error("MIG451", span, title, f"`{hop.column}` is not copied", body=body, help=help_)
        return False
    # Within one database rows that belong to nobody stay visible to whoever counts them before the old table goes.
    return not draft.across or _held(problems, draft)


def _held(problems: Problems, draft: Draft) -> bool:
    """Whether a foreign key keeps each row with its owner, on both sides; if not, that is reported."""
    table = draft.table
    assert table.via is not None
    hop, span = table.via.hops[0], draft.node.entity.span
    keys = [c for c in table.constraints if c.target is not None and c.target.entity == hop.entity]
    held = next((c for c in keys if c.columns == (hop.column,)), None)
    left = next((o for o in draft.omitted if (o.column, o.target) == (hop.column, hop.entity)), None)
    if held is None:
        title = f"nothing keeps a row of `{table.entity}` from belonging to no `{hop.entity}`"
        body = "Where the owner isn't there, or goes alone, nobody can tell whose such a row is, and no fence holds its writers."
        help_ = (
            f"declare the foreign key that the database has: {hop.column} … -> {hop.entity}.{hop.key}; if it has none, make it "
            f"first, in a migration of its own: change {table.entity} {{ {hop.column} -> {hop.entity}.{hop.key} }}"
        )
        problems.error("MIG451", span, title, f"`{hop.column}` has no foreign key", body=body, help=help_)
    elif left is not None:
        title = f"`{table.entity}.{hop.column}` tells whose a row is, and would point at no `{hop.entity}`"
        help_ = f"leave the line out: `{hop.entity}` moves along, and so does the key"
        more = [(held.span, "the foreign key")]
        problems.error("MIG451", left.span, title, "left out here", body=_NOBODY, more=more, help=help_)
    return held is not None and left is None
