"""Generated Python becomes the proof that each of its statements on a tenant's table is confined to one tenant.

It reads the text that leaves, not the pieces that it was made of. Users can't cause a failure: it is a fault of the compiler.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from migdsl.dialect.boundary import Boundary
from migdsl.dialect.sql import statement
from migdsl.dialect.tenancy import unconfined
from migdsl.emit.artifact import Artifact
from migdsl.ops import names
from migdsl.semantics import routes
from migdsl.semantics.model import CheckedModule

_NO_SQL = frozenset(
    "migration backfill entity table database_env tenants_env key pace retry private workers canary budget engine "
    "schema pins column note".split()
)
# Exempt, and listed in the plan's guardrails: they say which tenants there are, and count rows that belong to none.
_EXEMPT = frozenset(["tenants", "unlisted"])
_UNPROVEN = _NO_SQL | _EXEMPT
_JOBS = frozenset(["BackfillJob", "ReconcileJob", "PinJob", "Pin"])
_CALLS = frozenset(["left", "right", "left_new", "right_new", "transform"])  # each is a call with statements of its own
_NO_SQL_WITHIN = frozenset(["function", "inputs", "document"])  # of a transform
_REFILL = ("tenants", "key", "upper", "bound", "batch")


class UnprovenError(AssertionError):
    """A generated statement could reach rows of other tenants."""


def boundary(module: CheckedModule, database: str) -> Boundary:
    """Whose rows are in which table of a database."""
    return routes.boundary(module.every, database, frozenset([names.LEDGER]))


def prove(artifact: Artifact, tree: ast.Module, known: Boundary) -> None:
    """Raise UnprovenError where a statement of a job, or of a way back, is not confined."""
    for name, sql in _statements(tree):
        found = unconfined(statement(sql), known)
        if found:
            reached = ", ".join(f.relation for f in found)
            raise UnprovenError(f"{artifact.path}: `{name}` is not confined to one tenant: {reached}")


def _statements(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The DML of a generated file under its argument's name; what is no text known here is left to fail as SQL."""
    for call in _calls(tree):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        given: list[tuple[str, ast.expr]] = []
        if name in _JOBS:
            given = [(k.arg or "**", k.value) for k in call.keywords]
        elif name == "refill":
            given = list(zip(_REFILL, call.args, strict=True))
        for argument, value in given:
            if isinstance(value, ast.Call) and argument in _CALLS:
                own = (k for k in value.keywords if k.arg not in _NO_SQL_WITHIN)
                yield from ((f"{argument}.{k.arg}", str(ast.literal_eval(k.value))) for k in own)
            elif argument == "invariants":
                yield from ((argument, str(sql)) for _, sql in ast.literal_eval(value))
            elif argument not in _UNPROVEN and not (isinstance(value, ast.Constant) and value.value is None):
                yield argument, str(ast.literal_eval(value)).replace("\\:", ":")


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The job that a file defines, and what its revision does; not the helpers that come with a revision."""
    for part in tree.body:
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call):
            yield part.value
        elif isinstance(part, ast.FunctionDef) and part.name in ("upgrade", "downgrade"):
            yield from (node for node in ast.walk(part) if isinstance(node, ast.Call))
