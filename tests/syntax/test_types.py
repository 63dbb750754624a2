"""Every type that PostgreSQL has can be written as a column's type, whatever else its words mean in the language."""

from __future__ import annotations

import pytest

from migdsl.dialect.types import known_names
from migdsl.workspace import check

FILE = """database app {{ engine postgresql 15; url env DATABASE_URL }}
tenants none because "one customer"
entity Thing in app.things {{
  id bigint key
  a {0}
  b {0}?
  c {0}[] pii
}}
"""


@pytest.mark.parametrize("name", known_names())
def test_it_is_a_type(name: str):
    assert check({"things.mig": FILE.format(name)}, "things.mig").diagnostics == ()


def test_and_boolean_is_a_kind_of_flag_as_well():
    found = check({"f.mig": 'migration m { ticket "M-1" }\nflag extra boolean { on for all }\n'}, "f.mig")
    assert [d.code for d in found.diagnostics] == ["MIG602"]
