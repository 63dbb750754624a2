"""What the scanner doesn't see doesn't count; everything else does."""

from __future__ import annotations

import pytest

from migdsl.dialect.canonical import canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a -- why\n, b", "SELECT a, b"),
        ("SELECT /* x */ a", "SELECT\n\ta"),
        ("DO $a$ BEGIN -- x\n NULL; END $a$", "DO $b$ BEGIN NULL; END $b$"),
        ("DO $a$ DO $b$ SELECT 1 -- x\n $b$ $a$", "DO $a$ DO $b$ SELECT 1 $b$ $a$"),
        ("WHERE t = :tenant_id", "WHERE t=:tenant_id"),
        ("it's no SQL", "it's  no\nSQL"),
    ],
)
def test_layout_and_comments_make_no_difference(one: str, other: str):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'a  b'", "SELECT 'a b'"),
        ("SELECT '-- a'", "SELECT '-- b'"),
        ('SELECT "A"', 'SELECT "a"'),
        ("DO $a$ SELECT 'x  y' $a$", "DO $a$ SELECT 'x y' $a$"),
        ("SELECT 1", "SELECT 2"),
        ("SELECT a b", "SELECT ab"),
    ],
)
def test_what_means_something_else_differs(one: str, other: str):
    assert canonical(one) != canonical(other)
