"""What is known of one diagnostic code, whatever file it is found in: the entry of the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from migdsl.diagnostics.model import Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One code of the catalog; `migdsl explain` and the docs page are made from it.

    `id` is `MIG` and three digits, the first of them the family. `title` is one line without a full stop, `why` prose
    (paragraphs separated by an empty line), `bad` and `good` pieces of `.mig` source. `fix` is the best that the compiler
    can do about it where it can tell what was meant: "safe", "unsafe" or "none".
    """

    id: str
    severity: Severity
    title: str
    why: str
    bad: str
    good: str
    fix: str
