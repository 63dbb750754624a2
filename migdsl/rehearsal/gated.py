"""A revision whose gates don't hold yet becomes proof that it asks them itself: Alembic alone is refused."""

from __future__ import annotations

from migdsl.executor.chain import Chain, Failed
from migdsl.ops.model import Gate
from migdsl.planning.model import Planned
from migdsl.rehearsal.model import Log, Stuck
from migdsl.rehearsal.troupe import quiet

_GATED = "its gates stand at the beginning of `upgrade`, and ask the ledger"


def waits(log: Log, planned: Planned, chain: Chain, phase: str, at: str) -> None:
    """A phase's revision, where it has gates, run by Alembic now, at a stage of the flag. Raises Stuck where it runs."""
    revision = next((r for r in planned.revisions if r.phase == phase), None)
    asks = any(isinstance(part, Gate) for step in planned.lowered.phase(phase) for part in step.up)
    if revision is None or not asks:
        return
    try:
        with quiet():
            chain.upgrade(revision.id)
    except Failed as failure:
        if failure.gate:
            log.saw("gates", f"{phase} at {at}: {failure.why[:160]}")
        else:
            log.against("gates", f"{phase} failed before its gates held: {failure.why}", revision.path, _GATED)
        return
    log.against("gates", f"{phase} ran at {at}, before its gates held", revision.path, _GATED)
    raise Stuck
