"""Where checks leave what they find, and how a place inside SQL becomes a place in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from migdsl.diagnostics import Diagnostic, Fix, Label, Severity, fixes
from migdsl.diagnostics.suggest import did_you_mean, word_meant
from migdsl.source import Span
from migdsl.syntax import ast

_OF_WORDS = frozenset(["MIG106", "MIG206"])  # what is misspelt there is a word of the language
_PLAIN = re.compile(r"[^\W\d]\w*")
_MOST_HELPED = 100  # problems; more are never shown, and each looks at all names
_FOLDED = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class Problems:
    """What was found so far. `broken` names declarations that could not be read: they are silent."""

    broken: frozenset[str] = frozenset()
    found: list[Diagnostic] = field(default_factory=list)

    def error(
        self,
        code: str,
        span: Span,
        title: str,
        label: str,
        *,
        help: str = "",
        body: str = "",
        more: Iterable[tuple[Span, str]] = (),
        fix: Fix | None = None,
    ) -> None:
        """Report an error."""
        labels = tuple(Label(place, text) for place, text in more)
        found = Diagnostic(code, Severity.ERROR, title, Label(span, label), labels, body, help, fix)
        self.found.append(found)

    def unknown(
        self,
        code: str,
        kind: str,
        name: str,
        span: Span,
        known: Iterable[str],
        where: str = "",
        *,
        spell: Callable[[str], str] | None = None,
        most: int = 12,
    ) -> None:
        """Report a name that nobody knows (there is no `kind` of that name `where`), with the known one that was meant.

        `spell` writes a known name as it has to stand at `span`; by default as the language writes it. Of names that are
        nothing like it `most` are shown.
        """
        if name in self.broken:
            return
        if len(self.found) > _MOST_HELPED:
            self.error(code, span, f"there is no {kind} `{name}`{where and ' '}{where}", "not found")
            return
        candidates = sorted(known)
        near = (word_meant if code in _OF_WORDS else did_you_mean)(name, candidates)
        if near:
            help_ = f"did you mean `{near}`?"
        else:
            help_ = f"there is: {', '.join(candidates[:most])}" if candidates else f"no {kind} is declared"
        fix = None
        if code in _OF_WORDS:
            fix = fixes.respelling(span, name, candidates)
        elif near:  # whoever misspelt a name of theirs may have meant one that is not declared yet
            text = spell(near) if spell else written(near, folds=code == "MIG102")
            fix = fixes.replacing(span, text, f"`{name}` becomes `{near}`", safe=False)
        self.error(code, span, f"there is no {kind} `{name}`{where and ' '}{where}", "not found", help=help_, fix=fix)


def written(name: str, *, folds: bool = False) -> str:
    """A name as the language writes it: in quotes where it would be read as another one, which also depends on whether
    its upper case `folds`."""
    plain = _PLAIN.fullmatch(name) and not (folds and name != name.translate(_FOLDED))
    return name if plain else '"' + name.replace('"', '""') + '"'


def sql_name(name: ast.Name) -> str:
    """A column's or table's name as PostgreSQL stores it: unquoted ones are folded to lower case."""
    # Only ASCII letters, as PostgreSQL does in UTF-8: É stays É.
    return name.text if name.quoted else name.text.translate(_FOLDED)


def inside(sql: ast.Sql, start: int, end: int) -> Span:
    """Characters `[start, end)` of the SQL as a place in the file, where each backtick in it was written twice."""
    begin = sql.body.start + start + sql.text.count("`", 0, start)
    finish = sql.body.start + end + sql.text.count("`", 0, end)
    if finish <= begin:  # At the end of the SQL there is nothing to underline but its closing backtick.
        begin, finish = min(begin, sql.body.end), min(begin, sql.body.end) + 1
    return Span(sql.span.path, begin, finish)
