"""The revisions on disk and those of a compilation become one chain, or a diagnostic that says where it splits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.source import SourceFile, Span

_REVISION = re.compile(r"^revision\s*(?::[^=\n]+)?=\s*[\"']([^\"'\n]+)[\"']", re.MULTILINE)
_PARENTS = re.compile(r"^down_revision\s*(?::[^=\n]+)?=\s*([^\n]+)", re.MULTILINE)
_NAME = re.compile(r"[\"']([^\"'\n]+)[\"']")
_LINE = re.compile(r"^[ \t]*migrations\b[^\n]*", re.MULTILINE)
_DATABASE = re.compile(r"^[ \t]*database\b[^\n]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Link:
    """A revision and those that it follows."""

    revision: str
    parents: tuple[str, ...]


def broken_chain(out: str, texts: Mapping[str, str], source: SourceFile) -> Diagnostic | None:
    """Whether Alembic would find several heads once `texts` (our revisions by path) are written below `out`.

    Revisions are read as text and never run. The disk is only looked at: what is compiled doesn't depend on it.
    """
    ours = [link for text in texts.values() if (link := _link(text))]
    if not ours:
        return None
    folder = os.path.join(out, os.path.dirname(next(iter(texts))))
    others = list(_others(folder, {os.path.basename(path) for path in texts}))
    if not others:
        return None
    own = {link.revision for link in ours}
    first = next(link.parents for link in ours if not own & set(link.parents))
    heads = sorted(_heads([*ours, *others]))
    if len(heads) == 1 and {link.revision for link in others} >= set(first):
        return None
    return _diagnostic(source, sorted(_heads(others)), heads, first, own)


def _others(folder: str, own: set[str]) -> Iterable[Link]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".py") and name not in own)
    except OSError:
        return
    for name in names:
        try:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                link = _link(file.read(100_000))
        except OSError:
            continue
        if link is not None:
            yield link


def _link(text: str) -> Link | None:
    revision, parents = _REVISION.search(text), _PARENTS.search(text)
    if revision is None:
        return None
    return Link(revision[1], tuple(_NAME.findall(parents[1])) if parents else ())


def _heads(links: list[Link]) -> set[str]:
    return {link.revision for link in links} - {parent for link in links for parent in link.parents}


def _diagnostic(
    source: SourceFile, theirs: list[str], heads: list[str], first: tuple[str, ...], ours: set[str]
) -> Diagnostic:
    line = _LINE.search(source.text) or _DATABASE.search(source.text)
    place = Span(source.path, *line.span()) if line else Span(source.path, 0, 0)
    said = f"our first revision follows {first[0]}" if first else "our first revision follows nothing"
    between = [head for head in theirs if head not in ours]
    return Diagnostic(
        "MIG706",
        Severity.ERROR,
        (
            f"Alembic would find {len(heads)} heads: {', '.join(heads)}"
            if len(heads) > 1
            else f"{said}, which isn't there"
        ),
        Label(place, said),
        body="Other revisions stand in that folder, and the chain must have one end.",
        help=f'name the head that ours follow: migrations "…" after "{between[-1] if between else theirs[-1]}"; '
        "a revision that came in after ours must be made to follow our last one",
    )
