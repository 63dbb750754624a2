"""Answers become the protocol's own values: lines and columns, kinds and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lsprotocol import types as t

from migdsl.diagnostics import Diagnostic, Edit, Severity
from migdsl.lsp.completion import Item
from migdsl.lsp.pages import page
from migdsl.lsp.places import Places
from migdsl.lsp.shape import MODIFIERS, TOKENS, Fold, Kind, Symbol
from migdsl.source import Span

LEGEND = t.SemanticTokensLegend([*TOKENS], [*MODIFIERS])
_SYMBOLS = {
    "entity": t.SymbolKind.Class,
    "create": t.SymbolKind.Class,
    "column": t.SymbolKind.Field,
    "database": t.SymbolKind.Namespace,
    "migration": t.SymbolKind.Module,
    "change": t.SymbolKind.Method,
    "metric": t.SymbolKind.Variable,
    "flag": t.SymbolKind.Boolean,
    "boolean_flag": t.SymbolKind.Boolean,
}
_ITEMS = {
    "keyword": t.CompletionItemKind.Keyword,
    "snippet": t.CompletionItemKind.Snippet,
    "value": t.CompletionItemKind.EnumMember,
    "type": t.CompletionItemKind.TypeParameter,
    "column": t.CompletionItemKind.Field,
    "entity": t.CompletionItemKind.Class,
    "database": t.CompletionItemKind.Module,
    "metric": t.CompletionItemKind.Variable,
    "function": t.CompletionItemKind.Function,
    "file": t.CompletionItemKind.File,
}
_SEVERITIES = {Severity.ERROR: t.DiagnosticSeverity.Error, Severity.WARNING: t.DiagnosticSeverity.Warning}


class Wire:
    """Writes answers for a client: `places` gives the lines of a file, `uri` its address."""

    def __init__(self, places: Callable[[str], Places], uri: Callable[[str], str]) -> None:
        self._places = places
        self._uri = uri

    def range(self, span: Span) -> t.Range:
        """A span as lines and columns."""
        return self.within(self._places(span.path), span.start, span.end)

    @staticmethod
    def within(places: Places, start: int, end: int) -> t.Range:
        """A range of a text."""
        return t.Range(t.Position(*places.place(start)), t.Position(*places.place(end)))

    def location(self, span: Span) -> t.Location:
        """A span with its file."""
        return t.Location(self._uri(span.path), self.range(span))

    def edits(self, edits: Iterable[Edit]) -> list[t.TextEdit]:
        """Edits of one file."""
        return [t.TextEdit(self.range(edit.span), edit.text) for edit in edits]

    def workspace_edit(self, edits: Iterable[Edit]) -> t.WorkspaceEdit:
        """Edits of several files."""
        changes: dict[str, list[t.TextEdit]] = {}
        for edit in edits:
            changes.setdefault(self._uri(edit.span.path), []).extend(self.edits([edit]))
        return t.WorkspaceEdit(changes)

    def diagnostic(self, found: Diagnostic, path: str, elsewhere: Span) -> t.Diagnostic:
        """A problem as it is shown in the file `path`; one of another file stands at `elsewhere`."""
        label = found.primary
        here = label is not None and label.span.path == path
        lines = [found.title, label.text if label is not None and here else "", found.body, found.help]
        related = [each for each in found.secondary if each.span.path]
        if label is not None and not here:
            lines[0] = f"{label.span.path}: {found.title}"
            related = [label, *related]
        return t.Diagnostic(
            self.range(label.span if label is not None and here else elsewhere),
            "\n".join(line for line in lines if line),
            severity=_SEVERITIES[found.severity],
            code=found.code,
            source="migdsl",
            related_information=[
                t.DiagnosticRelatedInformation(self.location(each.span), each.text) for each in related
            ],
        )

    def item(self, item: Item, number: int) -> t.CompletionItem:
        """Something that may be written; in the order in which it came."""
        said = page(item.rule)
        return t.CompletionItem(
            item.label,
            kind=_ITEMS.get(item.kind, t.CompletionItemKind.Reference),
            detail=item.detail or None,
            documentation=t.MarkupContent(t.MarkupKind.Markdown, said) if said else None,
            sort_text=f"{number:04}",
            filter_text=item.text if item.text.startswith('"') and item.kind != "snippet" else item.label,
            insert_text_format=t.InsertTextFormat.Snippet if item.snippet else t.InsertTextFormat.PlainText,
        )


def symbol(found: Symbol, places: Places) -> t.DocumentSymbol:
    """A symbol with what stands in it."""
    return t.DocumentSymbol(
        found.name or "?",
        _SYMBOLS.get(found.rule, t.SymbolKind.Object),
        Wire.within(places, found.start, found.end),
        Wire.within(places, found.name_start, found.name_end),
        children=[symbol(each, places) for each in found.inner],
    )


def fold(found: Fold, places: Places) -> t.FoldingRange:
    """A range of lines."""
    kind = t.FoldingRangeKind.Comment if found.comment else t.FoldingRangeKind.Region
    first, last = places.place(found.start)[0], places.place(found.end)[0]
    return t.FoldingRange(first, last if found.comment else max(first, last - 1), kind=kind)


def tokens(found: Iterable[Kind], places: Places) -> list[int]:
    """The protocol's numbers: how far from the one before, how long, what."""
    data: list[int] = []
    line = column = 0
    behind = 0
    for each in found:
        if each.start < behind:
            continue
        at, start = places.place(each.start)
        if places.place(each.end)[0] != at:
            continue  # no client has to take one that spans lines
        data += [at - line, start - (column if at == line else 0), places.units(each.start, each.end)]
        data += [TOKENS.index(each.kind), int(each.declares)]
        line, column, behind = at, start, each.end
    return data


def by_uri(texts: Mapping[str, str], encoding: str) -> dict[str, Places]:
    """The lines of several texts."""
    return {name: Places(text, encoding) for name, text in texts.items()}
