"""Turns both databases into what an operator asks: what waits, where each tenant writes, and what can't be applied."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from migdsl.runtime.stream.jobs import called
from migdsl.runtime.stream.pair import Pair
from migdsl.runtime.stream.sequences import disjoint, ranges
from migdsl.runtime.stream.sides import Sides, together
from migdsl.runtime.stream.waiting import MOST, Waiting

_ALL = {"old": "all on the old side", "switching": "all between the sides", "new": "all on the new side"}


@dataclass(frozen=True, slots=True)
class Status:
    """`tenants` are the sides (`old`, `new`, `switching`) of those that a database knows, `newcomers` that of all others;
    `apart`: the sequences are."""

    stream: str
    tenants: dict[str, str]
    waiting: tuple[Waiting, ...]
    apart: bool
    newcomers: str = "old"

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
        lines = [f"{self.stream}: {', '.join(self._sides()) or _ALL['old']}"]
        for tenant in sorted(tenant for tenant, side in self.tenants.items() if side == "switching"):
            flag = f" --tenant {tenant}" if tenant else ""
            way = f"finish it with `switch{flag} --to new`, or turn back with `--to old`"
            lines.append(f"  {called(tenant)} is between the sides: {way}")
        if self.newcomers == "switching":
            lines.append(
                "  tenants to come are between the sides: finish it with `switch --all --to new`, or turn back with `--to old`"
            )
        for w in self.waiting:
            many = f"{MOST:,} or more" if w.events >= MOST else f"{w.events:,}"
            lines.append(f"  {w.entity} from the {w.side} side: {many} events wait, the oldest for {w.lag_s:.1f} s")
            if w.unread_s:
                lines.append(
                    f"    what was written there was last read from the WAL {w.unread_s:.0f} s ago: see `slot`"
                )
            if w.letters:
                lines.append(f"    {w.letters:,} rows can't be applied: see `dead-letters`")
        lines += (
            []
            if self.apart
            else ["  the sequences of both sides aren't apart yet: `sequences`, or the first switch, sees to it"]
        )
        return "\n".join(lines)

    def _sides(self) -> Iterator[str]:
        for side, many in sorted(Counter(self.tenants.values()).items()):
            yield _ALL[side] if "" in self.tenants else f"{many} tenant{'s' * (many != 1)} {side}"


def status(pair: Pair) -> Status:
    """Looks at both sides. Raises psycopg.Error."""
    sides = Sides(pair.stream)
    old, new = pair.old.perform(sides.standing), pair.new.perform(sides.standing)
    tenants = {t: together(old.of(t), new.of(t)) for t in sorted({*old.rows, *new.rows})}
    parted = all(disjoint(a, b) for _, a, b in ranges(pair))
    newcomers = together(old.newcomers, new.newcomers) if pair.stream.tenants is not None else "old"
    return Status(pair.stream.marker, tenants, pair.waiting(), parted, newcomers)
