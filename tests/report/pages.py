"""The examples' plans with the files beside them, and what a page says, read by a parser that is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from migdsl.plan import DataMigrationPlan
from migdsl.report.files import root_of
from migdsl.report.plan_page import plan_page, wanted

ROOT = Path(__file__).resolve().parent.parent.parent
PLANS = sorted((ROOT / "examples").glob("**/plan/*.plan.json"))
NAMES = [path.name.removesuffix(".plan.json") for path in PLANS]
_VOID = frozenset(["meta", "br", "link", "img", "input", "hr"])


@cache
def plan_of(name: str) -> DataMigrationPlan:
    """The plan of an example."""
    return DataMigrationPlan.model_validate_json(PLANS[NAMES.index(name)].read_text(encoding="utf-8"))


@cache
def files_of(name: str) -> dict[str, str]:
    """What its page can show of the files beside it."""
    plan = plan_of(name)
    root = root_of(plan, PLANS[NAMES.index(name)].as_posix())
    assert root is not None
    return {path: (Path(root) / path).read_text(encoding="utf-8") for path in wanted(plan)}


@cache
def page_of(name: str) -> str:
    """Its page."""
    return plan_page(plan_of(name), files_of(name))


class Read(HTMLParser):
    """Elements in order with their attributes, the text outside of styles and scripts, and what isn't closed as it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self.crossed: list[str] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(page)
        self.close()

    @property
    def text(self) -> str:
        """All text, white space as one blank."""
        return " ".join(" ".join(self._text).split())

    def each(self, *tags: str) -> Iterator[tuple[str, dict[str, str | None]]]:
        """The elements of these tags."""
        return ((tag, given) for tag, given in self.elements if tag in tags)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside in ("style", "script"):
            self.raw[inside] = self.raw.get(inside, "") + data
        else:
            self._text.append(data)
