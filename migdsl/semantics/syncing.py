"""`sync` becomes what carries writes between the two sides of a move, where that fits how far apart they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from migdsl.diagnostics import fixes
from migdsl.semantics.header import bad_number, once
from migdsl.semantics.model import Table
from migdsl.semantics.move_model import CARRIERS, CONFLICTS, VARIANTS, Move, Sync
from migdsl.semantics.problems import Problems, written
from migdsl.syntax import ast, lexis
from migdsl.values import replace

if TYPE_CHECKING:
    from migdsl.semantics.moving import Draft


def without_a_move(
    problems: Problems, nodes: list[ast.Sync], moved: Mapping[str, object], entities: Mapping[str, Table]
) -> None:
    """Report what has nothing to keep equal."""
    for node in nodes:
        if node.entity.text not in entities:
            problems.unknown("MIG101", "entity", node.entity.text, node.entity.span, entities)
        elif node.entity.text not in moved:
            title = f"`{node.entity.text}` doesn't move, so there is nothing to keep equal"
            help_ = f"say where its rows go: move {node.entity.text} to … {{ … }}; columns of one table are kept equal anyway"
            problems.error("MIG453", node.entity.span, title, "has one side only", help=help_)


def meant(problems: Problems, nodes: list[ast.Sync], draft: Draft, drafts: Mapping[str, Draft]) -> Sync:
    """What carries a table: as its own `sync` says, and in what that leaves out as those of tables that go the same way."""
    own = [node for node in nodes if node.entity.text == draft.table.entity]
    found = sync(problems, own, draft)
    way = (draft.table.database, draft.target.database)
    along = {d.table.entity for d in drafts.values() if (d.table.database, d.target.database) == way}
    others = [node for node in nodes if node.entity.text in along and node not in own]
    if not others or not draft.across:
        return found
    # What is wrong with them is told of the tables that they are said of. The first one counts.
    theirs = sync(Problems(problems.broken), others[::-1], draft)
    said = {setting.key for node in own for setting in node.settings}
    if "by" not in said:
        found = replace(found, by=theirs.by, variant=theirs.variant)
    if "lag" not in said:
        found = replace(found, lag_seconds=theirs.lag_seconds)
    return found if own else replace(found, span=theirs.span)


def one_stream(problems: Problems, moves: tuple[Move, ...]) -> None:
    """Tables that go the same way are carried by one job, and switched together."""
    first: dict[tuple[str, str], Move] = {}
    for move in moves if len(moves) > 1 else ():
        way = (move.table.database, move.target.database)
        leader = first.setdefault(way, move)
        if not move.across:
            continue
        if (leader.sync.by, leader.sync.variant) == (move.sync.by, move.sync.variant):
            _one_lag(problems, leader, move)
            continue
        title = f"`{leader.table.entity}` and `{move.table.entity}` go the same way, and would be carried in two"
        body = "Tables that move from one database to another are one stream: one job carries them over, and a tenant's writes "
        body += "turn over for all of them at one moment."
        how = " ".join([leader.sync.by, *([leader.sync.variant] if leader.sync.variant else [])])
        more = [(leader.sync.span, f"by {how}")]
        help_ = f"say the same of both: sync {move.table.entity} {{ by {how} }}"
        problems.error("MIG453", move.sync.span, title, f"by {move.sync.by}", body=body, more=more, help=help_)


def _one_lag(problems: Problems, leader: Move, move: Move) -> None:
    """One job carries them, and the revisions ask it one question."""
    one, other = leader.sync.lag_seconds, move.sync.lag_seconds
    if one is None or other is None or one == other:
        return
    both = f"`{leader.table.entity}` and `{move.table.entity}`"
    title = f"{both} go the same way, and one can't be behind by {one:g} s and the other by {other:g} s"
    body = "Tables that move from one database to another are one stream: one job carries them, and is late for all or for none."
    said = leader if one < other else move
    help_ = (
        f"say it once, and it holds for all of them: leave `lag at most` out but in sync {written(said.table.entity)}"
    )
    more = [(leader.sync.span, f"at most {one:g} s")]
    problems.error("MIG453", move.sync.span, title, f"at most {other:g} s", body=body, more=more, help=help_)


def sync(problems: Problems, nodes: list[ast.Sync], draft: Draft) -> Sync:
    """What keeps a move's sides equal: as the file says, or a trigger in one database and an outbox across two."""
    settings = tuple(s for node in nodes for s in node.settings)
    once(problems, settings, "sync")
    said = {s.key: s for s in settings}
    span = nodes[0].span if nodes else draft.node.span
    default = "outbox" if draft.across else "trigger"
    carrier = _carrier(problems, said.get("by"), draft, default)
    if carrier is None:
        return Sync(draft.table.entity, default, None, None, "truth", span)
    by, variant = carrier
    lag = _lag(problems, said.get("lag"), by)
    return Sync(draft.table.entity, by, variant, lag, _conflict(problems, said.get("conflict"), by), span)


