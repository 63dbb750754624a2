"""A column that Python computes becomes two statements: what a batch reads for the function, and what writes its answers."""

from __future__ import annotations

from migdsl.dialect.names import quote
from migdsl.dialect.types import SqlType
from migdsl.ops.batches import Walk
from migdsl.ops.pairs import assigned
from migdsl.semantics.model import Python


def reading(walk: Walk, python: Python, condition: str) -> str:
    """The key and the inputs of a range's rows that need a value. Nothing is locked while Python thinks."""
    keys = ", ".join(f"t.{quote(c)}" for c in walk.table.key)
    inputs = ", ".join(f"t.{quote(c)}" for c in python.inputs)
    where = walk.confined(walk.after(), walk.upto(), condition)
    return f"SELECT {keys},\n       {inputs}\n  FROM {walk.source()}\n {where}"


def writing(walk: Walk, column: str, type_: SqlType, python: Python, condition: str) -> str:
    """Writes a batch's answers, each to its row, where that still needs one and its inputs are those that were read."""
    table = walk.table
    keys = [(f"key_{n}", c) for n, c in enumerate(table.key, 1)]
    inputs = [(f"input_{n}", c) for n, c in enumerate(python.inputs, 1)]
    given = [name for name, _ in (*keys, *inputs)] + ["answer"]
    arrays = ",\n              ".join(f"CAST(:{name} AS text[])" for name in given)
    same = [f"t.{quote(c)} = CAST(g.{name} AS {table.type_of(c).sql})" for name, c in keys]
    same += [f"t.{quote(c)} IS NOT DISTINCT FROM CAST(g.{name} AS {table.type_of(c).sql})" for name, c in inputs]
    answer = assigned("g.answer", type_)
    relation = f"unnest({arrays})\n         AS g ({', '.join(given)})"
    return walk.write(f"{quote(column)} = {answer}", (*same, condition), relation)
