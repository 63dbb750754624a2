"""What a file says of a column's values (its checks, what is computed from it) becomes values that are likely to keep to it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress

from migdsl.dialect.pgquery import Tree
from migdsl.dialect.sql import Expression, walk
from migdsl.dialect.types import SqlType
from migdsl.rehearsal import making
from migdsl.rehearsal.patterns import UnmatchedError, like, matching
from migdsl.rehearsal.shapes import Shape
from migdsl.semantics.model import AddConstraint, Constraint
from migdsl.values import Value

_LONGEST = 4_000
_LETTERS = "abcdefgh0123456789"
_REGULAR, _LIKE = ("~", "~*"), ("~~", "~~*")
_WHOLE = ("smallint", "integer", "bigint")
_NUMBERS = (*_WHOLE, "numeric", "real", "double precision", "money")


class Hint(Value):
    """Constants that stand beside a column, and patterns. `ruled`: in a check, and not only where something is computed."""

    texts: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    regular: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    ruled: bool = False

    def beside(self, other: Hint) -> Hint:
        """Both."""
        return Hint(
            tuple(dict.fromkeys((*self.texts, *other.texts))),
            tuple(dict.fromkeys((*self.numbers, *other.numbers))),
            tuple(dict.fromkeys((*self.regular, *other.regular))),
            tuple(dict.fromkeys((*self.likes, *other.likes))),
            self.ruled or other.ruled,
        )


def hints(shape: Shape) -> Mapping[str, Hint]:
    """By column of the facts; of what the file says nothing of there is none."""
    found: dict[str, Hint] = {}
    for names, tree, ruled in _said(shape):
        hint = _read(tree, ruled=ruled)
        if hint.texts or hint.numbers or hint.regular or hint.likes:
            for name in names:
                found[name] = found.get(name, Hint()).beside(hint)
    return found


def _said(shape: Shape) -> Iterator[tuple[frozenset[str], Tree, bool]]:
    """Each condition of its own, with the old columns that it is about in the end."""
    for check in _checks(shape.table.constraints):
        yield from ((about(shape, part), part, True) for part in _parts(check.tree))
    for check in _checks(tuple(o.constraint for o in shape.done if isinstance(o, AddConstraint))):
        yield from ((about(shape, part), part, True) for part in _parts(check.tree))
    yield from ((shape.read_by(o.source), o.source.tree, False) for o in shape.paired if o.source is not None)
    if shape.move is not None:
        for check in _checks(shape.move.target.constraints):
            yield from ((about(shape, part), part, True) for part in _parts(check.tree))
        yield from ((shape.read_by(value), value.tree, False) for _, value in shape.move.values)


def _checks(constraints: tuple[Constraint, ...]) -> Iterator[Expression]:
    yield from (c.check for c in constraints if c.check is not None)


def _parts(tree: Tree) -> Iterator[Tree]:
    """What AND binds, each for itself."""
    joined = tree.get("BoolExpr")
    if joined is not None and joined.get("boolop") == "AND_EXPR":
        for each in joined["args"]:
            yield from _parts(each)
    else:
        yield tree


def about(shape: Shape, tree: Tree) -> frozenset[str]:
    """The columns that a condition speaks of; of those that are computed, what they are computed from."""
    sources = {o.column.name: o.source for o in shape.paired if o.source is not None}
    sources |= dict(shape.move.values) if shape.move is not None else {}
    sources |= {c.name: c.generated for c in shape.table.columns if c.generated is not None}
    fields = [node["fields"][-1] for kind, node in walk(tree) if kind == "ColumnRef"]
    read = {field["String"]["sval"] for field in fields if "String" in field}
    found = [shape.read_by(sources[name]) if name in sources else frozenset([name]) for name in read]
    return frozenset().union(*found)


def _read(tree: Tree, *, ruled: bool) -> Hint:
    texts, numbers, regular, likes = [], [], [], []
    for kind, node in walk([tree]):
        if kind == "A_Const":
            texts += [node["sval"].get("sval", "")] if "sval" in node else []
            numbers += [float(node["ival"].get("ival", 0))] if "ival" in node else []
            numbers += [float(node["fval"].get("fval", 0))] if "fval" in node else []
        elif kind == "A_Expr" and (pattern := node.get("rexpr", {}).get("A_Const", {}).get("sval")) is not None:
            name = node["name"][-1]["String"]["sval"]
            regular += [pattern.get("sval", "")] if name in _REGULAR else []
            likes += [pattern.get("sval", "")] if name in _LIKE else []
    patterns = {*regular, *likes}
    return Hint(tuple(t for t in texts if t not in patterns), tuple(numbers), tuple(regular), tuple(likes), ruled)


# ------------------------------------------------------------------------------------------- values


def hinted(of: SqlType, hint: Hint, chance: random.Random) -> str | None:
    """A value of the type that may keep to what is said; None where that says nothing of such a type."""
    if of.labels:
        return None
    if of.array:
        inner = SqlType(of.sql.removesuffix("[]"), of.base)
        found = [hinted(inner, hint, chance) for _ in range(chance.randint(1, 2))]
        return "{" + ",".join(json.dumps(each) for each in found if each is not None) + "}"
    ways = {**dict.fromkeys(_NUMBERS, _number), "json": _document, "jsonb": _document, "bytea": _bytes}
    way = ways.get(of.base, _text if making.texts(of) else _literal)
    return way(of, hint, chance)


def _literal(_: SqlType, hint: Hint, chance: random.Random) -> str | None:
    return chance.choice(hint.texts) if hint.texts else None


def _bytes(_: SqlType, hint: Hint, chance: random.Random) -> str | None:
    lengths = [int(n) for n in hint.numbers if 0 < n <= _LONGEST]
    return "\\x" + chance.randbytes(chance.choice(lengths)).hex() if lengths else None


def _number(of: SqlType, hint: Hint, chance: random.Random) -> str | None:
    if not hint.numbers:
        return None
    one, other = chance.choice(hint.numbers), chance.choice(hint.numbers)
    value = chance.choice((one, one + 1, one - 1, (one + other) / 2, chance.uniform(one, other)))
    return str(int(value)) if of.base in _WHOLE or value == int(value) else f"{value:.4f}"


def _text(_: SqlType, hint: Hint, chance: random.Random) -> str | None:
    """One of many ways, so that one of them is right."""
    number = str(chance.randint(1, 99_999))
    found = [f"v{number}", f"V{number}", number]
    for pattern in hint.regular:
        with suppress(UnmatchedError):
            found += [matching(pattern, chance)] * 4
    found += [like(pattern, chance) for pattern in hint.likes for _ in range(4)]
    for length in (int(n) + more for n in hint.numbers if 0 <= n <= _LONGEST for more in (-1, 0, 0, 1)):
        found.append("".join(chance.choices(_LETTERS, k=max(0, length))))
    for each in hint.texts:
        found += [each, each, f"v{number}{each}v{chance.randint(1, 9)}"]
    return chance.choice(found)


def _document(_: SqlType, hint: Hint, chance: random.Random) -> str | None:
    if not hint.texts:
        return None
    values = (*hint.texts, f"v{chance.randint(1, 999)}", 7, True)
    return json.dumps({key: chance.choice(values) for key in hint.texts if chance.random() < 0.8})
