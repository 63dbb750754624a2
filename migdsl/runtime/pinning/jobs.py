"""The frozen descriptions that generated characterization tests hand to the runtime."""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.runtime.sql import bind_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A column whose behaviour is unclear, and why that matters (`note`).

    `classes` counts the sampled rows of a tenant by the kind of value that they hold; two columns, class and rows. `values`
    counts them by the value itself, None where values are nobody's business.
    """

    column: str
    note: str
    classes: str
    values: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PinJob:
    """The unclear columns of one entity. `tenants` lists every tenant in its first column, None where there are none;
    `tenants_env` names the database that has the list, where it is another one.

    At most `most_tenants` are looked at, each with at most `rows` rows from either end of its keys, under a statement timeout of
    `statement_ms`. A share that moves by more than `tolerance` is another behaviour; so is a kind of value that was never
    seen, and one that is gone and was `least` of all. Raises ValueError where a statement isn't confined to the tenant.
    """

    migration: str
    entity: str
    schema: str
    table: str
    database_env: str
    tenants: str | None
    pins: tuple[Pin, ...]
    tenants_env: str = ""
    most_tenants: int = 25
    rows: int = 1_000
    statement_ms: int = 5_000
    tolerance: float = 0.05
    least: float = 0.01

    def __post_init__(self) -> None:
        wanted = {"rows"} | ({"tenant_id"} if self.tenants is not None else set())
        for pin in self.pins:
            for sql in (pin.classes, pin.values):
                if sql is not None and set(bind_names(sql)[1]) != wanted:
                    raise ValueError(f"the look at {pin.column} must use {', '.join(sorted(wanted))}, and nothing else")
