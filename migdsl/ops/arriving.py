"""The proof of a foreign key between tables that move together becomes one that waits for rows that are on their way.

Keys are carried over lane by lane: a line may come a moment before its order, and its order may be a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops.model import Alone, Part, Step
from migdsl.values import replace

# Much longer than a lane is behind another one that is worked on.
WAIT_S = 30


def patient(steps: Iterable[Step], entity: str) -> Iterator[Step]:
    """The steps of a foreign key of an entity, of which the one that proves it tries again while a row lacks its parent."""
    for step in steps:
        if step.operation != "validate_constraint":
            yield step
            continue
        title = f"{step.title}; a row that came before the one it points at is waited for"
        yield replace(step, title=title, up=tuple(_waiting(part, entity) for part in step.up))


def _waiting(part: Part, entity: str) -> Part:
    if not isinstance(part, Alone):
        return part
    body = f"""
DECLARE
  give_up timestamptz;
BEGIN
  LOOP
    BEGIN
      {part.statement};
      RETURN;
    EXCEPTION WHEN foreign_key_violation THEN
      give_up := coalesce(give_up, clock_timestamp() + interval '{WAIT_S} seconds');
      IF clock_timestamp() > give_up THEN
        RAISE EXCEPTION 'a row of % has waited {WAIT_S} seconds for the one that it points at', {literal(entity)}
          USING ERRCODE = '55000', HINT = 'the sync job brings it: look at its `status` and `dead-letters`, then run this again';
      END IF;
    END;
    PERFORM pg_sleep(0.5);
  END LOOP;
END"""
    tag = dollar_tag(body, "arrive")
    return replace(part, statement=f"DO {tag}{body}\n{tag}")
