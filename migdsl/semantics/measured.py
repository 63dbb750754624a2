"""Conditions of a migration become problems where nothing in it measures what they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.semantics.conditions import BUILT_IN, SERVED
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.problems import Problems
from migdsl.syntax import ast
from migdsl.values import Value

REPLACED = "replace_errors"


def check(problems: Problems, module: CheckedModule, declarations: Iterable[ast.Declaration]) -> None:
    """Report built-in metrics of tables where none changes, and that of replacements where there is none."""
    if module.header is None:
        return
    declared = tuple(declarations)
    own = {d.name.text for d in declared if isinstance(d, ast.Metric)}
    alone = bool(module.replacements or module.apis) and not any(change.operations for change in module.changes)
    for found in (c for each in declared for c in _comparisons(each) if c.metric.text not in own):
        name = found.metric.text
        if name == REPLACED and not module.replacements:
            _report(problems, found, "nothing is replaced in this migration", "a migration with a `replace` has it")
        elif alone and name in BUILT_IN and name not in (REPLACED, SERVED):
            instead = "replace_errors > 1%" if module.replacements else "deprecated_requests < 1"
            title = f"nothing in this migration measures `{name}`: it changes no table"
            _report(problems, found, title, f"for example {instead}; or a metric of your own: metric {name} = `…`")


def _report(problems: Problems, found: ast.Comparison, title: str, help_: str) -> None:
    problems.error("MIG623", found.metric.span, title, "never has a value", help=help_)


def _comparisons(value: object) -> Iterator[ast.Comparison]:
    """All comparisons in a declaration, wherever its conditions stand."""
    if isinstance(value, ast.Comparison):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _comparisons(each)
    elif isinstance(value, Value):
        for name in value.FIELDS:
            yield from _comparisons(getattr(value, name))
