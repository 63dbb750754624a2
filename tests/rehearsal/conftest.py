"""Compiled examples, and rehearsals of them on an empty database: short ones, of few rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import pytest

from migdsl.executor.model import Project
from migdsl.planning.build import build
from migdsl.rehearsal.model import Settings
from migdsl.rehearsal.run import Piece, Report, on
from migdsl.rehearsal.server import Server
from migdsl.rehearsal.stage import Stage
from migdsl.workspace import Compilation, compile_files, source_digest

ROOT = Path(__file__).resolve().parents[2]
# Few rows and no more than the fault needs: what is looked for doesn't depend on how many there are.
SHORT = Settings(rows=80, tenants=5, rate=200.0, back=False, hold_s=0.0)
Rehearse = Callable[..., Report]
Edit = tuple[str, str, str]


@lru_cache
def compiled(name: str) -> Compilation:
    """An example (`users`, `09_index_only/events_index`), all phases released."""
    path = ROOT / "examples" / f"{name}.mig"
    found = compile_files({path.name: path.read_text(encoding="utf-8")}, path.name, through="contract")
    assert found.ok, found.diagnostics
    return found


def edited(files: Mapping[str, str], edits: tuple[Edit, ...]) -> dict[str, str]:
    """The files after edits (end of the path, text, its replacement); each must find what it replaces."""
    texts = dict(files)
    for end, before, after in edits:
        (path,) = (path for path in texts if path.endswith(end))
        assert before in texts[path], f"{path} has no {before!r}"
        texts[path] = texts[path].replace(before, after)
    return texts


def piece(name: str, settings: Settings, folder: Path, edits: tuple[Edit, ...] = ()) -> Piece:
    """An example with its files, after edits, in a folder."""
    found = compiled(name)
    assert found.module is not None
    (main,) = found.sources
    texts = edited({a.path: a.text for a in found.artifacts}, edits)
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    planned = build(found.module, source_digest(found.sources), "contract")
    project = Project(planned, main, str(folder), texts)
    home = (ROOT / "examples" / f"{name}.mig").parent
    return Piece(project, {main: found.sources[main].text}, main, home, settings)


@pytest.fixture
def rehearse(database: str, pg: Server, tmp_path: Path) -> Rehearse:
    """Rehearse an example, its files edited."""

    def play(name: str, settings: Settings, *edits: Edit) -> Report:
        return on(Stage(database, pg.bin, "test"), piece(name, settings, tmp_path, edits), lambda _: None)

    return play
