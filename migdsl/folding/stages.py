"""A move of the rollout becomes the flag block's new text: comments and layout stay where they are."""

from __future__ import annotations

from collections.abc import Iterable

from migdsl.folding.text import Edit, edited, inserted, removed
from migdsl.semantics.problems import written
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast, lexis
from migdsl.syntax.parser import parse
from migdsl.values import Value


class Audience(Value):
    """Whom a move is for: `kind` is all, canary, percent (`percent` as written) or tenants."""

    kind: str
    percent: str = ""
    tenants: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As the file says it."""
        if self.kind == "tenants":
            return f"tenants {_listed(self.tenants)}"
        return self.percent if self.kind == "percent" else self.kind


def moved(source: SourceFile, migration: str, stage: str, audience: Audience) -> str:
    """The text in which these stand at the stage. `all` means everybody: lines of their own go, for whomever they are.

    The text must parse; it comes back as it is where nothing changes.
    """
    text = source.text
    # One edit at a time: places are those of the text as it is then.
    while True:
        declared = parse(SourceFile(source.path, text)).module.declarations
        flag = next((d for d in declared if isinstance(d, ast.Flag)), None)
        edit = (
            _block(text, migration, stage, audience)
            if flag is None
            else _EDITS[audience.kind](text, flag, stage, audience)
        )
        if edit is None:
            return text
        text = edited(text, [edit])


def _block(text: str, migration: str, stage: str, audience: Audience) -> Edit | None:
    """A flag block where there is none: then everybody is off."""
    if (stage, audience.kind) == ("off", "all"):
        return None
    end = "\r\n" if "\r\n" in text else "\n"
    rows = [f"flag {written(migration)} {{", f"  {_line(stage, audience)}", "}", ""]
    return len(text), len(text), ("" if text.endswith("\n") else end) + end + end.join(rows)


def _line(stage: str, audience: Audience) -> str:
    return f"stage {stage} for {audience.words}"


def _everybody(text: str, flag: ast.Flag, stage: str, audience: Audience) -> Edit | None:
    own = [line for line in flag.stages if line.scope.kind != "all"]
    general = next((line for line in flag.stages if line.scope.kind == "all"), None)
    if general is None:
        return _replaced(own[0].span, _line(stage, audience)) if own else _added(text, flag, _line(stage, audience))
    if own:
        return removed(text, own[0].span.start, own[0].span.end)
    return _staged(general, stage)


def _canary(text: str, flag: ast.Flag, stage: str, audience: Audience) -> Edit | None:
    return _set(text, flag, next((line for line in flag.stages if line.scope.kind == "canary"), None), stage, audience)


def _share(text: str, flag: ast.Flag, stage: str, audience: Audience) -> Edit | None:
    shares = [(lexis.percent(n.raw), line) for line in flag.stages if (n := line.scope.percent) is not None]
    wanted = lexis.percent(audience.percent) or 0
    same = next((line for share, line in shares if share == wanted), None)
    narrower = next((line for share, line in shares if line.stage.text == stage and (share or 0) < wanted), None)
    if same is None and narrower is not None and narrower.scope.percent is not None:
        return _replaced(narrower.scope.percent.span, audience.percent)
    return _set(text, flag, same, stage, audience)


def _named(text: str, flag: ast.Flag, stage: str, audience: Audience) -> Edit | None:
    """A tenant stands in one line at most."""
    ours = set(audience.tenants)
    lines = [(line, {t.value for t in line.scope.tenants}) for line in flag.stages if line.scope.kind == "tenants"]
    same = next((line for line, names in lines if names == ours), None)
    for line, names in lines:
        if line is same or not names & ours:
            continue
        left = [t for t in line.scope.tenants if t.value not in ours]
        if not left:
            return removed(text, line.span.start, line.span.end)
        first, last = line.scope.tenants[0].span, line.scope.tenants[-1].span
        return _replaced(first.to(last), _listed(t.value for t in left))
    return _set(text, flag, same, stage, audience)


_EDITS = {"all": _everybody, "canary": _canary, "percent": _share, "tenants": _named}


def _set(text: str, flag: ast.Flag, line: ast.Stage | None, stage: str, audience: Audience) -> Edit | None:
    """A line of their own at that stage; none where everybody is there."""
    general = next((each.stage.text for each in flag.stages if each.scope.kind == "all"), "off")
    if line is None:
        return None if stage == general else _added(text, flag, _line(stage, audience))
    if stage == general and len(flag.stages) > 1:
        return removed(text, line.span.start, line.span.end)
    return _staged(line, stage)


def _staged(line: ast.Stage, stage: str) -> Edit | None:
    return None if line.stage.text == stage else _replaced(line.stage.span, stage)


def _added(text: str, flag: ast.Flag, line: str) -> Edit:
    if flag.stages:
        last = flag.stages[-1].span
        return inserted(text, last.start, last.end, line)
    opened = text.index("{", flag.name.span.end) + 1
    return opened, opened, f" {line}; " if text[opened:].lstrip().startswith("allow") else f" {line} "


def _replaced(span: Span, text: str) -> Edit:
    return span.start, span.end, text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{_escaped(name)}"' for name in names)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
