"""The revisions on disk and those of a compilation become one chain, or a diagnostic that says where it splits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.semantics.model import PHASES
from migdsl.source import SourceFile, Span

_REVISION = re.compile(r"^revision\s*(?::[^=\n]+)?=\s*[\"']([^\"'\n]+)[\"']", re.MULTILINE)
_PARENTS = re.compile(r"^down_revision\s*(?::[^=\n]+)?=\s*([^\n]+)", re.MULTILINE)
_NAME = re.compile(r"[\"']([^\"'\n]+)[\"']")
_LINE = re.compile(r"^[ \t]*migrations\b[^\n]*", re.MULTILINE)
_DATABASE = re.compile(r"^[ \t]*database\b[^\n]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Written:
    """The revisions that one file compiles to, by path, and the file."""

    source: SourceFile
    texts: Mapping[str, str]


Links = dict[str, tuple[str, ...]]  # a revision → those that it follows


@dataclass(frozen=True, slots=True)
class _Chain:
    """`ours` in the order of their phases, `others` beside them, and those of ours that are on disk as they are there."""

    ours: Links
    others: Links
    there: Links

    @property
    def first(self) -> str:
        return next(iter(self.ours))

    @property
    def all(self) -> Links:
        return {**self.others, **self.ours}

    def missing(self) -> list[tuple[str, str]]:
        """A revision of ours and the one that it follows and nobody has; nobody is asked where there are no others."""
        known = self.all
        found = [(name, parent) for name, parents in self.ours.items() for parent in parents if parent not in known]
        return found if self.others else []

    def moved(self) -> list[str]:
        """Those of ours that follow something else on disk."""
        return [name for name, parents in self.ours.items() if self.there.get(name, parents) != parents]

    def circle(self) -> str | None:
        """A revision of ours that follows itself, by whatever way."""
        known = self.all
        return next((name for name in self.ours if name in _before(known, self.ours[name])), None)

    @property
    def sound(self) -> bool:
        return not (self.moved() or self.circle() or self.missing()) and len(_heads(self.all)) == 1


def broken_chains(out: str, works: Sequence[Written]) -> Iterator[Diagnostic]:
    """Where Alembic would not find one chain once all revisions are written below `out`.

    Revisions are read as text and never run. The disk is only looked at: what is compiled doesn't depend on it.
    """
    folders: dict[str, list[tuple[Written, Links]]] = {}
    for work in works:
        for below, texts in _by_folder(work.texts).items():
            if links := _ordered(texts):
                folders.setdefault(os.path.realpath(os.path.join(out, below)), []).append((work, links))
    for folder, found in folders.items():
        yield from _broken(_on_disk(folder), found)


def _by_folder(texts: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """Of several databases each has a chain of its own."""
    found: dict[str, dict[str, str]] = {}
    for path, text in texts.items():
        found.setdefault(os.path.dirname(path), {})[path] = text
    return found


def _broken(disk: Links, works: list[tuple[Written, Links]]) -> Iterator[Diagnostic]:
    # Whoever brings nothing new is right, so that the one who does is told what to follow.
    rest = sorted(works, key=lambda each: any(name not in disk for name in each[1]))
    seen = disk
    while rest:
        work, ours = rest.pop(0)
        coming = {name: parents for _, links in rest for name, parents in links.items()}
        needed = _before({**coming, **seen}, [parent for parents in ours.values() for parent in parents])
        seen = {**{name: coming[name] for name in coming if name in needed}, **seen}
        others = {name: parents for name, parents in seen.items() if name not in ours}
        chain = _Chain(ours, others, {name: disk[name] for name in ours if name in disk})
        if not chain.sound:
            yield _diagnostic(work.source, chain)
        seen = {**seen, **ours}


def _ordered(texts: Mapping[str, str]) -> Links:
    found = [link for text in texts.values() if (link := _link(text))]
    return dict(sorted(found, key=lambda link: PHASES.index(_phase(link[0]))))


def _phase(revision: str) -> str:
    """Our revisions are called `migration_phase`."""
    return revision.rpartition("_")[2]


def _on_disk(folder: str) -> Links:
    found: Links = {}
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    except OSError:
        return found
    for name in names:
        try:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                link = _link(file.read(100_000))
        except OSError:
            continue
        if link is not None:
            found[link[0]] = link[1]
    return found


def _link(text: str) -> tuple[str, tuple[str, ...]] | None:
    revision, parents = _REVISION.search(text), _PARENTS.search(text)
    if revision is None:
        return None
    return revision[1], tuple(_NAME.findall(parents[1])) if parents else ()


def _heads(links: Links) -> list[str]:
    return sorted(set(links) - {parent for parents in links.values() for parent in parents})


def _before(links: Links, start: Iterable[str]) -> set[str]:
    """All that come before, `start` included."""
    found: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(links.get(name, ()))
    return found


def _diagnostic(source: SourceFile, chain: _Chain) -> Diagnostic:
    line = _LINE.search(source.text) or _DATABASE.search(source.text)
    place = Span(source.path, *line.span()) if line else Span(source.path, 0, 0)
    follows = chain.ours[chain.first]
    label = f"our first revision follows {_listed(follows)}"
    help_ = _help(source.text, chain)
    return Diagnostic("MIG706", Severity.ERROR, _title(chain), Label(place, label), body=_body(chain), help=help_)


def _title(chain: _Chain) -> str:
    for name in chain.moved():
        return f"{name} would follow {_listed(chain.ours[name])}; on disk it follows {_listed(chain.there[name])}"
    circle = chain.circle()
    if circle is not None:
        return f"{circle} would follow {_listed(chain.ours[circle])}, which comes after it"
    for name, parent in chain.missing():
        return f"{name} would follow {parent}, which isn't there"
    heads = _heads(chain.all)
    return f"Alembic would find {len(heads)} heads: {_listed(heads)}"


def _body(chain: _Chain) -> str:
    if chain.moved():
        return "A released revision can't be moved: a database may be at it."
    return "All revisions in that folder must be one chain with one end."


def _help(text: str, chain: _Chain) -> str:
    """One change that makes the chain whole, where there is one: what wouldn't is never advised."""
    moved = chain.moved()
    still = _Chain({**chain.ours, **{name: chain.there[name] for name in moved}}, chain.others, chain.there)
    stays = f"{', '.join(moved)} must follow what it follows on disk" if moved else ""
    if moved and still.sound:
        return f'{stays}; a later phase may follow another revision: phase contract {{ after "…" }}'
    return "; ".join(part for part in (_advice(text, still), stays) if part)


def _advice(text: str, chain: _Chain) -> str:
    # The line comes first, since a long help is broken where words end.
    for head in reversed(_heads(chain.others)):
        for name in chain.ours:
            if not _whole(chain, name, (head,)):
                continue
            said = re.search(rf"^[ \t]*phase\s+{_phase(name)}\b", text, re.MULTILINE)  # it overrules `migrations`
            if name == chain.first and said is None:
                return f'name the head that ours follow: migrations "…" after "{head}"'
            return f'phase {_phase(name)} {{ after "{head}" }} names the revision that came in between'
    before: tuple[str, ...] = ()
    for name in chain.ours:
        if _whole(chain, name, before):
            return f"take out the `after` that puts {name} there"
        before = (name,)
    if not chain.others:
        return "ours follow one another by themselves: `after` names a revision of other people"
    return f"make the others one chain (alembic merge), or make them follow {list(chain.ours)[-1]}"


def _whole(chain: _Chain, name: str, parents: tuple[str, ...]) -> bool:
    """Whether the chain is whole once the revision follows these; with one that is on disk moved, it isn't."""
    return _Chain({**chain.ours, name: parents}, chain.others, chain.there).sound


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
