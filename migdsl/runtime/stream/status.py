"""Turns both databases into what an operator asks: what waits, where each tenant writes, and what can't be applied."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.sequences import disjoint, ranges
from migdsl.runtime.stream.sides import Sides, together
from migdsl.runtime.stream.waiting import MOST, Waiting


@dataclass(frozen=True, slots=True)
class Status:
    """`tenants` are the sides (`old`, `new`, `switching`) of those that a database knows; `apart`: the sequences are."""

    stream: str
    tenants: dict[str, str]
    waiting: tuple[Waiting, ...]
    apart: bool

    @property
    def letters(self) -> int:
        """Rows that can't be applied, of both sides."""
        return sum(each.letters for each in self.waiting)

    def to_json(self) -> str:
        """For machines."""
        waiting = [
            {"entity": w.entity, "from": w.side, "events": w.events, "lag_seconds": w.lag_s, "dead_letters": w.letters}
            for w in self.waiting
        ]
        found = {"stream": self.stream, "tenants": self.tenants, "waiting": waiting, "sequences_apart": self.apart}
        return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)

    def to_text(self) -> str:
        """For people."""
        sides = Counter(self.tenants.values())
        lines = [
            f"{self.stream}: "
            + (", ".join(f"{n} tenants {side}" for side, n in sorted(sides.items())) or "no tenants yet")
        ]
        lines += [
            f"  {tenant!r} is between the sides: finish it with `switch --tenant {tenant} --to new`, or turn back with `--to old`"
            for tenant, side in sorted(self.tenants.items())
            if side == "switching"
        ]
        for w in self.waiting:
            many = f"{MOST:,} or more" if w.events >= MOST else f"{w.events:,}"
            lines.append(f"  {w.entity} from the {w.side} side: {many} events wait, the oldest for {w.lag_s:.1f} s")
            if w.letters:
                lines.append(f"    {w.letters:,} rows can't be applied: see `dead-letters`")
        lines += (
            []
            if self.apart
            else ["  the sequences of both sides aren't apart yet: `sequences`, or the first switch, sees to it"]
        )
        return "\n".join(lines)


def status(pair: Pair) -> Status:
    """Looks at both sides. Raises psycopg.Error."""
    sides = Sides(pair.stream)
    old, new = pair.old.perform(sides.states), pair.new.perform(sides.states)
    # Who has no row yet is the old side's.
    tenants = {t: together(old.get(t, "old"), new.get(t, "old")) for t in sorted({*old, *new})}
    parted = all(disjoint(a, b) for _, a, b in ranges(pair))
    return Status(pair.stream.marker, tenants, pair.waiting(), parted)
