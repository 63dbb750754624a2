"""Keys become the conditions that confine rows to a range of them, or to a single one."""

from __future__ import annotations

from migdsl.ops.batches import parameters
from migdsl.values import Value


class Keyed(Value):
    """A key as SQL over a row, in its order: `columns` are compared with parameters, which `casts` give a type.

    An empty cast is the column's own type: only where a column has another one than the key that is spoken of.
    """

    columns: tuple[str, ...]
    casts: tuple[str, ...] = ()

    def within(self) -> tuple[str, str]:
        """The conditions of `(:after, :upto]`, where NULL is no bound. A custom plan folds the second halves away."""
        return self._bounded(">", "after"), self._bounded("<=", "upto")

    def equal(self) -> tuple[str, ...]:
        """The conditions under which the key is `:key`."""
        pairs = zip(self.columns, self._given("key"), strict=True)
        return tuple(f"{column} = {given}" for column, given in pairs)

    def ordered(self) -> str:
        """The key's columns, to order by."""
        return ", ".join(self.columns)

    def _bounded(self, operator: str, base: str) -> str:
        given = self._given(base)
        compared = f"{self.columns[0]} {operator} {given[0]}"
        if len(given) > 1:
            compared = f"({self.ordered()}) {operator} ({', '.join(given)})"
        return f"({compared} OR {given[0]} IS NULL)"

    def _given(self, base: str) -> tuple[str, ...]:
        casts = self.casts or ("",) * len(self.columns)
        named = (f":{name}" for name in parameters(base, self.columns))
        return tuple(f"CAST({name} AS {cast})" if cast else name for name, cast in zip(named, casts, strict=True))
