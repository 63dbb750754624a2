"""`backfill`, `validate`, `metric`, `alert`, `gate`, `accept`, `impact`, `output`: how careful to be, and what is watched."""

from __future__ import annotations

from migdsl.syntax import ast
from migdsl.syntax.build import conditions, nodes
from migdsl.syntax.build.nodes import Context, Node


def backfill(node: Node, context: Context) -> ast.Backfill:
    """`backfill NAME { … }` and `backfill NAME.COLUMN { … }`."""
    column = nodes.first(node, "backfill_column")
    return ast.Backfill(
        nodes.names(node, context)[0],
        nodes.names(column, context)[0] if column else None,
        _settings(node, context, *_SETTINGS),
        conditions.whens(node, context, "pause"),
        tuple(_retry(child, context) for child in nodes.subtrees(node, "retry")),
        tuple(_order(child, context) for child in nodes.subtrees(node, "order")),
        tuple(_using(child, context) for child in nodes.subtrees(node, "using")),
        nodes.allows(node, context),
        context.span(node),
    )


_SETTINGS = (
    *("batch_time", "batch_rows", "throttle_share", "throttle_rate"),
    *("workers", "errors", "backfill_engine"),
)


def _retry(node: Node, context: Context) -> ast.Retry:
    backoff = nodes.first(node, "backoff")
    pauses = nodes.numbers(backoff, context) if backoff else (None, None)
    return ast.Retry(nodes.numbers(node, context)[0], pauses[0], pauses[1], context.span(node))


def _order(node: Node, context: Context) -> ast.Order:
    descending = nodes.first(node, "descending") is not None
    return ast.Order(nodes.names(node, context)[0], descending, context.span(node))


def _using(node: Node, context: Context) -> ast.Using:
    return ast.Using(nodes.texts(node, context)[0], nodes.names(node, context), context.span(node))


def validate(node: Node, context: Context) -> ast.Validate:
    """`validate NAME { … }`."""
    return ast.Validate(
        nodes.names(node, context)[0],
        _settings(node, context, "counts", "checksum"),
        tuple(_sample(child, context) for child in nodes.subtrees(node, "sample")),
        tuple(_invariant(child, context) for child in nodes.subtrees(node, "invariant")),
        nodes.allows(node, context),
        context.span(node),
    )


def _sample(node: Node, context: Context) -> ast.Sample:
    shares = tuple(n for child in nodes.subtrees(node, "sample_share") for n in nodes.numbers(child, context))
    tops = tuple(_top(child, context) for child in nodes.subtrees(node, "sample_top"))
    return ast.Sample(shares, tops, context.span(node))


def _top(node: Node, context: Context) -> ast.Top:
    return ast.Top(nodes.numbers(node, context)[0], nodes.only_sql(node, context), context.span(node))


def _invariant(node: Node, context: Context) -> ast.Invariant:
    return ast.Invariant(nodes.texts(node, context)[0], nodes.only_sql(node, context), context.span(node))


def metric(node: Node, context: Context) -> ast.Metric:
    """`metric NAME = PROMQL unit UNIT`."""
    name, unit = nodes.names(node, context)[0], nodes.words(node, context)[0]
    return ast.Metric(name, nodes.only_sql(node, context), unit, context.span(node))


def alert(node: Node, context: Context) -> ast.Alert:
    """`alert NAME { … }`."""
    return ast.Alert(
        nodes.names(node, context)[0],
        conditions.whens(node, context, "alert_when"),
        _settings(node, context, "severity", "summary", "alert_runbook"),
        nodes.allows(node, context),
        context.span(node),
    )


def gate(node: Node, context: Context) -> ast.Gate:
    """`gate NAME when …`."""
    return ast.Gate(nodes.names(node, context)[0], conditions.condition(node, context), context.span(node))


def accept(node: Node, context: Context) -> ast.Accept:
    """`accept "…" by …`."""
    kinds = ("proof_invariant", "proof_metric", "proof_gate", "proof_manual")
    proofs = tuple(_proof(child, context) for child in nodes.subtrees(node, *kinds))
    return ast.Accept(nodes.texts(node, context)[0], proofs, context.span(node))


def _proof(node: Node, context: Context) -> ast.Proof:
    texts, names = nodes.texts(node, context), nodes.names(node, context)
    return ast.Proof(
        node.data.removeprefix("proof_"),
        texts[0] if texts else None,
        names[0] if names else None,
        conditions.condition(node, context) if node.data == "proof_metric" else None,
        context.span(node),
    )


def impact(node: Node, context: Context) -> ast.Impact:
    """`impact { … }`."""
    affects = (ast.Affects(nodes.names(c, context), context.span(c)) for c in nodes.subtrees(node, "affects"))
    kinds = ("breaking", "stakeholders", "impact_downtime", "impact_risk")
    return ast.Impact(tuple(affects), _settings(node, context, *kinds), nodes.allows(node, context), context.span(node))


def output(node: Node, context: Context) -> ast.Output:
    """`output { … }`."""
    return ast.Output(tuple(_path(child, context) for child in nodes.subtrees(node, "output_path")), context.span(node))


def _path(node: Node, context: Context) -> ast.OutputPath:
    return ast.OutputPath(nodes.words(node, context)[0], nodes.texts(node, context)[0], context.span(node))


def _settings(node: Node, context: Context, *kinds: str) -> tuple[ast.Setting, ...]:
    return tuple(nodes.setting(child, context) for child in nodes.subtrees(node, *kinds))
