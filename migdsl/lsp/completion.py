"""A place in a text becomes what may be written there: what the grammar takes, and the names that there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from migdsl.dialect.types import known_names
from migdsl.lint.run import ALLOWABLE
from migdsl.lsp.names import Name, rows_of, spelt
from migdsl.lsp.navigate import names_of, reading_of, unit_of
from migdsl.lsp.reading import Line, Piece, pending
from migdsl.lsp.roles import ROWS, role
from migdsl.lsp.snippets import heading, number, snippet
from migdsl.lsp.walk import Leaf, beginning
from migdsl.semantics.conditions import BUILT_IN
from migdsl.syntax.unit import Files
from migdsl.syntax.vocabulary import construct, texts
from migdsl.values import Value

_WORD = re.compile(r"\w*\Z")
_OPEN_SQL = re.compile(r"`[^`\n]*\Z")


class Item(Value):
    """Something that may be written: `text` goes in place of `[start, end)` (`snippet`: with places to fill in).

    `kind` is keyword, snippet, value, type, file or a kind of name; `rule` is the construct that it begins, or belongs to.
    """

    label: str
    kind: str
    detail: str
    rule: str
    text: str
    snippet: bool
    start: int
    end: int


class _Place(Value):
    """Where something is to be written: the unit's texts, the present line, and what is there of the word so far."""

    texts: Mapping[str, str]
    line: Line | None
    start: int
    end: int


def complete(files: Files, path: str, offset: int) -> tuple[Item, ...]:
    """What may be written at an offset, each once, in the order in which it is worth showing."""
    text = files[path]
    reading = reading_of(text)
    if any(each.start < offset <= each.end for each in reading.comments):
        return ()
    found = reading.piece(offset)
    inside = found is not None and found[1].start < offset < found[1].end
    start = offset - len(_WORD.findall(text[max(0, offset - 200) : offset])[0])
    if found is not None and inside and found[1].kind == "sql":
        return _once(_in_sql(_Place(unit_of(files, path), found[0], start, offset), found[1]))
    if found is not None and inside and found[1].kind == "string":
        return _once(_in_string(files, path, _Place({}, found[0], found[1].start + 1, found[1].end - 1), found[1]))
    return _once(_by_grammar(files, path, start, offset))


