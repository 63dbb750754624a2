"""An editor at an API: what its versions are called where, what it becomes, and what may be written in it."""

from __future__ import annotations

from migdsl.lsp.becomes import becomes, told
from migdsl.lsp.completion import complete
from migdsl.lsp.hover import hover
from migdsl.lsp.navigate import name_at, names_of
from migdsl.syntax.unit import Files
from migdsl.workspace import check
from tests.cli.conftest import ROOT

TEXT = (ROOT / "examples/11_api_retirement/orders_v2.mig").read_text(encoding="utf-8")
FILES = Files({"a.mig": TEXT})


def test_a_version_is_known_wherever_it_is_named() -> None:
    found = [name for name in names_of(TEXT) if name.kind == "version" and name.text == "v1"]
    assert [name.declares for name in found] == [True, False, False, False]
    assert {name.entity for name in found} == {"orders_http"}
    name = name_at(TEXT, TEXT.index("sunset    v1") + len("sunset    v"))
    assert name is not None
    assert name.key == ("version", "orders_http", "v1")


def test_hover_tells_the_steps_of_an_api() -> None:
    module = check({"a.mig": TEXT}, "a.mig").module
    assert module is not None
    (found,) = becomes(module)
    assert found.phases == ("prepare", "expand", "validate", "cutover", "contract")
    assert "Answer 410" in told(found)
    shown = hover(FILES, "a.mig", TEXT.index("api orders_http") + 1, (found,))
    assert shown is not None
    assert "Answer 410" in shown.text


def test_completion_offers_the_versions_and_the_lines() -> None:
    at = TEXT.index("sunset    v1") + len("sunset    ")
    assert {item.label for item in complete(FILES, "a.mig", at) if item.kind == "version"} == {"v1", "v2"}
    labels = {item.label for item in complete(FILES, "a.mig", TEXT.index("announce  2026"))}
    assert {"announce", "deprecate", "sunset", "grace", "guide", "route", "strategy", "version", "breaking"} <= labels