def _carrier(
    problems: Problems, setting: ast.Setting | None, draft: Draft, default: str
) -> tuple[str, str | None] | None:
    """What the file says, or else the default; None where it doesn't fit (and that was reported)."""
    if setting is None:
        return default, None
    word, *more = setting.words
    if word.text not in CARRIERS:
        _no_carrier(problems, word, draft)
        return None
    if word.text == "trigger" and draft.across:
        title = "a trigger can't write into another database"
        help_ = "by outbox: the trigger leaves word, and an applier carries it over; or by cdc, or by application"
        problems.error("MIG453", word.span, title, "the two are in different databases", help=help_)
        return None
    if word.text != "trigger" and not draft.across:
        title = "both tables are in one database, where a trigger keeps them equal in the same transaction"
        help_ = "by trigger, or leave `sync` out: nothing is ever behind, and nobody has to run anything"
        problems.error("MIG453", word.span, title, "would only be slower", help=help_)
        return None
    return word.text, _variant(problems, word, more)


def _no_carrier(problems: Problems, word: ast.Word, draft: Draft) -> None:
    known = [c for c in CARRIERS if (c == "trigger") != draft.across]
    if word.text not in VARIANTS or not draft.across:
        problems.unknown("MIG106", "way to keep both sides equal", word.text, word.span, known)
        return
    title, way = f"`{word.text}` is a kind of cdc", f"cdc {word.text}"
    fix = fixes.replacing(word.span, way, f"`{word.text}` becomes `{way}`", safe=True)
    problems.error("MIG106", word.span, title, "not a way by itself", help=f"by {way}", fix=fix)


def _variant(problems: Problems, word: ast.Word, more: list[ast.Word]) -> str | None:
    if more and word.text != "cdc":
        title = f"`{word.text}` is of one kind only"
        problems.error("MIG453", more[0].span, title, "says nothing", help=f"by {word.text}")
    elif more and more[0].text not in VARIANTS:
        problems.unknown("MIG106", "kind of cdc", more[0].text, more[0].span, VARIANTS)
    elif more:
        return more[0].text
    return "logical" if word.text == "cdc" else None


def _lag(problems: Problems, setting: ast.Setting | None, by: str) -> float | None:
    streams = by != "trigger"
    if setting is None:
        return None
    found = lexis.seconds(setting.numbers[0].raw)
    if found is None:
        bad_number(problems, setting.numbers[0], "duration", "30s")
    elif found <= 0:
        title = "what is carried over is always a little behind"
        problems.error("MIG453", setting.span, title, "would never hold", help="lag at most 30s")
    elif not streams:
        title = "nothing is behind here: what is written is on both sides at once"
        how = "a trigger carries it in the same transaction"
        problems.error("MIG453", setting.span, title, how, help="leave the line out")
    return found if streams else None


def _conflict(problems: Problems, setting: ast.Setting | None, by: str) -> str:
    if setting is None:
        return "truth"
    word = setting.words[0]
    if word.text not in CONFLICTS:
        problems.unknown("MIG106", "way to settle", word.text, word.span, CONFLICTS)
    elif word.text == "newest":
        title = "each tenant is written on one side at a time: there is nothing to settle by age"
        body = (
            "The side where a tenant is written is right, and the other one takes what it has. Were both written, the "
        )
        body += "younger of two clocks would win, and the other write be lost without a word."
        if by == "trigger":
            title = "a trigger carries each write in its own transaction: there is nothing to settle by age"
            body = "A row that is written on both sides is written twice, one after the other, as in one table."
        help_ = "conflict truth, or leave the line out"
        problems.error("MIG453", setting.span, title, "has no meaning here", body=body, help=help_)
    else:
        return word.text
    return "truth"