def _once(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple({(each.label, each.kind == "snippet"): each for each in reversed(list(items))}.values())[::-1]


def _by_grammar(files: Files, path: str, start: int, offset: int) -> Iterator[Item]:
    text = files[path]
    top = max((each.start for each in reading_of(text).lines if each.start <= start), default=0)
    line, above, fresh = pending(text[top:start])
    place = _Place(unit_of(files, path), line if line is not None else above, start, offset)
    if line is not None and line.state is None:
        if _OPEN_SQL.search(text[top:start]):  # a backtick that nobody has closed yet
            yield from _columns(place, rows_of(line), sql=True)
        return
    state = line.state if line is not None else above.inner if above is not None else beginning()
    for leaf in state.leaves() if state is not None else ():
        yield from _leaf(place, leaf, first=fresh)


def _leaf(place: _Place, leaf: Leaf, *, first: bool) -> Iterator[Item]:
    if leaf.text:
        yield from _keyword(place, leaf, first=first)
    elif leaf.terminal in ("NAME", "STRING") and (said := role(leaf)) is not None and _is_name(leaf):
        if said.kind == "type":
            yield from (_item(place, name, "type", "a type of PostgreSQL", "type") for name in known_names())
        elif not said.declares:
            yield from _names(place, said.kind, said.of)
    elif leaf.terminal == "NAME":
        yield from _words(place, leaf)
    elif leaf.terminal == "BOOLEAN":
        kind, rule = ("type", "type") if leaf.rule == "type" else ("keyword", leaf.rule)
        yield _item(place, "boolean", kind, "", rule)
    elif leaf.terminal == "STRING" and not {"name", "quoted"} & set(leaf.path):
        yield _item(place, '"…"', "snippet", _says(leaf.rule), leaf.rule, '"$1"')
    elif leaf.terminal == "SQL":
        yield _item(place, "`…`", "snippet", _says(leaf.rule), leaf.rule, "`$1`")
    elif leaf.terminal == "NUMBER":
        example = number(leaf.rule)
        yield _item(place, example, "value", _says(leaf.rule), leaf.rule, example)


def _is_name(leaf: Leaf) -> bool:
    return leaf.terminal == "NAME" or leaf.rule == "proof_invariant"


def _keyword(place: _Place, leaf: Leaf, *, first: bool) -> Iterator[Item]:
    """A word of the language; where a statement begins with it, the whole statement as well."""
    if not leaf.text.isidentifier():
        return
    if first and leaf.at == 0 and leaf.rule in texts():
        yield _item(place, heading(leaf.rule), "snippet", _says(leaf.rule), leaf.rule, snippet(leaf.rule))
    yield _item(place, leaf.text, "keyword", _says(leaf.rule), leaf.rule)


def _words(place: _Place, leaf: Leaf) -> Iterator[Item]:
    """The words of a set; where the grammar's own sentences tell of none, none."""
    if leaf.rule == "allow":
        yield from (_item(place, code, "value", "", "allow") for code in sorted(ALLOWABLE))
    elif leaf.rule in texts():
        yield from (_item(place, word, "value", "", leaf.rule) for word in construct(leaf.rule).words)


def _names(place: _Place, kind: str, of: str) -> Iterator[Item]:
    if kind == "column":
        entity = _target(place) if of == "target" else _entity(place, of)
        yield from _columns(place, entity, sql=False)
        return
    if kind == "metric":
        yield from (_item(place, name, "metric", unit, "comparison") for name, unit in BUILT_IN.items())
    for name in _declared(place, kind):
        yield _item(place, name.text, kind, f"{kind} of this migration", "", _spelling(name, name.text))


def _spelling(name: Name, text: str) -> str:
    return spelt(name, text) if name.kind != "metric" else text


def _columns(place: _Place, entity: str, *, sql: bool) -> Iterator[Item]:
    for name in _declared(place, "column", entity):
        plain = Name("column", name.text, entity, declares=False, start=0, end=0, sql=sql)
        yield _item(place, name.text, "column", f"column of {entity}", "", _spelling(plain, name.text))


def _declared(place: _Place, kind: str, entity: str | None = None) -> Iterator[Name]:
    for text in place.texts.values():
        for name in names_of(text):
            if name.kind == kind and name.declares and entity in (None, name.entity):
                yield name


def _entity(place: _Place, of: str) -> str:
    from_rows = rows_of(place.line) if place.line is not None else ""
    if of == "filled" or place.line is None:
        return from_rows
    top = list(place.line.upward())[-1]
    return top.pieces[1].text.strip('"') if len(top.pieces) > 1 else ""


def _target(place: _Place) -> str:
    """The entity that the present line has named last."""
    pieces = place.line.pieces if place.line is not None else ()
    named = [p.text.strip('"') for p in pieces if p.leaf and (said := role(p.leaf)) and said.kind == "entity"]
    return named[-1] if named else ""


def _in_sql(place: _Place, piece: Piece) -> Iterator[Item]:
    assert place.line is not None
    rule = piece.leaf.rule if piece.leaf is not None else ""
    if rule in ROWS or rule == "invariant":
        yield from _columns(place, rows_of(place.line), sql=True)
    yield (
        _item(place, ":tenant_id", "value", "the tenant", "invariant")
        if rule == "invariant"
        else _item(place, "coalesce", "function", "the first that is not NULL", "", "coalesce($1)")
    )


def _in_string(files: Files, path: str, place: _Place, piece: Piece) -> Iterator[Item]:
    rule = piece.leaf.rule if piece.leaf is not None else ""
    if rule == "proof_invariant":
        filled = _Place(unit_of(files, path), place.line, place.start, place.end)
        yield from (_item(place, name.text, "invariant", "", rule) for name in _declared(filled, "invariant"))
    elif rule == "use":
        yield from (_item(place, name, "file", "", "use") for name in files if name != path and "/" not in name)


def _says(rule: str) -> str:
    return construct(rule).says.split(". ")[0] if rule in texts() else ""


def _item(place: _Place, label: str, kind: str, detail: str, rule: str, text: str = "") -> Item:
    filled = bool(text) and "$" in text and kind in ("snippet", "function")
    return Item(label, kind, detail, rule, text or label, filled, place.start, place.end)
