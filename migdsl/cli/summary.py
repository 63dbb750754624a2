"""`migdsl summary OLD NEW`: two versions of a file become Markdown for the people who review the change."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from migdsl.cli import markdown, output, summary_text
from migdsl.cli.arguments import Options
from migdsl.cli.diffing import differences, problem
from migdsl.cli.driver import complain
from migdsl.cli.summary_view import summarised, texts
from migdsl.cli.versions import Version, version
from migdsl.planning.compare import compare
from migdsl.planning.model import Planned
from migdsl.planning.verdict import problems, renamed


def summary_command(options: Options) -> int:
    """1 where the newer version has errors or may not follow the older one, else 0. Nothing is written."""
    before, after = options.words
    if before == after == "-":
        output.complain("migdsl: only one of the two can be the standard input\n")
        return 2
    old = version(before, after, options.root, partial=True)
    new = version(after, before, options.root, partial=True)
    if old.problems and not old.sources:  # it can't be read: a misspelt path is no version
        complain(old.problems, {})
        return 1
    name = _name(after if not new.absent and after != "-" else before)
    if new.problems:
        output.say(_broken(name, new))
        return 1
    if new.planned is None:
        if options.if_changed and _same(old, new):
            return 0
        output.say("\n\n".join(_without_a_plan(name, old, new)) + "\n")
        return 0
    return _planned(name, old, new, new.planned, if_changed=options.if_changed)


def _planned(name: str, old: Version, new: Version, planned: Planned, *, if_changed: bool) -> int:
    """A version that migrates: beside one that did too, or alone."""
    was, diff = old.planned, None
    if was is not None and was.plan.migration != planned.plan.migration:
        refused = (problem(renamed(was, planned), new.sources),)
        head = summary_text.heading(planned.plan.migration)
        output.say(f"{head}\n\n{summary_text.caution(summary_text.REFUSED, refused, name)}\n")
        return 1
    if was is not None:
        compared = compare(was, planned)
        diff = differences(was, planned, compared, problems(was, planned, compared), new.sources)
    summary = summarised(was, planned, diff, posixpath.basename(name))
    if if_changed and not summary.differs:
        return 0
    note = _note(old)
    output.say(summary_text.render(summary, name) + (f"\n{markdown.text(note)}\n" if note else ""))
    return 0 if diff is None or diff.allowed else 1


def _same(old: Version, new: Version) -> bool:
    """Whether a version without a plan is what it was: nothing, history, or declarations, which users of them show."""
    return (old.absent, old.shared, old.finished) == (new.absent, new.shared, new.finished) and old.planned is None


def _note(old: Version) -> str:
    """Why a version that is there is not compared with."""
    if old.problems:
        return "The older version has errors, so nothing is compared with it."
    if old.finished is not None:
        return f"The older version was finished on {old.finished}: this opens the migration again."
    return ""


def _without_a_plan(name: str, old: Version, new: Version) -> Iterator[str]:
    """A version that migrates nothing: finished, gone, or declarations that others use."""
    yield summary_text.heading(old.planned.plan.migration if old.planned else posixpath.basename(name))
    if new.finished is not None:
        done = "It was before." if old.finished is not None else "It is history, and compiled no more."
        yield markdown.text(f"Finished on {new.finished}. {done}")
    elif new.shared:
        yield "Declares what other files use, and migrates nothing itself."
    elif old.absent:
        yield "Nothing was here, and nothing is."
    else:
        yield "**The file is gone.** What databases have run of it stays."
    if old.planned is not None and new.finished is None:
        paths = texts(old.planned, posixpath.basename(name))
        yield markdown.folded("Files that no source has any more", markdown.bullets(map(markdown.code, paths)))


def _broken(name: str, new: Version) -> str:
    found = tuple(problem(each, new.sources) for each in new.problems)
    return f"{summary_text.heading(name)}\n\n{summary_text.caution('This does not compile.', found, name)}\n"


def _name(word: str) -> str:
    """The file as people call it, wherever the older version was put."""
    return "<stdin>" if word == "-" else word.replace(os.sep, "/")
