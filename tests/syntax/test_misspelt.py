"""A keyword with a slip in it, and the word that is meant: in each place, all that may stand there are candidates."""

from __future__ import annotations

import pytest

from migdsl.workspace import check


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("flag f fo Company { stage live for all }", "of"),
        ("flag f off Company { stage live for all }", "of"),
        ("flag f bolean { on for all }", "boolean"),
        ("flag f { stage of for all }", "off"),
        ("flag f { stage live fro all }", "for"),
        ("flag f { stage live fr all }", "for"),
        ("flag f { stage live for al }", "all"),
        ("move U ot app.x { id = id }", "to"),
        ("entity U ni app.u { id bigint key }", "in"),
        ("create N inn app.n { id bigint key }", "in"),
        ('accept "x" yb manual "y"', "by"),
        ('change U { enum mood ad "x" }', "add"),
        ("change U { add x text? { unique pr tenant } }", "per"),
        ("change U { a -> B.id no delete cascade }", "on"),
        ("change U { split name int a text { a = `x`; back `y` } }", "into"),
        ("tenants non", "none"),
    ],
)
def test_the_word_that_is_meant(text: str, meant: str) -> None:
    found = check({"a.mig": text}, "a.mig").diagnostics
    assert f"did you mean `{meant}`?" in [d.help for d in found], found
