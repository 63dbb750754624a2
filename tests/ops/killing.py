"""A revision that dies between two statements and is run again ends where it ends without that, up and down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ops.story import LATE, Story

# Between all statements takes minutes: MIGDSL_LONG=1.
SPARED = range(90) if os.environ.get("MIGDSL_LONG") else (0, 1, 2, 4, 7, 12, 20, 33, 54, 89)
KILLED = """

_spared, _run = [{spared}], run


def run(statement):
    if statement == "SET statement_timeout = 0":
        return _run(statement)  # after each block: it changes nothing that stays
    if not _spared[0]:
        raise RuntimeError("killed")
    _spared[0] -= 1
    _run(statement)
"""


@contextmanager
def killed_after(path: Path, spared: int) -> Iterator[None]:
    """The revision in that file dies after so many statements."""
    text = path.read_text(encoding="utf-8")
    # Each as long as no other: Python takes a file of the same second and size for one that it has compiled already.
    path.write_text(f"{text}{KILLED.format(spared=spared)}{'#' * spared}\n", encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def killed(story: Story, revision: str, spared: int, act: str) -> bool:
    """Whether a revision that dies after so many statements was killed; it is run again, to its end."""
    target = revision if act == "upgrade" else "-1"
    with killed_after(story.folder / "migrations" / "versions" / f"{revision}.py", spared):
        try:
            getattr(story, act)(target)
            return False
        except RuntimeError:
            pass
    getattr(story, act)(target)
    return True


def killed_anywhere(story: Story, revision: str, below: Callable[[], None] = lambda: None) -> None:
    """Comes to the revision, then kills it on its way down and up again and again; `below` looks each time it is down."""
    before: list[str] = []
    for phase in story.revisions[: story.revisions.index(revision) + 1]:
        before = story.dump()
        if phase.removeprefix("m_") in LATE:
            story.stage(LATE[phase.removeprefix("m_")])
        story.upgrade(phase)
        if phase == "m_expand" and revision != phase:
            assert story.job("backfills") == 0
            assert story.job("reconcile") == 0
    after = story.dump()
    for spared in SPARED:
        down = killed(story, revision, spared, "downgrade")
        assert story.dump() == before, f"down, killed after {spared}"
        below()
        up = killed(story, revision, spared, "upgrade")
        assert story.dump() == after, f"up, killed after {spared}"
        if not up and not down:
            assert spared > 3
            return
    raise AssertionError("the revision never came to its end")
