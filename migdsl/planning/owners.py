"""Names of those that are affected become systems as people call them, and those who must know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.semantics.model import CheckedModule


def systems(module: CheckedModule, names: Iterable[str]) -> tuple[str, ...]:
    """`service billing` for a service of the file, and whatever else as it is named."""
    services = {service.name for service in module.services}
    return tuple(f"service {name}" if name in services else name for name in names)


def owners(module: CheckedModule, names: Iterable[str]) -> Iterator[str]:
    """Who owns the services among these names."""
    by_name = {service.name: service.owner for service in module.services}
    yield from (owner for name in names if (owner := by_name.get(name)))


def affected(module: CheckedModule) -> tuple[str, ...]:
    """Who is affected because the file says so, or because a database of theirs changes."""
    said = module.policy.impact.affects if module.policy.impact is not None else ()
    own = (module.database(c.table.database).service for c in module.changes if c.operations)
    return tuple(dict.fromkeys([*(name for name in own if name), *said]))
